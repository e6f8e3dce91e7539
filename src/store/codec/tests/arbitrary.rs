//! Strategies for arbitrary values of each form.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use proptest::{
    collection::{btree_map, vec},
    option,
    prelude::*,
    sample::{Index, select},
};
use uuid::Uuid;

use crate::{
    domain::{
        CancelCause, Cancellation, Change, Command, ConcurrencyPolicy, Decision, Event,
        FailureReason, FencingToken, Holder, Job, JobFacts, JobId, JobState, LogLoss, LogSummary,
        NewJob, Outcome, Pipeline, PipelineId, PipelineSpec, RetryScope, RunCondition, RunnerId,
        Secrets, Stage, StageAction, StageCounts, StageGraph, StageResult, StageRun, StageTimes,
        StageType, TraceContext, Trigger, TriggerSource, Variables, create, decide, retried_runs,
    },
    store::{
        Answer, KeptAnswer,
        codec::{StoredDue, StoredRecord, time_from_nanos},
    },
};

fn text() -> impl Strategy<Value = String> {
    "[a-zé\n ]{0,12}"
}

fn variables() -> impl Strategy<Value = Variables> {
    btree_map("[A-Z]{1,4}", text(), 0..4)
}

fn secrets() -> impl Strategy<Value = Secrets> {
    variables().prop_map(|secrets| secrets.into_iter().collect())
}

fn time() -> impl Strategy<Value = SystemTime> {
    any::<i64>().prop_map(time_from_nanos)
}

fn uuid() -> impl Strategy<Value = Uuid> {
    any::<u128>().prop_map(Uuid::from_u128)
}

fn stage(position: usize) -> impl Strategy<Value = Stage> {
    let types = select(vec![StageType::Run, StageType::Build, StageType::Deploy]);
    let conditions = select(vec![
        RunCondition::OnSuccess,
        RunCondition::OnFailure,
        RunCondition::Always,
    ]);
    let kinds = (types, conditions, vec(any::<Index>(), 0..3), any::<u64>());
    let texts = (text(), variables(), variables(), text());
    (kinds, texts).prop_map(
        move |((stage_type, run_condition, needs, timeout), (script, own, labels, directory))| {
            let earlier = needs.iter().filter(|_| position > 0);
            Stage {
                name: format!("s{position}"),
                stage_type,
                action: StageAction::Command(script),
                timeout: Duration::from_nanos(timeout),
                needs: earlier
                    .map(|need| format!("s{}", need.index(position)))
                    .collect(),
                run_condition,
                variables: own,
                runner_labels: labels,
                working_directory: directory,
            }
        },
    )
}

/// A pipeline whose stages have an order; its values need not be valid otherwise.
pub(super) fn pipeline() -> impl Strategy<Value = Arc<Pipeline>> {
    let stages = (1..6usize).prop_flat_map(|count| (0..count).map(stage).collect::<Vec<_>>());
    let policies = select(vec![
        ConcurrencyPolicy::Allow,
        ConcurrencyPolicy::Queue,
        ConcurrencyPolicy::CancelRunning,
    ]);
    let spec = (
        (text(), text(), text(), stages, any::<bool>()),
        (variables(), secrets(), policies, variables()),
    );
    let spec = spec.prop_map(
        |((name, git_repository, default_ref, stages, parallel), (own, secrets, policy, notes))| {
            PipelineSpec {
                name,
                git_repository,
                default_ref,
                stages: stages.into(),
                parallel,
                variables: own,
                secret_variables: secrets,
                concurrency_policy: policy,
                annotations: notes,
            }
        },
    );
    let rest = (uuid(), text(), any::<i64>(), time(), time(), text());
    (rest, spec).prop_map(
        |((id, project, revision, create_time, update_time, creator), spec)| {
            Arc::new(Pipeline {
                id: PipelineId(id),
                project,
                revision,
                create_time,
                update_time,
                creator,
                graph: Arc::new(StageGraph::new(&spec).unwrap()),
                spec,
            })
        },
    )
}

/// A job with all the events that commands produced.
#[derive(Clone, Debug)]
pub(super) struct History {
    pub(super) events: Vec<Event>,
    pub(super) job: Job,
}

pub(super) fn history() -> impl Strategy<Value = History> {
    let new = (
        (uuid(), text(), text(), option::of(uuid()), any::<i32>()),
        (
            variables(),
            secrets(),
            vec(any::<u64>(), 0..4),
            any::<bool>(),
        ),
    );
    let steps = vec((0..12u8, any::<Index>(), text()), 0..30);
    (pipeline(), new, steps, any::<u32>()).prop_map(|(pipeline, new, steps, start)| {
        let ((id, git_ref, principal, retried, priority), (own, secrets, weights, traced)) = new;
        let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let trace = traced.then(|| TraceContext::read(trace, "a=b")).flatten();
        let stages = 0..pipeline.spec.stages.len();
        let new = NewJob {
            id: JobId(id),
            git_ref,
            commit_id: String::new(),
            trigger: Trigger {
                source: TriggerSource::Api,
                principal,
                trace: trace.map(Arc::new),
            },
            variables: own,
            secret_variables: secrets,
            priority,
            retried_job_id: retried.map(JobId),
            // Sums of weights must not overflow; real ones never do.
            weights: weights.into_iter().map(|weight| weight >> 20).collect(),
            stage_runs: stages.map(StageRun::pending).collect(),
            pipeline,
        };
        let mut now = time_from_nanos(i64::from(start));
        let mut history = History::of(create(new, 1, true, now));
        for (kind, index, text) in steps {
            now += Duration::from_nanos(1_234_567_891);
            history.step(kind, &index, &text, now);
        }
        history
    })
}

impl History {
    fn of(decision: Decision) -> Self {
        let Decision { events, job } = decision;
        Self { events, job }
    }

    fn step(&mut self, kind: u8, index: &Index, text: &str, now: SystemTime) {
        let run = index.get(&self.job.stage_runs).key();
        let token = FencingToken(7);
        let finish = |outcome| Command::Finish {
            run,
            token,
            result: StageResult {
                outcome,
                exit_code: Some(-1),
                message: text.to_owned(),
                log: LogSummary {
                    size: 1 << 40,
                    loss: LogLoss {
                        not_stored: text.len() as u64,
                        ..LogLoss::default()
                    },
                },
            },
        };
        let command = match kind {
            0..=3 => Command::Start {
                run,
                holder: Holder {
                    runner_id: RunnerId(Uuid::from_u128(9)),
                    token,
                },
            },
            4 => Command::Progress {
                run,
                token,
                percent: 40,
            },
            5 => Command::ResolveCommit {
                run,
                token,
                commit_id: text.to_owned(),
            },
            6 | 7 => finish(Outcome::Succeeded),
            8 => finish(Outcome::CommandFailed),
            9 => finish(Outcome::Returned),
            10 => Command::Lose {
                run,
                token,
                log: LogSummary::from(3),
            },
            _ => Command::Cancel(Cancellation {
                cause: CancelCause::Superseded(JobId(Uuid::from_u128(8))),
                reason: text.to_owned(),
                principal: "alice".to_owned(),
            }),
        };
        if let Ok(decision) = decide(&self.job, command, now) {
            self.events.extend(decision.events);
            self.job = decision.job;
        }
    }

    /// A retry that carries over what succeeded in this job; `None` if nothing is left
    /// to run.
    pub(super) fn retried(&self) -> Option<Self> {
        let job = &self.job;
        let new = NewJob {
            id: JobId(Uuid::from_u128(10)),
            pipeline: Arc::clone(&job.pipeline),
            git_ref: job.git_ref.clone(),
            commit_id: job.commit_id.clone(),
            trigger: job.trigger.clone(),
            variables: job.variables.clone(),
            secret_variables: job.secret_variables.clone(),
            priority: job.priority,
            retried_job_id: Some(job.id),
            weights: job.weights.clone(),
            stage_runs: retried_runs(job, RetryScope::FailedStages)?,
        };
        let now = job.create_time + Duration::from_secs(60);
        Some(Self::of(create(new, 2, true, now)))
    }

    pub(super) fn has_ended(&self) -> bool {
        let last = self.events.last().map(|event| &event.change);
        matches!(last, Some(Change::Ended { .. }))
    }
}

pub(super) fn answer() -> impl Strategy<Value = KeptAnswer> {
    let pipeline = |(id, revision)| Answer::Pipeline(PipelineId(id), revision);
    let job = |(id, sequence)| Answer::Job(JobId(id), sequence);
    let project = |(name, version)| Answer::Project(name, version);
    let answer = prop_oneof![
        (uuid(), any::<i64>()).prop_map(pipeline),
        (uuid(), any::<i64>()).prop_map(job),
        (text(), any::<u64>()).prop_map(project),
        Just(Answer::Nothing),
    ];
    (any::<[u8; 32]>(), time(), answer).prop_map(|(fingerprint, time, answer)| KeptAnswer {
        fingerprint,
        time,
        answer,
    })
}

pub(super) fn record() -> impl Strategy<Value = StoredRecord> {
    let body = vec(any::<u8>(), 0..20);
    let indexes = vec((text(), text()), 0..3);
    let rest = (any::<i64>(), option::of(time()), body, indexes);
    ((text(), text(), text(), text()), rest).prop_map(
        |((collection, key, project, principal), (version, expires, body, indexes))| StoredRecord {
            collection,
            key,
            project,
            version,
            expires,
            body: body.into(),
            indexes,
            principal,
        },
    )
}

pub(super) fn due() -> impl Strategy<Value = StoredDue> {
    let body = vec(any::<u8>(), 0..20);
    let first_at = option::of(time());
    let times = (
        time(),
        option::of(time()),
        any::<i64>(),
        any::<u32>(),
        body,
        first_at,
    );
    ((text(), text(), text(), text()), times).prop_map(
        |((kind, key, owner, order_key), (at, lease_until, token, attempts, body, first_at))| {
            StoredDue {
                kind,
                at,
                key,
                owner,
                lease_until,
                token: FencingToken(token),
                attempts,
                order_key,
                body: body.into(),
                first_at,
            }
        },
    )
}

pub(super) fn facts() -> impl Strategy<Value = JobFacts> {
    let ids = (
        uuid(),
        uuid(),
        text(),
        any::<i64>(),
        select(JobState::ALL.to_vec()),
    );
    let times = (time(), option::of(time()), time());
    let numbers = (any::<[u64; 5]>(), any::<[u32; 5]>());
    let failed = option::of(Just(FailureReason::RunnerLost));
    (ids, times, numbers, failed).prop_map(|(ids, times, numbers, failure_reason)| {
        let (job_id, pipeline_id, project, number, state) = ids;
        let (create_time, start_time, end_time) = times;
        let ([wait_ms, all_ms, run_ms, build_ms, deploy_ms], counts) = numbers;
        let [succeeded, failed, cancelled, skipped, carried] = counts;
        JobFacts {
            job_id: JobId(job_id),
            pipeline_id: PipelineId(pipeline_id),
            project,
            number,
            state,
            create_time,
            start_time,
            end_time,
            wait_ms,
            run_ms: all_ms,
            stages: StageCounts {
                succeeded,
                failed,
                cancelled,
                skipped,
                carried,
            },
            times: StageTimes {
                run_ms,
                build_ms,
                deploy_ms,
            },
            failure_reason,
            source: TriggerSource::Retry,
        }
    })
}
