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
            "Stages that run at once in this process",
            "8",
            Whole::within(1..=10_000),
            |draft| &mut draft.workers,
        )
        .or_from("JOB_WORKERS"),
        Setting::new(
            "workspace_dir",
            "Parent directory of the workspaces; a temporary one when unset",
            "/var/lib/pipewright/workspaces",
            Path("DIRECTORY"),
            |draft| &mut draft.workspace_dir,
        ),
        Setting::new(
            "keep_workspaces",
            "Leave workspaces behind when their job is over, for debugging",
            "true",
            Switch,
            |draft| &mut draft.keep_workspaces,
        ),
        Setting::new(
            "guard",
            "How the processes of a stage are held together: auto, pid-namespace or subreaper; one that \
             does not work here is refused",
            "subreaper",
            GuardName,
            |draft| &mut draft.supervision.guard,
        ),
        Setting::new(
            "max_stage_processes",
            "Processes and threads of a stage at once, where cgroups can be written",
            "512",
            Whole::at_least(1),
            |draft| &mut draft.supervision.max_processes,
        ),
        Setting::new(
            "max_stage_memory",
            "Memory of a stage, as 512MiB, where cgroups can be written",
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
            "Run stages in this process, and not only in those of `pipewright runner`",
            "false",
            Switch,
            |draft| &mut draft.embedded_runner,
        )
        .turned_off_to("Run no stages in this process but leave them all to `pipewright runner`"),
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
                "Time between the polite and the sure kill of a stage",
                "1m",
                Span(Duration::ZERO..=DAY),
                |draft| &mut draft.config.kill_grace,
            ),
            Setting::new(
                "lease_ttl",
                "Lifetime of a runner's lease on a stage, 1 s to 10 min",
                "1m",
                Span(seconds(1..=600)),
                |draft| &mut draft.config.lease_ttl,
            ),
            Setting::new(
                "drain",
                "How long a stop waits for running stages and open streams",
                "5m",
                Span(Duration::ZERO..=DAY),
                |draft| &mut draft.config.drain,
            ),
        ],
    }
}
