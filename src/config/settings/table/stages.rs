//! How stages run.

use std::time::Duration;

use super::{
    super::{
        Section, Setting,
        form::{GuardName, OrNone, Path, Size, Span, Switch, Whole},
    },
    DAY, seconds,
};
use crate::config::size::LEAST_MEMORY;

/// Those of the runner in this process.
pub(super) fn embedded_runner() -> Section {
    let mut settings = vec![
        Setting::new(
            "workers",
            "Maximum number of stages that run in this process at a time",
            "8",
            Whole::within(1..=10_000),
            |draft| &mut draft.workers,
        )
        .or_from("JOB_WORKERS"),
        Setting::new(
            "workspace_dir",
            "Parent directory of the workspaces; by default a temporary directory",
            "/var/lib/pipewright/workspaces",
            Path("DIRECTORY"),
            |draft| &mut draft.workspace_dir,
        ),
        Setting::new(
            "keep_workspaces",
            "Keep the workspaces of ended jobs, for debugging",
            "true",
            Switch,
            |draft| &mut draft.keep_workspaces,
        ),
        Setting::new(
            "guard",
            "How the processes of a stage are contained: auto, pid-namespace or subreaper; a guard that \
             does not work here is refused",
            "subreaper",
            GuardName,
            |draft| &mut draft.supervision.guard,
        ),
        Setting::new(
            "max_stage_processes",
            "Maximum number of processes and threads of a stage, where cgroups are writable",
            "512",
            Whole::at_least(1),
            |draft| &mut draft.supervision.max_processes,
        ),
        Setting::new(
            "max_stage_memory",
            "Maximum memory of a stage, such as 512MiB, where cgroups are writable",
            "2GiB",
            OrNone(Size::at_least(LEAST_MEMORY)),
            |draft| &mut draft.supervision.max_memory,
        ),
    ]
    .into_iter()
    .map(|setting| setting.needs("embedded_runner"))
    .collect();
    let mut all = vec![
        Setting::new(
            "embedded_runner",
            "Run stages in this process, in addition to those that `pipewright runner` processes run",
            "false",
            Switch,
            |draft| &mut draft.embedded_runner,
        )
        .turned_off_to("Run no stages in this process; leave them to `pipewright runner` processes"),
    ];
    all.append(&mut settings);
    Section {
        heading: "Runner in this process",
        settings: all,
    }
}

/// Those of all runners.
pub(super) fn runs() -> Section {
    Section {
        heading: "Stages",
        settings: vec![
            Setting::new(
                "kill_grace",
                "Time between SIGTERM and SIGKILL when a stage is stopped",
                "1m",
                Span(Duration::ZERO..=DAY),
                |draft| &mut draft.config.kill_grace,
            ),
            Setting::new(
                "lease_ttl",
                "Time to live of a runner's lease on a stage, 1 s to 10 min",
                "1m",
                Span(seconds(1..=600)),
                |draft| &mut draft.config.lease_ttl,
            ),
            Setting::new(
                "drain",
                "How long a shutdown waits for running stages and open streams",
                "5m",
                Span(Duration::ZERO..=DAY),
                |draft| &mut draft.config.drain,
            ),
        ],
    }
}
