//! What kept values take in memory, in bytes: near enough for budgets, and a pure function
//! of the value, so that what was added for it is exactly what is subtracted again.
//!
//! The constants are measured: the growth of resident memory under many values of a kind,
//! less what their texts take.

use std::mem::size_of;

use super::{
    Change, Event, Failure, Job, JobFacts, Made, Origin, Pipeline, Secrets, Stage, StageAction,
    StageGraph, StageRun, Variables,
};

/// A block of the heap: what the allocator keeps of it, and what it rounds up.
const BLOCK: u64 = 16;
/// An entry of a tree of texts: two texts, and its share of a node that is not full.
const ENTRY: u64 = 64;
/// A pipeline: its entry, locks, its places in the maps and indexes of the store.
const PIPELINE: u64 = 1_024;
/// One more revision of it.
const REVISION: u64 = 128;
/// A job: its entry, its lock, its places in the maps, indexes and queue of the store.
const JOB: u64 = 640;
/// What the end of a job adds: its places among the ended jobs.
const ENDED_JOB: u64 = 256;

/// The weight of a text.
pub fn text(text: &str) -> u64 {
    if text.is_empty() {
        0
    } else {
        text.len() as u64 + BLOCK
    }
}

fn variables(variables: &Variables) -> u64 {
    let entry = |(name, value): (&String, &String)| ENTRY + text(name) + text(value);
    variables.iter().map(entry).sum()
}

fn secrets(secrets: &Secrets) -> u64 {
    secrets.size() as u64 + secrets.len() as u64 * (ENTRY + 2 * BLOCK)
}

fn indices(lists: &[Vec<usize>]) -> u64 {
    let list = |list: &Vec<usize>| size_of::<Vec<usize>>() + size_of_val(list.as_slice());
    lists.iter().map(|one| list(one) as u64 + BLOCK).sum()
}

impl Pipeline {
    /// The weight of this revision, without its stages and their graph: revisions share them.
    pub fn weight(&self) -> u64 {
        let Self {
            id: _,
            project,
            revision,
            create_time: _,
            update_time: _,
            creator,
            spec,
            graph: _,
        } = self;
        let first = if *revision == 1 { PIPELINE } else { REVISION };
        let texts = [
            project,
            creator,
            &spec.name,
            &spec.git_repository,
            &spec.default_ref,
        ];
        first
            + size_of::<Self>() as u64
            + texts.into_iter().map(|one| text(one)).sum::<u64>()
            + variables(&spec.variables)
            + variables(&spec.annotations)
            + secrets(&spec.secret_variables)
    }
}

impl Stage {
    /// The weight of a stage within its pipeline.
    pub fn weight(&self) -> u64 {
        let Self {
            name,
            stage_type: _,
            action,
            timeout: _,
            needs,
            run_condition: _,
            variables: own_variables,
            runner_labels,
            working_directory,
        } = self;
        let StageAction::Command(command) = action;
        let need = |need: &String| size_of::<String>() as u64 + text(need);
        // Its name again: with what it took in the last job that succeeded.
        size_of::<Self>() as u64
            + 2 * (ENTRY + text(name))
            + text(command)
            + needs.iter().map(need).sum::<u64>()
            + variables(own_variables)
            + variables(runner_labels)
            + text(working_directory)
    }
}

impl StageGraph {
    /// The weight of the graph.
    pub fn weight(&self) -> u64 {
        let Self {
            direct,
            transitive,
            order,
        } = self;
        indices(direct) + indices(transitive) + size_of_val(order.as_slice()) as u64 + BLOCK
    }
}

impl Event {
    /// The weight of an event, and of what it adds to its job: a job weighs what its events
    /// weigh together, apart from the revision that it runs.
    pub fn weight(&self) -> u64 {
        let more = match &self.change {
            Change::Created(made) => JOB + made.weight(),
            Change::Started | Change::StageProgressed { .. } => 0,
            // In the job, too.
            Change::CommitResolved(commit) => 2 * text(commit),
            Change::Cancelling(cancellation) => {
                let texts = text(&cancellation.reason) + text(&cancellation.principal);
                size_of_val(&**cancellation) as u64 + texts + BLOCK
            }
            Change::StageRunChanged(run) => run.weight(),
            Change::Ended { state: _, failure } => {
                ENDED_JOB + failure.as_deref().map_or(0, Failure::weight)
            }
        };
        size_of::<Self>() as u64 + more
    }
}

impl Made {
    fn weight(&self) -> u64 {
        match self {
            Self::Fresh(origin) => origin.weight(),
            Self::Whole(job) => {
                let runs = job.stage_runs.iter().map(|run| run.weight());
                size_of::<Job>() as u64
                    + job.origin.weight()
                    + runs.sum::<u64>()
                    + 2 * text(&job.commit_id)
            }
        }
    }
}

impl Origin {
    fn weight(&self) -> u64 {
        let Self {
            id: _,
            pipeline,
            number: _,
            git_ref,
            trigger,
            retried_job_id: _,
            variables: own_variables,
            secret_variables,
            priority: _,
            weights,
            create_time: _,
        } = self;
        let trace = trigger.trace.as_deref();
        let trace = trace.map_or(0, |trace| text(trace.parent()) + text(trace.state()));
        // The job's list of runs; those that have not changed are the same ones in all jobs.
        let runs = pipeline.spec.stages.len() * size_of::<usize>();
        (size_of::<Self>() + size_of::<Job>() + size_of_val(weights.as_slice()) + runs) as u64
            + text(git_ref)
            + text(&trigger.principal)
            + trace
            + variables(own_variables)
            + secrets(secret_variables)
    }
}

impl StageRun {
    fn weight(&self) -> u64 {
        let failure = self.failure.as_deref().map_or(0, Failure::weight);
        size_of::<Self>() as u64 + BLOCK + failure
    }
}

impl Failure {
    fn weight(&self) -> u64 {
        size_of::<Self>() as u64 + BLOCK + text(&self.message) + text(&self.stage_name)
    }
}

impl JobFacts {
    /// The weight of the facts.
    pub fn weight(&self) -> u64 {
        size_of::<Self>() as u64 + BLOCK + text(&self.project)
    }
}
