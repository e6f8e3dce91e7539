use std::sync::Arc;

use prost::Message;
use tonic::{Request, Response, Status, async_trait};

use crate::{
    engine::Engine,
    proto::v1::{self, admin_service_server::AdminService},
};

use super::{page::PageRequest, views::task_to_proto};

/// `pipewright.v1.AdminService`.
pub struct Admin {
    engine: Arc<Engine>,
}

impl Admin {
    pub fn new(engine: Arc<Engine>) -> Self {
        Self { engine }
    }
}

#[async_trait]
impl AdminService for Admin {
    async fn list_tasks(
        &self,
        request: Request<v1::ListTasksRequest>,
    ) -> Result<Response<v1::ListTasksResponse>, Status> {
        let v1::ListTasksRequest {
            page_size,
            page_token,
        } = request.into_inner();
        let filters = v1::ListTasksRequest::default();
        let page = PageRequest::<String>::new("ListTasks", page_size, &page_token, &filters)?;
        let mut tasks: Vec<v1::Task> = self
            .engine
            .tasks()
            .statuses()
            .into_iter()
            .map(task_to_proto)
            .filter(|task| page.after.as_ref().is_none_or(|after| task.name > *after))
            .collect();
        tasks.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        let keyed = tasks.into_iter().map(|task| (task.name.clone(), task));
        let (tasks, next_page_token) = page.cut(keyed, v1::Task::encoded_len);
        Ok(Response::new(v1::ListTasksResponse {
            tasks,
            next_page_token,
        }))
    }
}
