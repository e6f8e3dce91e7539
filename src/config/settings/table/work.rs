//! What is kept of jobs and logs, and how many there may be.

use std::time::Duration;

use super::{
    super::{
        Section, Setting,
        form::{OrNone, Path, Size, Span, Whole},
    },
    DAY, KIB, MIB,
};

/// Least budget of memory: a few of the largest pipelines.
const LEAST_BUDGET: u64 = 8 * MIB;
/// Most that an ended job can be kept, which keeps times of removal within what clocks have.
const TEN_YEARS: Duration = Duration::from_secs(3_650 * DAY.as_secs());

pub(super) fn jobs() -> Section {
    Section {
        heading: "Jobs",
        settings: vec![
            Setting::new(
                "max_queued_stages",
                "Maximum number of stages that wait for a runner",
                "5000",
                Whole::within(1..=10_000_000),
                |draft| &mut draft.config.limits.max_queued_stages,
            ),
            Setting::new(
                "max_active_jobs",
                "Maximum number of queued and running jobs per pipeline",
                "50",
                Whole::within(1..=1_000_000),
                |draft| &mut draft.config.limits.max_active_jobs,
            ),
            Setting::new(
                "max_runners",
                "Maximum number of runners, including those that went offline in the last hour",
                "500",
                Whole::within(1..=1_000_000),
                |draft| &mut draft.config.limits.max_runners,
            ),
            Setting::new(
                "retain_jobs",
                "Number of ended jobs to retain",
                "500",
                Whole::at_least(0),
                |draft| &mut draft.config.retain_jobs,
            ),
            Setting::new(
                "retain_jobs_for",
                "Minimum time to retain an ended job that ran, if the memory budgets allow it",
                "2d",
                Span(Duration::ZERO..=TEN_YEARS),
                |draft| &mut draft.config.retain_jobs_for,
            ),
        ],
    }
}

pub(super) fn memory() -> Section {
    Section {
        heading: "Memory",
        settings: vec![
            Setting::new(
                "max_memory",
                "Bytes of memory for stored pipelines, jobs and records, at least 8MiB; past it ended jobs and old revisions go, then calls are refused",
                "1GiB",
                OrNone(Size::at_least(LEAST_BUDGET)),
                |draft| &mut draft.config.limits.max_memory,
            ),
            Setting::new(
                "max_project_memory",
                "The same for one project",
                "64MiB",
                OrNone(Size::at_least(LEAST_BUDGET)),
                |draft| &mut draft.config.limits.max_project_memory,
            ),
            Setting::new(
                "max_caller_memory",
                "The same for what one principal created and triggered",
                "32MiB",
                OrNone(Size::at_least(LEAST_BUDGET)),
                |draft| &mut draft.config.limits.max_caller_memory,
            ),
        ],
    }
}

pub(super) fn storage() -> Section {
    Section {
        heading: "Storage",
        settings: vec![Setting::new(
            "data_dir",
            "Directory in which pipelines, jobs and logs outlive the process; without it they are in memory",
            "/var/lib/pipewright",
            Path("DIRECTORY"),
            |draft| &mut draft.config.data_dir,
        )],
    }
}

pub(super) fn logs() -> Section {
    Section {
        heading: "Logs",
        settings: vec![
            Setting::new(
                "log_dir",
                "Directory of the stage logs; by default `logs` in the data directory, or a temporary directory",
                "/var/lib/pipewright/logs",
                Path("DIRECTORY"),
                |draft| &mut draft.config.log_dir,
            )
            .or_from("BUILD_LOG_DIR"),
            Setting::new(
                "max_stage_log",
                "Maximum size of the log of a stage; of a longer log, the first half of this size is kept and, in segments, the last half",
                "16MiB",
                Size::at_least(KIB),
                |draft| &mut draft.config.max_stage_log,
            ),
            Setting::new(
                "max_log_total",
                "Maximum size of all logs; beyond it, the logs of the stages that ended first are deleted",
                "100GiB",
                Size::at_least(0),
                |draft| &mut draft.config.max_log_total,
            ),
        ],
    }
}
