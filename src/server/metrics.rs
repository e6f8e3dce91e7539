//! The page of metrics, for whoever may see all projects.

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
    api::presented,
    auth::{Authenticator, Role},
    blobs::logs::StorageFault,
    engine::{Engine, Stats},
    http::Page,
    telemetry::metrics::{
        self as names, LOG_DROPPED, LOG_STORED, QUEUE_AGE, QUEUE_DEPTH, RUNNERS, STAGES_RUNNING,
        WATCHERS,
    },
};

/// How often what was measured is added up.
const UPKEEP: Duration = Duration::from_secs(10);

/// The page; none if something else counts in this process.
pub(super) fn page(engine: &Arc<Engine>, authenticator: &Arc<Authenticator>) -> Option<Page> {
    let metrics = match names::install() {
        Ok(metrics) => metrics,
        Err(error) => {
            tracing::warn!(%error, "there is no page of metrics");
            return None;
        }
    };
    // There from the start, so that an alert sees the first loss as an increase.
    for fault in StorageFault::ALL {
        counter!(LOG_DROPPED, "reason" => fault.name()).increment(0);
    }
    tokio::spawn(upkeep(metrics, Arc::downgrade(engine)));
    let (engine, authenticator) = (Arc::clone(engine), Arc::clone(authenticator));
    let answer = service_fn(move |request: Request<()>| {
        let (engine, authenticator) = (Arc::clone(&engine), Arc::clone(&authenticator));
        async move {
            if let Err(status) = admit(&authenticator, &request).await {
                return Ok::<_, Infallible>(refuse(status));
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

/// Adds up what was measured, also while nobody asks: every measurement is kept until
/// then. For as long as there is the engine.
async fn upkeep(metrics: &PrometheusHandle, engine: Weak<Engine>) {
    while engine.strong_count() > 0 {
        metrics.run_upkeep();
        time::sleep(UPKEEP).await;
    }
}

/// CallMetrics of all projects are for those who see all projects.
async fn admit(authenticator: &Authenticator, request: &Request<()>) -> Result<(), StatusCode> {
    let presented = presented(request.headers(), request.extensions());
    let session = authenticator.authenticate(presented).await;
    let session = session.map_err(|_| StatusCode::UNAUTHORIZED)?;
    match session.principal.grants.allow_everywhere(Role::Viewer) {
        true => Ok(()),
        false => Err(StatusCode::FORBIDDEN),
    }
}

fn refuse(status: StatusCode) -> Response<String> {
    let needed = "this page needs the role viewer in all projects\n";
    let mut response = Response::new(needed.to_owned());
    *response.status_mut() = status;
    if status == StatusCode::UNAUTHORIZED {
        let asked = HeaderValue::from_static("Basic realm=\"pipewright\", Bearer");
        let headers = response.headers_mut();
        headers.insert(header::WWW_AUTHENTICATE, asked);
    }
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}

/// What is only looked at when somebody asks.
fn tell(stats: Stats) {
    let Stats {
        queued_stages,
        queue_age,
        running_stages,
        online_runners,
        offline_runners,
        watchers,
        log_bytes,
    } = stats;
    gauge!(QUEUE_DEPTH).set(queued_stages as f64);
    gauge!(QUEUE_AGE).set(queue_age);
    gauge!(STAGES_RUNNING).set(running_stages as f64);
    gauge!(RUNNERS, "state" => "online").set(online_runners as f64);
    gauge!(RUNNERS, "state" => "offline").set(offline_runners as f64);
    gauge!(WATCHERS).set(watchers as f64);
    gauge!(LOG_STORED).set(log_bytes as f64);
}
