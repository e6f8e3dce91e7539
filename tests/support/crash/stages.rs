//! Pipelines, and what their stages write.

use std::{env::consts, ops::Range, path::Path};

use pipewright::proto::v1::{self, stage::Type};
use rand::{RngExt, rngs::StdRng};

/// Which runners a pipeline's stages run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// None, so that its jobs stay queued.
    Idle,
    /// The one in the process of the service.
    Embedded,
    /// The same, and no second attempt is allowed.
    Deploy,
    /// Processes of their own; the second stage needs the first.
    Remote,
    /// Both.
    Mixed,
    /// A runner that is a part of this driver.
    Raw,
}

const KINDS: [Kind; 6] = [
    Kind::Idle,
    Kind::Embedded,
    Kind::Deploy,
    Kind::Remote,
    Kind::Mixed,
    Kind::Raw,
];

/// Lines of a complete log: half of them before a pause, and half after it.
pub(crate) const LINES: usize = 400;
/// Label of the stages of remote runners.
pub(crate) const POOL: &str = "pool";

impl Kind {
    pub(crate) fn any(chance: &mut StdRng) -> Self {
        // Half of them are idle: they cost nothing but the store.
        match chance.random_range(0..12) {
            number @ 0..6 => KINDS[number],
            _ => Self::Idle,
        }
    }

    /// The kind of a pipeline, from its name.
    pub(crate) fn of(pipeline: &str) -> Self {
        let kind = KINDS
            .into_iter()
            .find(|kind| pipeline.starts_with(kind.prefix()));
        kind.expect("a name that the driver has given")
    }

    pub(crate) fn prefix(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Embedded => "embedded",
            Self::Deploy => "deploy",
            Self::Remote => "remote",
            Self::Mixed => "mixed",
            Self::Raw => "raw",
        }
    }

    /// Stages, whose names begin with the letter of their [`Pool`].
    fn stages(self) -> Vec<v1::Stage> {
        match self {
            Self::Idle => vec![stage("n1", &[])],
            Self::Embedded => vec![stage("e1", &[]), stage("e2", &[])],
            Self::Deploy => {
                let mut deploy = stage("e1", &[]);
                deploy.set_type(Type::Deploy);
                vec![deploy]
            }
            Self::Remote => vec![stage("r1", &[]), stage("r2", &["r1"])],
            Self::Mixed => vec![stage("e1", &[]), stage("r1", &[])],
            Self::Raw => vec![stage("x1", &[])],
        }
    }

    pub(crate) fn pipeline(self, name: String, mark: &str, ran: &Path) -> v1::Pipeline {
        let variables = [
            ("MARK", mark.to_owned()),
            ("RAN", ran.display().to_string()),
            ("PAUSE", "0".to_owned()),
        ];
        v1::Pipeline {
            name,
            parallel: true,
            stages: self.stages(),
            variables: variables
                .map(|(name, value)| (name.to_owned(), value))
                .into(),
            ..Default::default()
        }
    }
}

/// Where a stage runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pool {
    Nowhere,
    Embedded,
    Remote,
    Raw,
}

impl Pool {
    pub(crate) fn of(stage: &str) -> Self {
        match &stage[..1] {
            "e" => Self::Embedded,
            "r" => Self::Remote,
            "x" => Self::Raw,
            _ => Self::Nowhere,
        }
    }
}

fn stage(name: &str, needs: &[&str]) -> v1::Stage {
    let label = match Pool::of(name) {
        Pool::Embedded => ("os", consts::OS),
        Pool::Remote => (POOL, "remote"),
        Pool::Raw => (POOL, "raw"),
        Pool::Nowhere => (POOL, "none"),
    };
    let half = LINES / 2;
    // One append writes a line atomically.
    let command = format!(
        "key=$PIPEWRIGHT_JOB_ID/$PIPEWRIGHT_STAGE_NAME/$PIPEWRIGHT_ATTEMPT
         echo $key >> \"$RAN\"
         seq 1000001 {} | sed \"s,^,$key ,\"
         sleep $PAUSE
         seq {} {} | sed \"s,^,$key ,\"",
        1_000_000 + half,
        1_000_001 + half,
        1_000_000 + LINES
    );
    v1::Stage {
        name: name.to_owned(),
        action: Some(v1::stage::Action::Command(command)),
        needs: needs.iter().map(|name| (*name).to_owned()).collect(),
        runner_labels: [(label.0.to_owned(), label.1.to_owned())].into(),
        ..Default::default()
    }
}

/// An attempt of a stage.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Attempt {
    pub(crate) job: String,
    pub(crate) stage: String,
    pub(crate) number: i32,
}

impl Attempt {
    /// Lines that it writes, as bytes.
    pub(crate) fn lines(&self, numbers: Range<usize>) -> Vec<u8> {
        let key = self.to_string();
        let line = |number| format!("{key} {}\n", 1_000_001 + number).into_bytes();
        numbers.flat_map(line).collect()
    }

    pub(crate) fn log(&self) -> Vec<u8> {
        self.lines(0..LINES)
    }
}

impl std::fmt::Display for Attempt {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { job, stage, number } = self;
        write!(formatter, "{job}/{stage}/{number}")
    }
}
