//! A store with an item of every kind, and batches of writes of every kind.

use std::sync::Arc;

use bytes::Bytes;

use crate::domain::{FencingToken, JobFacts, LostWorkspace, Pipeline, PipelineSpec};

use super::{
    super::{
        Answer, Batch, BatchId, DueWork, DueWrite, KeptAnswer, LeaseRow, LeaseWrite, PipelineWrite,
        Precondition, Record, RecordWrite, RequestKey, WorkKey, Write,
    },
    Tested,
    runner_steps::*,
    world::*,
};

/// Pipelines 1 to 3, jobs 10 (runs on runner 1), 20 (waits) and 30 (has ended), an
/// offered lease, a void lease, a record and claimed work.
pub(super) struct Scene {
    pub(super) pipelines: [Arc<Pipeline>; 3],
    pub(super) confirmed: LeaseRow,
    pub(super) offered: LeaseRow,
    pub(super) void: LeaseRow,
    work: u64,
}

pub(super) fn record(key: &str, version: u64) -> Record {
    Record {
        key: key.to_owned(),
        project: String::new(),
        principal: String::new(),
        version,
        body: Bytes::new(),
        expires: None,
        indexes: Vec::new(),
    }
}

fn due(name: &str) -> DueWork {
    DueWork {
        key: work_key(name),
        at: at(1),
        order_key: None,
        attempts: 0,
        body: Bytes::new(),
    }
}

fn work_key(name: &str) -> WorkKey {
    WorkKey {
        kind: "work",
        key: name.to_owned(),
    }
}

pub(super) fn key(number: u128) -> RequestKey {
    RequestKey {
        principal: "alice".to_owned(),
        method: "Call".to_owned(),
        request_id: id(number),
    }
}

fn kept() -> KeptAnswer {
    KeptAnswer {
        fingerprint: [7; 32],
        answer: Answer::Nothing,
        time: at(1),
    }
}

impl Scene {
    pub(super) async fn in_store(store: &Tested) -> Self {
        let mut pipelines = Vec::new();
        for number in 1..=3 {
            pipelines.push(stored(store, &parallel(number, &[&[], &[], &[]])).await);
        }
        let pipelines: [Arc<Pipeline>; 3] = pipelines.try_into().expect("three of them");
        register(store, runner(1, &[])).await;
        add_job(store, numbered_job(&pipelines[0], 10, 1, 0, at(1))).await;
        let void = lease(store, 1).await.unwrap();
        begin(store, &void).await;
        store.due_leases(at(CONFIRMED_UNTIL)).await.unwrap();
        let confirmed = lease(store, 1).await.unwrap();
        begin(store, &confirmed).await;
        let offered = lease(store, 1).await.unwrap();
        add_job(store, numbered_job(&pipelines[1], 20, 1, 0, at(1))).await;
        add_job(store, numbered_job(&pipelines[2], 30, 1, 0, at(1))).await;
        end_job(store, job_id(30), at(2)).await;
        let batch = Batch {
            answer: Some((key(1), kept())),
            ..Batch::of([
                Write::Record(RecordWrite::Put("things", record("a", 1))),
                Write::Due(DueWrite::Add(due("a"))),
            ])
        };
        store.commit(batch).await.unwrap();
        let claimed = store.claim_due("work", id(7), at(1), at(10), 1).await;
        Self {
            pipelines,
            confirmed,
            offered,
            void,
            work: claimed.unwrap()[0].token,
        }
    }

    /// A batch of writes of all kinds that is committed.
    pub(super) async fn good(&self, store: &Tested) -> Batch {
        let [one, two, _] = &self.pipelines;
        let cancelled = decided(&*job(store, job_id(20)).await, cancel(), at(3));
        let facts = JobFacts::of(&cancelled.job).expect("it has ended");
        let lost = LostWorkspace {
            runner_id: runner_id(1),
            offer: offer(&[]),
            before: FencingToken(i64::MAX),
        };
        let lose = LeaseWrite::LoseWorkspace {
            job_id: job_id(10),
            lost,
        };
        let (id, token) = (self.void.id, self.void.token);
        Batch {
            id: BatchId(4_711),
            preconditions: vec![
                Precondition::RecordVersion {
                    collection: "things",
                    key: "none".to_owned(),
                    version: 0,
                },
                Precondition::ProjectIsEmpty("none".to_owned()),
            ],
            answer: Some((key(2), kept())),
            limits: Vec::new(),
            writes: vec![
                Write::Pipeline(PipelineWrite::AddJob(one.id, 2)),
                Write::Job(numbered_job(one, 11, 2, 0, at(3))),
                Write::Pipeline(PipelineWrite::Delete(two.id, 2)),
                Write::Job(cancelled),
                Write::Facts(Arc::new(facts)),
                Write::Pipeline(PipelineWrite::Create(pipeline(4, "new"))),
                Write::RemoveJob(job_id(30)),
                Write::Lease(end(&self.confirmed, false)),
                Write::Lease(LeaseWrite::Settle { id, token }),
                Write::Lease(lose),
                Write::Record(RecordWrite::Put("things", record("a", 2))),
                Write::Record(RecordWrite::Put("things", record("b", 1))),
                Write::Due(DueWrite::Done(work_key("a"), self.work)),
                Write::Due(DueWrite::Add(due("b"))),
            ],
        }
    }

    /// Writes of each kind that are rejected, with their names.
    pub(super) async fn stale(&self, store: &Tested) -> Vec<(&'static str, Batch)> {
        let [_, _, three] = &self.pipelines;
        let spec = PipelineSpec {
            git_repository: REPOSITORY.to_owned(),
            default_ref: "main".to_owned(),
            ..three.spec.clone()
        };
        let revised = Arc::new(three.revised(spec, at(3)).unwrap().unwrap());
        let old = LeaseRow {
            token: FencingToken(1),
            ..self.offered
        };
        let of = |write| Batch::of([write]);
        let (id, token) = (self.offered.id, self.offered.token);
        let record = |write| of(Write::Record(write));
        let work = |write| of(Write::Due(write));
        let wants = |wanted| Batch {
            preconditions: vec![wanted],
            ..Batch::default()
        };
        let mut late = decided(&*job(store, job_id(10)).await, cancel(), at(3));
        late.events.remove(0);
        let pipeline_is = |write| of(Write::Pipeline(write));
        vec![
            ("revision", pipeline_is(PipelineWrite::Revise(revised, 1))),
            ("new job", pipeline_is(PipelineWrite::AddJob(three.id, 3))),
            ("deletion", pipeline_is(PipelineWrite::Delete(three.id, 1))),
            (
                "known",
                pipeline_is(PipelineWrite::Create(Arc::clone(three))),
            ),
            (
                "name",
                pipeline_is(PipelineWrite::Create(pipeline(5, "p1"))),
            ),
            ("events", job_batch(late)),
            ("active job", of(Write::RemoveJob(job_id(10)))),
            ("confirm", of(Write::Lease(confirm(&old)))),
            ("void", of(Write::Lease(confirm(&self.void)))),
            ("end", of(Write::Lease(end(&old, true)))),
            ("settle", of(Write::Lease(LeaseWrite::Settle { id, token }))),
            (
                "put",
                record(RecordWrite::Put("projects", self::record("a", 2))),
            ),
            (
                "delete",
                record(RecordWrite::Delete("projects", "a".to_owned(), 1)),
            ),
            ("done", work(DueWrite::Done(work_key("c"), self.work))),
            ("again", work(DueWrite::Again(work_key("c"), 0, at(9)))),
            (
                "version",
                wants(Precondition::RecordVersion {
                    collection: "things",
                    key: "a".to_owned(),
                    version: 2,
                }),
            ),
            (
                "project",
                wants(Precondition::ProjectIsEmpty("default".to_owned())),
            ),
            (
                "answer",
                Batch {
                    answer: Some((key(1), kept())),
                    ..Batch::default()
                },
            ),
        ]
    }
}
