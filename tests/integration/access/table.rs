//! The role table: every method of every service, called by every kind of caller.

use std::collections::BTreeSet;

use tonic::{Code, Status};

use super::{
    methods::reflected,
    service,
    targets::{Target, call, empty_project, shop, target},
    why,
};
use crate::{known::As, service::Service};

/// The callers: one without credentials, the roles in the project, an admin of
/// another one, the roles in all projects, a runner.
const CALLERS: [&str; 11] = [
    "anonymous",
    "viewer",
    "developer",
    "deployer",
    "admin",
    "outsider",
    "all-viewer",
    "all-developer",
    "all-deployer",
    "all-admin",
    "runner",
];

/// The rules, not the code, as a table: projects and pipelines are written by admin; what
/// deploys is started, cancelled and retried by deployer; all else is triggered, cancelled and
/// retried by developer; viewer reads; what the projects share is for roles in all of them; what is
/// foreign is as absent as what there is not.
///
/// `?` is unauthenticated, `+` is allowed, `-` lacks the role, `0` gets NOT_FOUND,
/// and `.` gets a list without the target. `deploys` is about a pipeline with a
/// stage that deploys.
const TABLE: [(&str, &str); 31] = [
    //                                   no one, in the project, in another, in all, runner
    ("ProjectService/CreateProject", "? ---+ 0 ---+ -"),
    ("ProjectService/GetProject", "? ++++ 0 ++++ -"),
    ("ProjectService/ListProjects", "? ++++ . ++++ -"),
    ("ProjectService/UpdateProject", "? ---+ 0 ---+ -"),
    ("ProjectService/DeleteProject", "? ---+ 0 ---+ -"),
    ("PipelineService/CreatePipeline", "? ---+ 0 ---+ -"),
    ("PipelineService/GetPipeline", "? ++++ 0 ++++ -"),
    ("PipelineService/ListPipelines", "? ++++ . ++++ -"),
    ("PipelineService/UpdatePipeline", "? ---+ 0 ---+ -"),
    ("PipelineService/DeletePipeline", "? ---+ 0 ---+ -"),
    ("PipelineService/TriggerPipeline", "? -+++ 0 -+++ -"),
    ("PipelineService/TriggerPipeline deploys", "? --++ 0 --++ -"),
    ("JobService/GetJob", "? ++++ 0 ++++ -"),
    ("JobService/ListJobs", "? ++++ . ++++ -"),
    ("JobService/WatchJob", "? ++++ 0 ++++ -"),
    ("JobService/ReadStageLog", "? ++++ 0 ++++ -"),
    ("JobService/CancelJob", "? -+++ 0 -+++ -"),
    ("JobService/CancelJob deploys", "? --++ 0 --++ -"),
    ("JobService/RetryJob", "? -+++ 0 -+++ -"),
    ("JobService/RetryJob deploys", "? --++ 0 --++ -"),
    ("RunnerService/GetRunner", "? ---- - ++++ -"),
    ("RunnerService/ListRunners", "? ---- - ++++ -"),
    ("RunnerService/DrainRunner", "? ---- - ---+ -"),
    ("RunnerService/ResumeRunner", "? ---- - ---+ -"),
    ("AdminService/ListTasks", "? ---- - ---+ -"),
    ("LeaseService/RegisterRunner", "? ---- - ---- +"),
    ("LeaseService/AcquireLease", "? ---- - ---- +"),
    ("LeaseService/RenewLease", "? ---- - ---- +"),
    ("LeaseService/AppendLog", "? ---- - ---- +"),
    ("LeaseService/CompleteLease", "? ---- - ---- +"),
    ("LeaseService/DeregisterRunner", "? ---- - ---- +"),
];

/// Methods that hide resources of other projects.
pub(super) fn hidden() -> impl Iterator<Item = &'static str> {
    let hides = |(_, cells): &&(&str, &str)| cells.contains('0');
    TABLE.iter().filter(hides).map(|(row, _)| method(row))
}

#[tokio::test]
async fn every_method_is_authorized_as_the_table_says() {
    for (row, cells) in TABLE {
        let service = service().await;
        let mut found = String::new();
        for (position, name) in CALLERS.into_iter().enumerate() {
            // Grouped like the cells.
            if [1, 5, 6, 10].contains(&position) {
                found.push(' ');
            }
            let caller = match name {
                "anonymous" => As::anonymous(&service),
                name => As::new(&service, name),
            };
            let target = prepared(&service, row, name).await;
            let answer = call(&caller, method(row), &target).await;
            found.push(cell(row, name, answer));
        }
        assert_eq!(found, cells, "{row}, by {CALLERS:?}");
    }
}

#[tokio::test]
async fn the_table_has_every_method_that_reflection_lists() {
    let service = service().await;
    let listed = reflected(&As::new(&service, "viewer")).await;
    let listed: BTreeSet<&str> = listed.iter().map(String::as_str).collect();
    let rows: BTreeSet<&str> = TABLE.iter().map(|(row, _)| method(row)).collect();
    assert_eq!(rows, listed);
    let wrong = As::showing(&service, Some("Bearer pw_1_wrong".parse().unwrap()));
    for method in rows {
        let refused = call(&wrong, method, &Target::absent()).await;
        let unknown = (Code::Unauthenticated, "UNAUTHENTICATED".to_owned());
        assert_eq!(why(refused), unknown, "{method}");
    }
}

/// A row's method, without the variant of its target.
fn method(row: &'static str) -> &'static str {
    row.split(' ').next().unwrap_or(row)
}

/// The target for the call of a row, as its method needs it.
async fn prepared(service: &Service, row: &'static str, caller: &str) -> Target {
    match method(row) {
        "ProjectService/CreateProject" => {
            // It exists if an earlier caller could create it.
            let admin = As::new(service, "all-admin");
            let _ = call(&admin, "ProjectService/DeleteProject", &shop()).await;
            shop()
        }
        method if method.starts_with("ProjectService/") => empty_project(service).await,
        method => {
            let target = target(service, caller, row.ends_with(" deploys")).await;
            if method == "JobService/RetryJob" {
                let admin = As::new(service, "all-admin");
                call(&admin, "JobService/CancelJob", &target).await.unwrap();
            }
            target
        }
    }
}

/// The response as a cell of the table.
fn cell(row: &str, caller: &str, answer: Result<bool, Status>) -> char {
    match answer {
        Ok(true) => return '+',
        Ok(false) => return '.',
        Err(_) => {}
    }
    let (code, reason) = why(answer);
    match (code, reason.as_str()) {
        (Code::Unauthenticated, "UNAUTHENTICATED") => '?',
        (Code::PermissionDenied, "ROLE_REQUIRED") => '-',
        (Code::NotFound, "PROJECT_NOT_FOUND" | "PIPELINE_NOT_FOUND" | "JOB_NOT_FOUND") => '0',
        // It got as far as a lease that does not exist.
        (Code::FailedPrecondition, "LEASE_LOST") => '+',
        other => panic!("{row} by {caller}: {other:?}"),
    }
}
