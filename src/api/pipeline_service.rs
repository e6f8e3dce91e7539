use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;
use tonic::{Request, Response, Status, async_trait};

use crate::{
    domain::{Pipeline, PipelineId, PipelineSpec, Secrets, Violation},
    engine::{Engine, Error, TriggerRequest, Update},
    proto::{
        PipelineDraft, Reply, job_to_proto, pipeline_from_proto, pipeline_to_proto, pipelines_page,
        spec_fits,
        v1::{self, pipeline_service_server::PipelineService},
    },
    store::PipelineFilter,
};

use super::{
    encoded::EncodedPipelines,
    mask::{Mask, PipelineField},
    middleware::audit::Audit,
    page::PageRequest,
    request::{
        Repeatable, filter, id, non_negative, open, open_repeatable, within, yield_to_others,
    },
    status::{invalid, invalid_field},
};

const DEFAULT_PROJECT: &str = "default";
/// Most bytes of an encoded pipeline: 1 MiB.
const MAX_PIPELINE_BYTES: usize = 1024 * 1024;

/// `pipewright.v1.PipelineService`.
pub struct Pipelines {
    engine: Arc<Engine>,
    encoded: EncodedPipelines,
}

impl Pipelines {
    pub fn new(engine: Arc<Engine>) -> Self {
        Self {
            engine,
            encoded: EncodedPipelines::new(),
        }
    }
}

#[async_trait]
impl PipelineService for Pipelines {
    async fn create_pipeline(
        &self,
        request: Request<v1::CreatePipelineRequest>,
    ) -> Result<Response<Reply<v1::CreatePipelineResponse>>, Status> {
        let audit = Audit::of(&request);
        let (call, message) = open_repeatable(request)?;
        let v1::CreatePipelineRequest {
            pipeline,
            request_id: _,
            validate_only,
        } = message;
        audit.validate_only(validate_only);
        let mut draft = read(required(pipeline)?)?;
        // An empty value means "remove this secret", and a new pipeline has none to remove.
        draft.spec.secret_variables = Secrets::default().changed(&draft.spec.secret_variables);
        check_size(&draft.spec).map_err(|violations| invalid(within("pipeline", violations)))?;
        let project = if draft.project.is_empty() {
            DEFAULT_PROJECT.to_owned()
        } else {
            draft.project
        };
        audit.about("project", &project);
        let created = self
            .engine
            .pipelines()
            .create(&call, project, draft.spec, validate_only);
        let created = created.await.map_err(within_pipeline)?;
        if !validate_only {
            audit.about("pipeline", &created.id.to_string());
        }
        Ok(Response::new(if validate_only {
            let mut pipeline = validated(&created);
            pipeline.id.clear();
            pipeline.create_time = None;
            let pipeline = Some(pipeline);
            Reply::Message(v1::CreatePipelineResponse { pipeline })
        } else {
            Reply::Encoded(EncodedPipelines::created(&created))
        }))
    }

    async fn get_pipeline(
        &self,
        request: Request<v1::GetPipelineRequest>,
    ) -> Result<Response<Reply<v1::GetPipelineResponse>>, Status> {
        let (call, message) = open(request);
        let v1::GetPipelineRequest {
            pipeline_id,
            revision,
        } = message;
        let id = id("pipeline_id", &pipeline_id)?;
        let found = self
            .engine
            .pipelines()
            .get(&call, id, read_revision(revision)?)
            .await?;
        Ok(Response::new(Reply::Encoded(self.encoded.entry(&found))))
    }

    async fn list_pipelines(
        &self,
        request: Request<v1::ListPipelinesRequest>,
    ) -> Result<Response<Reply<v1::ListPipelinesResponse>>, Status> {
        yield_to_others().await;
        let (call, mut message) = open(request);
        let page_size = std::mem::take(&mut message.page_size);
        let page_token = std::mem::take(&mut message.page_token);
        let page = PageRequest::new("ListPipelines", page_size, &page_token, &message)?;
        let v1::ListPipelinesRequest {
            page_size: _,
            page_token: _,
            project,
            name,
            git_repository,
        } = message;
        let wanted = PipelineFilter {
            projects: filter(project).map(|project| BTreeSet::from([project])),
            name: filter(name),
            git_repository: filter(git_repository),
        };
        let before = page.after.map(PipelineId);
        let found = self
            .engine
            .pipelines()
            .list(&call, wanted, before, page.lookahead())
            .await?;
        let entries = found
            .iter()
            .map(|pipeline| (pipeline.id.0, self.encoded.entry(pipeline)));
        let (entries, next_page_token) = page.cut(entries, Bytes::len);
        Ok(Response::new(pipelines_page(&entries, next_page_token)))
    }

    async fn update_pipeline(
        &self,
        request: Request<v1::UpdatePipelineRequest>,
    ) -> Result<Response<Reply<v1::UpdatePipelineResponse>>, Status> {
        let audit = Audit::of(&request);
        let (call, message) = open_repeatable(request)?;
        let v1::UpdatePipelineRequest {
            pipeline,
            update_mask,
            validate_only,
            request_id: _,
        } = message;
        let mut pipeline = required(pipeline)?;
        audit.about("pipeline", &pipeline.id);
        audit.validate_only(validate_only);
        let mask = Mask::<PipelineField>::new(update_mask, &pipeline)?;
        mask.leave_only_its_fields(&mut pipeline);
        let draft = read(pipeline)?;
        let update = Update {
            id: id("pipeline.id", &draft.id)?,
            etag: &draft.etag,
            change: &|current: &Pipeline| {
                let spec = mask.apply(&draft, current)?;
                check_size(&spec)?;
                Ok(spec)
            },
            validate_only,
        };
        let updated = self.engine.pipelines().update(&call, update);
        let updated = updated.await.map_err(within_pipeline)?;
        Ok(Response::new(if validate_only {
            let pipeline = Some(validated(&updated));
            Reply::Message(v1::UpdatePipelineResponse { pipeline })
        } else {
            Reply::Encoded(self.encoded.entry(&updated))
        }))
    }

    async fn delete_pipeline(
        &self,
        request: Request<v1::DeletePipelineRequest>,
    ) -> Result<Response<v1::DeletePipelineResponse>, Status> {
        let audit = Audit::of(&request);
        let (call, message) = open_repeatable(request)?;
        let v1::DeletePipelineRequest {
            pipeline_id,
            etag,
            force,
            request_id: _,
        } = message;
        audit.about("pipeline", &pipeline_id);
        let id = id("pipeline_id", &pipeline_id)?;
        let pipelines = self.engine.pipelines();
        pipelines.delete(&call, id, &etag, force).await?;
        Ok(Response::new(v1::DeletePipelineResponse {}))
    }

    async fn trigger_pipeline(
        &self,
        request: Request<v1::TriggerPipelineRequest>,
    ) -> Result<Response<v1::TriggerPipelineResponse>, Status> {
        let audit = Audit::of(&request);
        let (call, message) = open_repeatable(request)?;
        let v1::TriggerPipelineRequest {
            pipeline_id,
            revision,
            git_ref,
            variables,
            priority,
            request_id: _,
            validate_only,
            secret_variables,
        } = message;
        audit.about("pipeline", &pipeline_id);
        audit.validate_only(validate_only);
        let trigger = TriggerRequest {
            pipeline_id: id("pipeline_id", &pipeline_id)?,
            revision: read_revision(revision)?,
            git_ref,
            variables,
            secret_variables: secret_variables.into_iter().collect(),
            priority,
            validate_only,
        };
        let job = self.engine.jobs().trigger(&call, trigger).await?;
        let mut job = job_to_proto(&job);
        if validate_only {
            job.id.clear();
            job.create_time = None;
        } else {
            audit.about("job", &job.id);
        }
        Ok(Response::new(v1::TriggerPipelineResponse {
            job: Some(job),
        }))
    }
}

impl Repeatable for v1::CreatePipelineRequest {
    fn request_id(&self) -> Option<&str> {
        (!self.validate_only).then_some(&self.request_id)
    }
}

impl Repeatable for v1::UpdatePipelineRequest {
    fn request_id(&self) -> Option<&str> {
        (!self.validate_only).then_some(&self.request_id)
    }
}

impl Repeatable for v1::DeletePipelineRequest {
    fn request_id(&self) -> Option<&str> {
        Some(&self.request_id)
    }
}

impl Repeatable for v1::TriggerPipelineRequest {
    fn request_id(&self) -> Option<&str> {
        (!self.validate_only).then_some(&self.request_id)
    }
}

fn required(pipeline: Option<v1::Pipeline>) -> Result<v1::Pipeline, Status> {
    pipeline.ok_or_else(|| invalid_field("pipeline", "is required"))
}

fn read(pipeline: v1::Pipeline) -> Result<PipelineDraft, Status> {
    pipeline_from_proto(pipeline).map_err(|violations| invalid(within("pipeline", violations)))
}

fn read_revision(revision: i64) -> Result<Option<i64>, Status> {
    Ok(non_negative("revision", revision)?.map(|_| revision))
}

/// The result of a `validate_only` call. It has no version, because nothing was stored.
fn validated(pipeline: &Pipeline) -> v1::Pipeline {
    v1::Pipeline {
        etag: String::new(),
        update_time: None,
        ..pipeline_to_proto(pipeline)
    }
}

fn check_size(spec: &PipelineSpec) -> Result<(), Vec<Violation>> {
    if spec_fits(spec, MAX_PIPELINE_BYTES) {
        Ok(())
    } else {
        Err(vec![Violation::new("", "must encode to at most 1 MiB")])
    }
}

/// Prefixes the paths of violations: the engine's paths begin at the pipeline, and a
/// caller's at the request.
fn within_pipeline(error: Error) -> Status {
    match error {
        Error::Invalid(violations) => invalid(within("pipeline", violations)),
        other => other.into(),
    }
}
