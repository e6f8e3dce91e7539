use std::collections::HashMap;

use crate::domain::{PipelineSpec, RunCondition, SkipReason};

/// Which stages wait for which, by their positions in the pipeline.
///
/// The edges of a stage are its `needs` if it has any, else none if the pipeline
/// is parallel, else the stage before it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StageGraph {
    /// Stages that must be over first, by stage.
    direct: Vec<Vec<usize>>,
    /// All that a stage depends on: those, what these depend on, and so on.
    transitive: Vec<Vec<usize>>,
    /// Every stage after all that it depends on.
    order: Vec<usize>,
}

/// Why a spec has no graph.
#[derive(Clone, Debug, PartialEq)]
pub enum GraphError {
    /// `stages[stage].needs[need]` names no stage of the pipeline.
    UnknownNeed {
        /// Position of the stage.
        stage: usize,
        /// Position within its needs.
        need: usize,
    },
    /// The stages wait for each other, in this order, the first one again last.
    Cycle(Vec<usize>),
}

/// What becomes of a stage once its direct needs are over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may run.
    Run,
    /// It is skipped.
    Skip(SkipReason),
}

impl StageGraph {
    /// Works out the order of a spec's stages, whose names must be unique.
    pub fn new(spec: &PipelineSpec) -> Result<Self, GraphError> {
        let direct = edges(spec)?;
        let order = topological_order(&direct)?;
        let transitive = closure(&direct, &order);
        Ok(Self {
            direct,
            transitive,
            order,
        })
    }

    /// Stages that must be over before this one starts.
    pub fn direct(&self, stage: usize) -> &[usize] {
        &self.direct[stage]
    }

    /// All stages that this one depends on.
    pub fn depends_on(&self, stage: usize) -> &[usize] {
        &self.transitive[stage]
    }

    /// Every stage after all that it depends on.
    pub fn order(&self) -> &[usize] {
        &self.order
    }
}

/// The truth table of conditions, for a job that is not being cancelled.
pub fn verdict(condition: RunCondition, dependency_failed: bool) -> Verdict {
    match (condition, dependency_failed) {
        (RunCondition::OnSuccess, true) => Verdict::Skip(SkipReason::NeedsFailed),
        (RunCondition::OnFailure, false) => Verdict::Skip(SkipReason::Condition),
        (RunCondition::OnSuccess, false)
        | (RunCondition::OnFailure, true)
        | (RunCondition::Always, _) => Verdict::Run,
    }
}

fn edges(spec: &PipelineSpec) -> Result<Vec<Vec<usize>>, GraphError> {
    let positions: HashMap<&str, usize> = spec
        .stages
        .iter()
        .enumerate()
        .map(|(position, stage)| (stage.name.as_str(), position))
        .collect();
    let implicit = |stage: usize| match stage.checked_sub(1) {
        Some(previous) if !spec.parallel => vec![previous],
        _ => Vec::new(),
    };
    let named = |stage: usize| {
        let resolve = |(need, name): (usize, &String)| {
            let unknown = GraphError::UnknownNeed { stage, need };
            positions.get(name.as_str()).copied().ok_or(unknown)
        };
        spec.stages[stage]
            .needs
            .iter()
            .enumerate()
            .map(resolve)
            .collect()
    };
    (0..spec.stages.len())
        .map(|stage| match spec.stages[stage].needs.is_empty() {
            true => Ok(implicit(stage)),
            false => named(stage),
        })
        .collect()
}

/// Depth-first, on a stack of its own: a chain of stages never deepens ours.
fn topological_order(direct: &[Vec<usize>]) -> Result<Vec<usize>, GraphError> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        OnPath,
        Done,
    }
    let mut marks = vec![Mark::New; direct.len()];
    let mut order = Vec::with_capacity(direct.len());
    for root in 0..direct.len() {
        // The path from the root, each with the number of its needs already seen.
        let mut path: Vec<(usize, usize)> = vec![(root, 0)];
        while let Some((stage, seen)) = path.pop() {
            if marks[stage] == Mark::Done {
                continue;
            }
            marks[stage] = Mark::OnPath;
            let Some(&need) = direct[stage].get(seen) else {
                marks[stage] = Mark::Done;
                order.push(stage);
                continue;
            };
            path.push((stage, seen + 1));
            match marks[need] {
                Mark::OnPath => return Err(GraphError::Cycle(cycle(&path, need))),
                Mark::New => path.push((need, 0)),
                Mark::Done => {}
            }
        }
    }
    Ok(order)
}

/// The part of the path from `start` on, closed: who needs whom, in that order.
fn cycle(path: &[(usize, usize)], start: usize) -> Vec<usize> {
    let stages = path.iter().map(|(stage, _)| *stage);
    stages
        .skip_while(|stage| *stage != start)
        .chain([start])
        .collect()
}

fn closure(direct: &[Vec<usize>], order: &[usize]) -> Vec<Vec<usize>> {
    let mut transitive = vec![Vec::new(); direct.len()];
    for &stage in order {
        let mut all: Vec<usize> = direct[stage]
            .iter()
            .flat_map(|&need| transitive[need].iter().copied().chain([need]))
            .collect();
        all.sort_unstable();
        all.dedup();
        transitive[stage] = all;
    }
    transitive
}
