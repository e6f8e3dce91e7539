//! Pipelines by id or by name.

use clap::{Args, builder::NonEmptyStringValueParser};
use uuid::Uuid;

use crate::{
    cli::{
        connect::client::Client,
        exit::{self, Failure},
        present::text,
    },
    proto::v1,
};

/// Selects a pipeline.
#[derive(Args, Debug)]
pub(crate) struct Named {
    /// Id or name of the pipeline
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pipeline: String,
    /// Project of the pipeline, for a name that exists in several projects
    #[arg(long)]
    project: Option<String>,
}

impl Named {
    /// The pipeline's id; asks the service unless it is given.
    pub(super) async fn id(self, client: &Client) -> Result<String, Failure> {
        resolve(client, self.pipeline, self.project.unwrap_or_default()).await
    }
}

/// Resolves an id or a name to the id; an empty project is any project.
pub(crate) async fn resolve(
    client: &Client,
    pipeline: String,
    project: String,
) -> Result<String, Failure> {
    if Uuid::parse_str(&pipeline).is_ok() {
        return Ok(pipeline);
    }
    let request = v1::ListPipelinesRequest {
        project,
        name: pipeline.clone(),
        ..Default::default()
    };
    let send =
        |mut client: Client, request| async move { client.pipelines.list_pipelines(request).await };
    let found = client.call(request, send).await?.pipelines;
    the_one(&pipeline, found)
}

fn the_one(name: &str, mut found: Vec<v1::Pipeline>) -> Result<String, Failure> {
    match (found.pop(), found.is_empty()) {
        (None, _) => Err(exit::not_found(
            "PIPELINE_NOT_FOUND",
            format!("no pipeline is named `{name}`"),
        )),
        (Some(pipeline), true) => Ok(pipeline.id),
        (Some(last), false) => {
            found.push(last);
            let projects: Vec<_> = found.iter().map(|p| text::one_line(&p.project)).collect();
            Err(Failure::Ambiguous(format!(
                "several projects have a pipeline named `{name}`; choose one with --project: {}",
                projects.join(", ")
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(projects: &[&str]) -> Result<String, String> {
        let pipeline = |project: &&str| v1::Pipeline {
            id: format!("id in {project}"),
            project: (*project).to_owned(),
            ..Default::default()
        };
        let found = the_one("ci", projects.iter().map(pipeline).collect());
        found.map_err(|failure| failure.message().unwrap())
    }

    #[test]
    fn a_name_means_one_pipeline() {
        assert_eq!(found(&["web"]), Ok("id in web".to_owned()));
        insta::assert_snapshot!(found(&[]).unwrap_err());
        insta::assert_snapshot!(found(&["web", "app"]).unwrap_err());
    }
}
