//! `pipewright admin ...`.

use clap::{Args, Subcommand};

use crate::{
    cli::{
        commands::service_command::ServiceCommand,
        connect::client::Client,
        exit::{Exit, Failure},
        present::{
            duration,
            format::Format,
            labels,
            page::{Page, Paging},
            resource::{self, Column, List, Resource},
        },
    },
    proto::v1,
};

#[derive(Debug, Subcommand)]
pub(crate) enum AdminCommand {
    Tasks(TasksArgs),
}

/// List the background tasks and the results of their runs
///
/// Runs and failures are counted from the start of the service.
#[derive(Args, Debug)]
pub(crate) struct TasksArgs {
    #[command(flatten)]
    paging: Paging,
}

impl Resource for v1::Task {
    const MESSAGE: &'static str = "Task";
    const COLUMNS: &'static [Column<Self>] = &[
        Column("TASK", |task| task.name.clone()),
        Column("STATE", |task| labels::task_state(task.state())),
        Column("RUNS", |task| task.runs.to_string()),
        Column("FAILURES", |task| task.failures.to_string()),
        Column("LAST RUN", |task| labels::moment(task.last_start_time)),
        Column("TOOK", |task| {
            let took = task.last_duration.map(std::time::Duration::try_from);
            took.and_then(Result::ok)
                .map_or(String::new(), duration::show)
        }),
        Column("NEXT", |task| labels::moment(task.next_run_time)),
        Column("ERROR", |task| task.last_error.clone()),
    ];
}

impl List for v1::ListTasksResponse {
    type Item = v1::Task;

    const MESSAGE: &'static str = "ListTasksResponse";

    fn parts(&mut self) -> (&mut Vec<v1::Task>, &mut String) {
        (&mut self.tasks, &mut self.next_page_token)
    }
}

impl ServiceCommand for AdminCommand {
    async fn run(self, client: &Client, format: Format) -> Result<Exit, Failure> {
        match self {
            Self::Tasks(args) => tasks(&args.paging, client, format).await,
        }
    }
}

async fn tasks(paging: &Paging, client: &Client, format: Format) -> Result<Exit, Failure> {
    let send = |mut client: Client, page: Page| async move {
        let request = v1::ListTasksRequest {
            page_size: page.size,
            page_token: page.token,
        };
        client.admin.list_tasks(request).await
    };
    resource::print_list(client, paging, format, send).await
}

#[cfg(test)]
mod tests {
    use prost_types::{Duration, Timestamp};

    use super::*;

    fn at(seconds: i64) -> Option<Timestamp> {
        Some(Timestamp { seconds, nanos: 0 })
    }

    #[test]
    fn tasks_as_rows() {
        let running = v1::Task {
            name: "leases".into(),
            state: v1::task::State::Running.into(),
            ..Default::default()
        };
        let failed = v1::Task {
            name: "retention".into(),
            state: v1::task::State::Idle.into(),
            runs: 12,
            failures: 2,
            consecutive_failures: 1,
            last_start_time: at(1_700_000_000),
            last_duration: Some(Duration {
                seconds: 1,
                nanos: 500_000_000,
            }),
            last_success_time: at(1_699_999_000),
            last_error: "disk full\nand more\x1b".into(),
            next_run_time: at(1_700_000_060),
            ..Default::default()
        };
        insta::assert_snapshot!(resource::rows(&[running, failed]));
    }
}
