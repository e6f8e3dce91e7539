//! `pipewright job list`.

use clap::{Args, ValueEnum, builder::NonEmptyStringValueParser};

use crate::{
    cli::{
        commands::pipeline::name,
        connect::client::Client,
        exit::{Exit, Failure},
        present::{
            format::Format,
            page::{Page, Paging},
            resource,
        },
    },
    proto::v1::{self, job},
};

/// List jobs, newest first
#[derive(Args, Debug)]
pub(crate) struct ListArgs {
    /// Only jobs of this project
    #[arg(long, default_value = "", hide_default_value = true)]
    project: String,
    /// Only jobs of the pipeline with this id or name
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    pipeline: Option<String>,
    /// Only jobs in these states; separate several with commas, or repeat the option
    #[arg(long = "state", value_enum, value_delimiter = ',')]
    states: Vec<State>,
    #[command(flatten)]
    paging: Paging,
}

/// States of a job.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum State {
    Queued,
    Running,
    Cancelling,
    Succeeded,
    Failed,
    Cancelled,
}

impl From<State> for i32 {
    fn from(state: State) -> Self {
        let state = match state {
            State::Queued => job::State::Queued,
            State::Running => job::State::Running,
            State::Cancelling => job::State::Cancelling,
            State::Succeeded => job::State::Succeeded,
            State::Failed => job::State::Failed,
            State::Cancelled => job::State::Cancelled,
        };
        state.into()
    }
}

impl ListArgs {
    pub(super) async fn run(self, client: &Client, format: Format) -> Result<Exit, Failure> {
        let pipeline_id = match self.pipeline {
            None => String::new(),
            Some(pipeline) => name::resolve(client, pipeline, self.project.clone()).await?,
        };
        let states: Vec<_> = self.states.into_iter().map(i32::from).collect();
        let send = |mut client: Client, page: Page| {
            let request = v1::ListJobsRequest {
                page_size: page.size,
                page_token: page.token,
                project: self.project.clone(),
                pipeline_id: pipeline_id.clone(),
                states: states.clone(),
            };
            async move { client.jobs.list_jobs(request).await }
        };
        resource::print_list(client, &self.paging, format, send).await
    }
}
