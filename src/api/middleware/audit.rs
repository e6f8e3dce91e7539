//! The audit log of changes, under the target `audit`: the principal, the method, its
//! subjects, the peer and the outcome.

use std::sync::Arc;

use parking_lot::Mutex;
use tonic::Code;

use crate::auth::{Authority, Peer};

use super::{
    super::{access::Method, status::shown},
    CallContext,
};

/// The resources that a change concerns. Its handler adds them.
#[derive(Clone, Debug, Default)]
pub(super) struct Subjects(Arc<Mutex<Vec<String>>>);

/// Records the subjects of a call; does nothing if the call is not audited.
pub(in crate::api) struct Audit(Option<Subjects>);

impl Audit {
    pub(in crate::api) fn of<M>(request: &tonic::Request<M>) -> Self {
        let context = request.extensions().get::<CallContext>();
        Self(context.and_then(|context| context.subjects.clone()))
    }

    /// Records the kind of a resource and its name or id. The name is not validated yet, so
    /// it is cut: a caller who is refused cannot fill the log with it.
    pub(in crate::api) fn about(&self, kind: &str, name: &str) {
        if let Some(subjects) = &self.0 {
            subjects.0.lock().push(format!("{kind} {}", shown(name)));
        }
    }

    /// Records that a call only validates its request, and changes nothing.
    pub(in crate::api) fn validate_only(&self, validate_only: bool) {
        if validate_only {
            self.about("validate_only", "true");
        }
    }
}

/// Logs a requested change and its outcome.
pub(super) fn log(
    method: &Method,
    authority: Option<&Authority>,
    peer: Option<&Peer>,
    subjects: &Subjects,
    outcome: Code,
) {
    let (_, name) = method.path.rsplit_once('/').unwrap_or_default();
    tracing::info!(
        target: "audit",
        // Names and ids are the caller's text. They are quoted, to prevent log injection.
        principal = ?authority.map_or("", |authority| &authority.principal.name),
        method = name,
        subject = ?subjects.0.lock().join(", "),
        peer = %peer.map_or_else(|| "unknown".to_owned(), |peer| peer.address.to_string()),
        ?outcome,
        "audit"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_cut() {
        let audit = Audit(Some(Subjects::default()));
        audit.about("job", "a");
        audit.about("pipeline", &"\u{1b}".repeat(4 * 1024 * 1024));
        let Audit(Some(Subjects(subjects))) = audit else {
            unreachable!("it was created with subjects");
        };
        let subjects = subjects.lock();
        assert_eq!(subjects[0], "job a");
        assert!(subjects[1].len() < 300 && subjects[1].ends_with("..."));
    }
}
