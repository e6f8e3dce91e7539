//! Revisions of a pipeline.

use std::sync::Arc;

use super::world::{NOW, pipeline, spec, stage};
use crate::domain::{Pipeline, PipelineSpec, RunCondition};

fn two_stages() -> PipelineSpec {
    let stage = |name| stage(name, &[], RunCondition::OnSuccess);
    spec(false, vec![stage("a"), stage("b")])
}

#[test]
fn a_revision_with_unchanged_stages_shares_them_and_the_graph() {
    let first = pipeline(two_stages());
    let spec = PipelineSpec {
        git_repository: "https://example.com/r.git".to_owned(),
        default_ref: "main".to_owned(),
        ..first.spec.clone()
    };
    let next = first.revised(spec, NOW).unwrap().unwrap();
    assert!(Arc::ptr_eq(&next.spec.stages, &first.spec.stages));
    assert!(Arc::ptr_eq(&next.graph, &first.graph));
}

#[test]
fn a_change_of_parallel_computes_the_graph_again() {
    let first = pipeline(two_stages());
    let spec = PipelineSpec {
        parallel: true,
        ..first.spec.clone()
    };
    let next = first.revised(spec, NOW).unwrap().unwrap();
    assert_eq!(first.graph.direct(1), [0]);
    assert!(next.graph.direct(1).is_empty());
}

#[test]
fn fields_other_than_the_stages_are_validated_in_a_revision() {
    let first = pipeline(two_stages());
    let spec = PipelineSpec {
        git_repository: "https://example.com/r.git".to_owned(),
        default_ref: "-x".to_owned(),
        ..first.spec.clone()
    };
    let violations = first.revised(spec, NOW).unwrap_err();
    assert_eq!(violations[0].field, "default_ref");
}

/// Both if the ref is added and if the repository is removed.
#[test]
fn a_ref_needs_a_repository() {
    let first = pipeline(two_stages());
    let with = |git_repository: &str, default_ref: &str| PipelineSpec {
        git_repository: git_repository.to_owned(),
        default_ref: default_ref.to_owned(),
        ..first.spec.clone()
    };
    let refused = |from: &Pipeline, spec| {
        let violations = from.revised(spec, NOW).unwrap_err();
        violations
            .into_iter()
            .map(|violation| violation.field)
            .collect::<Vec<_>>()
    };
    assert_eq!(refused(&first, with("", "main")), ["default_ref"]);
    let both = with("https://example.com/r.git", "main");
    let second = first.revised(both, NOW).unwrap().unwrap();
    assert_eq!(refused(&second, with("", "main")), ["default_ref"]);
    assert!(second.revised(with("", ""), NOW).unwrap().is_some());
}
