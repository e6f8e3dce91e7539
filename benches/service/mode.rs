//! The command line arguments.

use std::{env, time::Duration};

#[derive(Clone, Copy)]
pub(crate) struct Mode {
    /// Only checks that everything runs; the figures are not reliable.
    pub(crate) quick: bool,
    /// Use nghttp2's h2load where possible, to verify this bench's load generator.
    pub(crate) h2load: bool,
}

impl Mode {
    /// `quick` in quick mode, else `full`.
    pub(crate) fn of<T>(self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }

    /// Rounds of each side; the sides alternate.
    pub(crate) fn rounds(self) -> usize {
        self.of(5, 1)
    }

    /// The duration of a round of one side.
    pub(crate) fn round(self) -> Duration {
        self.of(Duration::from_millis(1_500), Duration::from_millis(200))
    }
}

pub(crate) struct Asked {
    pub(crate) mode: Mode,
    pub(crate) rows: Vec<String>,
    /// Write the table to docs/PERFORMANCE.md.
    pub(crate) write: bool,
    /// Measure the cost of operations as the stored data grows, instead of the table.
    pub(crate) growth: bool,
}

pub(crate) fn asked(names: &[&str]) -> Result<Asked, String> {
    let mut asked = Asked {
        mode: Mode {
            quick: false,
            h2load: false,
        },
        rows: names.iter().map(|name| (*name).to_owned()).collect(),
        write: false,
        growth: false,
    };
    let mut arguments = env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            // Cargo passes it to every bench.
            "--bench" => {}
            "--quick" => asked.mode.quick = true,
            "--h2load" => asked.mode.h2load = true,
            "--growth" => asked.growth = true,
            "--write" => asked.write = true,
            "--rows" => asked.rows = some(names, &arguments.next().unwrap_or_default())?,
            other => {
                return Err(format!(
                    "{other}: not --quick, --h2load, --growth, --write or --rows"
                ));
            }
        }
    }
    let partial = asked.mode.quick || asked.rows.len() < names.len();
    if asked.write && partial {
        return Err("--write: of all rows, and not --quick".to_owned());
    }
    Ok(asked)
}

fn some(names: &[&str], list: &str) -> Result<Vec<String>, String> {
    let rows: Vec<_> = list.split(',').map(str::to_owned).collect();
    match rows.iter().find(|row| !names.contains(&row.as_str())) {
        None => Ok(rows),
        Some(row) => Err(format!("--rows {row}: not one of {}", names.join(","))),
    }
}
