//! Pipelines: their revisions, their stages and the graph of the stages.

mod graph;

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::{PipelineId, Secrets, Violation, validate};

pub use graph::{GraphError, StageGraph, Verdict, verdict};

/// Names and values, sorted by name.
pub type Variables = BTreeMap<String, String>;

/// One revision of a pipeline. Immutable: a change creates the next revision.
#[derive(Clone, Debug, PartialEq)]
pub struct Pipeline {
    /// The same for all revisions.
    pub id: PipelineId,
    /// The project that owns it.
    pub project: String,
    /// 1 for a new pipeline; increases by one with every change.
    pub revision: i64,
    /// When revision 1 was created.
    pub create_time: SystemTime,
    /// When this revision was created.
    pub update_time: SystemTime,
    /// Principal that created revision 1.
    pub creator: String,
    pub spec: PipelineSpec,
    /// Computed from the spec.
    pub graph: Arc<StageGraph>,
}

impl Pipeline {
    /// The first revision, or the violations of the spec.
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

    /// The next revision, or none if the spec is unchanged.
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

    /// Changes with every revision. Contains a part of the id, so that the etag of one
    /// pipeline does not match another's.
    pub fn etag(&self) -> String {
        let id = self.id.0.as_u128();
        format!("{:08x}-{}", id & 0xffff_ffff, self.revision)
    }
}

/// The fields of a pipeline that clients may change.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PipelineSpec {
    /// Unique within the project.
    pub name: String,
    /// Repository to check out; empty for none.
    pub git_repository: String,
    /// Ref to check out if a trigger names none; empty for the remote's HEAD.
    pub default_ref: String,
    /// In pipeline order. Revisions that do not change them share them.
    pub stages: Arc<[Stage]>,
    /// Stages without `needs` start immediately instead of one after the other.
    pub parallel: bool,
    /// Environment of every stage's command.
    pub variables: Variables,
    /// Secret part of that environment; never shown.
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
    pub stage_type: StageType,
    pub action: StageAction,
    /// Wall-clock limit of one attempt, checkout included.
    pub timeout: Duration,
    /// Stages that must be over first, by name.
    pub needs: Vec<String>,
    pub run_condition: RunCondition,
    /// Added to the pipeline's variables; overrides them.
    pub variables: Variables,
    /// Labels that the runner must have.
    pub runner_labels: Variables,
    /// Relative to the workspace; empty for the workspace itself.
    pub working_directory: String,
}

/// What a stage does. The runner has a separate implementation for each kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StageAction {
    /// Runs this script with `/bin/sh -e`.
    Command(String),
}

impl StageAction {
    pub fn kind(&self) -> ActionKind {
        match self {
            Self::Command(_) => ActionKind::Command,
        }
    }
}

/// A kind of [`StageAction`], which a runner may support.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ActionKind {
    Command,
}

impl ActionKind {
    pub const ALL: [Self; 1] = [Self::Command];

    /// The name in the runner protocol.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Command => "command",
        }
    }

    /// None for a name that this version does not know.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// The purpose of a stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StageType {
    #[default]
    Run,
    /// Creates an artifact that can be deployed.
    Build,
    Deploy,
}

/// Whether a stage runs, given the outcomes of the stages that it depends on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RunCondition {
    /// None of them failed.
    #[default]
    OnSuccess,
    /// At least one of them failed.
    OnFailure,
    /// Whatever their outcomes.
    Always,
}

/// What a trigger or a retry does while another job of the pipeline is active.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConcurrencyPolicy {
    /// Both jobs run.
    #[default]
    Allow,
    /// The new job waits until the active ones have ended.
    Queue,
    /// The active jobs are cancelled; the new job starts once they have ended.
    CancelRunning,
}
