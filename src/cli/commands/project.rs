//! `pipewright project ...`.

use std::collections::BTreeMap;

use clap::{Args, Subcommand, builder::NonEmptyStringValueParser};
use prost_types::FieldMask;

use crate::{
    cli::{
        commands::service_command::ServiceCommand,
        connect::{
            client::{Client, request_id},
            remote::key_value,
        },
        exit::{Exit, Failure},
        present::{
            format::Format,
            json, labels, out,
            page::{Page, Paging},
            resource::{self, Column, List, Resource},
        },
    },
    proto::v1,
};

#[derive(Debug, Subcommand)]
pub(crate) enum ProjectCommand {
    Create(CreateArgs),
    Get(GetArgs),
    List(ListArgs),
    Update(UpdateArgs),
    Delete(DeleteArgs),
}

/// Create a project
///
/// A pipeline that names a project that does not exist creates it as well.
#[derive(Args, Debug)]
pub(crate) struct CreateArgs {
    #[command(flatten)]
    project: Named,
    #[command(flatten)]
    fields: Fields,
    /// Validate the request without changing anything
    #[arg(long)]
    validate_only: bool,
}

/// Show a project
#[derive(Args, Debug)]
pub(crate) struct GetArgs {
    #[command(flatten)]
    project: Named,
}

/// List projects, sorted by name
#[derive(Args, Debug)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    paging: Paging,
}

/// Change the given fields of a project
#[derive(Args, Debug)]
pub(crate) struct UpdateArgs {
    #[command(flatten)]
    project: Named,
    #[command(flatten)]
    fields: Fields,
    /// Change the project only if it still has this etag
    #[arg(long, default_value = "", hide_default_value = true)]
    etag: String,
    /// Validate the request without changing anything
    #[arg(long)]
    validate_only: bool,
}

/// Delete a project that has no pipelines and no jobs
#[derive(Args, Debug)]
pub(crate) struct DeleteArgs {
    #[command(flatten)]
    project: Named,
    /// Delete the project only if it still has this etag
    #[arg(long, default_value = "", hide_default_value = true)]
    etag: String,
}

/// Selects a project.
#[derive(Args, Debug)]
struct Named {
    /// Name of the project: a lower-case letter, then at most 62 of a-z, 0-9 and -
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    name: String,
}

/// The fields of a project that a caller can set.
#[derive(Args, Debug)]
struct Fields {
    /// Description, at most 1024 characters
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Custom metadata; may be repeated. An update replaces all annotations
    #[arg(long = "annotation", value_name = "KEY=VALUE", value_parser = key_value)]
    annotations: Vec<(String, String)>,
}

impl Fields {
    /// Paths of the given fields. An empty description counts as given.
    fn mask(&self) -> FieldMask {
        let given = [
            ("description", self.description.is_some()),
            ("annotations", !self.annotations.is_empty()),
        ];
        let paths = given.into_iter().filter(|(_, is_given)| *is_given);
        FieldMask {
            paths: paths.map(|(path, _)| path.to_owned()).collect(),
        }
    }

    fn of(self, name: String, etag: String) -> v1::Project {
        v1::Project {
            name,
            description: self.description.unwrap_or_default(),
            annotations: BTreeMap::from_iter(self.annotations),
            etag,
            ..Default::default()
        }
    }
}

impl Resource for v1::Project {
    const MESSAGE: &'static str = "Project";
    const COLUMNS: &'static [Column<Self>] = &[
        Column("NAME", |project| project.name.clone()),
        Column("DESCRIPTION", |project| project.description.clone()),
        Column("ANNOTATIONS", |project| {
            labels::labels(&project.annotations)
        }),
        Column("CREATOR", |project| project.creator.clone()),
        Column("UPDATED", |project| labels::moment(project.update_time)),
    ];
}

impl List for v1::ListProjectsResponse {
    type Item = v1::Project;

    const MESSAGE: &'static str = "ListProjectsResponse";

    fn parts(&mut self) -> (&mut Vec<v1::Project>, &mut String) {
        (&mut self.projects, &mut self.next_page_token)
    }
}

impl ServiceCommand for ProjectCommand {
    async fn run(self, client: &Client, format: Format) -> Result<Exit, Failure> {
        match self {
            Self::Create(args) => create(args, client, format).await,
            Self::Get(args) => get(args, client, format).await,
            Self::List(args) => list(&args.paging, client, format).await,
            Self::Update(args) => update(args, client, format).await,
            Self::Delete(args) => delete(args, client, format).await,
        }
    }
}

async fn create(args: CreateArgs, client: &Client, format: Format) -> Result<Exit, Failure> {
    let validate_only = args.validate_only;
    let request = v1::CreateProjectRequest {
        project: Some(args.fields.of(args.project.name, String::new())),
        request_id: request_id(),
        validate_only,
    };
    let send =
        |mut client: Client, request| async move { client.projects.create_project(request).await };
    let response = client.call(request, send).await?;
    let done = if validate_only {
        "the project is valid"
    } else {
        "the project was created"
    };
    resource::print_done(&response.project.unwrap_or_default(), format, done)
}

async fn get(args: GetArgs, client: &Client, format: Format) -> Result<Exit, Failure> {
    let request = v1::GetProjectRequest {
        name: args.project.name,
    };
    let send =
        |mut client: Client, request| async move { client.projects.get_project(request).await };
    let response = client.call(request, send).await?;
    resource::print(&response.project.unwrap_or_default(), format)
}

async fn list(paging: &Paging, client: &Client, format: Format) -> Result<Exit, Failure> {
    let send = |mut client: Client, page: Page| async move {
        let request = v1::ListProjectsRequest {
            page_size: page.size,
            page_token: page.token,
        };
        client.projects.list_projects(request).await
    };
    resource::print_list(client, paging, format, send).await
}

async fn update(args: UpdateArgs, client: &Client, format: Format) -> Result<Exit, Failure> {
    let validate_only = args.validate_only;
    let mask = args.fields.mask();
    if mask.paths.is_empty() {
        return Err(Failure::Usage(
            "nothing to change; give --description or --annotation".to_owned(),
        ));
    }
    let request = v1::UpdateProjectRequest {
        project: Some(args.fields.of(args.project.name, args.etag)),
        update_mask: Some(mask),
        validate_only,
        request_id: request_id(),
    };
    let send =
        |mut client: Client, request| async move { client.projects.update_project(request).await };
    let response = client.call(request, send).await?;
    let done = if validate_only {
        "the project is valid"
    } else {
        "the project was updated"
    };
    resource::print_done(&response.project.unwrap_or_default(), format, done)
}

async fn delete(args: DeleteArgs, client: &Client, format: Format) -> Result<Exit, Failure> {
    let request = v1::DeleteProjectRequest {
        name: args.project.name,
        etag: args.etag,
        request_id: request_id(),
    };
    let send =
        |mut client: Client, request| async move { client.projects.delete_project(request).await };
    let response = client.call(request, send).await?;
    match format {
        Format::Table => out::notice("the project was deleted"),
        Format::Json => {
            let text = json::pretty("DeleteProjectResponse", &response);
            out::print_done("the project was deleted", &text)?;
        }
    }
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_as_a_row() {
        let told = resource::rows(&[v1::Project {
            name: "shop".into(),
            description: "evil\x1b]0;title\x07 text".into(),
            annotations: [("team".to_owned(), "a".to_owned())].into(),
            creator: "ada".into(),
            update_time: Some(prost_types::Timestamp {
                seconds: 1_700_000_000,
                nanos: 0,
            }),
            ..Default::default()
        }]);
        insta::assert_snapshot!(told);
    }

    #[test]
    fn an_update_names_what_is_given() {
        let mask = |description: Option<&str>, annotations| {
            let fields = Fields {
                description: description.map(str::to_owned),
                annotations,
            };
            fields.mask().paths
        };
        assert!(mask(None, Vec::new()).is_empty());
        assert_eq!(mask(Some(""), Vec::new()), ["description"]);
        let annotations = vec![("a".to_owned(), String::new())];
        assert_eq!(mask(None, annotations), ["annotations"]);
    }
}
