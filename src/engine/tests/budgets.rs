//! Calls keep to the budgets of memory: what may go is evicted for them, and only then are
//! they refused.

use std::sync::Arc;

use uuid::Uuid;

use crate::{
    auth::{Grants, Principal},
    domain::{
        ConcurrencyPolicy, Job, JobId, JobState, Outcome, Pipeline, PipelineId, PipelineSpec,
        Project, RetryScope, StageAction, StageState, Variables,
    },
    engine::{Call, Error, MemoryLimits, ProjectDraft, ProjectUpdate, TriggerRequest, Update},
    store::{Account, UsageStore},
};

use super::world::{SECOND, World, caller, repeatable, spec, stage, trigger_of};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// Which budget is the small one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Budget {
    Store,
    Project,
    Caller,
}

impl Budget {
    const ALL: [Self; 3] = [Self::Store, Self::Project, Self::Caller];

    fn limits(self, bytes: u64) -> MemoryLimits {
        let limit = |budget| if self == budget { Some(bytes) } else { None };
        MemoryLimits {
            total: limit(Self::Store),
            project: limit(Self::Project),
            caller: limit(Self::Caller),
        }
    }

    fn account(self) -> Account {
        match self {
            Self::Store => Account::Store,
            Self::Project => Account::Project("default".to_owned()),
            Self::Caller => Account::Principal("alice".to_owned()),
        }
    }
}

async fn world(budget: Budget, bytes: u64) -> World {
    World::with_memory(budget.limits(bytes)).await
}

async fn used(world: &World, budget: Budget) -> u64 {
    world.store.used(&budget.account()).await.unwrap()
}

fn named(name: &str) -> PipelineSpec {
    PipelineSpec {
        name: name.to_owned(),
        ..spec(&["s"], ConcurrencyPolicy::Allow)
    }
}

/// A stage whose command has so many bytes.
fn large(name: &str, bytes: usize) -> PipelineSpec {
    let mut one = stage("s");
    one.action = StageAction::Command("x".repeat(bytes));
    PipelineSpec {
        stages: vec![one].into(),
        ..named(name)
    }
}

fn of_kib(kib: usize) -> Variables {
    let values = (0..kib).map(|number| (format!("V{number}"), "x".repeat(1024)));
    values.collect()
}

fn caller_named(name: &str) -> Call {
    let principal = Principal {
        name: name.to_owned(),
        grants: Grants::everything(),
    };
    let mut call = caller();
    call.authority.principal = Arc::new(principal);
    call
}

async fn trigger(world: &World, id: PipelineId, kib: usize) -> Result<Arc<Job>, Error> {
    trigger_as(world, &caller(), id, kib).await
}

async fn trigger_as(
    world: &World,
    call: &Call,
    id: PipelineId,
    kib: usize,
) -> Result<Arc<Job>, Error> {
    let request = TriggerRequest {
        variables: of_kib(kib),
        ..trigger_of(id)
    };
    world.engine.jobs().trigger(call, request).await
}

async fn cancel(world: &World, id: JobId) {
    let jobs = world.engine.jobs();
    jobs.cancel(&caller(), id, String::new()).await.unwrap();
}

/// Jobs that wait, until no further one is accepted; and the refusal.
async fn fill(world: &World, id: PipelineId, kib: usize) -> (Vec<JobId>, Error) {
    let mut waiting = Vec::new();
    loop {
        match trigger(world, id, kib).await {
            Ok(job) => waiting.push(job.id),
            Err(refused) => return (waiting, refused),
        }
    }
}

async fn is_kept(world: &World, id: JobId) -> bool {
    let found = world.engine.jobs().get(&caller(), id).await;
    found.is_ok()
}

fn is_of(refused: &Error, budget: Budget) -> bool {
    matches!(refused, Error::OverBudget(over) if over.limit.account == budget.account())
}

async fn update(world: &World, id: PipelineId, bytes: usize, n: usize) -> Result<(), Error> {
    let change = |pipeline: &Pipeline| {
        Ok(PipelineSpec {
            annotations: [("number".to_owned(), n.to_string())].into(),
            ..large(&pipeline.spec.name, bytes)
        })
    };
    let update = Update {
        id,
        etag: "",
        change: &change,
        validate_only: false,
    };
    let pipelines = world.engine.pipelines();
    pipelines.update(&caller(), update).await.map(drop)
}

fn of_default(change: &(dyn Fn(&Project) -> ProjectDraft + Send + Sync)) -> ProjectUpdate<'_> {
    ProjectUpdate {
        name: "default",
        etag: "",
        change,
        validate_only: false,
    }
}

fn unchanged(project: &Project) -> ProjectDraft {
    ProjectDraft {
        name: project.name.clone(),
        description: project.description.clone(),
        annotations: project.annotations.clone(),
    }
}

#[tokio::test(start_paused = true)]
async fn jobs_that_were_cancelled_make_room_for_new_ones() {
    for budget in Budget::ALL {
        let world = world(budget, MIB).await;
        let pipeline = world.create(named("p")).await.unwrap();
        let mut newest = JobId(Uuid::nil());
        for _ in 0..100 {
            newest = trigger(&world, pipeline.id, 60).await.unwrap().id;
            cancel(&world, newest).await;
            assert!(used(&world, budget).await <= MIB + 4 * KIB, "{budget:?}");
        }
        assert!(is_kept(&world, newest).await);
    }
}

#[tokio::test(start_paused = true)]
async fn revisions_make_room_for_the_next_ones() {
    for budget in Budget::ALL {
        let world = world(budget, MIB).await;
        let pipeline = world.create(named("p")).await.unwrap().id;
        let run = trigger(&world, pipeline, 1).await.unwrap().id;
        for number in 0..100 {
            update(&world, pipeline, 60_000, number).await.unwrap();
            assert!(used(&world, budget).await <= MIB, "{budget:?}");
        }
        let (pipelines, call) = (world.engine.pipelines(), caller());
        let get = |revision| pipelines.get(&call, pipeline, Some(revision));
        // A job runs the first one.
        for kept in [1, 95, 101] {
            assert_eq!(get(kept).await.unwrap().revision, kept);
        }
        let gone = get(50).await;
        assert!(matches!(gone, Err(Error::RevisionNotFound { .. })));
        assert_eq!(world.job(run).await.state, JobState::Queued);
    }
}

#[tokio::test(start_paused = true)]
async fn a_budget_that_is_in_use_refuses_and_says_which_it_is() {
    for budget in Budget::ALL {
        let world = world(budget, MIB).await;
        let pipeline = world.create(named("p")).await.unwrap();
        let (waiting, refused) = fill(&world, pipeline.id, 60).await;
        assert!(is_of(&refused, budget), "{refused:?}");
        assert!(waiting.len() > 10, "{}", waiting.len());
        insta::with_settings!({ filters => [(r"\d{5,}", "N")] }, {
            insta::assert_snapshot!(format!("refused_{budget:?}"), refused);
        });
        // None of those that wait had to go, and one that ends makes room.
        for id in &waiting {
            assert_eq!(world.job(*id).await.state, JobState::Queued);
        }
        cancel(&world, waiting[0]).await;
        trigger(&world, pipeline.id, 60).await.unwrap();
        assert!(!is_kept(&world, waiting[0]).await);
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_budget_refuses_every_call_that_stores_something_and_no_other() {
    let world = world(Budget::Store, MIB).await;
    let pipeline = world.create(named("p")).await.unwrap();
    let first = trigger(&world, pipeline.id, 1).await.unwrap().id;
    cancel(&world, first).await;
    // Followed, so that it stays.
    let jobs = world.engine.jobs();
    let _watch = jobs.watch(&caller(), first, None).await.unwrap();
    fill(&world, pipeline.id, 60).await;
    let (waiting, _) = fill(&world, pipeline.id, 1).await;
    fill(&world, pipeline.id, 0).await;

    let projects = world.engine.projects();
    let annotated = |name: &str, kib| ProjectDraft {
        name: name.to_owned(),
        description: String::new(),
        annotations: of_kib(kib),
    };
    let change = |_: &_| annotated("default", 15);
    let refusals = [
        ("create", world.create(named("q")).await.map(drop)),
        ("update", update(&world, pipeline.id, 2_000, 1).await),
        ("trigger", trigger(&world, pipeline.id, 1).await.map(drop)),
        ("retry", {
            let retried = jobs.retry(&caller(), first, RetryScope::AllStages).await;
            retried.map(drop)
        }),
        ("create project", {
            let made = projects.create(&caller(), annotated("q", 3), false).await;
            made.map(drop)
        }),
        ("update project", {
            projects
                .update(&caller(), of_default(&change))
                .await
                .map(drop)
        }),
    ];
    for (call, result) in refusals {
        let refused = result.expect_err(call);
        assert!(is_of(&refused, Budget::Store), "{call}: {refused:?}");
    }
    // Idempotency records are small, but there is an end to them, too.
    let refused = loop {
        if let Err(refused) = projects.update(&repeatable(), of_default(&unchanged)).await {
            break refused;
        }
    };
    assert!(is_of(&refused, Budget::Store), "{refused:?}");
    // Reads, cancels and deletions go on.
    assert!(is_kept(&world, first).await);
    cancel(&world, waiting[0]).await;
    let delete = world.engine.pipelines();
    delete
        .delete(&repeatable(), pipeline.id, "", true)
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_caller_takes_nothing_from_the_others() {
    let world = world(Budget::Caller, MIB).await;
    let pipeline = world.create(named("p")).await.unwrap();
    let other = caller_named("another");
    let theirs = trigger_as(&world, &other, pipeline.id, 60).await.unwrap();
    world
        .engine
        .jobs()
        .cancel(&other, theirs.id, String::new())
        .await
        .unwrap();
    let (_, refused) = fill(&world, pipeline.id, 60).await;
    assert!(is_of(&refused, Budget::Caller), "{refused:?}");
    assert!(is_kept(&world, theirs.id).await);
    trigger_as(&world, &other, pipeline.id, 60).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_update_counts_for_the_creator_of_the_pipeline() {
    let world = world(Budget::Caller, MIB).await;
    let pipeline = world.create(named("p")).await.unwrap();
    fill(&world, pipeline.id, 60).await;
    let change = |_: &Pipeline| Ok(large("p", 60_000));
    let update = Update {
        id: pipeline.id,
        etag: "",
        change: &change,
        validate_only: false,
    };
    let updated = world
        .engine
        .pipelines()
        .update(&caller_named("another"), update)
        .await;
    assert!(is_of(&updated.unwrap_err(), Budget::Caller));
}

#[tokio::test(start_paused = true)]
async fn those_go_first_that_never_ran_and_none_that_is_followed() {
    let world = world(Budget::Project, MIB).await;
    let pipeline = world.create(named("p")).await.unwrap();
    let runner = world.runner("r", 1).await;
    let mut ran = Vec::new();
    for _ in 0..4 {
        ran.push(trigger(&world, pipeline.id, 60).await.unwrap().id);
        let proof = runner.started().await.proof;
        runner.complete(proof, Outcome::Succeeded).await.unwrap();
    }
    let jobs = world.engine.jobs();
    let mut never_ran = Vec::new();
    for _ in 0..4 {
        let id = trigger(&world, pipeline.id, 60).await.unwrap().id;
        cancel(&world, id).await;
        never_ran.push(id);
    }
    let watch = jobs.watch(&caller(), never_ran[0], None).await.unwrap();
    let kept = async |ids: &[JobId]| {
        let mut kept = Vec::new();
        for id in ids {
            kept.push(is_kept(&world, *id).await);
        }
        kept
    };
    while kept(&ran).await == [true; 4] {
        trigger(&world, pipeline.id, 60).await.unwrap();
        if kept(&never_ran).await[1] {
            assert_eq!(kept(&ran).await, [true; 4]);
        }
    }
    assert_eq!(kept(&never_ran).await, [true, false, false, false]);
    // The oldest of the others, and not the newest.
    assert_eq!((kept(&ran).await[0], kept(&ran).await[3]), (false, true));
    drop(watch);
    fill(&world, pipeline.id, 60).await;
    assert_eq!(kept(&never_ran).await, [false; 4]);
}

#[tokio::test(start_paused = true)]
async fn what_a_runner_reports_is_never_refused() {
    let world = world(Budget::Store, MIB).await;
    let two = spec(&["a", "b"], ConcurrencyPolicy::Allow);
    let pipeline = world.create(two).await.unwrap();
    for kib in [60, 8, 1, 0] {
        fill(&world, pipeline.id, kib).await;
    }
    let runner = world.runner("r", 1).await;
    let first = runner.started().await;
    runner
        .complete(first.proof, Outcome::Succeeded)
        .await
        .unwrap();
    let second = runner.take(SECOND).await.unwrap();
    assert_eq!(first.work.job_id, second.work.job_id);
    runner.renew(second.proof).await.unwrap();
    runner
        .complete(second.proof, Outcome::Succeeded)
        .await
        .unwrap();
    let states = world.states(first.work.job_id).await;
    assert_eq!(states, [StageState::Succeeded; 2]);
}

#[tokio::test(start_paused = true)]
async fn old_revisions_of_other_pipelines_make_room_too() {
    let world = world(Budget::Caller, MIB).await;
    let busy = world.create(named("busy")).await.unwrap();
    for number in 0..12 {
        update(&world, busy.id, 60_000, number).await.unwrap();
    }
    for number in 0..12 {
        world
            .create(large(&format!("p{number}"), 60_000))
            .await
            .unwrap();
    }
    assert!(used(&world, Budget::Caller).await <= MIB);
}

#[tokio::test(start_paused = true)]
async fn what_no_eviction_makes_fit_evicts_nothing() {
    let world = world(Budget::Caller, 100 * KIB).await;
    let pipeline = world.create(named("p")).await.unwrap();
    let job = trigger(&world, pipeline.id, 10).await.unwrap();
    cancel(&world, job.id).await;
    world.create(large("q", 64 * 1024)).await.unwrap();
    let mut two = large("r", 64 * 1024);
    two.stages = ["a", "b"]
        .map(|name| crate::domain::Stage {
            action: StageAction::Command("x".repeat(64 * 1024)),
            ..stage(name)
        })
        .into();
    let refused = world.create(two).await.unwrap_err();
    assert!(is_of(&refused, Budget::Caller), "{refused:?}");
    assert!(is_kept(&world, job.id).await);
}

#[tokio::test(start_paused = true)]
async fn an_unchanged_project_notes_the_request_id() {
    let world = World::new().await;
    let call = repeatable();
    let projects = world.engine.projects();
    let first = projects
        .update(&call, of_default(&unchanged))
        .await
        .unwrap();
    let again = projects
        .update(&call, of_default(&unchanged))
        .await
        .unwrap();
    assert_eq!(first.etag(), again.etag());
    let mut other = call;
    if let Some(request) = &mut other.request {
        request.fingerprint = [8; 32];
    }
    let reused = projects.update(&other, of_default(&unchanged)).await;
    assert!(matches!(reused, Err(Error::RequestIdReused)));
}
