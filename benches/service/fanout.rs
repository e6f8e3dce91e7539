//! One job with a thousand watchers, compared with tokio's broadcast channel on bare tonic.

use std::time::Duration;

use pipewright::proto::v1::{self, job_event::Change};
use prost::Message;

use crate::{
    bare::{PUBLISH, SUBSCRIBE},
    clients::Ours,
    load::{self, Show, Shown},
    mode::Mode,
    report::{Goal, Pair, Row},
    runner::{RENEW, Running},
    server::Server,
};

const CONNECTIONS: usize = 10;
/// Longer than the service batches events.
const PACE: Duration = Duration::from_millis(25);
const BASELINE: &str = "tokio broadcast on stock tonic";

pub(crate) async fn rows(mode: Mode) -> Vec<Row> {
    // The leases are renewed only from time to time.
    let ours = Ours::open(&["--lease-ttl", "10m"]);
    let bare = Server::bare();
    let running = Running::begin(&ours).await;
    let mut progress = running.progress().map(|message| (message, 1));
    let (mut paced, mut bursts) = (Vec::new(), Vec::new());
    for _ in 0..mode.rounds() {
        let few = progress.by_ref().take(mode.of(40, 4)).collect();
        let own = load::show(&watched(&ours, &running, few, mode, Some(PACE)));
        let few = (0..mode.of(40, 4)).map(|_| batch(1)).collect();
        paced.push([own, load::show(&broadcast(&bare, few, mode, Some(PACE)))]);
    }
    for _ in 0..mode.of(3, 1) {
        let many = progress.by_ref().take(mode.of(5_000, 100)).collect();
        let own = load::show(&watched(&ours, &running, many, mode, None));
        let many = vec![batch(mode.of(500, 20))];
        bursts.push([own, load::show(&broadcast(&bare, many, mode, None))]);
    }
    table(&paced, &bursts, mode.of(1_000, 50))
}

fn table(paced: &[[Shown; 2]], bursts: &[[Shown; 2]], watchers: usize) -> Vec<Row> {
    let five = Goal::AtLeast {
        goal: 3.0,
        stretch: 5.0,
    };
    let eighteen = Goal::AtLeast {
        goal: 10.0,
        stretch: 18.0,
    };
    let what =
        |what: &str| format!("fan-out to {watchers} watchers on {CONNECTIONS} connections, {what}");
    let per_cpu_second = |shown: &Shown| {
        // At least one tick of the clock that counts it.
        shown.delivered as f64 / shown.cpu.as_secs_f64().max(0.01)
    };
    let per_second = |shown: &Shown| shown.delivered as f64 / shown.elapsed.as_secs_f64();
    let until_last = |shown: &Shown| shown.until_last.as_secs_f64() * 1e3;
    let row = |what, shown: &[[Shown; 2]], unit, goal, of: &dyn Fn(&Shown) -> f64| {
        let pairs = |of: &dyn Fn(&Shown) -> f64| {
            let pair = |[ours, baseline]: &[Shown; 2]| Pair {
                ours: of(ours),
                baseline: of(baseline),
            };
            shown.iter().map(pair).collect::<Vec<_>>()
        };
        Row {
            what,
            baseline: BASELINE.to_owned(),
            unit,
            rounds: pairs(of),
            goal,
            cpu: Some(Pair::medians(&pairs(&|shown| 1e6 / per_cpu_second(shown)))),
            memory: None,
            note: None,
        }
    };
    vec![
        row(
            what("paced"),
            paced,
            "events/s of CPU",
            five,
            &per_cpu_second,
        ),
        row(
            what("paced, until the last has it"),
            paced,
            "ms",
            Goal::None,
            &until_last,
        ),
        row(what("gathered"), bursts, "events/s", eighteen, &per_second),
        row(
            what("gathered"),
            bursts,
            "events/s of CPU",
            eighteen,
            &per_cpu_second,
        ),
    ]
}

fn watched(
    ours: &Ours,
    running: &Running,
    messages: Vec<(Vec<u8>, u64)>,
    mode: Mode,
    pace: Option<Duration>,
) -> Show {
    let request = v1::WatchJobRequest {
        job_id: running.job.id.clone(),
        heartbeat_interval: Some(prost_types::Duration {
            seconds: 60,
            nanos: 0,
        }),
        ..Default::default()
    };
    let watch = "/pipewright.v1.JobService/WatchJob".to_owned();
    let watch = (watch, request.encode_to_vec());
    show(&ours.server, watch, RENEW, messages, mode, pace)
}

fn broadcast(
    bare: &Server,
    messages: Vec<(Vec<u8>, u64)>,
    mode: Mode,
    pace: Option<Duration>,
) -> Show {
    let watch = (SUBSCRIBE.to_owned(), Vec::new());
    show(bare, watch, PUBLISH, messages, mode, pace)
}

fn show(
    server: &Server,
    watch: (String, Vec<u8>),
    publish: &str,
    messages: Vec<(Vec<u8>, u64)>,
    mode: Mode,
    pace: Option<Duration>,
) -> Show {
    Show {
        address: server.address,
        process: server.id(),
        watch,
        connections: CONNECTIONS,
        watchers_per_connection: mode.of(100, 5),
        publish: publish.to_owned(),
        messages,
        pace,
    }
}

/// A batch of this many events, each as large as the service's.
fn batch(events: u64) -> (Vec<u8>, u64) {
    let event = v1::JobEvent {
        sequence: 1_000,
        time: Some(prost_types::Timestamp {
            seconds: 1_800_000_000,
            nanos: 123_456_789,
        }),
        progress_percent: 50,
        change: Some(Change::StageProgressed(v1::StageProgressed {
            stage_name: "test-100".to_owned(),
            attempt: 1,
            progress_percent: 50,
        })),
    };
    let batch = v1::JobEventBatch {
        events: (0..events).map(|_| event.clone()).collect(),
    };
    (batch.encode_to_vec(), events)
}
