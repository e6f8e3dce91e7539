//! Formats the measurements as a table.

use std::{fmt, fs, time::Duration};

use crate::machine;

#[derive(Clone, Copy)]
pub(crate) struct Pair {
    pub(crate) ours: f64,
    /// NAN where there is none.
    pub(crate) baseline: f64,
}

impl Pair {
    pub(crate) fn alone(ours: f64) -> Self {
        let baseline = f64::NAN;
        Self { ours, baseline }
    }

    pub(crate) fn micros(ours: Duration, baseline: Duration) -> Self {
        Self {
            ours: ours.as_secs_f64() * 1e6,
            baseline: baseline.as_secs_f64() * 1e6,
        }
    }

    pub(crate) fn medians(rounds: &[Self]) -> Self {
        Self {
            ours: median(rounds.iter().map(|pair| pair.ours)),
            baseline: median(rounds.iter().map(|pair| pair.baseline)),
        }
    }
}

/// A goal for the ratio of ours to the baseline, or for ours if there is no baseline.
#[derive(Clone, Copy)]
pub(crate) enum Goal {
    AtLeast {
        goal: f64,
        stretch: f64,
    },
    AtMost {
        goal: f64,
        stretch: f64,
    },
    /// The row is only informative.
    None,
}

pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) baseline: String,
    pub(crate) unit: &'static str,
    /// Each round has first ours, then the baseline.
    pub(crate) rounds: Vec<Pair>,
    pub(crate) goal: Goal,
    /// µs of processor time of the server per operation.
    pub(crate) cpu: Option<Pair>,
    /// Memory of the server in KiB.
    pub(crate) memory: Option<Pair>,
    pub(crate) note: Option<String>,
}

impl Row {
    /// The value that is compared with the goal, in each round.
    fn judged(&self) -> Vec<f64> {
        let judged = |pair: &Pair| {
            if pair.baseline.is_nan() {
                pair.ours
            } else {
                pair.ours / pair.baseline
            }
        };
        self.rounds.iter().map(judged).collect()
    }

    fn ratio(&self) -> String {
        if self.rounds[0].baseline.is_nan() {
            return "–".to_owned();
        }
        let ratios = self.judged();
        let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
        let most = ratios.iter().copied().fold(0.0, f64::max);
        format!("{:.2} × ({least:.2} to {most:.2})", median(ratios))
    }

    fn met(&self) -> &'static str {
        let value = median(self.judged());
        let (goal, stretch) = match self.goal {
            Goal::AtLeast { goal, stretch } => (value >= goal, value >= stretch),
            Goal::AtMost { goal, stretch } => (value <= goal, value <= stretch),
            Goal::None => return "–",
        };
        match (goal, stretch) {
            (_, true) => "stretch",
            (true, false) => "goal",
            (false, false) => "**no**",
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Pair { ours, baseline } = Pair::medians(&self.rounds);
        let unit = self.unit;
        let (goal, stretch) = match self.goal {
            Goal::AtLeast { goal, stretch } => (format!("≥ {goal}"), format!("≥ {stretch}")),
            Goal::AtMost { goal, stretch } => (format!("≤ {goal}"), format!("≤ {stretch}")),
            Goal::None => ("–".to_owned(), "–".to_owned()),
        };
        let note = self.note.iter().map(|note| format!(" ({note})"));
        write!(
            f,
            "| {}{} | {} | {} {unit} | {} | {} | {goal} | {stretch} | {} | {} | {} |",
            self.what,
            note.collect::<String>(),
            self.baseline,
            number(ours),
            if baseline.is_nan() {
                "–".to_owned()
            } else {
                format!("{} {unit}", number(baseline))
            },
            self.ratio(),
            self.met(),
            pair(self.cpu, "µs"),
            pair(self.memory, "KiB"),
        )
    }
}

pub(crate) fn table(rows: &[Row]) -> String {
    let head = "| what | baseline | ours | baseline's | ratio (least to most) | goal | stretch \
                | met | server's CPU per operation, ours / baseline's | memory |";
    let rule = "|---|---|---|---|---|---|---|---|---|---|";
    let rows = rows.iter().map(|row| format!("{row}\n"));
    format!("{head}\n{rule}\n{}", rows.collect::<String>())
}

/// Writes the table into docs/PERFORMANCE.md.
pub(crate) fn write(table: &str) {
    const BEGIN: &str = "<!-- measured: begin -->";
    const END: &str = "<!-- measured: end -->";
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/PERFORMANCE.md");
    let page = fs::read_to_string(path).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let machine = machine::words();
    let page = format!("{before}{BEGIN}\n{machine}\n\n{table}{END}{after}");
    fs::write(path, page).unwrap();
}

fn pair(pair: Option<Pair>, unit: &str) -> String {
    match pair {
        None => "–".to_owned(),
        Some(Pair { ours, baseline }) if baseline.is_nan() => format!("{} {unit}", number(ours)),
        Some(Pair { ours, baseline }) => {
            format!("{} / {} {unit}", number(ours), number(baseline))
        }
    }
}

/// Formats a value with three significant digits, or with all digits before the point.
pub(crate) fn number(value: f64) -> String {
    let digits = match value.abs() {
        0.0..1.0 => 3,
        1.0..10.0 => 2,
        10.0..100.0 => 1,
        _ => 0,
    };
    let plain = format!("{value:.digits$}");
    if value < 10_000.0 {
        return plain;
    }
    let groups = plain.as_bytes().rchunks(3).rev();
    let groups: Vec<_> = groups.map(String::from_utf8_lossy).collect();
    groups.join(",")
}

pub(crate) fn median(numbers: impl IntoIterator<Item = f64>) -> f64 {
    let mut numbers: Vec<_> = numbers.into_iter().collect();
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}
