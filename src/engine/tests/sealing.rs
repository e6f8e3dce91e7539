//! A durable store without an encryption key stores no secret.

use std::sync::Arc;

use crate::{
    domain::{ConcurrencyPolicy, JobState, Pipeline, PipelineSpec, RetryScope, Secrets},
    engine::{Error, TriggerRequest, Update},
};

use super::world::{World, caller, spec, trigger_of};

fn secrets() -> Secrets {
    [("TOKEN", "hunter2-pass")].into_iter().collect()
}

fn plain_spec() -> PipelineSpec {
    spec(&["s"], ConcurrencyPolicy::Allow)
}

fn secret_spec() -> PipelineSpec {
    PipelineSpec {
        secret_variables: secrets(),
        ..plain_spec()
    }
}

fn assert_refused<T: std::fmt::Debug>(result: Result<T, Error>) {
    let error = result.unwrap_err();
    assert!(matches!(error, Error::EncryptionKeyRequired), "{error}");
    assert_eq!(
        error.to_string(),
        "secrets cannot be stored, because the service has no encryption key: create one with \
         `pipewright key generate --out FILE`, and start the service with --encryption-key-file \
         FILE"
    );
}

async fn update(
    world: &World,
    pipeline: &Pipeline,
    spec: PipelineSpec,
    validate_only: bool,
) -> Result<Arc<Pipeline>, Error> {
    let update = Update {
        id: pipeline.id,
        etag: "",
        change: &|_| Ok(spec.clone()),
        validate_only,
    };
    world.engine.pipelines().update(&caller(), update).await
}

#[tokio::test(start_paused = true)]
async fn a_pipeline_with_secrets_needs_a_key() {
    let world = World::new().await;
    world.store.without_key(true);
    for validate_only in [true, false] {
        let pipelines = world.engine.pipelines();
        let project = "default".to_owned();
        let created = pipelines
            .create(&caller(), project, secret_spec(), validate_only)
            .await;
        assert_refused(created);
    }
    let pipeline = world.create(plain_spec()).await.unwrap();
    for validate_only in [true, false] {
        assert_refused(update(&world, &pipeline, secret_spec(), validate_only).await);
    }
    world.store.without_key(false);
    update(&world, &pipeline, secret_spec(), false)
        .await
        .unwrap();
}

/// A revision has all secrets of the pipeline, also those that the update left alone.
#[tokio::test(start_paused = true)]
async fn every_revision_with_secrets_needs_a_key() {
    let world = World::new().await;
    let pipeline = world.create(secret_spec()).await.unwrap();
    world.store.without_key(true);
    let renamed = |spec: PipelineSpec| PipelineSpec {
        name: "renamed".to_owned(),
        ..spec
    };
    assert_refused(update(&world, &pipeline, renamed(secret_spec()), false).await);
    // Nothing changes, so nothing is stored.
    let same = update(&world, &pipeline, secret_spec(), false).await;
    assert_eq!(same.unwrap().revision, 1);
    let without = update(&world, &pipeline, renamed(plain_spec()), false).await;
    assert_eq!(without.unwrap().revision, 2);
}

#[tokio::test(start_paused = true)]
async fn a_job_with_secrets_of_its_own_needs_a_key() {
    let world = World::new().await;
    let pipeline = world.create(secret_spec()).await.unwrap();
    let request = |validate_only| TriggerRequest {
        secret_variables: secrets(),
        validate_only,
        ..trigger_of(pipeline.id)
    };
    let jobs = world.engine.jobs();
    let job = jobs.trigger(&caller(), request(false)).await.unwrap();
    let ended = jobs.cancel(&caller(), job.id, String::new()).await.unwrap();
    assert_eq!(ended.job.state, JobState::Cancelled);

    world.store.without_key(true);
    for validate_only in [true, false] {
        assert_refused(jobs.trigger(&caller(), request(validate_only)).await);
    }
    // The new job would have the secrets of the one that it repeats.
    let retried = jobs.retry(&caller(), job.id, RetryScope::AllStages).await;
    assert_refused(retried);
    // A job refers to its revision, and has no copy of its secrets.
    world.trigger(pipeline.id).await.unwrap();
}
