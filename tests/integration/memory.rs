//! Budgets of memory, as clients and operators see them.

use std::collections::BTreeMap;

use pipewright::proto::v1;
use tonic::Code;
use tonic_types::StatusExt;
use uuid::Uuid;

use crate::service::{Service, pipeline, refusal, stage};

const MIB: u64 = 1024 * 1024;

fn variables(kib: usize) -> BTreeMap<String, String> {
    let values = (0..kib).map(|number| (format!("V{number}"), "x".repeat(1024)));
    values.collect()
}

fn trigger(pipeline_id: &str) -> v1::TriggerPipelineRequest {
    v1::TriggerPipelineRequest {
        pipeline_id: pipeline_id.to_owned(),
        variables: variables(60),
        ..Default::default()
    }
}

/// Each budget names itself to people and to programs.
#[tokio::test]
async fn a_refusal_names_its_budget() {
    for budget in ["store", "project", "caller"] {
        let service = Service::with(|config| {
            config.runner = None;
            let limits = &mut config.limits;
            let limit = |name| if name == budget { Some(MIB) } else { None };
            limits.max_memory = limit("store");
            limits.max_project_memory = limit("project");
            limits.max_caller_memory = limit("caller");
        })
        .await;
        let created = service.create(pipeline("p", [stage("s", "true")])).await;
        let mut pipelines = service.pipelines();
        let refused = loop {
            let triggered = pipelines.trigger_pipeline(trigger(&created.id));
            if let Err(refused) = triggered.await {
                break refused;
            }
        };
        assert_eq!(refused.code(), Code::ResourceExhausted);
        let info = refused.get_details_error_info().unwrap();
        assert_eq!(info.reason, "MEMORY_BUDGET_EXCEEDED");
        assert_eq!(info.metadata["budget"], budget);
        assert_eq!(info.metadata["limit_bytes"], MIB.to_string());
        let used: u64 = info.metadata["used_bytes"].parse().unwrap();
        assert!((MIB - 70 * 1024..=MIB).contains(&used), "{used}");
        let (whose, setting) = match budget {
            "store" => ("the whole service", "max_memory"),
            "project" => ("project 'default'", "max_project_memory"),
            _ => ("caller 'anonymous'", "max_caller_memory"),
        };
        let message = refused.message();
        assert!(
            message.contains(whose) && message.contains(setting),
            "{message}"
        );
        assert!(!message.ends_with("..."), "{message}");
        let quota = refused.get_details_quota_failure().unwrap();
        assert!(quota.violations[0].description.contains(&MIB.to_string()));
    }
}

/// The loads that once took hundreds of megabytes: all calls succeed within a small budget.
#[tokio::test]
async fn what_is_cancelled_revised_or_deleted_makes_room() {
    let service = Service::with(|config| {
        config.runner = None;
        config.limits.max_memory = Some(4 * MIB);
    })
    .await;
    let created = service.create(pipeline("p", [stage("s", "true")])).await;
    let mut pipelines = service.pipelines();
    for _ in 0..150 {
        let job = pipelines.trigger_pipeline(trigger(&created.id));
        let job = job.await.unwrap().into_inner().job.unwrap();
        service.cancel(&job.id).await.unwrap();
    }
    let large = |number: usize| {
        let command = format!("true {number} {}", "x".repeat(60_000));
        let stages = (0..15).map(|stage_number| stage(&format!("s{stage_number}"), &command));
        v1::Pipeline {
            stages: stages.collect(),
            ..pipeline("large", [])
        }
    };
    let first = service.create(large(0)).await;
    for number in 1..20 {
        let update = v1::UpdatePipelineRequest {
            pipeline: Some(v1::Pipeline {
                id: first.id.clone(),
                ..large(number)
            }),
            ..Default::default()
        };
        pipelines.update_pipeline(update).await.unwrap();
    }
    let delete = |id: &str| v1::DeletePipelineRequest {
        pipeline_id: id.to_owned(),
        ..Default::default()
    };
    pipelines.delete_pipeline(delete(&first.id)).await.unwrap();
    let mut last = None;
    for number in 0..20 {
        let create = v1::CreatePipelineRequest {
            pipeline: Some(large(number)),
            request_id: Uuid::new_v4().to_string(),
            ..Default::default()
        };
        let created = pipelines.create_pipeline(create.clone()).await;
        let id = created.unwrap().into_inner().pipeline.unwrap().id;
        pipelines.delete_pipeline(delete(&id)).await.unwrap();
        last = Some(create);
    }
    // The record of a call refers to the pipeline, which is gone.
    let again = pipelines.create_pipeline(last.unwrap()).await;
    let gone = (Code::NotFound, "PIPELINE_NOT_FOUND".to_owned(), vec![]);
    assert_eq!(refusal(again), gone);
}
