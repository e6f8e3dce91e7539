use std::collections::HashMap;

use crate::domain::{PipelineSpec, RunCondition, SkipReason};

/// The dependency graph of a pipeline's stages, by their positions in the pipeline.
///
/// A stage depends on its `needs`, if it has any. Otherwise it depends on no stage if the
/// pipeline is parallel, and on the previous stage if not.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StageGraph {
    /// The direct dependencies of each stage.
    pub(in crate::domain) direct: Vec<Vec<usize>>,
    /// The transitive dependencies of each stage.
    pub(in crate::domain) transitive: Vec<Vec<usize>>,
    /// The stages in topological order: each after its dependencies.
    pub(in crate::domain) order: Vec<usize>,
}

/// Why a spec has no graph.
#[derive(Clone, Debug, PartialEq)]
pub enum GraphError {
    /// `stages[stage].needs[need]` is not the name of a stage of the pipeline.
    UnknownNeed { stage: usize, need: usize },
    /// The stages of the cycle, in order. The first one is repeated at the end.
    Cycle(Vec<usize>),
}

/// Whether a stage runs once its direct needs are over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Run,
    Skip(SkipReason),
}

impl StageGraph {
    /// Computes the graph of a spec's stages. Their names must be unique.
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

    /// All transitive dependencies of a stage.
    pub fn depends_on(&self, stage: usize) -> &[usize] {
        &self.transitive[stage]
    }

    /// The stages in topological order: each after its dependencies.
    pub fn order(&self) -> &[usize] {
        &self.order
    }
}

/// The truth table of run conditions, for a job that is not being cancelled.
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
        .map(|stage| {
            if spec.stages[stage].needs.is_empty() {
                Ok(implicit(stage))
            } else {
                named(stage)
            }
        })
        .collect()
}

/// An iterative depth-first search: a long chain of stages cannot overflow the call stack.
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
        // The path from the root: each stage with the number of its needs already visited.
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

/// The part of the path from `start` on, closed with `start`: each stage needs the next one.
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
