use std::{collections::BTreeSet, sync::Arc};

use crate::domain::{Command, Outcome, Pipeline, PipelineId, PipelineSpec, limits};

use super::{
    super::{Batch, CommitError, PipelineFilter, PipelineWrite, Write},
    Tested,
    runner_steps::*,
    world::*,
};

pub(crate) async fn a_conflict_is_found_for_pipelines(mut store: Tested) {
    let p = stored(&store, &pipeline(1, "p")).await;
    let version = store.pipeline(p.id).await.unwrap().unwrap().version;
    let revised = |default_ref: &str| {
        let spec = PipelineSpec {
            git_repository: REPOSITORY.to_owned(),
            default_ref: default_ref.to_owned(),
            ..p.spec.clone()
        };
        Arc::new(p.revised(spec, at(1)).unwrap().unwrap())
    };
    store
        .commit(write(PipelineWrite::Revise(revised("a"), version)))
        .await
        .unwrap();
    store.reopen().await;
    let stale = [
        PipelineWrite::Revise(revised("b"), version),
        PipelineWrite::AddJob(p.id, version),
        PipelineWrite::Delete(p.id, version),
    ];
    for stale in stale {
        assert!(is_conflict(store.commit(write(stale)).await));
    }
    let version = store.pipeline(p.id).await.unwrap().unwrap().version;
    store
        .commit(write(PipelineWrite::Delete(p.id, version)))
        .await
        .unwrap();
    assert!(store.pipeline(p.id).await.unwrap().is_none());
    assert!(is_conflict(
        store
            .commit(write(PipelineWrite::AddJob(p.id, version)))
            .await
    ));
}

pub(crate) async fn a_name_belongs_to_one_pipeline(mut store: Tested) {
    let p = stored(&store, &pipeline(1, "p")).await;
    let create = async |store: &Tested, pipeline| {
        let create = PipelineWrite::Create(pipeline);
        store.commit(write(create)).await
    };
    let taken = create(&store, pipeline(2, "p")).await;
    assert!(matches!(taken, Err(CommitError::NameTaken { .. })));
    assert!(store.pipeline(PipelineId(id(2))).await.unwrap().is_none());
    create(
        &store,
        pipeline_with(3, "p", "other", PipelineSpec::default()),
    )
    .await
    .unwrap();
    store.reopen().await;

    // A renamed pipeline releases its name and takes the new one.
    let p = store.pipeline(p.id).await.unwrap().unwrap().pipeline;
    let spec = PipelineSpec {
        name: "q".to_owned(),
        ..p.spec.clone()
    };
    let renamed = Arc::new(p.revised(spec, at(1)).unwrap().unwrap());
    store
        .commit(write(PipelineWrite::Revise(renamed, 1)))
        .await
        .unwrap();
    create(&store, pipeline(4, "p")).await.unwrap();
    assert!(matches!(
        create(&store, pipeline(5, "q")).await,
        Err(CommitError::NameTaken { .. })
    ));

    store.reopen().await;
    // So does a deleted pipeline.
    store
        .commit(write(PipelineWrite::Delete(p.id, 2)))
        .await
        .unwrap();
    create(&store, pipeline(5, "q")).await.unwrap();
}

async fn revise(store: &impl AnyStore, id: PipelineId, default_ref: String) -> Arc<Pipeline> {
    let state = store.pipeline(id).await.unwrap().unwrap();
    let spec = PipelineSpec {
        git_repository: REPOSITORY.to_owned(),
        default_ref,
        ..state.pipeline.spec.clone()
    };
    let revised = Arc::new(state.pipeline.revised(spec, at(1)).unwrap().unwrap());
    let revise = PipelineWrite::Revise(Arc::clone(&revised), state.version);
    store.commit(write(revise)).await.unwrap();
    revised
}

pub(crate) async fn revisions_stay_as_they_were(mut store: Tested) {
    let first = stored(&store, &pipeline(1, "p")).await;
    let second = revise(&store, first.id, "a".to_owned()).await;
    store.reopen().await;
    assert_eq!(
        store.revision(first.id, 1).await.unwrap(),
        Some(first.clone())
    );
    assert_eq!(store.revision(first.id, 2).await.unwrap(), Some(second));
    assert_eq!(store.revision(first.id, 3).await.unwrap(), None);
    assert_eq!(store.revision(PipelineId(id(9)), 1).await.unwrap(), None);
}

pub(crate) async fn revisions_beyond_the_limit_stay_with_their_jobs(mut store: Tested) {
    let p = stored(&store, &pipeline(1, "p")).await;
    let pipeline_id = p.id;
    let job = add_job(&store, new_job(&p, 10, 0, at(1))).await;
    drop(p);
    for number in 1..limits::MAX_REVISIONS + 2 {
        revise(&store, pipeline_id, format!("r{number}")).await;
    }
    store.reopen().await;
    // Revisions 1 and 2 are beyond the newest thousand; the job still runs the first.
    assert!(store.revision(pipeline_id, 1).await.unwrap().is_some());
    assert!(store.revision(pipeline_id, 2).await.unwrap().is_none());
    assert!(store.revision(pipeline_id, 3).await.unwrap().is_some());
    end_job(&store, job.id, at(2)).await;
    drop(job);
    store
        .commit(Batch::of([Write::RemoveJob(job_id(10))]))
        .await
        .unwrap();
    assert!(store.revision(pipeline_id, 1).await.unwrap().is_none());
}

pub(crate) async fn pipelines_are_listed_newest_first(mut store: Tested) {
    for number in 1..=9u128 {
        let project = if number % 2 == 0 { "even" } else { "odd" };
        let spec = PipelineSpec {
            git_repository: format!("https://example.com/{}.git", number % 3),
            ..PipelineSpec::default()
        };
        let name = format!("p{}", number / 2);
        stored(&store, &pipeline_with(number, &name, project, spec)).await;
    }
    store.reopen().await;
    let list = async |project: &str, name: &str, repository: &str, before: u128, limit| {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let filter = PipelineFilter {
            projects: text(project).map(|project| BTreeSet::from([project])),
            name: text(name),
            git_repository: text(repository),
        };
        let before = (before > 0).then(|| PipelineId(id(before)));
        let found = store.list_pipelines(&filter, before, limit).await.unwrap();
        found
            .iter()
            .map(|pipeline| pipeline.id.0.as_u128())
            .collect::<Vec<_>>()
    };
    let zero = "https://example.com/0.git";
    assert_eq!(list("", "", "", 0, 100).await, [9, 8, 7, 6, 5, 4, 3, 2, 1]);
    assert_eq!(list("", "", "", 0, 2).await, [9, 8]);
    assert_eq!(list("", "", "", 8, 3).await, [7, 6, 5]);
    assert_eq!(list("even", "", "", 0, 100).await, [8, 6, 4, 2]);
    assert_eq!(list("even", "", "", 6, 1).await, [4]);
    assert_eq!(list("", "p2", "", 0, 100).await, [5, 4]);
    assert_eq!(list("odd", "p2", "", 0, 100).await, [5]);
    assert_eq!(list("", "", zero, 0, 100).await, [9, 6, 3]);
    assert_eq!(list("odd", "", zero, 0, 100).await, [9, 3]);
    // A page is full even if the filter skips the newest.
    assert_eq!(list("even", "p2", "", 0, 1).await, [4]);
    assert_eq!(list("odd", "p9", "", 0, 100).await, [0u128; 0]);

    // The list shows the current state, not an earlier one.
    let eight = store.pipeline(PipelineId(id(8))).await.unwrap().unwrap();
    store
        .commit(write(PipelineWrite::Delete(eight.pipeline.id, 1)))
        .await
        .unwrap();
    assert_eq!(list("even", "", "", 0, 100).await, [6, 4, 2]);
}

pub(crate) async fn pipelines_with_held_jobs_are_found(mut store: Tested) {
    for number in 1..=3 {
        stored(&store, &pipeline(number, &format!("p{number}"))).await;
    }
    let of = async |store: &Tested, number: u128| {
        let state = store.pipeline(PipelineId(id(number))).await.unwrap();
        state.unwrap().pipeline
    };
    let held = async |store: &Tested| store.pipelines_with_held_jobs().await.unwrap();
    // In the second pipeline the oldest job runs, and one behind it waits.
    add_job(&store, held_job(&of(&store, 1).await, 11)).await;
    add_job(&store, new_job(&of(&store, 2).await, 21, 0, at(1))).await;
    add_job(&store, held_job(&of(&store, 2).await, 22)).await;
    store.reopen().await;
    assert_eq!(held(&store).await, [PipelineId(id(1))]);
    tell(&store, job_id(11), Command::Admit, at(2)).await;
    assert_eq!(held(&store).await, []);
    end_job(&store, job_id(21), at(2)).await;
    store.reopen().await;
    assert_eq!(held(&store).await, [PipelineId(id(2))]);
}

pub(crate) async fn durations_are_those_of_the_newest_job_that_succeeded(mut store: Tested) {
    let p = stored(&store, &parallel(1, &[&[]])).await;
    register(&store, runner(1, &[])).await;
    for number in 1..=4i64 {
        let of_id = 10 + u128::from(number.unsigned_abs());
        add_job(&store, numbered_job(&p, of_id, number, 0, at(1))).await;
    }
    let durations = async |store: &Tested| {
        let state = store.pipeline(p.id).await.unwrap().unwrap();
        let durations = state.durations;
        durations.map(|of_stages| of_stages.get("a").copied())
    };
    let mut leases = Vec::new();
    for _ in 1..=4 {
        leases.push(lease(&store, 1).await.expect("a stage of each job"));
    }
    assert_eq!(durations(&store).await, None);
    // The number of the job decides, not when it ends; failed jobs do not count.
    for (number, outcome, took, known) in [
        (1, Outcome::Succeeded, 3, 3_000),
        (3, Outcome::Succeeded, 5, 5_000),
        (2, Outcome::Succeeded, 7, 5_000),
        (4, Outcome::CommandFailed, 9, 5_000),
    ] {
        let row = leases[number - 1];
        begin(&store, &row).await;
        complete_at(&store, &row, outcome, at(ASKED + took)).await;
        store.reopen().await;
        assert_eq!(durations(&store).await, Some(Some(known)), "{number}");
    }
}
