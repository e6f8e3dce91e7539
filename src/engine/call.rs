use std::sync::Arc;

use uuid::Uuid;

use crate::{auth::Authority, domain::TraceContext};

/// Who calls, and whether the call may be a repetition.
#[derive(Clone, Debug)]
pub struct Call {
    /// Who calls, and what for.
    pub authority: Authority,
    /// Set when the caller gave a request id.
    pub request: Option<RequestIdentity>,
    /// The trace that the call is part of.
    pub trace: Option<Arc<TraceContext>>,
}

impl Call {
    /// Name of the caller.
    pub fn principal(&self) -> &str {
        &self.authority.principal.name
    }
}

/// Tells a repeated call from another one.
#[derive(Clone, Copy, Debug)]
pub struct RequestIdentity {
    /// The id that the caller chose.
    pub id: Uuid,
    /// Hash of the request.
    pub fingerprint: [u8; 32],
}
