use std::sync::Arc;

use prost::Message;
use tonic::{Request, Response, Status, async_trait};

use crate::{
    domain::Project,
    engine::{Engine, Error, ProjectDraft, ProjectEntry, ProjectUpdate},
    proto::{
        SentProject, project_from_proto, project_to_proto,
        v1::{self, project_service_server::ProjectService},
    },
};

use super::{
    mask::{Mask, ProjectField},
    middleware::audit::Audit,
    page::PageRequest,
    request::{Repeatable, open, open_repeatable, within, yield_to_others},
    status::{invalid, invalid_field},
};

/// `pipewright.v1.ProjectService`.
pub struct Projects {
    engine: Arc<Engine>,
}

impl Projects {
    pub fn new(engine: Arc<Engine>) -> Self {
        Self { engine }
    }
}

#[async_trait]
impl ProjectService for Projects {
    async fn create_project(
        &self,
        request: Request<v1::CreateProjectRequest>,
    ) -> Result<Response<v1::CreateProjectResponse>, Status> {
        let audit = Audit::of(&request);
        let (call, message) = open_repeatable(request)?;
        let v1::CreateProjectRequest {
            project,
            request_id: _,
            validate_only,
        } = message;
        let SentProject {
            name,
            etag: _,
            description,
            annotations,
        } = required(project)?;
        audit.about("project", &name);
        audit.validate_only(validate_only);
        let draft = ProjectDraft {
            name,
            description,
            annotations,
        };
        let projects = self.engine.projects();
        let created = projects.create(&call, draft, validate_only).await;
        let created = created.map_err(within_project)?;
        let mut project = shown(&created);
        if validate_only {
            project.etag.clear();
            project.create_time = None;
            project.update_time = None;
        }
        let project = Some(project);
        Ok(Response::new(v1::CreateProjectResponse { project }))
    }

    async fn get_project(
        &self,
        request: Request<v1::GetProjectRequest>,
    ) -> Result<Response<v1::GetProjectResponse>, Status> {
        let (call, v1::GetProjectRequest { name }) = open(request);
        check_name("name", &name)?;
        let found = self.engine.projects().get(&call, &name).await?;
        let project = Some(shown(&found));
        Ok(Response::new(v1::GetProjectResponse { project }))
    }

    async fn list_projects(
        &self,
        request: Request<v1::ListProjectsRequest>,
    ) -> Result<Response<v1::ListProjectsResponse>, Status> {
        yield_to_others().await;
        let (call, message) = open(request);
        let v1::ListProjectsRequest {
            page_size,
            page_token,
        } = message;
        let filters = v1::ListProjectsRequest::default();
        let page = PageRequest::new("ListProjects", page_size, &page_token, &filters)?;
        let after = page.after.clone();
        let projects = self.engine.projects();
        let found = projects.list(&call, after, page.lookahead()).await?;
        let (projects, next_page_token) = page.cut(
            found
                .iter()
                .map(|entry| (entry.project().name.clone(), shown(entry))),
            v1::Project::encoded_len,
        );
        Ok(Response::new(v1::ListProjectsResponse {
            projects,
            next_page_token,
        }))
    }

    async fn update_project(
        &self,
        request: Request<v1::UpdateProjectRequest>,
    ) -> Result<Response<v1::UpdateProjectResponse>, Status> {
        let audit = Audit::of(&request);
        let (call, message) = open_repeatable(request)?;
        let v1::UpdateProjectRequest {
            project,
            update_mask,
            validate_only,
            request_id: _,
        } = message;
        let project = project.unwrap_or_default();
        audit.about("project", &project.name);
        audit.validate_only(validate_only);
        let mask = Mask::<ProjectField>::new(update_mask, &project)?;
        let sent = required(Some(project))?;
        let update = ProjectUpdate {
            name: &sent.name,
            etag: &sent.etag,
            change: &|current: &Project| mask.apply(&sent, current),
            validate_only,
        };
        let updated = self.engine.projects().update(&call, update).await;
        let mut project = shown(&updated.map_err(within_project)?);
        if validate_only {
            project.etag.clear();
            project.update_time = None;
        }
        let project = Some(project);
        Ok(Response::new(v1::UpdateProjectResponse { project }))
    }

    async fn delete_project(
        &self,
        request: Request<v1::DeleteProjectRequest>,
    ) -> Result<Response<v1::DeleteProjectResponse>, Status> {
        let audit = Audit::of(&request);
        let (call, message) = open_repeatable(request)?;
        let v1::DeleteProjectRequest {
            name,
            etag,
            request_id: _,
        } = message;
        audit.about("project", &name);
        check_name("name", &name)?;
        self.engine.projects().delete(&call, &name, &etag).await?;
        Ok(Response::new(v1::DeleteProjectResponse {}))
    }
}

impl Repeatable for v1::CreateProjectRequest {
    fn request_id(&self) -> Option<&str> {
        (!self.validate_only).then_some(&self.request_id)
    }
}

impl Repeatable for v1::UpdateProjectRequest {
    fn request_id(&self) -> Option<&str> {
        (!self.validate_only).then_some(&self.request_id)
    }
}

impl Repeatable for v1::DeleteProjectRequest {
    fn request_id(&self) -> Option<&str> {
        Some(&self.request_id)
    }
}

fn required(project: Option<v1::Project>) -> Result<SentProject, Status> {
    let project = project.ok_or_else(|| invalid_field("project", "is required"))?;
    check_name("project.name", &project.name)?;
    Ok(project_from_proto(project))
}

/// Requires a name. An invalid name needs no check: it returns NOT_FOUND, as no project can
/// have it.
fn check_name(field: &str, name: &str) -> Result<(), Status> {
    if name.is_empty() {
        return Err(invalid_field(field, "is required; give the project's name"));
    }
    Ok(())
}

fn shown(entry: &ProjectEntry) -> v1::Project {
    v1::Project {
        etag: entry.etag(),
        ..project_to_proto(entry.project())
    }
}

/// Prefixes the paths of violations: the engine's paths begin at the project, and a
/// caller's at the request.
fn within_project(error: Error) -> Status {
    match error {
        Error::Invalid(violations) => invalid(within("project", violations)),
        other => other.into(),
    }
}
