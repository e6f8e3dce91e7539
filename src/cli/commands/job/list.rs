//! `pipewright job list`.

use clap::{Args, ValueEnum, builder::NonEmptyStringValueParser};

use crate::{
    cli::{
        commands::pipeline::name,
        connect::{client::Client, remote::Format},
        exit::{Exit, Failure},
        present::{
            json, out,
            page::{self, Paging},
            table,
        },
    },
    proto::v1::{self, job},
};

/// List jobs, newest first
#[derive(Args, Debug)]
pub(crate) struct ListArgs {
    /// Only this project
    #[arg(long, default_value = "", hide_default_value = true)]
    project: String,
    /// Only the pipeline of this id or name
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    pipeline: Option<String>,
    /// Only these states; may be repeated
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
        let list = self.fetch(client).await?;
        let text = match format {
            Format::Table => table::jobs(&list.jobs),
            Format::Json => json::pretty("ListJobsResponse", &list),
        };
        out::print_line(&text)?;
        if format == Format::Table {
            page::tell_of_rest(&list.next_page_token);
        }
        Ok(Exit::Ok)
    }

    /// All pages as one.
    async fn fetch(&self, client: &Client) -> Result<v1::ListJobsResponse, Failure> {
        let pipeline_id = match self.pipeline.clone() {
            None => String::new(),
            Some(pipeline) => name::resolve(client, pipeline, self.project.clone()).await?,
        };
        let mut list = v1::ListJobsResponse::default();
        let mut next = self.paging.first();
        while let Some(page) = next {
            let request = v1::ListJobsRequest {
                page_size: page.size,
                page_token: page.token,
                project: self.project.clone(),
                pipeline_id: pipeline_id.clone(),
                states: self.states.iter().map(|state| i32::from(*state)).collect(),
            };
            let send =
                |mut client: Client, request| async move { client.jobs.list_jobs(request).await };
            let response = client.call(request, send).await?;
            list.jobs.extend(response.jobs);
            list.next_page_token = response.next_page_token;
            next = self.paging.after(list.jobs.len(), &list.next_page_token);
        }
        Ok(list)
    }
}
