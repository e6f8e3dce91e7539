//! Counts of calls: how many, how they ended, how long until they were answered, and how
//! many are open.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use http::HeaderMap;
use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::{
    proto::code_name,
    telemetry::metrics::{REFUSALS, RPC_DURATION, RPC_OPEN, RPC_REQUESTS},
};

use super::super::access;

/// Where the code of a call's end is.
const STATUS: &str = "grpc-status";

/// The numbers of all methods: one a row of the table of methods, and one for what is not
/// in it, as callers cannot make up series.
pub(super) struct CallMetrics(Arc<[OnceLock<OfMethod>]>);

/// Counts by what is installed when calls come.
impl Default for CallMetrics {
    fn default() -> Self {
        let rows = access::names().map(|_| OnceLock::new());
        Self(rows.chain([OnceLock::new()]).collect())
    }
}

impl CallMetrics {
    /// A call of the method of this row begins.
    pub(super) fn open(&self, row: Option<usize>) -> OpenCall {
        let call = OpenCall {
            row: row.unwrap_or(self.0.len() - 1),
            metrics: Arc::clone(&self.0),
            code: None,
        };
        call.metrics().open.increment(1.0);
        call
    }
}

/// The numbers of a method. To find them by their labels takes longer than some calls
/// do, so it is done once.
struct OfMethod {
    service: &'static str,
    method: &'static str,
    open: Gauge,
    duration: Histogram,
    /// By the code with which they ended.
    answered: [OnceLock<Counter>; CODES],
}

/// From OK, 0, to UNAUTHENTICATED, 16.
const CODES: usize = 17;

impl OfMethod {
    fn new(row: usize) -> Self {
        let name = access::names().nth(row);
        let (service, method) = name.unwrap_or(("unknown", "unknown"));
        Self {
            service,
            method,
            open: gauge!(RPC_OPEN, "service" => service, "method" => method),
            duration: histogram!(RPC_DURATION, "service" => service, "method" => method),
            answered: [const { OnceLock::new() }; CODES],
        }
    }

    fn count(&self, code: Code) {
        let (service, method) = (self.service, self.method);
        let answered = self.answered[code as usize].get_or_init(|| {
            counter!(RPC_REQUESTS, "service" => service, "method" => method, "code" => code_name(code))
        });
        answered.increment(1);
    }
}

/// A call, until the last of its answer is sent or nobody wants it any more.
pub(super) struct OpenCall {
    metrics: Arc<[OnceLock<OfMethod>]>,
    row: usize,
    /// How it ended, once it has.
    code: Option<Code>,
}

impl OpenCall {
    fn metrics(&self) -> &OfMethod {
        self.metrics[self.row].get_or_init(|| OfMethod::new(self.row))
    }

    /// Service and method, for a trace.
    pub(super) fn name(&self) -> (&'static str, &'static str) {
        let metrics = self.metrics();
        (metrics.service, metrics.method)
    }

    /// The answer begins, after so long.
    pub(super) fn answered(&self, after: Duration) {
        self.metrics().duration.record(after);
    }

    /// The call ends with the status that these tell of, if they do: headers of an answer
    /// without messages, or trailers.
    pub(super) fn look_at(&mut self, headers: &HeaderMap) {
        let Some(code) = headers.get(STATUS) else {
            return;
        };
        match Code::from_bytes(code.as_bytes()) {
            Code::Ok => self.code = Some(Code::Ok),
            _ => {
                if let Some(status) = Status::from_header_map(headers) {
                    self.end(&status);
                }
            }
        }
    }

    /// The call ends with this status.
    pub(super) fn end(&mut self, status: &Status) {
        self.code = Some(status.code());
        let is_refusal = matches!(
            status.code(),
            Code::ResourceExhausted | Code::Unauthenticated | Code::PermissionDenied
        );
        if let (true, Some(info)) = (is_refusal, status.get_details_error_info()) {
            counter!(REFUSALS, "reason" => info.reason).increment(1);
        }
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        // Without a status the caller went away first.
        let code = self.code.unwrap_or(Code::Cancelled);
        self.metrics().open.decrement(1.0);
        self.metrics().count(code);
    }
}
