use std::sync::Arc;

use uuid::Uuid;

use crate::{auth::Authority, domain::TraceContext};

/// The caller, and what identifies a repetition of the call.
#[derive(Clone, Debug)]
pub struct Call {
    /// The caller with its permissions.
    pub authority: Authority,
    /// Set if the caller sent a request id.
    pub request: Option<RequestIdentity>,
    pub trace: Option<Arc<TraceContext>>,
}

impl Call {
    /// Name of the caller.
    pub fn principal(&self) -> &str {
        &self.authority.principal.name
    }
}

/// Distinguishes a repeated call from a different one.
#[derive(Clone, Copy, Debug)]
pub struct RequestIdentity {
    pub id: Uuid,
    pub fingerprint: [u8; 32],
}
