//! What operations cost as what is stored grows: at best, the same. In processor time of
//! the service, which nothing else on the machine changes much.

mod calls;
mod jobs;
mod page;
mod pipelines;
mod plot;
mod runners;
mod watchers;

use crate::mode::{Asked, Mode};

/// What grows, and what happens to the cost of the operations.
pub(crate) struct Group {
    /// As in a file's name.
    name: &'static str,
    /// What there are more and more of.
    grows: &'static str,
    sizes: Vec<usize>,
    series: Vec<Series>,
    /// Bytes of the service for each of what grows, at each size.
    memory: Vec<f64>,
}

/// An operation.
pub(crate) struct Series {
    what: &'static str,
    /// One a size.
    points: Vec<Cost>,
}

#[derive(Clone, Copy)]
pub(crate) struct Cost {
    /// Of the service, in µs per operation.
    cpu: f64,
    per_second: f64,
}

impl Group {
    fn new(name: &'static str, grows: &'static str, sizes: &[usize]) -> Self {
        Self {
            name,
            grows,
            sizes: sizes.to_vec(),
            series: Vec::new(),
            memory: Vec::new(),
        }
    }

    /// Adds what an operation costs at the next size.
    fn add(&mut self, what: &'static str, cost: Cost) {
        eprintln!("{what}: {:.1} µs, {:.0}/s", cost.cpu, cost.per_second);
        match self.series.iter_mut().find(|series| series.what == what) {
            Some(series) => series.points.push(cost),
            None => self.series.push(Series {
                what,
                points: vec![cost],
            }),
        }
    }
}

/// What can be asked for by `--growth --rows`.
pub(crate) const NAMES: [&str; 6] = [
    "pipelines",
    "queued",
    "ended",
    "one-pipeline",
    "runners",
    "watchers",
];

pub(crate) async fn measure(asked: Asked) {
    let mut groups = Vec::new();
    for name in &asked.rows {
        eprintln!("measuring: {name}");
        groups.push(group(name, asked.mode).await);
        println!("{}", page::section(groups.last().unwrap()));
    }
    if asked.write {
        page::write(&groups);
    }
}

async fn group(name: &str, mode: Mode) -> Group {
    let large: &[usize] = mode.of(&[1_000, 100_000, 1_000_000], &[1_000]);
    match name {
        "pipelines" => pipelines::grow(large, mode).await,
        "queued" => jobs::queued(large, mode).await,
        "ended" => jobs::ended(large, mode).await,
        "one-pipeline" => {
            jobs::of_one_pipeline(mode.of(&[100, 10_000, 100_000], &[100]), mode).await
        }
        "runners" => runners::grow(mode.of(&[1, 100, 1_000], &[10]), mode).await,
        "watchers" => watchers::grow(mode.of(&[10, 1_000, 10_000], &[10]), mode).await,
        _ => unreachable!("{NAMES:?} are all"),
    }
}
