//! Refusals because of a limit. Each names the limit's setting.

use std::{collections::HashMap, time::Duration};

use http::HeaderMap;
use tonic::Status;
use tonic_types::{ErrorDetails, QuotaViolation};

use super::{reason::Reason, status::refuse_with};

/// A limit that was exceeded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    pub(super) reason: Reason,
    pub(super) setting: &'static str,
    pub(super) limit: u64,
}

impl Limit {
    /// A refusal with a quota violation for `subject`.
    pub(super) fn refuse(self, subject: &str, message: &str) -> Status {
        self.with(self.details(subject), message)
    }

    /// As [`refuse`](Self::refuse), with the time after which to retry.
    pub(super) fn refuse_for(self, subject: &str, message: &str, wait: Duration) -> Status {
        let mut details = self.details(subject);
        details.set_retry_info(Some(wait));
        self.with(details, message)
    }

    fn details(self, subject: &str) -> ErrorDetails {
        let description = format!("at most {}; the setting is {}", self.limit, self.setting);
        ErrorDetails::with_quota_failure(vec![QuotaViolation::new(subject, description)])
    }

    fn with(self, details: ErrorDetails, message: &str) -> Status {
        let facts = HashMap::from([
            ("setting".to_owned(), self.setting.to_owned()),
            ("limit".to_owned(), self.limit.to_string()),
        ]);
        let message = format!("{message}; the setting is {}", self.setting);
        refuse_with(self.reason, message, details, facts)
    }
}

/// A refusal by the HTTP layer, as the headers of a trailers-only response.
pub fn refused_in_front(reason: Reason, message: &str, setting: &str) -> HeaderMap {
    let facts = HashMap::from([("setting".to_owned(), setting.to_owned())]);
    let status = refuse_with(reason, message.to_owned(), ErrorDetails::new(), facts);
    status.into_http::<()>().into_parts().0.headers
}
