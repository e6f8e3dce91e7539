//! The values in the golden files: every field is set, and none to its default.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use uuid::Uuid;

use crate::{
    domain::{
        ActionKind, CancelCause, Cancellation, Change, ConcurrencyPolicy, Event, Failure,
        FailureReason, FencingToken, Holder, Job, JobFacts, JobId, JobState, LeaseId, LogLoss,
        LogSummary, LostWorkspace, Made, Offer, Origin, Pipeline, PipelineId, PipelineSpec,
        Project, RunCondition, RunKey, RunnerId, SessionId, Stage, StageAction, StageCounts,
        StageGraph, StageRun, StageState, StageTimes, StageType, TraceContext, Trigger,
        TriggerSource, Variables, lease::Registration,
    },
    store::{
        Answer, DeadLetter, Instance, KeptAnswer, KeyId, LeaseRow, LeaseState, Lifetime,
        ReadyStage, RunnerRow,
        codec::{
            PipelineHead, StoredBinding, StoredDataKey, StoredDue, StoredDurations, StoredInstance,
            StoredRecord,
        },
    },
};

fn uuid(number: u128) -> Uuid {
    Uuid::from_u128((0x0190_0000_0000_7000_8000_0000_0000 << 16) + number)
}

fn time(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::new(1_790_000_000 + seconds, 123_456_789)
}

fn variables(entries: &[(&str, &str)]) -> Variables {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    entries.iter().map(owned).collect()
}

fn stage(name: &str, stage_type: StageType, needs: &[&str]) -> Stage {
    Stage {
        name: name.to_owned(),
        stage_type,
        action: StageAction::Command(format!("make {name}")),
        timeout: Duration::new(90, 7),
        needs: needs.iter().map(|need| (*need).to_owned()).collect(),
        run_condition: RunCondition::OnSuccess,
        variables: variables(&[("LEVEL", "3")]),
        runner_labels: variables(&[("os", "linux")]),
        working_directory: "sub/dir".to_owned(),
    }
}

pub(super) fn pipeline() -> Arc<Pipeline> {
    let tidy = Stage {
        run_condition: RunCondition::Always,
        ..stage("tidy", StageType::Run, &["ship"])
    };
    let spec = PipelineSpec {
        name: "shop".to_owned(),
        git_repository: "https://example.com/shop.git".to_owned(),
        default_ref: "main".to_owned(),
        stages: [
            stage("build", StageType::Build, &[]),
            stage("ship", StageType::Deploy, &["build"]),
            tidy,
        ]
        .into(),
        parallel: true,
        variables: variables(&[("CI", "yes"), ("MODE", "fast")]),
        secret_variables: [("TOKEN", "hunter2"), ("KEY", "äöü")].into_iter().collect(),
        concurrency_policy: ConcurrencyPolicy::CancelRunning,
        annotations: variables(&[("team", "a")]),
    };
    Arc::new(Pipeline {
        id: PipelineId(uuid(1)),
        project: "default".to_owned(),
        revision: 7,
        create_time: time(0),
        update_time: time(1),
        creator: "ada".to_owned(),
        graph: Arc::new(StageGraph::new(&spec).unwrap()),
        spec,
    })
}

pub(super) fn head() -> PipelineHead {
    PipelineHead {
        id: PipelineId(uuid(1)),
        newest_revision: 7,
        version: 300,
        jobs_created: 293,
        deleted: true,
        oldest_revision: 0,
    }
}

pub(super) fn head_with_forgotten() -> PipelineHead {
    PipelineHead {
        oldest_revision: 5,
        ..head()
    }
}

fn origin() -> Arc<Origin> {
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    Arc::new(Origin {
        id: JobId(uuid(2)),
        pipeline: pipeline(),
        number: 293,
        git_ref: "refs/heads/main".to_owned(),
        trigger: Trigger {
            source: TriggerSource::Retry,
            principal: "bob".to_owned(),
            trace: TraceContext::read(parent, "vendor=a").map(Arc::new),
        },
        retried_job_id: Some(JobId(uuid(3))),
        variables: variables(&[("DRY", "1")]),
        secret_variables: [("PIN", "1234")].into_iter().collect(),
        priority: -5,
        weights: vec![1_500, 20, 300],
        create_time: time(10),
    })
}

fn failure() -> Arc<Failure> {
    Arc::new(Failure {
        reason: FailureReason::TimedOut,
        message: "it took more than 90 s".to_owned(),
        stage_name: "ship".to_owned(),
    })
}

fn cancellation(cause: CancelCause) -> Arc<Cancellation> {
    Arc::new(Cancellation {
        cause,
        reason: "not needed".to_owned(),
        principal: "carol".to_owned(),
    })
}

/// Every field is set at the same time, which no real run has.
fn run(stage: usize) -> Arc<StageRun> {
    Arc::new(StageRun {
        stage,
        attempt: 2,
        state: StageState::Failed,
        progress_percent: 45,
        exit_code: Some(-9),
        failure: Some(failure()),
        holder: Some(Holder {
            runner_id: RunnerId(uuid(4)),
            token: FencingToken(1_000_001),
        }),
        log: LogSummary::from(5_000_000_000),
        queue_time: Some(time(11)),
        start_time: Some(time(12)),
        end_time: Some(time(13)),
        carried_from: Some(JobId(uuid(3))),
        returns: 3,
    })
}

/// The same, with bytes of its log missing.
fn run_without_its_log(stage: usize) -> Arc<StageRun> {
    Arc::new(StageRun {
        log: LogSummary {
            size: 5_000_000_000,
            loss: LogLoss {
                size_limit: 4_000_000_000,
                runner_dropped: 700,
                not_stored: 2_000_000,
            },
        },
        ..StageRun::clone(&run(stage))
    })
}

pub(super) fn job() -> Job {
    Job {
        origin: origin(),
        state: JobState::Failed,
        progress_percent: 99,
        stage_runs: vec![StageRun::pending(0), run(1), StageRun::pending(2)],
        commit_id: "0123456789abcdef0123456789abcdef01234567".to_owned(),
        failure: Some(failure()),
        start_time: Some(time(12)),
        end_time: Some(time(14)),
        last_sequence: 12,
        last_time: time(20),
        cancellation: Some(cancellation(CancelCause::Requested)),
    }
}

/// One of each kind of change, with the names of their golden files.
pub(super) fn events() -> Vec<(&'static str, Event)> {
    let superseded = CancelCause::Superseded(JobId(uuid(5)));
    let cancelling = |cause| Change::Cancelling(cancellation(cause));
    let progressed = Change::StageProgressed {
        run: RunKey {
            stage: 1,
            attempt: 2,
        },
        percent: 46,
    };
    let ended = Change::Ended {
        state: JobState::Failed,
        failure: Some(failure()),
    };
    let changes = [
        ("event-created", Change::Created(Made::Fresh(origin()))),
        (
            "event-created-whole",
            Change::Created(Made::Whole(Arc::new(job()))),
        ),
        ("event-started", Change::Started),
        (
            "event-commit-resolved",
            Change::CommitResolved("0123abcd".to_owned()),
        ),
        (
            "event-cancelling-requested",
            cancelling(CancelCause::Requested),
        ),
        ("event-cancelling-superseded", cancelling(superseded)),
        (
            "event-cancelling-pipeline-deleted",
            cancelling(CancelCause::PipelineDeleted),
        ),
        (
            "event-cancelling-server-stopped",
            cancelling(CancelCause::ServerStopped),
        ),
        ("event-stage-run-changed", Change::StageRunChanged(run(1))),
        (
            "event-stage-run-log-lost",
            Change::StageRunChanged(run_without_its_log(1)),
        ),
        ("event-stage-progressed", progressed),
        ("event-ended", ended),
    ];
    let event = |(name, change)| {
        let event = Event {
            sequence: 200,
            time: time(15),
            progress_percent: 47,
            change,
        };
        (name, event)
    };
    changes.into_iter().map(event).collect()
}

pub(super) fn answers() -> [(&'static str, KeptAnswer); 4] {
    let pipeline = Answer::Pipeline(PipelineId(uuid(1)), 7);
    let job = Answer::Job(JobId(uuid(2)), 1);
    let project = Answer::Project("shop".to_owned(), 3);
    [
        ("answer-pipeline", pipeline),
        ("answer-job", job),
        ("answer-nothing", Answer::Nothing),
        ("answer-project", project),
    ]
    .map(|(name, answer)| {
        let answer = KeptAnswer {
            fingerprint: std::array::from_fn(|position| position as u8),
            time: time(16),
            answer,
        };
        (name, answer)
    })
}

pub(super) fn project() -> Project {
    Project {
        name: "shop".to_owned(),
        description: "What we sell with".to_owned(),
        annotations: variables(&[("cost-centre", "42")]),
        creator: "ada".to_owned(),
        create_time: time(17),
        update_time: time(18),
    }
}

pub(super) fn dead_letter() -> DeadLetter {
    DeadLetter {
        kind: "logs.remove".to_owned(),
        key: "0190".to_owned(),
        token: 7,
        order_key: Some("disk".to_owned()),
        attempts: 24,
        body: Bytes::from_static(b"what to send"),
        error: "no space left on device".to_owned(),
        time: time(21),
        expires: time(22),
    }
}

pub(super) fn facts() -> JobFacts {
    JobFacts {
        job_id: JobId(uuid(2)),
        pipeline_id: PipelineId(uuid(1)),
        project: "default".to_owned(),
        number: 293,
        state: JobState::Failed,
        create_time: time(10),
        start_time: Some(time(12)),
        end_time: time(14),
        wait_ms: 2_000,
        run_ms: 2_001,
        stages: StageCounts {
            succeeded: 1,
            failed: 2,
            cancelled: 3,
            skipped: 4,
            carried: 5,
        },
        times: StageTimes {
            run_ms: 100,
            build_ms: 200,
            deploy_ms: 300,
        },
        failure_reason: Some(FailureReason::TimedOut),
        source: TriggerSource::Api,
    }
}

pub(super) fn record() -> StoredRecord {
    StoredRecord {
        collection: "hooks".to_owned(),
        key: "default/push".to_owned(),
        project: "default".to_owned(),
        version: 4,
        expires: Some(time(19)),
        body: Bytes::from_static(b"\x00any bytes\xff"),
        indexes: Vec::new(),
        principal: String::new(),
    }
}

pub(super) fn due() -> StoredDue {
    StoredDue {
        kind: "outbox".to_owned(),
        at: time(20),
        key: "17".to_owned(),
        owner: "replica-1".to_owned(),
        lease_until: Some(time(21)),
        token: FencingToken(9),
        attempts: 2,
        order_key: "channel-3".to_owned(),
        body: Bytes::from_static(b"\x00any bytes\xff"),
        first_at: None,
    }
}

pub(super) fn offer() -> Offer {
    Offer {
        labels: variables(&[("arch", "arm64"), ("os", "linux")]),
        actions: ActionKind::ALL.into(),
    }
}

pub(super) fn lost_workspace() -> LostWorkspace {
    LostWorkspace {
        runner_id: RunnerId(uuid(4)),
        offer: Arc::new(offer()),
        before: FencingToken(1_000_002),
    }
}

pub(super) fn indexed_record() -> StoredRecord {
    let index = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    StoredRecord {
        indexes: vec![index("tag", "red"), index("tag", "blue")],
        ..record()
    }
}

pub(super) fn owned_record() -> StoredRecord {
    StoredRecord {
        principal: "alice".to_owned(),
        ..record()
    }
}

pub(super) fn due_again() -> StoredDue {
    StoredDue {
        first_at: Some(time(19)),
        ..due()
    }
}

pub(super) fn binding() -> StoredBinding {
    StoredBinding {
        runner_id: RunnerId(uuid(4)),
        offer: Arc::new(offer()),
        started: Some(FencingToken(1_000_002)),
    }
}

pub(super) fn runner() -> RunnerRow {
    RunnerRow {
        id: RunnerId(uuid(4)),
        registration: Registration {
            display_name: "builder".to_owned(),
            offer: Arc::new(offer()),
            capacity: 3,
            version: "1.2.3".to_owned(),
            session_id: SessionId(uuid(5)),
            runner_id: Some(RunnerId(uuid(4))),
            owner: "team".to_owned(),
        },
        register_time: time(22),
        is_draining: true,
        last_seen: time(23),
        has_left: false,
    }
}

pub(super) fn leases() -> [(&'static str, LeaseRow); 5] {
    let void = |was_confirmed| LeaseState::Void { was_confirmed };
    [
        ("lease-offered", LeaseState::Offered),
        ("lease-confirmed", LeaseState::Confirmed),
        ("lease-ended", LeaseState::Ended),
        ("lease-void-offered", void(false)),
        ("lease-void-confirmed", void(true)),
    ]
    .map(|(name, state)| {
        let row = LeaseRow {
            id: LeaseId(uuid(6)),
            token: FencingToken(1_000_002),
            stage: ReadyStage {
                job_id: JobId(uuid(2)),
                run: RunKey {
                    stage: 3,
                    attempt: 2,
                },
            },
            runner_id: RunnerId(uuid(4)),
            session_id: SessionId(uuid(5)),
            request_id: uuid(7),
            workspace_exists: true,
            state,
            expires: time(24),
            ends_by: (state != LeaseState::Offered).then(|| time(25)),
            overran: state == void(true),
        };
        (name, row)
    })
}

pub(super) fn data_key() -> StoredDataKey {
    StoredDataKey {
        encryption_key: KeyId([1, 2, 3, 4, 5, 6, 7, 8]),
        wrapped: Bytes::from_static(b"what the cipher wrote"),
    }
}

pub(super) fn instance() -> StoredInstance {
    StoredInstance {
        instance: Instance {
            id: uuid(8),
            fingerprint_key: std::array::from_fn(|position| position as u8),
            lifetime: Lifetime::Durable,
        },
        next_token: FencingToken(1_000_003),
        last_claim: 9,
    }
}

pub(super) fn durations() -> StoredDurations {
    StoredDurations {
        pipeline_id: PipelineId(uuid(1)),
        number: 293,
        durations: [("build".to_owned(), 2_000), ("test".to_owned(), 1)].into(),
    }
}
