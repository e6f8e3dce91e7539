//! `pipewright job ...`.

mod list;
mod log;
mod retry;
mod watch;

use clap::{Args, Subcommand};

use crate::{
    cli::{
        commands::{follow, service_command::ServiceCommand},
        connect::{self, client::Client},
        exit::{Exit, Failure},
        present::{
            format::Format,
            labels,
            resource::{self, Column, List, Resource},
            table,
        },
    },
    proto::v1,
};

#[derive(Debug, Subcommand)]
pub(crate) enum JobCommand {
    Get(GetArgs),
    List(list::ListArgs),
    Watch(watch::WatchJobArgs),
    Log(log::LogArgs),
    Cancel(CancelArgs),
    Retry(retry::RetryArgs),
}

impl ServiceCommand for JobCommand {
    async fn run(self, client: &Client, format: Format) -> Result<Exit, Failure> {
        match self {
            Self::Get(args) => {
                let job = connect::watch::get(client, &args.job).await?;
                resource::print(&job, format)
            }
            Self::List(args) => args.run(client, format).await,
            Self::Watch(args) => args.run(client, format).await,
            Self::Log(args) => args.run(client, format).await,
            Self::Cancel(args) => {
                let job = follow::cancel(client, &args.job, &args.reason).await?;
                resource::print_done(&job, format, "the cancellation was requested")
            }
            Self::Retry(args) => args.run(client, format).await,
        }
    }
}

/// Show a job with its stages
#[derive(Args, Debug)]
pub(crate) struct GetArgs {
    /// Id of the job
    job: String,
}

/// Ask for a job to stop
#[derive(Args, Debug)]
pub(crate) struct CancelArgs {
    /// Id of the job
    job: String,
    /// The reason, shown with the job
    #[arg(long, default_value = "", hide_default_value = true)]
    reason: String,
}

impl Resource for v1::Job {
    const MESSAGE: &'static str = "Job";
    const COLUMNS: &'static [Column<Self>] = &[
        Column("ID", |job| job.id.clone()),
        Column("PIPELINE", |job| job.pipeline_name.clone()),
        Column("NUMBER", |job| job.number.to_string()),
        Column("STATE", |job| labels::job_state(job.state())),
        Column("DONE", |job| format!("{}%", job.progress_percent)),
        Column("TIME", |job| labels::elapsed(job.start_time, job.end_time)),
        Column("CREATED", |job| labels::moment(job.create_time)),
    ];

    fn details(&self) -> Vec<String> {
        let stages = Some(table::stage_runs(self)).filter(|_| !self.stage_runs.is_empty());
        let detail = Some(labels::job_detail(self)).filter(|detail| !detail.is_empty());
        [stages, detail].into_iter().flatten().collect()
    }
}

impl List for v1::ListJobsResponse {
    type Item = v1::Job;

    const MESSAGE: &'static str = "ListJobsResponse";

    fn parts(&mut self) -> (&mut Vec<v1::Job>, &mut String) {
        (&mut self.jobs, &mut self.next_page_token)
    }
}

#[cfg(test)]
mod tests {
    use prost_types::Timestamp;

    use super::*;

    fn at(seconds: i64) -> Option<Timestamp> {
        Some(Timestamp { seconds, nanos: 0 })
    }

    fn run(name: &str, state: v1::stage_run::State) -> v1::StageRun {
        v1::StageRun {
            stage_name: name.into(),
            attempt: 1,
            r#type: v1::stage::Type::Run.into(),
            state: state.into(),
            ..Default::default()
        }
    }

    #[test]
    fn a_failed_job() {
        use v1::stage_run::{SkipReason, State};
        let failure = v1::Failure {
            message: "the command exited with status 3\x1b[2J\nsee its log".into(),
            stage_name: "test".into(),
            ..Default::default()
        };
        let failed = v1::StageRun {
            exit_code: Some(3),
            failure: Some(failure.clone()),
            start_time: at(1_700_000_000),
            end_time: at(1_700_000_065),
            attempt: 2,
            ..run("test", State::Failed)
        };
        let skipped = v1::StageRun {
            skip_reason: SkipReason::NeedsFailed.into(),
            ..run("ship", State::Skipped)
        };
        let told = resource::shown(&v1::Job {
            id: "0190b2f0-0000-7000-8000-000000000001".into(),
            pipeline_name: "evil\x1b]0;title\x07 name".into(),
            number: 7,
            state: v1::job::State::Failed.into(),
            progress_percent: 50,
            create_time: at(1_700_000_000),
            start_time: at(1_700_000_000),
            end_time: at(1_700_000_066),
            stage_runs: vec![run("build", State::Succeeded), failed, skipped],
            failure: Some(failure),
            ..Default::default()
        });
        insta::assert_snapshot!(told);
    }
}
