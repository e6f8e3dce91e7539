//! Maps lease errors to `tonic::Status`.

use std::collections::HashMap;

use tonic::Status;
use tonic_types::ErrorDetails;

use crate::engine::LeaseError;

use super::{
    reason::Reason,
    status::{precondition, quota, refuse_with},
};

impl From<LeaseError> for Status {
    fn from(error: LeaseError) -> Self {
        let message = error.to_string();
        let mut facts = HashMap::new();
        let (reason, details) = match error {
            LeaseError::Lost => {
                let must = "the lease must be live, and the fencing token its own";
                let details = precondition("LEASE", "lease".to_owned(), must);
                (Reason::LeaseLost, details)
            }
            LeaseError::Unregistered => (Reason::RunnerNotRegistered, ErrorDetails::new()),
            LeaseError::TooManyRunners { limit } => {
                let details = quota(
                    "runners".to_owned(),
                    format!("at most {limit} (max_runners)"),
                );
                (Reason::TooManyRunners, details)
            }
            LeaseError::Stopping => (Reason::ServerStopping, ErrorDetails::new()),
            LeaseError::Hole { committed } => {
                facts.insert("committed_offset".to_owned(), committed.to_string());
                (Reason::LogIncomplete, ErrorDetails::new())
            }
            LeaseError::Refused { .. } | LeaseError::Failed(_) => {
                tracing::error!(error = message, "a runner's call failed");
                (Reason::LeaseCallFailed, ErrorDetails::new())
            }
        };
        refuse_with(reason, message, details, facts)
    }
}
