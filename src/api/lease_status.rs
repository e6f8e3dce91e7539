//! The part of the table from errors to `tonic::Status` that is about leases.

use std::collections::HashMap;

use tonic::{Code, Status};
use tonic_types::ErrorDetails;

use crate::runner::LeaseError;

use super::status::{precondition, quota, refuse_with};

impl From<LeaseError> for Status {
    fn from(error: LeaseError) -> Self {
        let message = error.to_string();
        let mut facts = HashMap::new();
        let (code, reason, details) = match error {
            LeaseError::Lost => {
                let must = "the lease must be live, and the fencing token its own";
                let details = precondition("LEASE", "lease".to_owned(), must);
                (Code::FailedPrecondition, "LEASE_LOST", details)
            }
            LeaseError::Unregistered => {
                (Code::NotFound, "RUNNER_NOT_REGISTERED", ErrorDetails::new())
            }
            LeaseError::TooManyRunners { limit } => {
                let details = quota(
                    "runners".to_owned(),
                    format!("at most {limit} (max_runners)"),
                );
                (Code::ResourceExhausted, "TOO_MANY_RUNNERS", details)
            }
            LeaseError::Stopping => (Code::Unavailable, "SERVER_STOPPING", ErrorDetails::new()),
            LeaseError::Hole { committed } => {
                facts.insert("committed_offset".to_owned(), committed.to_string());
                (Code::OutOfRange, "LOG_INCOMPLETE", ErrorDetails::new())
            }
            LeaseError::Refused { .. } | LeaseError::Failed(_) => {
                tracing::error!(error = message, "a runner's call failed");
                (Code::Internal, "LEASE_CALL_FAILED", ErrorDetails::new())
            }
        };
        refuse_with(code, reason, message, details, facts)
    }
}
