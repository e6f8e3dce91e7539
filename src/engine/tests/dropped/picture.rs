use crate::{
    domain::Job,
    engine::tests::world::{World, caller},
    store::{
        JobFilter, JobStore, LeaseStore, PipelineStore, RecordQuery, RecordStore, collections,
    },
};

const ALL: usize = 100;

/// Everything that calls change, without the values that differ in each world: ids,
/// tokens and times.
pub(super) async fn picture(world: &World) -> Vec<String> {
    let mut lines = Vec::new();
    let store = &world.store;
    let query = RecordQuery {
        collection: collections::PROJECTS,
        limit: ALL,
        ..RecordQuery::default()
    };
    for record in store.records(&query).await.unwrap() {
        lines.push(format!("project {} {}", record.key, record.version));
    }
    let pipelines = store.list_pipelines(&Default::default(), None, ALL).await;
    for pipeline in pipelines.unwrap() {
        lines.push(format!(
            "pipeline {}/{} {}",
            pipeline.project, pipeline.spec.name, pipeline.revision
        ));
    }
    let jobs = store.list_jobs(&JobFilter::default(), None, ALL).await;
    for job in jobs.unwrap() {
        lines.push(job_line(world, &job).await);
    }
    for runner in store.list_runners(None, ALL).await.unwrap() {
        let registration = &runner.row.registration;
        let leases: Vec<_> = runner.leases.iter().map(|lease| lease.state).collect();
        lines.push(format!(
            "runner {} {} drains: {} {leases:?}",
            registration.display_name, registration.version, runner.row.is_draining
        ));
    }
    let ready = store.ready_stages().await.unwrap();
    lines.push(format!("ready {ready}"));
    lines.sort();
    lines
}

async fn job_line(world: &World, job: &Job) -> String {
    let runs = job.stage_runs.iter().map(|run| {
        let (stage, attempt) = (run.stage, run.attempt);
        format!(
            "{stage}.{attempt} {:?} {}%",
            run.state, run.progress_percent
        )
    });
    let runs: Vec<_> = runs.collect();
    let view = world.engine.jobs().get(&caller(), job.id).await.unwrap();
    let logs: Vec<_> = view.stages.iter().map(|stage| stage.log.size).collect();
    let name = &job.pipeline.spec.name;
    format!(
        "job {name} {} {:?} at {} {:?} commit {:?} {runs:?} logs {logs:?}",
        job.number,
        job.state,
        job.last_sequence,
        job.cancellation
            .as_ref()
            .map(|cancel| cancel.principal.clone()),
        job.commit_id
    )
}
