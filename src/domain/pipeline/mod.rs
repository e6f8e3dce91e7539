//! Pipelines: their revisions, their stages and the order of these.

mod graph;

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::{PipelineId, Secrets, Violation, validate};

pub use graph::{GraphError, StageGraph, Verdict, verdict};

/// Names to values, in the order of the names.
pub type Variables = BTreeMap<String, String>;

/// One revision of a pipeline. Immutable: a change makes the next revision.
#[derive(Clone, Debug, PartialEq)]
pub struct Pipeline {
    /// Names the pipeline through all its revisions.
    pub id: PipelineId,
    /// The project that owns it.
    pub project: String,
    /// 1 for a new pipeline; goes up by one with every change.
    pub revision: i64,
    /// When revision 1 was made.
    pub create_time: SystemTime,
    /// When this revision was made.
    pub update_time: SystemTime,
    /// Principal that made revision 1.
    pub creator: String,
    /// What clients may change.
    pub spec: PipelineSpec,
    /// The order of the stages that the spec leads to.
    pub graph: Arc<StageGraph>,
}

impl Pipeline {
    /// The first revision, or what is wrong with the spec.
    pub fn new(
        id: PipelineId,
        project: String,
        spec: PipelineSpec,
        creator: String,
        now: SystemTime,
    ) -> Result<Self, Vec<Violation>> {
        let mut violations = Vec::new();
        validate::project(&project, &mut violations);
        let graph = validate::spec(&spec, violations)?;
        Ok(Self {
            id,
            project,
            revision: 1,
            create_time: now,
            update_time: now,
            creator,
            spec,
            graph,
        })
    }

    /// The next revision, or none if the spec says what this one already says.
    pub fn revised(
        &self,
        spec: PipelineSpec,
        now: SystemTime,
    ) -> Result<Option<Self>, Vec<Violation>> {
        let graph = validate::revised_spec(&spec, self)?;
        if spec == self.spec {
            return Ok(None);
        }
        Ok(Some(Self {
            id: self.id,
            project: self.project.clone(),
            revision: self.revision + 1,
            create_time: self.create_time,
            update_time: now,
            creator: self.creator.clone(),
            spec,
            graph,
        }))
    }

    /// Changes with every revision. Carries a part of the id, so that the etag of
    /// one pipeline never fits another.
    pub fn etag(&self) -> String {
        let id = self.id.0.as_u128();
        format!("{:08x}-{}", id & 0xffff_ffff, self.revision)
    }
}

/// What clients may change of a pipeline.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PipelineSpec {
    /// Name for people, unique within the project.
    pub name: String,
    /// Repository to check out; empty for none.
    pub git_repository: String,
    /// Ref to check out when a trigger names none; the remote's HEAD when empty.
    pub default_ref: String,
    /// The stages, in pipeline order. Revisions that do not change them share them.
    pub stages: Arc<[Stage]>,
    /// Stages without `needs` start at once instead of one after the other.
    pub parallel: bool,
    /// Environment of every stage's command.
    pub variables: Variables,
    /// More of that environment; never shown.
    pub secret_variables: Secrets,
    /// What a trigger does while another job is active.
    pub concurrency_policy: ConcurrencyPolicy,
    /// Client data, never interpreted.
    pub annotations: Variables,
}

impl PipelineSpec {
    /// Whether a stage of it deploys.
    pub fn deploys(&self) -> bool {
        let deploys = |stage: &Stage| stage.stage_type == StageType::Deploy;
        self.stages.iter().any(deploys)
    }
}

/// One step of a pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// Unique within the pipeline.
    pub name: String,
    /// What the stage is for.
    pub stage_type: StageType,
    /// What it does.
    pub action: StageAction,
    /// Wall-clock limit of one attempt, checkout included.
    pub timeout: Duration,
    /// Stages that must be over first, by name.
    pub needs: Vec<String>,
    /// When it runs, given how the stages that it depends on ended.
    pub run_condition: RunCondition,
    /// Added to the pipeline's variables; wins over them.
    pub variables: Variables,
    /// Labels that a runner must have.
    pub runner_labels: Variables,
    /// Relative to the workspace; empty for the workspace itself.
    pub working_directory: String,
}

/// What a stage does. Each kind is done by a part of the runner of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StageAction {
    /// Runs this script with `/bin/sh -e`.
    Command(String),
}

impl StageAction {
    /// Which kind it is: what a runner has to be able to do.
    pub fn kind(&self) -> ActionKind {
        match self {
            Self::Command(_) => ActionKind::Command,
        }
    }
}

/// A kind of [`StageAction`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ActionKind {
    /// [`StageAction::Command`].
    Command,
}

impl ActionKind {
    /// All kinds.
    pub const ALL: [Self; 1] = [Self::Command];

    /// The name by which runners and services tell each other of it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Command => "command",
        }
    }

    /// The kind of that name; none for one that this version does not know.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// What a stage is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StageType {
    /// Runs a command.
    #[default]
    Run,
    /// Makes something that can be deployed.
    Build,
    /// Puts something where its users are.
    Deploy,
}

/// When a stage runs, given how the stages that it depends on ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RunCondition {
    /// None of them failed.
    #[default]
    OnSuccess,
    /// At least one of them failed.
    OnFailure,
    /// However they ended.
    Always,
}

/// What a trigger or a retry does while another job of the pipeline is active.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConcurrencyPolicy {
    /// Both run.
    #[default]
    Allow,
    /// The new job waits until the active ones have ended.
    Queue,
    /// The active ones are cancelled; the new job starts once they have ended.
    CancelRunning,
}
