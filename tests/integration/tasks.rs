//! The background tasks, as operators see them.

use pipewright::proto::v1;

use crate::service::Service;

#[tokio::test]
async fn tasks_are_listed_by_name_in_pages() {
    let service = Service::without_runner().await;
    let mut admin = service.admin();
    let all = admin.list_tasks(v1::ListTasksRequest::default()).await;
    let all = all.unwrap().into_inner();
    assert_eq!(all.next_page_token, "");
    let names: Vec<_> = all.tasks.iter().map(|task| task.name.clone()).collect();
    assert!(names.is_sorted() && names.len() > 1, "{names:?}");
    assert!(
        all.tasks
            .iter()
            .all(|task| task.state != 0 && task.period.is_some())
    );
    let mut paged = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = v1::ListTasksRequest {
            page_size: 1,
            page_token,
        };
        let page = admin.list_tasks(request).await.unwrap().into_inner();
        paged.extend(page.tasks.into_iter().map(|task| task.name));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(paged, names);
}
