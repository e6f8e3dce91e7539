//! Masks of updates: fields outside the mask are unchanged.
//!
//! Input: paths, one a line, an empty line, and the pipeline that is sent as a file.
#![no_main]

use std::time::SystemTime;

use libfuzzer_sys::fuzz_target;
use pipewright::{
    domain::{ConcurrencyPolicy, Pipeline, PipelineId, PipelineSpec},
    fuzzing::{api::updated, cli::pipeline_file},
    proto::{pipeline_from_proto, v1},
};
use uuid::Uuid;

const CURRENT: &str = "
name: before
git_repository: https://host/before
default_ref: before
stages: [{name: before, command: 'true'}]
variables: {BEFORE: '1'}
secret_variables: {SECRET_BEFORE: '1'}
concurrency_policy: queue
annotations: {before: '1'}
";

fuzz_target!(|input: &str| {
    let (paths, text) = input.split_once("\n\n").unwrap_or((input, ""));
    let paths: Vec<String> = paths.lines().map(str::to_owned).collect();
    let sent = match pipeline_file(text, "-") {
        Ok((message, _)) => message,
        Err(_) => v1::Pipeline::default(),
    };
    let current = current();
    let Ok(spec) = updated(paths.clone(), sent.clone(), &current) else {
        return;
    };

    assert!(paths.len() <= 20);
    if paths.is_empty() {
        // Without a mask, the populated fields are the mask.
        assert!(spec == current.spec || sent != v1::Pipeline::default());
        return;
    }
    let is_named = |field: &str| paths.iter().any(|path| path == field || path == "*");
    let PipelineSpec {
        name,
        git_repository,
        default_ref,
        stages,
        parallel,
        variables,
        secret_variables,
        concurrency_policy,
        annotations,
    } = &spec;
    let before = &current.spec;
    assert!(is_named("name") || *name == before.name);
    assert!(is_named("git_repository") || *git_repository == before.git_repository);
    assert!(is_named("default_ref") || *default_ref == before.default_ref);
    assert!(is_named("stages") || *stages == before.stages);
    assert!(is_named("parallel") || *parallel == before.parallel);
    assert!(is_named("variables") || *variables == before.variables);
    assert!(is_named("secret_variables") || *secret_variables == before.secret_variables);
    assert!(is_named("concurrency_policy") || *concurrency_policy == before.concurrency_policy);
    assert!(is_named("annotations") || *annotations == before.annotations);

    // And named fields have the sent value, set or not.
    assert!(!is_named("name") || *name == sent.name);
    assert!(!is_named("git_repository") || *git_repository == sent.git_repository);
    assert!(!is_named("stages") || stages.len() == sent.stages.len());
    assert!(!is_named("parallel") || *parallel == sent.parallel);
    assert!(!is_named("variables") || *variables == sent.variables);
    assert!(!is_named("annotations") || *annotations == sent.annotations);
});

fn current() -> Pipeline {
    let (message, _) = pipeline_file(CURRENT, "-").expect("a file");
    let spec = pipeline_from_proto(message).expect("a pipeline").spec;
    assert_eq!(spec.concurrency_policy, ConcurrencyPolicy::Queue);
    let (id, now) = (PipelineId(Uuid::nil()), SystemTime::UNIX_EPOCH);
    Pipeline::new(id, "p".into(), spec, "alice".into(), now).expect("a valid pipeline")
}
