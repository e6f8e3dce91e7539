//! How a crowd of clients affects the latency of one client, and the cost of an idle watcher
//! compared with a stream of a bare tonic server. Each figure is a ratio within this run, of
//! alternating rounds: without the crowd; with the crowd at another service on the same
//! machine, which shows the crowd's load on the machine; and with the crowd at this service.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a bench that fails says so"
)]

#[path = "faults/bare.rs"]
mod bare;
#[path = "../tests/support/crowds.rs"]
mod crowds;
#[path = "../tests/support/frames.rs"]
mod frames;
#[allow(dead_code, reason = "another bench needs more of it")]
#[path = "support/pin.rs"]
mod pin;
#[allow(dead_code, reason = "another bench needs more of it")]
#[path = "support/server.rs"]
mod server;
#[path = "support/watchers.rs"]
mod watchers;

use std::{
    future::pending,
    time::{Duration, Instant},
};

use pipewright::proto::v1;
use tokio::{task::JoinSet, time};

use crowds::{CROWD, NEIGHBOUR, cancel, channel, endpoint, get, idle_watchers, job, stage, watch};
use server::Server;

const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_millis(700);
/// Time for the service to clean up after a crowd.
const PAUSE: Duration = Duration::from_millis(300);

#[derive(Clone, Copy)]
enum Crowd {
    Stalled,
    Idle,
    Connections,
    Resets,
    Malformed,
}

const CROWDS: [(Crowd, &str, f64); 5] = [
    (Crowd::Stalled, "64 stalled watchers", 2.0),
    (Crowd::Idle, "10,000 idle watchers", 2.0),
    (Crowd::Connections, "connections without end", 3.0),
    (Crowd::Resets, "rapid resets", 3.0),
    (Crowd::Malformed, "oversized and malformed frames", 3.0),
];

#[tokio::main]
async fn main() {
    if std::env::args().any(|argument| argument == bare::ARGUMENT) {
        return bare::serve().await;
    }
    idle().await;
    let (server, other) = (Server::pipewright(&[]), Server::pipewright(&[]));
    let (job, other_job) = (watched(&server).await, watched(&other).await);
    println!(
        "\n| a crowd | p50 alone | crowd elsewhere | here | p99 alone | crowd elsewhere | here \
         | p99 here of alone (spread) | of elsewhere (spread) | at most |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for (crowd, name, most) in CROWDS {
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            time::sleep(PAUSE).await;
            let alone = measure(&server, &job).await;
            let gathered = gather(crowd, &other, &other_job).await;
            let elsewhere = measure(&server, &job).await;
            drop(gathered);
            time::sleep(PAUSE).await;
            let gathered = gather(crowd, &server, &job).await;
            let here = measure(&server, &job).await;
            drop(gathered);
            rounds.push([alone, elsewhere, here]);
        }
        let all = |pick: &dyn Fn(&[Times; 3]) -> f64| rounds.iter().map(pick).collect::<Vec<_>>();
        let p50 = |which: usize| median(all(&|round| round[which].p50));
        let p99 = |which: usize| median(all(&|round| round[which].p99));
        println!(
            "| {name} | {:.0} µs | {:.0} µs | {:.0} µs | {:.0} µs | {:.0} µs | {:.0} µs | {} | {} | {most} × |",
            p50(0),
            p50(1),
            p50(2),
            p99(0),
            p99(1),
            p99(2),
            spread(all(&|round| round[2].p99 / round[0].p99)),
            spread(all(&|round| round[2].p99 / round[1].p99)),
        );
    }
    for (server, job) in [(&server, &job), (&other, &other_job)] {
        cancel(&channel(NEIGHBOUR, server.address), job).await;
    }
}

/// Measures the cost of an idle watcher.
async fn idle() {
    let (own, bare): (Vec<_>, Vec<_>) = watchers::compare(3).await.into_iter().unzip();
    let ratios = own.iter().zip(&bare).map(|(own, bare)| own / bare);
    let ratio = spread(ratios.collect());
    let (connections, each) = (watchers::CONNECTIONS, watchers::EACH);
    println!(
        "\n| an idle watcher, {connections} connections of {each} | bare tonic | ratio (spread) | at most |"
    );
    println!("|---|---|---|---|");
    let (own, bare) = (median(own), median(bare));
    println!("| {own:.0} bytes | {bare:.0} bytes | {ratio} | 1.3 × |");
}

/// A job with many future events, of which none occurs during the measurement.
async fn watched(server: &Server) -> v1::Job {
    let stages = (0..150).map(|number| stage(&format!("s{number}"), "true"));
    job(&channel(NEIGHBOUR, server.address), stages.collect()).await
}

/// Latencies in microseconds.
struct Times {
    p50: f64,
    p99: f64,
}

/// Measures sequential calls on a separate connection.
async fn measure(server: &Server, job: &v1::Job) -> Times {
    let own = channel(NEIGHBOUR, server.address);
    get(&own, job).await.unwrap();
    let until = Instant::now() + ROUND;
    let mut times = Vec::new();
    while Instant::now() < until {
        let asked = Instant::now();
        get(&own, job).await.unwrap();
        times.push(asked.elapsed().as_secs_f64() * 1e6);
    }
    times.sort_by(f64::total_cmp);
    Times {
        p50: times[times.len() / 2],
        p99: times[times.len() * 99 / 100],
    }
}

/// Starts a crowd, which ends when the result is dropped.
async fn gather(crowd: Crowd, server: &Server, job: &v1::Job) -> JoinSet<()> {
    let address = server.address;
    let mut tasks = JoinSet::new();
    match crowd {
        Crowd::Stalled => {
            let narrow = endpoint(CROWD, address).initial_stream_window_size(1_024);
            let shared = narrow.connect_lazy();
            let mut watchers = Vec::new();
            for position in 0..64 {
                let channel = match position % 2 {
                    0 => shared.clone(),
                    _ => narrow.connect_lazy(),
                };
                watchers.push(watch(&channel, job, Some(0)).await.unwrap());
            }
            tasks.spawn(hold(watchers));
        }
        Crowd::Idle => {
            let watchers = idle_watchers(address, job, 100, 100).await;
            tasks.spawn(hold(watchers));
        }
        Crowd::Connections => {
            tasks.spawn(async move {
                loop {
                    drop(frames::connect(CROWD, address).await);
                }
            });
        }
        Crowd::Resets => {
            let (_, resets) = frames::floods().swap_remove(0);
            tasks.spawn(async move {
                loop {
                    frames::send(address, &resets).await;
                }
            });
        }
        Crowd::Malformed => {
            let mut all = frames::malformed();
            let large = |(what, _): &(&str, Vec<u8>)| *what == "large headers";
            all.extend(frames::floods().into_iter().filter(large));
            tasks.spawn(async move {
                for (_, sent) in all.iter().cycle() {
                    frames::send(address, sent).await;
                }
            });
        }
    }
    tasks
}

async fn hold<T>(_held: T) {
    pending().await
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

fn spread(numbers: Vec<f64>) -> String {
    let least = numbers.iter().copied().fold(f64::INFINITY, f64::min);
    let most = numbers.iter().copied().fold(0.0, f64::max);
    format!("{:.2} × ({least:.2} to {most:.2})", median(numbers))
}
