//! The metrics endpoint, for callers that may see all projects.

use std::{
    convert::Infallible,
    sync::{Arc, Weak},
    time::Duration,
};

use http::{HeaderValue, Request, Response, StatusCode, header};
use metrics::{counter, gauge};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::time;
use tower::{service_fn, util::BoxCloneSyncService};

use crate::{
    api::{Reason, presented},
    auth::{AuthError, Authenticator, Role},
    blobs::logs::StorageFault,
    engine::{Engine, MemoryLimits, Stats},
    http::Page,
    telemetry::metrics::{
        self as names, LOG_DROPPED, LOG_STORED, MEMORY_LIMIT, MEMORY_USED, QUEUE_AGE, QUEUE_DEPTH,
        REFUSALS, RUNNERS, STAGES_RUNNING, WATCHERS,
    },
};

/// How often measurements are aggregated.
const UPKEEP: Duration = Duration::from_secs(10);

/// The endpoint; none if another recorder is installed in this process.
pub(super) fn page(
    engine: &Arc<Engine>,
    authenticator: &Arc<Authenticator>,
    limits: MemoryLimits,
) -> Option<Page> {
    let metrics = match names::install() {
        Ok(metrics) => metrics,
        Err(error) => {
            tracing::warn!(%error, "there is no page of metrics");
            return None;
        }
    };
    // Registered at the start, so that an alert sees the first loss as an increase.
    for fault in StorageFault::ALL {
        counter!(LOG_DROPPED, "reason" => fault.name()).increment(0);
    }
    tell_limits(limits);
    tokio::spawn(upkeep(metrics, Arc::downgrade(engine)));
    let (engine, authenticator) = (Arc::clone(engine), Arc::clone(authenticator));
    let answer = service_fn(move |request: Request<()>| {
        let (engine, authenticator) = (Arc::clone(&engine), Arc::clone(&authenticator));
        async move {
            if let Err(refusal) = admit(&authenticator, &request).await {
                return Ok::<_, Infallible>(refusal.response());
            }
            Ok(match engine.stats().await {
                Ok(stats) => {
                    tell(stats);
                    Response::new(metrics.render())
                }
                Err(error) => {
                    let mut response = Response::new(format!("{error}\n"));
                    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                    response
                }
            })
        }
    });
    Some(BoxCloneSyncService::new(answer))
}

/// Aggregates measurements, also without scrapes: every measurement is stored until then.
/// Ends when the engine is dropped.
async fn upkeep(metrics: &PrometheusHandle, engine: Weak<Engine>) {
    while engine.strong_count() > 0 {
        metrics.run_upkeep();
        time::sleep(UPKEEP).await;
    }
}

/// Why the page is not shown.
struct Refusal {
    status: StatusCode,
    reason: Reason,
    message: String,
    retry_after: Option<Duration>,
}

/// Metrics of all projects are for callers that may see all projects.
async fn admit(authenticator: &Authenticator, request: &Request<()>) -> Result<(), Refusal> {
    let presented = presented(request.headers(), request.extensions());
    let session = authenticator.authenticate(presented).await?;
    if session.principal.grants.allow_everywhere(Role::Viewer) {
        return Ok(());
    }
    Err(Refusal {
        status: StatusCode::FORBIDDEN,
        reason: Reason::RoleRequired,
        message: NEEDED.to_owned(),
        retry_after: None,
    })
}

const NEEDED: &str = "this page needs the role viewer in all projects";

/// The HTTP response for a refused caller.
impl From<AuthError> for Refusal {
    fn from(error: AuthError) -> Self {
        let (status, reason, retry_after) = match error {
            AuthError::Missing | AuthError::Invalid => {
                (StatusCode::UNAUTHORIZED, Reason::Unauthenticated, None)
            }
            AuthError::TooManyFailures { retry_after, .. } => (
                StatusCode::TOO_MANY_REQUESTS,
                Reason::TooManyFailedLogins,
                Some(retry_after),
            ),
            AuthError::Busy { retry_after } => (
                StatusCode::SERVICE_UNAVAILABLE,
                Reason::LoginBusy,
                Some(retry_after),
            ),
        };
        let message = match retry_after {
            Some(_) => error.to_string(),
            None => NEEDED.to_owned(),
        };
        Self {
            status,
            reason,
            message,
            retry_after,
        }
    }
}

impl Refusal {
    /// Counts the refusal, like that of a call.
    fn response(self) -> Response<String> {
        counter!(REFUSALS, "reason" => self.reason.name()).increment(1);
        let mut response = Response::new(format!("{}\n", self.message));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        let plain = HeaderValue::from_static("text/plain; charset=utf-8");
        headers.insert(header::CONTENT_TYPE, plain);
        if self.status == StatusCode::UNAUTHORIZED {
            let asked = HeaderValue::from_static("Basic realm=\"pipewright\", Bearer");
            headers.insert(header::WWW_AUTHENTICATE, asked);
        }
        if let Some(retry_after) = self.retry_after {
            headers.insert(header::RETRY_AFTER, whole_seconds(retry_after).into());
        }
        response
    }
}

/// Seconds for `Retry-After` (RFC 9110, 10.2.3): rounded up, and never 0.
fn whole_seconds(time: Duration) -> u64 {
    let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
    seconds.max(1)
}

/// Sets the gauges that are only read at a scrape.
fn tell(stats: Stats) {
    let Stats {
        queued_stages,
        queue_age,
        running_stages,
        online_runners,
        offline_runners,
        watchers,
        log_bytes,
        memory,
    } = stats;
    gauge!(QUEUE_DEPTH).set(queued_stages as f64);
    gauge!(QUEUE_AGE).set(queue_age);
    gauge!(STAGES_RUNNING).set(running_stages as f64);
    gauge!(RUNNERS, "state" => "online").set(online_runners as f64);
    gauge!(RUNNERS, "state" => "offline").set(offline_runners as f64);
    gauge!(WATCHERS).set(watchers as f64);
    gauge!(LOG_STORED).set(log_bytes as f64);
    gauge!(MEMORY_USED, "budget" => "store").set(memory.store as f64);
    gauge!(MEMORY_USED, "budget" => "project").set(memory.largest_project as f64);
    gauge!(MEMORY_USED, "budget" => "caller").set(memory.largest_principal as f64);
}

fn tell_limits(limits: MemoryLimits) {
    let MemoryLimits {
        total,
        project,
        caller,
    } = limits;
    for (budget, limit) in [("store", total), ("project", project), ("caller", caller)] {
        let limit = limit.map_or(f64::INFINITY, |bytes| bytes as f64);
        gauge!(MEMORY_LIMIT, "budget" => budget).set(limit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_not_to_be_known_has_its_status() {
        let told = |error: AuthError| {
            let response = Refusal::from(error).response();
            let retry_after = response.headers().get(header::RETRY_AFTER);
            let retry_after = retry_after.map(|value| value.to_str().unwrap().to_owned());
            let asks = response.headers().contains_key(header::WWW_AUTHENTICATE);
            (response.status().as_u16(), retry_after, asks)
        };
        let after = |millis| Duration::from_millis(millis);
        assert_eq!(told(AuthError::Missing), (401, None, true));
        assert_eq!(told(AuthError::Invalid), (401, None, true));
        for (wait, shown) in [
            (0, "1"),
            (1, "1"),
            (1_000, "1"),
            (1_001, "2"),
            (60_000, "60"),
        ] {
            let retry_after = after(wait);
            let limit = 30;
            let refused = told(AuthError::TooManyFailures { retry_after, limit });
            assert_eq!(refused, (429, Some(shown.to_owned()), false));
            let refused = told(AuthError::Busy { retry_after });
            assert_eq!(refused, (503, Some(shown.to_owned()), false));
        }
    }
}
