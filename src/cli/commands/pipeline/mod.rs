//! `pipewright pipeline ...`.

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod name;
pub(crate) mod trigger;
pub(crate) mod update;

use clap::{Args, Subcommand};

use self::name::Named;
use crate::{
    cli::{
        commands::service_command::ServiceCommand,
        connect::client::Client,
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

#[derive(Debug, Subcommand)]
pub(crate) enum PipelineCommand {
    Create(create::CreateArgs),
    Get(GetArgs),
    List(ListArgs),
    Update(update::UpdateArgs),
    Delete(delete::DeleteArgs),
    Trigger(trigger::TriggerArgs),
}

impl ServiceCommand for PipelineCommand {
    async fn run(self, client: &Client, format: Format) -> Result<Exit, Failure> {
        match self {
            Self::Create(args) => args.run(client, format).await,
            Self::Get(args) => args.run(client, format).await,
            Self::List(args) => args.run(client, format).await,
            Self::Update(args) => args.run(client, format).await,
            Self::Delete(args) => args.run(client, format).await,
            Self::Trigger(args) => args.run(client, format).await,
        }
    }
}

impl Resource for v1::Pipeline {
    const MESSAGE: &'static str = "Pipeline";
    const COLUMNS: &'static [Column<Self>] = &[
        Column("ID", |pipeline| pipeline.id.clone()),
        Column("PROJECT", |pipeline| pipeline.project.clone()),
        Column("NAME", |pipeline| pipeline.name.clone()),
        Column("STAGES", |pipeline| pipeline.stages.len().to_string()),
        Column("REVISION", |pipeline| pipeline.revision.to_string()),
        Column("UPDATED", |pipeline| labels::moment(pipeline.update_time)),
    ];

    fn details(&self) -> Vec<String> {
        let row = |stage: &v1::Stage| {
            let action = match &stage.action {
                Some(v1::stage::Action::Command(command)) => text::first_line(command),
                None => String::new(),
            };
            [
                stage.name.clone(),
                labels::stage_type(stage.r#type()),
                stage.needs.join(", "),
                action,
            ]
        };
        let header = ["STAGE", "TYPE", "NEEDS", "COMMAND"];
        let mut details = vec![table(header, self.stages.iter().map(row))];
        if !self.secret_variable_names.is_empty() {
            let names = text::one_line(&self.secret_variable_names.join(", "));
            details.push(format!("Secret variables: {names}"));
        }
        details
    }
}

impl List for v1::ListPipelinesResponse {
    type Item = v1::Pipeline;

    const MESSAGE: &'static str = "ListPipelinesResponse";

    fn parts(&mut self) -> (&mut Vec<v1::Pipeline>, &mut String) {
        (&mut self.pipelines, &mut self.next_page_token)
    }
}

/// Show a pipeline
#[derive(Args, Debug)]
pub(crate) struct GetArgs {
    #[command(flatten)]
    pipeline: Named,
    /// Revision to show [default: the newest]
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    revision: i64,
}

impl GetArgs {
    async fn run(self, client: &Client, format: Format) -> Result<Exit, Failure> {
        let id = self.pipeline.id(client).await?;
        resource::print(&get(client, id, self.revision).await?, format)
    }
}

/// Gets a revision of a pipeline; 0 is the newest.
pub(crate) async fn get(
    client: &Client,
    pipeline_id: String,
    revision: i64,
) -> Result<v1::Pipeline, Failure> {
    let request = v1::GetPipelineRequest {
        pipeline_id,
        revision,
    };
    let send =
        |mut client: Client, request| async move { client.pipelines.get_pipeline(request).await };
    let response = client.call(request, send).await?;
    Ok(response.pipeline.unwrap_or_default())
}

/// List pipelines, newest first
#[derive(Args, Debug)]
pub(crate) struct ListArgs {
    /// Only pipelines of this project
    #[arg(long, default_value = "", hide_default_value = true)]
    project: String,
    /// Only the pipeline with exactly this name
    #[arg(long, default_value = "", hide_default_value = true)]
    name: String,
    /// Only pipelines of this repository
    #[arg(long, default_value = "", hide_default_value = true)]
    git_repository: String,
    #[command(flatten)]
    paging: Paging,
}

impl ListArgs {
    async fn run(self, client: &Client, format: Format) -> Result<Exit, Failure> {
        let send = |mut client: Client, page: Page| {
            let request = v1::ListPipelinesRequest {
                page_size: page.size,
                page_token: page.token,
                project: self.project.clone(),
                name: self.name.clone(),
                git_repository: self.git_repository.clone(),
            };
            async move { client.pipelines.list_pipelines(request).await }
        };
        resource::print_list(client, &self.paging, format, send).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipeline_with_its_stages() {
        let told = resource::shown(&v1::Pipeline {
            id: "0190b2f0-0000-7000-8000-000000000001".into(),
            project: "default".into(),
            name: "ci".into(),
            revision: 2,
            update_time: Some(prost_types::Timestamp {
                seconds: 1_700_000_000,
                nanos: 0,
            }),
            secret_variable_names: vec!["KEY".into(), "TOKEN".into()],
            stages: vec![v1::Stage {
                name: "build".into(),
                action: Some(v1::stage::Action::Command("make\nmake check".into())),
                needs: vec!["a".into(), "b".into()],
                ..Default::default()
            }],
            ..Default::default()
        });
        insta::assert_snapshot!(told);
    }
}
