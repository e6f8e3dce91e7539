use prost_types::FieldMask;
use tonic::Status;

use crate::{
    domain::{Pipeline, PipelineSpec, Violation},
    proto::{PipelineDraft, v1},
};

use super::status::{invalid, invalid_field};

/// Fields of a pipeline that an update may change.
const FIELDS: [Field; 9] = [
    Field::Name,
    Field::GitRepository,
    Field::DefaultRef,
    Field::Stages,
    Field::Parallel,
    Field::Variables,
    Field::SecretVariables,
    Field::ConcurrencyPolicy,
    Field::Annotations,
];
const IMMUTABLE: [&str; 8] = [
    "id",
    "project",
    "revision",
    "etag",
    "create_time",
    "update_time",
    "creator",
    "secret_variable_names",
];

/// More than there are fields, so that a repetition is no mistake.
const MAX_PATHS: usize = 20;

/// Which fields an update changes.
pub(super) struct Mask {
    fields: Vec<Field>,
    /// The client sent back the whole of what it had read.
    is_replacement: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Name,
    GitRepository,
    DefaultRef,
    Stages,
    Parallel,
    Variables,
    SecretVariables,
    ConcurrencyPolicy,
    Annotations,
}

impl Mask {
    /// The fields that a mask names; without paths those that the message populates.
    pub(super) fn new(mask: Option<FieldMask>, pipeline: &v1::Pipeline) -> Result<Self, Status> {
        let paths = mask.map(|mask| mask.paths).unwrap_or_default();
        if paths.is_empty() {
            let populated = FIELDS
                .into_iter()
                .filter(|field| field.is_populated(pipeline));
            return Ok(Self::of(populated.collect()));
        }
        if paths.len() > MAX_PATHS {
            let description = format!("has {} paths; at most {MAX_PATHS} are allowed", paths.len());
            return Err(invalid_field("update_mask", description));
        }
        if paths == ["*"] {
            return Ok(Self {
                fields: FIELDS.to_vec(),
                is_replacement: true,
            });
        }
        let mut violations = Vec::new();
        let fields = paths.iter().enumerate().filter_map(|(position, path)| {
            let path = named(path).map_err(|description| {
                let field = format!("update_mask.paths[{position}]");
                violations.push(Violation::new(field, description));
            });
            path.ok()
        });
        let fields = fields.collect();
        match violations.is_empty() {
            true => Ok(Self::of(fields)),
            false => Err(invalid(violations)),
        }
    }

    /// The current spec with the mask's fields taken from the draft.
    pub(super) fn apply(
        &self,
        draft: &PipelineDraft,
        current: &Pipeline,
    ) -> Result<PipelineSpec, Vec<Violation>> {
        let moves = !draft.project.is_empty() && draft.project != current.project;
        if self.is_replacement && moves {
            let description = format!("is immutable; it is '{}'", current.project);
            return Err(vec![Violation::new("project", description)]);
        }
        let mut spec = current.spec.clone();
        for field in &self.fields {
            field.copy(&draft.spec, &mut spec);
        }
        Ok(spec)
    }

    /// Empties what an update does not look at, so that nothing in it is refused.
    pub(super) fn leave_only_its_fields(&self, pipeline: &mut v1::Pipeline) {
        for field in FIELDS {
            if !self.fields.contains(&field) {
                field.clear(pipeline);
            }
        }
    }

    fn of(fields: Vec<Field>) -> Self {
        Self {
            fields,
            is_replacement: false,
        }
    }
}

impl Field {
    fn path(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::GitRepository => "git_repository",
            Self::DefaultRef => "default_ref",
            Self::Stages => "stages",
            Self::Parallel => "parallel",
            Self::Variables => "variables",
            Self::SecretVariables => "secret_variables",
            Self::ConcurrencyPolicy => "concurrency_policy",
            Self::Annotations => "annotations",
        }
    }

    fn is_populated(self, pipeline: &v1::Pipeline) -> bool {
        match self {
            Self::Name => !pipeline.name.is_empty(),
            Self::GitRepository => !pipeline.git_repository.is_empty(),
            Self::DefaultRef => !pipeline.default_ref.is_empty(),
            Self::Stages => !pipeline.stages.is_empty(),
            Self::Parallel => pipeline.parallel,
            Self::Variables => !pipeline.variables.is_empty(),
            Self::SecretVariables => !pipeline.secret_variables.is_empty(),
            Self::ConcurrencyPolicy => pipeline.concurrency_policy != 0,
            Self::Annotations => !pipeline.annotations.is_empty(),
        }
    }

    fn clear(self, pipeline: &mut v1::Pipeline) {
        match self {
            Self::Name => pipeline.name.clear(),
            Self::GitRepository => pipeline.git_repository.clear(),
            Self::DefaultRef => pipeline.default_ref.clear(),
            Self::Stages => pipeline.stages.clear(),
            Self::Parallel => pipeline.parallel = false,
            Self::Variables => pipeline.variables.clear(),
            Self::SecretVariables => pipeline.secret_variables.clear(),
            Self::ConcurrencyPolicy => pipeline.concurrency_policy = 0,
            Self::Annotations => pipeline.annotations.clear(),
        }
    }

    fn copy(self, from: &PipelineSpec, to: &mut PipelineSpec) {
        match self {
            Self::Name => to.name.clone_from(&from.name),
            Self::GitRepository => to.git_repository.clone_from(&from.git_repository),
            Self::DefaultRef => to.default_ref.clone_from(&from.default_ref),
            Self::Stages => to.stages.clone_from(&from.stages),
            Self::Parallel => to.parallel = from.parallel,
            Self::Variables => to.variables.clone_from(&from.variables),
            // Who has read the pipeline has not read them, and cannot send them back.
            Self::SecretVariables => {
                to.secret_variables = to.secret_variables.changed(&from.secret_variables);
            }
            Self::ConcurrencyPolicy => to.concurrency_policy = from.concurrency_policy,
            Self::Annotations => to.annotations.clone_from(&from.annotations),
        }
    }
}

fn named(path: &str) -> Result<Field, String> {
    let names = FIELDS.map(Field::path).join(", ");
    if let Some(field) = FIELDS.into_iter().find(|field| field.path() == path) {
        return Ok(field);
    }
    match path {
        "*" => Err("must be the only path".to_owned()),
        path if IMMUTABLE.contains(&path) => Err(format!("'{path}' cannot be changed")),
        path => {
            let path: String = path
                .chars()
                .take(40)
                .flat_map(char::escape_default)
                .collect();
            Err(format!(
                "'{path}' is not a top-level field; use {names}, or *"
            ))
        }
    }
}
