//! Projects: created, updated, and deleted once they are empty.

use pipewright::proto::v1;
use prost_types::FieldMask;
use tonic::Code;

use crate::service::{Service, existing_id, map, pipeline, refusal, stage};

fn project(name: &str) -> v1::Project {
    v1::Project {
        name: name.to_owned(),
        description: "All that sells".to_owned(),
        annotations: map(&[("team", "web")]),
        ..Default::default()
    }
}

fn create(project: v1::Project) -> v1::CreateProjectRequest {
    v1::CreateProjectRequest {
        project: Some(project),
        ..Default::default()
    }
}

fn named(name: &str) -> v1::GetProjectRequest {
    v1::GetProjectRequest {
        name: name.to_owned(),
    }
}

fn delete(name: &str) -> v1::DeleteProjectRequest {
    v1::DeleteProjectRequest {
        name: name.to_owned(),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_project_is_stored_as_created() {
    let service = Service::without_runner().await;
    let mut projects = service.projects();
    let created = projects.create_project(create(project("shop"))).await;
    let created = created.unwrap().into_inner().project.unwrap();
    assert_eq!(created.creator, "anonymous");
    assert!(!created.etag.is_empty() && created.create_time.is_some());
    let sent = v1::Project {
        etag: created.etag.clone(),
        create_time: created.create_time,
        update_time: created.create_time,
        creator: created.creator.clone(),
        ..project("shop")
    };
    assert_eq!(created, sent);
    let read = projects.get_project(named("shop")).await.unwrap();
    assert_eq!(read.into_inner().project, Some(created));
    let again = projects.create_project(create(project("shop"))).await;
    assert_eq!(existing_id(&again), "shop");
    let (code, reason, _) = refusal(again);
    assert_eq!((code, &*reason), (Code::AlreadyExists, "PROJECT_EXISTS"));
    let again = projects.create_project(create(project("default"))).await;
    assert_eq!(refusal(again).0, Code::AlreadyExists);
    let absent = projects.get_project(named("bank")).await;
    let (code, reason, _) = refusal(absent);
    assert_eq!((code, &*reason), (Code::NotFound, "PROJECT_NOT_FOUND"));
}

#[tokio::test]
async fn violations_of_a_project_name_its_fields() {
    let service = Service::without_runner().await;
    let mut projects = service.projects();
    let wrong = v1::Project {
        name: "Shop".to_owned(),
        description: "x".repeat(1_025),
        annotations: map(&[("a", &"x".repeat(16 * 1024))]),
        ..Default::default()
    };
    let (code, _, fields) = refusal(projects.create_project(create(wrong)).await);
    assert_eq!(code, Code::InvalidArgument);
    assert_eq!(
        fields,
        ["project.name", "project.description", "project.annotations"]
    );
    for request in [v1::CreateProjectRequest::default(), create(project(""))] {
        let refused = projects.create_project(request).await;
        assert_eq!(refusal(refused).1, "INVALID_FIELDS");
    }
}

#[tokio::test]
async fn a_project_that_is_only_validated_is_not_created() {
    let service = Service::without_runner().await;
    let mut projects = service.projects();
    let request = v1::CreateProjectRequest {
        validate_only: true,
        ..create(project("shop"))
    };
    let checked = projects.create_project(request).await.unwrap().into_inner();
    let checked = checked.project.unwrap();
    assert_eq!((&*checked.etag, checked.create_time), ("", None));
    let read = projects.get_project(named("shop")).await;
    assert_eq!(refusal(read).0, Code::NotFound);
}

#[tokio::test]
async fn an_update_changes_the_fields_of_its_mask_if_the_etag_is_current() {
    let service = Service::without_runner().await;
    let mut projects = service.projects();
    let created = projects.create_project(create(project("shop"))).await;
    let created = created.unwrap().into_inner().project.unwrap();
    let update = |paths: &[&str], etag: &str| v1::UpdateProjectRequest {
        project: Some(v1::Project {
            name: "shop".to_owned(),
            etag: etag.to_owned(),
            ..Default::default()
        }),
        update_mask: Some(FieldMask {
            paths: paths.iter().map(|path| (*path).to_owned()).collect(),
        }),
        ..Default::default()
    };
    let updated = projects.update_project(update(&["description"], &created.etag));
    let updated = updated.await.unwrap().into_inner().project.unwrap();
    assert_eq!(updated.description, "");
    assert_eq!(updated.annotations, created.annotations);
    assert_ne!(updated.etag, created.etag);
    let stale = projects.update_project(update(&["*"], &created.etag)).await;
    let (code, reason, _) = refusal(stale);
    assert_eq!((code, &*reason), (Code::Aborted, "ETAG_MISMATCH"));
    let same = projects.update_project(update(&["description"], "")).await;
    assert_eq!(same.unwrap().into_inner().project, Some(updated));
    for path in ["name", "creator", "stages"] {
        let refused = projects.update_project(update(&[path], "")).await;
        assert_eq!(refusal(refused).1, "INVALID_FIELDS", "{path}");
    }
    let emptied = projects.update_project(update(&["*"], "")).await.unwrap();
    assert!(emptied.into_inner().project.unwrap().annotations.is_empty());
}

#[tokio::test]
async fn lists_are_in_the_order_of_names_and_come_in_pages() {
    let service = Service::without_runner().await;
    let mut projects = service.projects();
    for name in ["shop", "bank", "zoo"] {
        let created = projects.create_project(create(project(name))).await;
        created.unwrap();
    }
    let mut names = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = v1::ListProjectsRequest {
            page_size: 3,
            page_token,
        };
        let page = projects.list_projects(request).await.unwrap().into_inner();
        names.extend(page.projects.into_iter().map(|project| project.name));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
        // In another list it is not valid.
        let request = v1::ListRunnersRequest {
            page_token: page_token.clone(),
            ..Default::default()
        };
        let refused = service.runners().list_runners(request).await;
        assert_eq!(refusal(refused).1, "PAGE_TOKEN_MISMATCH");
    }
    assert_eq!(names, ["bank", "default", "shop", "zoo"]);
}

#[tokio::test]
async fn the_project_of_a_new_pipeline_is_created() {
    let service = Service::without_runner().await;
    let request = v1::CreatePipelineRequest {
        pipeline: Some(v1::Pipeline {
            project: "shop".to_owned(),
            ..pipeline("ci", [stage("a", "true")])
        }),
        ..Default::default()
    };
    let created = service.pipelines().create_pipeline(request).await.unwrap();
    let pipeline_id = created.into_inner().pipeline.unwrap().id;
    let mut projects = service.projects();
    let made = projects.get_project(named("shop")).await.unwrap();
    assert_eq!(made.into_inner().project.unwrap().creator, "anonymous");
    let (code, reason, _) = refusal(projects.delete_project(delete("shop")).await);
    assert_eq!(
        (code, &*reason),
        (Code::FailedPrecondition, "PROJECT_NOT_EMPTY")
    );
    let request = v1::DeletePipelineRequest {
        pipeline_id,
        ..Default::default()
    };
    service.pipelines().delete_pipeline(request).await.unwrap();
    projects.delete_project(delete("shop")).await.unwrap();
    let gone = projects.get_project(named("shop")).await;
    assert_eq!(refusal(gone).0, Code::NotFound);
}

#[tokio::test]
async fn the_default_project_stays() {
    let service = Service::without_runner().await;
    let mut projects = service.projects();
    projects.get_project(named("default")).await.unwrap();
    let (code, reason, _) = refusal(projects.delete_project(delete("default")).await);
    assert_eq!(
        (code, &*reason),
        (Code::FailedPrecondition, "PROJECT_PERMANENT")
    );
}
