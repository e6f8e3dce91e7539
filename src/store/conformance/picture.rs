use std::fmt::Write;

use super::{
    super::{Account, FactsFilter, JobFilter, PipelineFilter, RecordQuery, Store},
    world::{COLLECTIONS, KINDS},
};

/// The accounts whose bytes are shown.
const ACCOUNTS: [fn() -> Account; 4] = [
    || Account::Store,
    || Account::Project("default".to_owned()),
    || Account::Project("other".to_owned()),
    || Account::Principal("alice".to_owned()),
];

/// Everything that a store reports, one line per item.
pub(super) async fn picture(store: &dyn Store) -> String {
    let mut picture = String::new();
    of_pipelines(store, &mut picture).await;
    of_jobs(store, &mut picture).await;
    of_dispatch(store, &mut picture).await;
    of_the_rest(store, &mut picture).await;
    picture
}

fn put(picture: &mut String, name: &str, what: &impl std::fmt::Debug) {
    writeln!(picture, "{name}: {what:?}").expect("a string takes all that is written to it");
}

async fn of_pipelines(store: &dyn Store, picture: &mut String) {
    let filter = PipelineFilter::default();
    for pipeline in store.list_pipelines(&filter, None, 1_000).await.unwrap() {
        let id = pipeline.id;
        put(picture, "pipeline", &store.pipeline(id).await.unwrap());
        put(picture, "active", &store.active_jobs(id).await.unwrap());
        for revision in 1..=pipeline.revision.min(4) {
            let revision = store.revision(id, revision).await.unwrap();
            put(picture, "revision", &revision);
        }
    }
    let mut held = store.pipelines_with_held_jobs().await.unwrap();
    held.sort_unstable();
    put(picture, "held", &held);
}

async fn of_jobs(store: &dyn Store, picture: &mut String) {
    let filter = JobFilter::default();
    for job in store.list_jobs(&filter, None, 10_000).await.unwrap() {
        put(picture, "job", &job);
        put(picture, "events", &store.events(job.id, 0).await.unwrap());
        put(picture, "bindings", &store.bindings(job.id).await.unwrap());
        put(
            picture,
            "lost",
            &store.lost_workspaces(job.id).await.unwrap(),
        );
    }
    let expired = store.expired_jobs(0, super::world::at(1_000_000)).await;
    put(picture, "ended", &expired.unwrap());
}

async fn of_dispatch(store: &dyn Store, picture: &mut String) {
    for runner in store.list_runners(None, 1_000).await.unwrap() {
        put(picture, "runner", &runner);
        let bound = store.bound_jobs(runner.row.id).await.unwrap();
        put(picture, "bound", &bound);
    }
    put(picture, "waiting", &store.ready_stages().await.unwrap());
    put(picture, "head", &store.head_of_queue().await.unwrap());
    put(picture, "due lease", &store.next_due_lease().await.unwrap());
    put(picture, "next token", &store.next_token().await.unwrap());
}

async fn of_the_rest(store: &dyn Store, picture: &mut String) {
    for collection in COLLECTIONS {
        let query = RecordQuery {
            collection,
            limit: 1_000,
            ..RecordQuery::default()
        };
        put(picture, "records", &store.records(&query).await.unwrap());
    }
    for kind in KINDS {
        put(picture, "work", &store.count_due(kind).await.unwrap());
        put(picture, "next work", &store.next_due(kind).await.unwrap());
    }
    let filter = FactsFilter {
        limit: 1_000,
        ..FactsFilter::default()
    };
    put(picture, "facts", &store.facts(&filter).await.unwrap());
    for account in ACCOUNTS {
        let account = account();
        put(picture, "used", &store.used(&account).await.unwrap());
        let ended = store.ended_jobs(&account, None, 1_000).await.unwrap();
        put(picture, "evictable", &ended);
        let revised = store.revised_pipelines(&account, None, 1_000).await;
        put(picture, "revised", &revised.unwrap());
    }
    put(picture, "usage", &store.usage().await.unwrap());
    put(picture, "instance", &store.instance().id);
}
