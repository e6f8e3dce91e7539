//! `pipewright pipeline list`.

use clap::Args;

use crate::{
    cli::{
        connect::{client::Client, remote::Format},
        exit::{Exit, Failure},
        present::{
            json, out,
            page::{self, Paging},
            table,
        },
    },
    proto::v1,
};

/// List pipelines, newest first
#[derive(Args, Debug)]
pub(crate) struct ListArgs {
    /// Only this project
    #[arg(long, default_value = "", hide_default_value = true)]
    project: String,
    /// Only the pipeline of exactly this name
    #[arg(long, default_value = "", hide_default_value = true)]
    name: String,
    /// Only pipelines of this repository
    #[arg(long, default_value = "", hide_default_value = true)]
    git_repository: String,
    #[command(flatten)]
    paging: Paging,
}

impl ListArgs {
    pub(super) async fn run(self, client: &Client, format: Format) -> Result<Exit, Failure> {
        let list = self.fetch(client).await?;
        let text = match format {
            Format::Table => table::pipelines(&list.pipelines),
            Format::Json => json::pretty("ListPipelinesResponse", &list),
        };
        out::print_line(&text)?;
        if format == Format::Table {
            page::tell_of_rest(&list.next_page_token);
        }
        Ok(Exit::Ok)
    }

    /// All pages as one.
    async fn fetch(&self, client: &Client) -> Result<v1::ListPipelinesResponse, Failure> {
        let mut list = v1::ListPipelinesResponse::default();
        let mut next = self.paging.first();
        while let Some(page) = next {
            let request = v1::ListPipelinesRequest {
                page_size: page.size,
                page_token: page.token,
                project: self.project.clone(),
                name: self.name.clone(),
                git_repository: self.git_repository.clone(),
            };
            let send = |mut client: Client, request| async move {
                client.pipelines.list_pipelines(request).await
            };
            let response = client.call(request, send).await?;
            list.pipelines.extend(response.pipelines);
            list.next_page_token = response.next_page_token;
            next = self
                .paging
                .after(list.pipelines.len(), &list.next_page_token);
        }
        Ok(list)
    }
}
