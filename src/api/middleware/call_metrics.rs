//! Metrics of calls: the number of calls by method and code, their latency, and the number of
//! open calls.

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

/// The header or trailer with the status code of a call.
const STATUS: &str = "grpc-status";

/// The metrics of all methods: one element per row of the table of methods, and a last one
/// for all other paths, so that clients cannot create time series.
pub(super) struct CallMetrics(Arc<[OnceLock<MethodMetrics>]>);

/// The elements are created lazily, with the metrics recorder that is installed when calls
/// arrive.
impl Default for CallMetrics {
    fn default() -> Self {
        let rows = access::names().map(|_| OnceLock::new());
        Self(rows.chain([OnceLock::new()]).collect())
    }
}

impl CallMetrics {
    /// Records the start of a call of the method of this row.
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

/// The metrics of a method. They are registered once, because a lookup by labels takes longer
/// than some calls do.
struct MethodMetrics {
    service: &'static str,
    method: &'static str,
    open: Gauge,
    duration: Histogram,
    /// By status code.
    requests: [OnceLock<Counter>; CODES],
}

/// From OK, 0, to UNAUTHENTICATED, 16.
const CODES: usize = 17;

impl MethodMetrics {
    fn new(row: usize) -> Self {
        let name = access::names().nth(row);
        let (service, method) = name.unwrap_or(("unknown", "unknown"));
        Self {
            service,
            method,
            open: gauge!(RPC_OPEN, "service" => service, "method" => method),
            duration: histogram!(RPC_DURATION, "service" => service, "method" => method),
            requests: [const { OnceLock::new() }; CODES],
        }
    }

    fn count(&self, code: Code) {
        let (service, method) = (self.service, self.method);
        let requests = self.requests[code as usize].get_or_init(|| {
            counter!(RPC_REQUESTS, "service" => service, "method" => method, "code" => code_name(code))
        });
        requests.increment(1);
    }
}

/// A call, until its response is sent or its client has cancelled it.
pub(super) struct OpenCall {
    metrics: Arc<[OnceLock<MethodMetrics>]>,
    row: usize,
    /// None until it is known.
    code: Option<Code>,
}

impl OpenCall {
    fn metrics(&self) -> &MethodMetrics {
        self.metrics[self.row].get_or_init(|| MethodMetrics::new(self.row))
    }

    /// Service and method, for a trace.
    pub(super) fn name(&self) -> (&'static str, &'static str) {
        let metrics = self.metrics();
        (metrics.service, metrics.method)
    }

    /// Records the latency until the response begins.
    pub(super) fn responded(&self, after: Duration) {
        self.metrics().duration.record(after);
    }

    /// Records the status in these headers, if any: trailers, or the headers of a
    /// trailers-only response.
    pub(super) fn record_status(&mut self, headers: &HeaderMap) {
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

    /// Records the status with which the call ends.
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
        // Without a status, the client cancelled the call.
        let code = self.code.unwrap_or(Code::Cancelled);
        self.metrics().open.decrement(1.0);
        self.metrics().count(code);
    }
}
