//! `pipewright runner list`.

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

/// List runners, oldest first
#[derive(Args, Debug)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    paging: Paging,
}

impl ListArgs {
    pub(super) async fn run(self, client: &Client, format: Format) -> Result<Exit, Failure> {
        let list = fetch(client, &self.paging).await?;
        let text = match format {
            Format::Table => table::runners(&list.runners),
            Format::Json => json::pretty("ListRunnersResponse", &list),
        };
        out::print_line(&text)?;
        if format == Format::Table {
            page::tell_of_rest(&list.next_page_token);
        }
        Ok(Exit::Ok)
    }
}

/// All pages as one.
pub(super) async fn fetch(
    client: &Client,
    paging: &Paging,
) -> Result<v1::ListRunnersResponse, Failure> {
    let mut list = v1::ListRunnersResponse::default();
    let mut next = paging.first();
    while let Some(page) = next {
        let request = v1::ListRunnersRequest {
            page_size: page.size,
            page_token: page.token,
        };
        let send =
            |mut client: Client, request| async move { client.runners.list_runners(request).await };
        let response = client.call(request, send).await?;
        list.runners.extend(response.runners);
        list.next_page_token = response.next_page_token;
        next = paging.after(list.runners.len(), &list.next_page_token);
    }
    Ok(list)
}
