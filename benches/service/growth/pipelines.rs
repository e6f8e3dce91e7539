//! Stored pipelines.

use futures_util::{StreamExt, stream};
use pipewright::proto::v1;

use crate::{
    clients::{Ours, pipeline},
    jobs::Client,
    mode::Mode,
    usage,
};

use super::{
    Group,
    calls::{self, CREATE, GET, LIST, UPDATE},
};

/// Pipelines that are read and changed, spread over all.
const ASKED_FOR: usize = 500;

pub(super) async fn grow(sizes: &[usize], mode: Mode) -> Group {
    let ours = Ours::open(&[]);
    let client = Client::of(ours.channel());
    let mut group = Group::new("pipelines", "stored pipelines", sizes);
    client.create_like(pipeline("warm")).await;
    let idle = usage::memory(ours.server.id());
    let mut stored = 0;
    let mut revision = 0;
    for &size in sizes {
        calls::all(&ours, CREATE, (stored..size).map(create));
        stored = stored.max(size);
        let memory = usage::memory(ours.server.id()) - idle;
        group.memory.push(memory as f64 / stored as f64);
        let spread = (0..ASKED_FOR).map(|part| client.find(name(part * size / ASKED_FOR)));
        let ids: Vec<String> = stream::iter(spread).buffered(16).collect().await;
        let many = mode.of(20, 2);
        let get = || {
            ids.iter()
                .cycle()
                .take(ids.len() * many)
                .map(|id| get(id))
                .collect()
        };
        group.add("GetPipeline", calls::cost(&ours, GET, get));
        let list = || vec![page(None); mode.of(1_000, 50)];
        group.add("ListPipelines, 50", calls::cost(&ours, LIST, list));
        let list = || vec![page(Some("team-7")); mode.of(1_000, 50)];
        group.add(
            "ListPipelines, 50 of a project",
            calls::cost(&ours, LIST, list),
        );
        let cost = calls::cost(&ours, UPDATE, || {
            revision += 1;
            ids.iter().map(|id| update(id, revision)).collect()
        });
        group.add("UpdatePipeline", cost);
        let cost = calls::cost(&ours, CREATE, || {
            let first = stored;
            stored += ASKED_FOR;
            (first..stored).map(create).collect()
        });
        group.add("CreatePipeline", cost);
    }
    group
}

pub(super) fn name(number: usize) -> String {
    format!("p-{number}")
}

fn create(number: usize) -> v1::CreatePipelineRequest {
    let pipeline = v1::Pipeline {
        project: format!("team-{}", number % 10),
        ..pipeline(&name(number))
    };
    v1::CreatePipelineRequest {
        pipeline: Some(pipeline),
        ..Default::default()
    }
}

fn get(id: &str) -> v1::GetPipelineRequest {
    v1::GetPipelineRequest {
        pipeline_id: id.to_owned(),
        revision: 0,
    }
}

fn update(id: &str, revision: usize) -> v1::UpdatePipelineRequest {
    let pipeline = v1::Pipeline {
        id: id.to_owned(),
        default_ref: format!("release-{revision}"),
        ..Default::default()
    };
    v1::UpdatePipelineRequest {
        pipeline: Some(pipeline),
        update_mask: Some(prost_types::FieldMask {
            paths: vec!["default_ref".to_owned()],
        }),
        ..Default::default()
    }
}

fn page(project: Option<&str>) -> v1::ListPipelinesRequest {
    v1::ListPipelinesRequest {
        page_size: 50,
        project: project.unwrap_or_default().to_owned(),
        ..Default::default()
    }
}
