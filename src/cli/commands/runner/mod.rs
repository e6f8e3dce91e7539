//! `pipewright runner ...`.

mod name;
mod start;

use clap::{Args, Subcommand};

use self::name::Named;
use crate::{
    cli::{
        commands::service_command::ServiceCommand,
        connect::{client::Client, remote::Remote},
        exit::{Exit, Failure},
        present::{
            format::Format,
            labels,
            page::{Page, Paging},
            resource::{self, Column, List, Resource},
            table::table,
            text,
        },
    },
    proto::v1,
};

/// Run stages for a service on another machine, or manage the runners of a service
///
/// Without a subcommand this process is a runner: it takes stages from the service and runs
/// them here, until SIGINT or SIGTERM. It keeps running while the service is down, and waits
/// for a service that has not started yet.
#[derive(Args, Debug)]
pub(crate) struct RunnerArgs {
    #[command(flatten)]
    start: start::Start,
    #[command(flatten)]
    remote: Remote,
    #[command(subcommand)]
    command: Option<RunnerCommand>,
}

#[derive(Debug, Subcommand)]
enum RunnerCommand {
    List(ListArgs),
    Get(GetArgs),
    Drain(DrainArgs),
    Resume(ResumeArgs),
}

/// List runners, oldest first
#[derive(Args, Debug)]
struct ListArgs {
    #[command(flatten)]
    paging: Paging,
}

/// Show a runner and the stages that it runs
#[derive(Args, Debug)]
struct GetArgs {
    #[command(flatten)]
    runner: Named,
}

/// Assign no new jobs to a runner; jobs that have started on it continue to their end
///
/// A job whose workspace is on the runner cannot continue elsewhere: stages of it that have
/// not started wait until the runner is resumed.
#[derive(Args, Debug)]
struct DrainArgs {
    #[command(flatten)]
    runner: Named,
}

/// Assign jobs to a drained runner again
#[derive(Args, Debug)]
struct ResumeArgs {
    #[command(flatten)]
    runner: Named,
}

/// Runs stages, or runs one of the runner commands.
pub(crate) async fn runner(args: RunnerArgs, format: Format) -> Result<Exit, Failure> {
    match args.command {
        Some(command) => command.run(&args.remote.client()?, format).await,
        None => args.start.0.run(args.remote.connection()?).await,
    }
}

impl ServiceCommand for RunnerCommand {
    async fn run(self, client: &Client, format: Format) -> Result<Exit, Failure> {
        match self {
            Self::List(args) => resource::print_list(client, &args.paging, format, list).await,
            Self::Get(args) => resource::print(&get(client, args.runner).await?, format),
            Self::Drain(args) => {
                let runner = drain(client, args.runner).await?;
                resource::print_done(&runner, format, "the runner is drained")
            }
            Self::Resume(args) => {
                let runner = resume(client, args.runner).await?;
                resource::print_done(&runner, format, "the runner is resumed")
            }
        }
    }
}

/// Lists a page of runners.
async fn list(
    mut client: Client,
    page: Page,
) -> Result<tonic::Response<v1::ListRunnersResponse>, tonic::Status> {
    let request = v1::ListRunnersRequest {
        page_size: page.size,
        page_token: page.token,
    };
    client.runners.list_runners(request).await
}

async fn get(client: &Client, runner: Named) -> Result<v1::Runner, Failure> {
    let request = v1::GetRunnerRequest {
        runner_id: runner.id(client).await?,
    };
    let send =
        |mut client: Client, request| async move { client.runners.get_runner(request).await };
    Ok(client.call(request, send).await?.runner.unwrap_or_default())
}

async fn drain(client: &Client, runner: Named) -> Result<v1::Runner, Failure> {
    let request = v1::DrainRunnerRequest {
        runner_id: runner.id(client).await?,
    };
    let send =
        |mut client: Client, request| async move { client.runners.drain_runner(request).await };
    Ok(client.call(request, send).await?.runner.unwrap_or_default())
}

async fn resume(client: &Client, runner: Named) -> Result<v1::Runner, Failure> {
    let request = v1::ResumeRunnerRequest {
        runner_id: runner.id(client).await?,
    };
    let send =
        |mut client: Client, request| async move { client.runners.resume_runner(request).await };
    Ok(client.call(request, send).await?.runner.unwrap_or_default())
}

impl Resource for v1::Runner {
    const MESSAGE: &'static str = "Runner";
    const COLUMNS: &'static [Column<Self>] = &[
        Column("ID", |runner| runner.id.clone()),
        Column("NAME", |runner| runner.display_name.clone()),
        Column("STATE", labels::runner_state),
        Column("STAGES", |runner| {
            format!("{} of {}", runner.stages.len(), runner.capacity)
        }),
        Column("LABELS", |runner| labels::labels(&runner.labels)),
        Column("SEEN", |runner| labels::moment(runner.last_seen_time)),
    ];

    fn details(&self) -> Vec<String> {
        let actions = if self.actions.is_empty() {
            "none that the service knows".to_owned()
        } else {
            text::one_line(&self.actions.join(", "))
        };
        let mut details = vec![format!("Actions: {actions}")];
        if !self.stages.is_empty() {
            let row = |stage: &v1::runner::RunningStage| {
                [
                    stage.job_id.clone(),
                    stage.stage_name.clone(),
                    stage.attempt.to_string(),
                    labels::elapsed(stage.start_time, None),
                ]
            };
            let header = ["JOB", "STAGE", "ATTEMPT", "TIME"];
            details.push(table(header, self.stages.iter().map(row)));
        }
        details
    }
}

impl List for v1::ListRunnersResponse {
    type Item = v1::Runner;

    const MESSAGE: &'static str = "ListRunnersResponse";

    fn parts(&mut self) -> (&mut Vec<v1::Runner>, &mut String) {
        (&mut self.runners, &mut self.next_page_token)
    }
}

#[cfg(test)]
mod tests {
    use prost_types::Timestamp;

    use super::*;

    fn at(seconds: i64) -> Option<Timestamp> {
        Some(Timestamp { seconds, nanos: 0 })
    }

    #[test]
    fn a_runner_at_work() {
        let told = resource::shown(&v1::Runner {
            id: "0190b2f0-0000-7000-8000-000000000001".into(),
            display_name: "evil\x1b]0;title\x07 name".into(),
            labels: [("os", "linux"), ("gpu", "")]
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
            capacity: 4,
            version: "1.2.3".into(),
            state: v1::runner::State::Online.into(),
            draining: true,
            stages: vec![v1::runner::RunningStage {
                job_id: "0190b2f0-0000-7000-8000-000000000002".into(),
                stage_name: "build".into(),
                attempt: 2,
                start_time: None,
            }],
            register_time: at(1_700_000_000),
            last_seen_time: at(1_700_000_060),
            actions: vec!["command".into()],
        });
        insta::assert_snapshot!(told);
    }
}
