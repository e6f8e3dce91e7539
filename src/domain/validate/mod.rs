//! Validation of client requests, before anything changes. Each violation says what is wrong
//! and what a valid value is.

mod git;
mod values;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use secrecy::ExposeSecret;

use super::{
    GraphError, Pipeline, PipelineSpec, RunCondition, Secrets, Stage, StageAction, StageGraph,
    Variables, lease::Registration, limits,
};
use git::{git_ref_or_empty, git_repository};
use values::{
    annotations, command, is_label, lines, name, no_id, short_text, shown, size_of, stage_name,
    variable_name, variable_value, working_directory,
};

/// An invalid field of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Path of the field, such as `stages[2].name`.
    pub field: String,
    /// What is wrong with it and what a valid value is.
    pub description: String,
}

impl Violation {
    pub fn new(field: impl Into<String>, description: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            description: description.into(),
        }
    }
}

/// Collects violations.
struct Check<'a> {
    /// The stage being checked: fields are then relative to it.
    stage: Option<usize>,
    found: &'a mut Vec<Violation>,
}

impl Check<'_> {
    fn refuse(&mut self, field: &str, description: impl Into<String>) {
        // The number is limited: a hostile request can have very many violations.
        if self.found.len() < limits::MAX_VIOLATIONS {
            let path = match self.stage {
                None => field.to_owned(),
                Some(position) => format!("stages[{position}].{field}"),
            };
            self.found.push(Violation::new(path, description));
        }
    }

    fn that(&mut self, field: &str, result: Result<(), String>) {
        if let Err(description) = result {
            self.refuse(field, description);
        }
    }
}

/// Validates a whole spec and returns the graph of its stages. `violations` are those found
/// before.
pub(super) fn spec(
    spec: &PipelineSpec,
    mut violations: Vec<Violation>,
) -> Result<Arc<StageGraph>, Vec<Violation>> {
    check_all_but_stages(spec, &mut violations);
    let mut check = Check {
        stage: None,
        found: &mut violations,
    };
    check_stages(&mut check, &spec.stages);
    // The cost of a graph is quadratic, so a spec that is too large gets none.
    if !is_too_large(spec)
        && let Some(graph) = check_graph(spec, &mut violations)
        && violations.is_empty()
    {
        return Ok(Arc::new(graph));
    }
    Err(violations)
}

/// As [`spec`], for the next revision. Stages that it shares with the previous revision are
/// not validated again.
pub(super) fn revised_spec(
    spec: &PipelineSpec,
    previous: &Pipeline,
) -> Result<Arc<StageGraph>, Vec<Violation>> {
    let old = &previous.spec;
    if !(Arc::ptr_eq(&spec.stages, &old.stages) && spec.parallel == old.parallel) {
        return self::spec(spec, Vec::new());
    }
    let mut violations = Vec::new();
    check_all_but_stages(spec, &mut violations);
    if violations.is_empty() {
        Ok(Arc::clone(&previous.graph))
    } else {
        Err(violations)
    }
}

fn check_all_but_stages(spec: &PipelineSpec, violations: &mut Vec<Violation>) {
    let mut check = Check {
        stage: None,
        found: violations,
    };
    let pipeline_name = name(&spec.name, limits::MAX_PIPELINE_NAME);
    check.that("name", pipeline_name.and_then(|()| no_id(&spec.name)));
    check.that("git_repository", git_repository(&spec.git_repository));
    check.that("default_ref", git_ref_or_empty(&spec.default_ref));
    check.that("default_ref", ref_of_repository(&spec.default_ref, spec));
    check_variables(&mut check, "variables", &spec.variables);
    check_secrets(&mut check, &spec.secret_variables, &spec.variables);
    if spec.secret_variables.size() > limits::MAX_SECRET_VARIABLES {
        check.refuse("secret_variables", "must be at most 64 KiB in all");
    }
    check.that("annotations", annotations(&spec.annotations));
}

/// A ref without a repository would be ignored.
fn ref_of_repository(git_ref: &str, spec: &PipelineSpec) -> Result<(), String> {
    if !git_ref.is_empty() && spec.git_repository.is_empty() {
        return Err("must be empty, because the pipeline has no git_repository".into());
    }
    Ok(())
}

fn is_too_large(spec: &PipelineSpec) -> bool {
    let most = limits::MAX_STAGES;
    spec.stages.len() > most || spec.stages.iter().any(|stage| stage.needs.len() > most)
}

const SLUG: &str =
    "must be a slug: a lower-case letter, then at most 62 of a-z, 0-9 and -; not a UUID";

/// Validates a project's name.
pub(super) fn project(slug: &str, violations: &mut Vec<Violation>) {
    if !is_project(slug) {
        violations.push(Violation::new("project", SLUG));
    }
}

/// Whether a text is a valid project name.
pub fn is_project(slug: &str) -> bool {
    let mut characters = slug.chars();
    let first = characters.next().is_some_and(|c| c.is_ascii_lowercase());
    let rest = characters.all(|c| matches!(c, 'a'..='z' | '0'..='9' | '-'));
    first && rest && slug.len() <= 63 && no_id(slug).is_ok()
}

/// Validates the fields of a project that a client may set.
pub fn project_draft(slug: &str, description: &str, annotations: &Variables) -> Vec<Violation> {
    let mut violations = Vec::new();
    if !is_project(slug) {
        violations.push(Violation::new("name", SLUG));
    }
    let mut check = Check {
        stage: None,
        found: &mut violations,
    };
    let most = limits::MAX_DESCRIPTION;
    if description.chars().count() > most {
        check.refuse("description", format!("must be at most {most} characters"));
    }
    check.that("description", lines(description));
    check.that("annotations", self::annotations(annotations));
    violations
}

/// Validates the ref, the variables and the priority of a trigger.
pub fn trigger(
    git_ref: &str,
    variables: &Variables,
    secrets: &Secrets,
    priority: i32,
) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut check = Check {
        stage: None,
        found: &mut violations,
    };
    check.that("git_ref", git_ref_or_empty(git_ref));
    check_variables(&mut check, "variables", variables);
    check_secrets(&mut check, secrets, variables);
    if size_of(variables) + secrets.size() > limits::MAX_TRIGGER_VARIABLES {
        let description = "must be at most 64 KiB in all, secret_variables included";
        check.refuse("variables", description);
    }
    if !(limits::MIN_PRIORITY..=limits::MAX_PRIORITY).contains(&priority) {
        check.refuse("priority", format!("is {priority}; must be -100 to 100"));
    }
    violations
}

/// Validates the ref of a trigger against the revision that it runs.
pub fn trigger_of(git_ref: &str, spec: &PipelineSpec) -> Vec<Violation> {
    let wrong = ref_of_repository(git_ref, spec).err();
    let violation = wrong.map(|description| Violation::new("git_ref", description));
    violation.into_iter().collect()
}

/// Validates the reason of a cancel.
pub fn cancel_reason(reason: &str) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut check = Check {
        stage: None,
        found: &mut violations,
    };
    if reason.chars().count() > limits::MAX_CANCEL_REASON {
        check.refuse("reason", "must be at most 512 characters");
    }
    check.that("reason", lines(reason));
    violations
}

/// Validates a runner's registration, except its capacity.
pub fn runner(runner: &Registration) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut check = Check {
        stage: None,
        found: &mut violations,
    };
    let display_name = short_text(&runner.display_name, limits::MAX_RUNNER_NAME);
    let display_name = display_name.and_then(|()| no_id(&runner.display_name));
    check.that("display_name", display_name);
    check.that(
        "version",
        short_text(&runner.version, limits::MAX_RUNNER_VERSION),
    );
    check_labels(&mut check, "labels", &runner.offer.labels);
    violations
}

/// Validates the commit id that a runner reports.
pub fn commit_id(commit_id: &str) -> Result<(), String> {
    let is_hash = matches!(commit_id.len(), 40 | 64);
    if is_hash && commit_id.chars().all(|c| c.is_ascii_hexdigit()) {
        Ok(())
    } else {
        Err("must be the full id of a commit, 40 or 64 hex digits".to_owned())
    }
}

fn check_stages(check: &mut Check<'_>, stages: &[Stage]) {
    match stages.len() {
        0 => check.refuse("stages", "must have at least one stage"),
        1..=limits::MAX_STAGES => {}
        many => check.refuse(
            "stages",
            format!("has {many} stages; at most 200 are allowed"),
        ),
    }
    let mut first_of = HashMap::new();
    for (position, stage) in stages.iter().enumerate().take(limits::MAX_STAGES) {
        let mut check = Check {
            stage: Some(position),
            found: check.found,
        };
        check_stage(&mut check, stage);
        if let Some(first) = first_of.insert(stage.name.as_str(), position) {
            first_of.insert(stage.name.as_str(), first);
            check.refuse(
                "name",
                format!(
                    "'{}' is also the name of stages[{first}]; names must be unique",
                    shown(&stage.name)
                ),
            );
        }
    }
}

fn check_stage(check: &mut Check<'_>, stage: &Stage) {
    check.that("name", stage_name(&stage.name));
    match &stage.action {
        StageAction::Command(script) => check.that("command", command(script)),
    }
    if !(limits::MIN_TIMEOUT..=limits::MAX_TIMEOUT).contains(&stage.timeout) {
        let given = stage.timeout.as_secs_f64();
        check.refuse(
            "timeout",
            format!("is {given} s; must be 1 s to 24 h (86400 s)"),
        );
    }
    check_variables(check, "variables", &stage.variables);
    check_labels(check, "runner_labels", &stage.runner_labels);
    check.that(
        "working_directory",
        working_directory(&stage.working_directory),
    );
    if stage.needs.len() > limits::MAX_STAGES {
        let given = stage.needs.len();
        check.refuse(
            "needs",
            format!("names {given} stages; at most 200 are allowed"),
        );
        return;
    }
    for (position, need) in stage.needs.iter().enumerate() {
        if stage.needs[..position].contains(need) {
            check.refuse(
                &format!("needs[{position}]"),
                format!("'{}' is listed twice", shown(need)),
            );
        }
    }
}

fn check_graph(spec: &PipelineSpec, violations: &mut Vec<Violation>) -> Option<StageGraph> {
    let mut check = Check {
        stage: None,
        found: violations,
    };
    let graph = match StageGraph::new(spec) {
        Ok(graph) => graph,
        Err(GraphError::UnknownNeed { stage, need }) => {
            let name = shown(&spec.stages[stage].needs[need]);
            let field = format!("stages[{stage}].needs[{need}]");
            check.refuse(&field, format!("'{name}' is not a stage of this pipeline"));
            return None;
        }
        Err(GraphError::Cycle(stages)) => {
            let names: Vec<String> = stages
                .iter()
                .map(|&stage| shown(&spec.stages[stage].name))
                .collect();
            let field = format!("stages[{}].needs", stages[0]);
            check.refuse(
                &field,
                format!("stages wait for each other: {}", names.join(" -> ")),
            );
            return None;
        }
    };
    for (position, stage) in spec.stages.iter().enumerate() {
        let never =
            stage.run_condition == RunCondition::OnFailure && graph.direct(position).is_empty();
        if never {
            check.refuse(
                &format!("stages[{position}].run_condition"),
                "is ON_FAILURE, but the stage depends on no other that could fail; name one in needs",
            );
        }
    }
    Some(graph)
}

fn check_variables(check: &mut Check<'_>, field: &str, variables: &Variables) {
    check_count(check, field, variables.len());
    for (name, value) in variables.iter().take(limits::MAX_VARIABLES) {
        check_variable(check, field, name, value);
    }
}

/// Validates secret variables, and that none of them is also a plain variable.
fn check_secrets(check: &mut Check<'_>, secrets: &Secrets, others: &Variables) {
    const FIELD: &str = "secret_variables";
    check_count(check, FIELD, secrets.len());
    for (name, value) in secrets.iter().take(limits::MAX_VARIABLES) {
        check_variable(check, FIELD, name, value.expose_secret());
        if others.contains_key(name) {
            let path = format!("{FIELD}[\"{}\"]", shown(name));
            check.refuse(&path, "is in variables too; a variable is secret or not");
        }
    }
}

fn check_count(check: &mut Check<'_>, field: &str, given: usize) {
    if given > limits::MAX_VARIABLES {
        check.refuse(
            field,
            format!("has {given} variables; at most 256 are allowed"),
        );
    }
}

/// No violation quotes the value, as it may be a secret.
fn check_variable(check: &mut Check<'_>, field: &str, name: &str, value: &str) {
    for wrong in [variable_name(name), variable_value(value)] {
        if let Err(description) = wrong {
            check.refuse(&format!("{field}[\"{}\"]", shown(name)), description);
        }
    }
}

fn check_labels(check: &mut Check<'_>, field: &str, labels: &BTreeMap<String, String>) {
    if labels.len() > limits::MAX_LABELS {
        check.refuse(field, "has more than 64 labels");
    }
    for (key, value) in labels.iter().take(limits::MAX_LABELS) {
        if !(is_label(key) && (value.is_empty() || is_label(value))) {
            check.refuse(
                &format!("{field}[\"{}\"]", shown(key)),
                "keys and values must be 1 to 63 of A-Z, a-z, 0-9, '.', '_', '/' and '-'; a value may be empty",
            );
        }
    }
}
