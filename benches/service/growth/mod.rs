//! The cost of operations as the stored data grows; at best, it stays the same. The cost is
//! the processor time of the service, which other load on the machine hardly affects.

mod calls;
mod jobs;
mod page;
mod pipelines;
mod plot;
mod runners;
mod watchers;

use crate::mode::{Asked, Mode};

/// The costs of operations while one kind of data grows.
pub(crate) struct Group {
    /// Part of a file name.
    name: &'static str,
    /// The kind of data that grows.
    grows: &'static str,
    sizes: Vec<usize>,
    series: Vec<Series>,
    /// The service's bytes of memory per item, at each size.
    memory: Vec<f64>,
}

/// An operation.
pub(crate) struct Series {
    what: &'static str,
    /// One per size.
    points: Vec<Cost>,
}

#[derive(Clone, Copy)]
pub(crate) struct Cost {
    /// Processor time of the service, in µs per operation.
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

    /// Adds the cost of an operation at the next size.
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

/// The names that `--growth --rows` accepts.
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
