//! Pages of lists.

use pipewright::proto::v1;
use tonic::Code;

use crate::{
    pipelines::{create, list},
    service::{Service, pipeline, refusal, stage},
};

fn names(pipelines: &[v1::Pipeline]) -> Vec<&str> {
    pipelines
        .iter()
        .map(|pipeline| pipeline.name.as_str())
        .collect()
}

#[tokio::test]
async fn lists_are_paged_newest_first_and_filtered() {
    let service = Service::start().await;
    for number in 0..7 {
        let project = ["default", "other"][number % 2];
        let repository = ["https://example.com/a.git", "https://example.com/b.git"][number / 4];
        let pipeline = v1::Pipeline {
            project: project.into(),
            git_repository: repository.into(),
            ..pipeline(&format!("p{number}"), [stage("s", "true")])
        };
        create(&service, pipeline).await.unwrap();
    }
    let mut seen = Vec::new();
    let mut request = v1::ListPipelinesRequest {
        page_size: 3,
        ..Default::default()
    };
    loop {
        let page = list(&service, request.clone()).await.unwrap();
        seen.push(page.pipelines.len());
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    assert_eq!(seen, [3, 3, 1]);

    let all = list(&service, Default::default()).await.unwrap();
    assert_eq!(
        names(&all.pipelines),
        ["p6", "p5", "p4", "p3", "p2", "p1", "p0"]
    );
    // The last page has no token, and only that one; a full page too.
    let exact = v1::ListPipelinesRequest {
        page_size: 7,
        ..Default::default()
    };
    assert_eq!(list(&service, exact).await.unwrap().next_page_token, "");

    let filtered = |project: &str, name: &str, repository: &str| v1::ListPipelinesRequest {
        project: project.into(),
        name: name.into(),
        git_repository: repository.into(),
        ..Default::default()
    };
    let b = "https://example.com/b.git";
    for (request, expected) in [
        (filtered("other", "", ""), vec!["p5", "p3", "p1"]),
        (filtered("", "p3", ""), vec!["p3"]),
        (filtered("default", "p3", ""), vec![]),
        (filtered("", "", b), vec!["p6", "p5", "p4"]),
        (filtered("other", "", b), vec!["p5"]),
        (filtered("other", "p5", b), vec!["p5"]),
    ] {
        let page = list(&service, request.clone()).await.unwrap();
        assert_eq!(names(&page.pipelines), expected, "{request:?}");
    }
}

#[tokio::test]
async fn page_tokens_are_bound_to_their_filters() {
    let service = Service::start().await;
    for name in ["a", "b"] {
        create(&service, pipeline(name, [stage("s", "true")]))
            .await
            .unwrap();
    }
    let first = v1::ListPipelinesRequest {
        page_size: 1,
        project: "default".into(),
        ..Default::default()
    };
    let token = list(&service, first.clone()).await.unwrap().next_page_token;
    let expected = (
        Code::InvalidArgument,
        "PAGE_TOKEN_MISMATCH".to_owned(),
        vec!["page_token".to_owned()],
    );
    let elsewhere = v1::ListPipelinesRequest {
        project: "other".into(),
        page_token: token.clone(),
        ..first.clone()
    };
    assert_eq!(refusal(list(&service, elsewhere).await), expected);
    for nonsense in ["x", "AAAA", &token[1..], &format!("{token}AA")] {
        let request = v1::ListPipelinesRequest {
            page_token: nonsense.into(),
            ..first.clone()
        };
        assert_eq!(refusal(list(&service, request).await), expected);
    }
    // A token of one list is not valid for another one, either.
    for name in ["c", "d"] {
        let created = create(&service, pipeline(name, [stage("s", "true")]))
            .await
            .unwrap();
        service.trigger(&created).await;
    }
    let all = v1::ListJobsRequest {
        page_size: 1,
        ..Default::default()
    };
    let jobs = service.jobs().list_jobs(all).await.unwrap().into_inner();
    let crossed = v1::ListPipelinesRequest {
        page_token: jobs.next_page_token,
        ..Default::default()
    };
    assert_eq!(refusal(list(&service, crossed).await), expected);
    let negative = v1::ListPipelinesRequest {
        page_size: -1,
        ..Default::default()
    };
    assert_eq!(refusal(list(&service, negative).await).2, ["page_size"]);
}

#[tokio::test]
async fn a_page_ends_early_before_it_grows_too_large() {
    let service = Service::start().await;
    for name in ["a", "b", "c"] {
        let large = (0..8).map(|n| stage(&format!("s{n}"), &"#".repeat(60 * 1024)));
        create(&service, pipeline(name, large)).await.unwrap();
    }
    let page = list(&service, Default::default()).await.unwrap();
    assert_eq!(names(&page.pipelines), ["c", "b"]);
    let rest = v1::ListPipelinesRequest {
        page_token: page.next_page_token,
        ..Default::default()
    };
    assert_eq!(names(&list(&service, rest).await.unwrap().pipelines), ["a"]);
}
