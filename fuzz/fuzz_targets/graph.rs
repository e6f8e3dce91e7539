//! The order of stages, and the life of a job that runs them.
//!
//! Input: a line for each stage, an empty line, and what happens to the job. The stages
//! are named a, b, c, ... A line has the names that the stage needs, after `+` for
//! ON_SUCCESS, `-` for ON_FAILURE or `*` for ALWAYS; a line `=` makes them parallel.
#![no_main]

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, SystemTime},
};

use libfuzzer_sys::fuzz_target;
use pipewright::domain::{
    ActionKind, CancelCause, Cancellation, Change, Command, Event, FencingToken, GraphError,
    Holder, Job, JobId, LogSummary, LostWorkspace, NewJob, Offer, Outcome, Pipeline, PipelineId,
    PipelineSpec, RunCondition, RunKey, RunnerId, Secrets, Stage, StageAction, StageGraph,
    StageResult, StageRun, StageState, StageType, Trigger, TriggerSource, Variables, create,
    decide,
};
use uuid::Uuid;

const MOST_STAGES: usize = 26;
const MOST_HAPPENINGS: usize = 200;
const NOW: SystemTime = SystemTime::UNIX_EPOCH;

fuzz_target!(|input: &str| {
    let (stages, happenings) = input.split_once("\n\n").unwrap_or((input, ""));
    let spec = spec(stages);
    check_graph(&spec);
    let id = PipelineId(Uuid::nil());
    if let Ok(pipeline) = Pipeline::new(id, "p".into(), spec, "alice".into(), NOW) {
        live(Arc::new(pipeline), happenings);
    }
});

fn spec(text: &str) -> PipelineSpec {
    let names = ('a'..='z').map(String::from);
    let lines = text.lines().filter(|line| *line != "=");
    let stages = lines
        .take(MOST_STAGES)
        .zip(names)
        .map(|(line, name)| Stage {
            name,
            stage_type: StageType::Run,
            action: StageAction::Command("true".into()),
            timeout: Duration::from_secs(1),
            needs: line
                .chars()
                .filter(char::is_ascii_alphabetic)
                .map(String::from)
                .collect(),
            run_condition: match line.chars().next() {
                Some('-') => RunCondition::OnFailure,
                Some('*') => RunCondition::Always,
                _ => RunCondition::OnSuccess,
            },
            variables: Variables::new(),
            runner_labels: Variables::new(),
            working_directory: String::new(),
        });
    PipelineSpec {
        name: "p".into(),
        stages: stages.collect(),
        parallel: text.lines().any(|line| line == "="),
        ..PipelineSpec::default()
    }
}

/// The stages that a stage waits for, by the words of the contract; `None` for an
/// unknown name.
fn needs(spec: &PipelineSpec, stage: usize) -> Vec<Option<usize>> {
    let needs = &spec.stages[stage].needs;
    if needs.is_empty() {
        let before = stage.checked_sub(1).filter(|_| !spec.parallel);
        return before.into_iter().map(Some).collect();
    }
    let position = |need: &String| spec.stages.iter().position(|stage| stage.name == *need);
    needs.iter().map(position).collect()
}

fn check_graph(spec: &PipelineSpec) {
    let all = 0..spec.stages.len();
    match StageGraph::new(spec) {
        Ok(graph) => {
            let mut over = BTreeSet::new();
            for &stage in graph.order() {
                let mut expected = BTreeSet::new();
                for need in needs(spec, stage) {
                    let need = need.expect("only stages of the pipeline are needed");
                    assert!(over.contains(&need), "{stage} before {need}");
                    assert!(graph.direct(stage).contains(&need));
                    expected.insert(need);
                    expected.extend(graph.depends_on(need));
                }
                let depends_on = BTreeSet::from_iter(graph.depends_on(stage).iter().copied());
                assert_eq!(depends_on, expected);
                assert!(over.insert(stage), "{stage} twice");
            }
            assert!(over.into_iter().eq(all), "all of them");
        }
        Err(GraphError::UnknownNeed { stage, need }) => {
            assert_eq!(needs(spec, stage)[need], None);
        }
        Err(GraphError::Cycle(stages)) => {
            assert!(stages.len() > 1 && stages.first() == stages.last());
            for pair in stages.windows(2) {
                assert!(needs(spec, pair[0]).contains(&Some(pair[1])), "{stages:?}");
            }
        }
    }
}

/// A job, and its history.
struct Life {
    job: Job,
    events: Vec<Event>,
    tokens: i64,
}

fn live(pipeline: Arc<Pipeline>, happenings: &str) {
    let stages = 0..pipeline.spec.stages.len();
    let new = NewJob {
        id: JobId(Uuid::nil()),
        pipeline,
        git_ref: String::new(),
        commit_id: String::new(),
        trigger: Trigger {
            source: TriggerSource::Api,
            principal: "alice".into(),
            trace: None,
        },
        variables: Variables::new(),
        secret_variables: Secrets::default(),
        priority: 0,
        retried_job_id: None,
        weights: Vec::new(),
        stage_runs: stages.map(StageRun::pending).collect(),
    };
    let made = create(new, 1, false, NOW);
    let mut life = Life {
        job: made.job,
        events: made.events,
        tokens: 0,
    };
    let mut happenings = happenings.chars();
    for happening in happenings.by_ref().take(MOST_HAPPENINGS) {
        life.apply(happening);
    }
    // Without further failures, every job ends.
    life.asks(Command::Admit);
    let most = 10 * life.job.pipeline.spec.stages.len() + 10;
    for _ in 0..most {
        life.apply('s');
        life.apply('f');
    }
    let Life { job, events, .. } = life;
    assert!(job.state.is_terminal(), "{job:?}");
    assert!(
        job.newest_runs().all(|run| run.state.is_terminal()),
        "{job:?}"
    );
    let ends = |event: &&Event| matches!(event.change, Change::Ended { .. });
    assert_eq!(events.iter().filter(ends).count(), 1);
    assert!(events.last().is_some_and(|event| ends(&event)));
    assert_eq!(Job::replay(&events), Some(job));
}

impl Life {
    fn apply(&mut self, happening: char) {
        let command = match happening {
            'a' => Command::Admit,
            'c' => Command::Cancel(Cancellation {
                cause: CancelCause::Requested,
                reason: String::new(),
                principal: "alice".into(),
            }),
            's' => {
                let Some(run) = self.first(StageState::Queued) else {
                    return;
                };
                self.tokens += 1;
                let holder = self.holder(self.tokens);
                Command::Start { run, holder }
            }
            'w' => Command::LoseWorkspace(LostWorkspace {
                runner_id: self.holder(0).runner_id,
                offer: Arc::new(Offer {
                    labels: Variables::new(),
                    actions: ActionKind::ALL.into(),
                }),
                before: FencingToken(self.tokens),
            }),
            // The rest is from a running stage, under a token that may be an old one.
            other => {
                let running = self.first(StageState::Running);
                let run = running.unwrap_or(RunKey {
                    stage: 0,
                    attempt: 1,
                });
                let holder = self.job.run(run).and_then(|run| run.holder);
                let token = match (other.is_uppercase(), holder) {
                    (false, Some(holder)) => holder.token,
                    _ => FencingToken(0),
                };
                of_stage(other.to_ascii_lowercase(), run, token)
            }
        };
        self.asks(command);
    }

    fn asks(&mut self, command: Command) {
        let before = self.job.clone();
        let Ok(decision) = decide(&before, command, NOW) else {
            return;
        };
        for event in &decision.events {
            assert!(!self.job.state.is_terminal(), "{event:?}");
            self.job.apply(event);
            assert!(self.job.progress_percent >= before.progress_percent);
        }
        assert_eq!(self.job, decision.job);
        self.events.extend(decision.events);
    }

    fn first(&self, state: StageState) -> Option<RunKey> {
        let run = self.job.stage_runs.iter().find(|run| run.state == state);
        run.map(|run| run.key())
    }

    fn holder(&self, token: i64) -> Holder {
        Holder {
            runner_id: RunnerId(Uuid::nil()),
            token: FencingToken(token),
        }
    }
}

fn of_stage(happening: char, run: RunKey, token: FencingToken) -> Command {
    let finish = |outcome| Command::Finish {
        run,
        token,
        result: StageResult {
            outcome,
            exit_code: None,
            message: String::new(),
            log: LogSummary::default(),
        },
    };
    match happening {
        'p' => Command::Progress {
            run,
            token,
            percent: 50,
        },
        'g' => Command::ResolveCommit {
            run,
            token,
            commit_id: "c".into(),
        },
        'l' => Command::Lose {
            run,
            token,
            log: LogSummary::default(),
        },
        'b' => finish(Outcome::CommandFailed),
        't' => finish(Outcome::TimedOut),
        'k' => finish(Outcome::Cancelled),
        'o' => finish(Outcome::CheckoutFailed),
        'e' => finish(Outcome::RunnerError),
        'r' => finish(Outcome::Returned),
        _ => finish(Outcome::Succeeded),
    }
}
