//! Resources that are listed and shown: each is described once, for all commands that show
//! it.

use std::future::Future;

use prost::Message;
use tonic::{Response, Status};

use crate::cli::{
    connect::client::Client,
    exit::{Exit, Failure},
    present::{
        format::Format,
        json, out,
        page::{self, Page, Paging},
        table,
    },
};

/// A message that is shown to people as a row.
pub(crate) trait Resource: Message + Default + 'static {
    /// Its name in the contract.
    const MESSAGE: &'static str;
    const COLUMNS: &'static [Column<Self>];

    /// Paragraphs below its row if it is shown alone.
    fn details(&self) -> Vec<String> {
        Vec::new()
    }
}

/// A column of a table: its header and its cells.
pub(crate) struct Column<R>(pub(crate) &'static str, pub(crate) fn(&R) -> String);

/// The response of a call that lists resources.
pub(crate) trait List: Message + Default {
    type Item: Resource;
    /// Its name in the contract.
    const MESSAGE: &'static str;

    /// Its items, and the token of the next page.
    fn parts(&mut self) -> (&mut Vec<Self::Item>, &mut String);
}

/// Resources, one a line.
pub(crate) fn rows<R: Resource>(resources: &[R]) -> String {
    let header = R::COLUMNS.iter().map(|Column(header, _)| *header);
    let cells = |resource| R::COLUMNS.iter().map(move |Column(_, cell)| cell(resource));
    table::rows(header, resources.iter().map(|one| cells(one).collect()))
}

/// A resource alone: its row, and its details.
pub(crate) fn shown<R: Resource>(resource: &R) -> String {
    let mut paragraphs = vec![rows(std::slice::from_ref(resource))];
    paragraphs.append(&mut resource.details());
    paragraphs.join("\n\n")
}

/// Prints one resource.
pub(crate) fn print<R: Resource>(resource: &R, format: Format) -> Result<Exit, Failure> {
    out::print_line(&text(resource, format))?;
    Ok(Exit::Ok)
}

/// Prints a resource that was changed; `done` names the change.
pub(crate) fn print_done<R: Resource>(
    resource: &R,
    format: Format,
    done: &str,
) -> Result<Exit, Failure> {
    out::print_done(done, &text(resource, format))?;
    Ok(Exit::Ok)
}

fn text<R: Resource>(resource: &R, format: Format) -> String {
    match format {
        Format::Table => shown(resource),
        Format::Json => json::pretty(R::MESSAGE, resource),
    }
}

/// Prints the requested part of a list.
pub(crate) async fn print_list<L, F>(
    client: &Client,
    paging: &Paging,
    format: Format,
    send: impl Fn(Client, Page) -> F,
) -> Result<Exit, Failure>
where
    L: List,
    F: Future<Output = Result<Response<L>, Status>>,
{
    let mut list: L = fetch(client, paging, send).await?;
    let text = match format {
        Format::Table => rows(list.parts().0),
        Format::Json => json::pretty(L::MESSAGE, &list),
    };
    out::print_line(&text)?;
    if format == Format::Table {
        page::tell_of_rest(list.parts().1);
    }
    Ok(Exit::Ok)
}

/// All requested pages as one list.
pub(crate) async fn fetch<L, F>(
    client: &Client,
    paging: &Paging,
    send: impl Fn(Client, Page) -> F,
) -> Result<L, Failure>
where
    L: List,
    F: Future<Output = Result<Response<L>, Status>>,
{
    let mut list = L::default();
    let mut next = paging.first();
    while let Some(page) = next {
        let mut response = client.call(page, &send).await?;
        let (more, token) = response.parts();
        let (items, next_token) = list.parts();
        items.append(more);
        next_token.clone_from(token);
        next = paging.after(items.len(), next_token);
    }
    Ok(list)
}
