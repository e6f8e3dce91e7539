//! The log of changes, under the target `audit`: who asked for what, of what, from where,
//! and what came of it.

use std::sync::Arc;

use parking_lot::Mutex;
use tonic::Code;

use crate::auth::{Authority, Peer};

use super::{
    super::{access::Method, status::shown},
    Passage,
};

/// What a change is about; its handler says so.
#[derive(Clone, Debug, Default)]
pub(super) struct Subjects(Arc<Mutex<Vec<String>>>);

/// Notes what a call is about. Nothing, if the call is not audited.
pub(in crate::api) struct Audit(Option<Subjects>);

impl Audit {
    /// Of a call.
    pub(in crate::api) fn of<M>(request: &tonic::Request<M>) -> Self {
        let passage = request.extensions().get::<Passage>();
        Self(passage.and_then(|passage| passage.subjects.clone()))
    }

    /// Notes one thing: its kind and its name or id. These come before anything else is
    /// known of the call: a caller who may do nothing cannot fill the log with them.
    pub(in crate::api) fn about(&self, kind: &str, name: &str) {
        if let Some(subjects) = &self.0 {
            subjects.0.lock().push(format!("{kind} {}", shown(name)));
        }
    }

    /// Notes that a call only checks what it asks for, and changes nothing.
    pub(in crate::api) fn only_checks(&self, validate_only: bool) {
        if validate_only {
            self.about("validate_only", "true");
        }
    }
}

/// Tells of a change that somebody asked for, and of its outcome.
pub(super) fn tell(
    method: &Method,
    authority: Option<&Authority>,
    peer: Option<&Peer>,
    subjects: &Subjects,
    outcome: Code,
) {
    let (_, name) = method.path.rsplit_once('/').unwrap_or_default();
    tracing::info!(
        target: "audit",
        // Names and ids are the caller's: quoted, so that none looks like a line.
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
    fn what_a_call_is_about_is_cut() {
        let audit = Audit(Some(Subjects::default()));
        audit.about("job", "a");
        audit.about("pipeline", &"\u{1b}".repeat(4 * 1024 * 1024));
        let Audit(Some(Subjects(subjects))) = audit else {
            unreachable!("it was made with them");
        };
        let subjects = subjects.lock();
        assert_eq!(subjects[0], "job a");
        assert!(subjects[1].len() < 300 && subjects[1].ends_with("..."));
    }
}
