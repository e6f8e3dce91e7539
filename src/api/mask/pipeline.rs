use crate::{
    domain::{Pipeline, PipelineSpec, Violation},
    proto::{PipelineDraft, v1},
};

use super::{Field, Mask};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::api) enum PipelineField {
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

impl Field for PipelineField {
    type Message = v1::Pipeline;

    const ALL: &'static [Self] = &[
        Self::Name,
        Self::GitRepository,
        Self::DefaultRef,
        Self::Stages,
        Self::Parallel,
        Self::Variables,
        Self::SecretVariables,
        Self::ConcurrencyPolicy,
        Self::Annotations,
    ];
    const IMMUTABLE: &'static [&'static str] = &[
        "id",
        "project",
        "revision",
        "etag",
        "create_time",
        "update_time",
        "creator",
        "secret_variable_names",
    ];

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
}

impl PipelineField {
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
            // Merged, not replaced: a read does not return secrets, so a client cannot send
            // back the current ones.
            Self::SecretVariables => {
                to.secret_variables = to.secret_variables.changed(&from.secret_variables);
            }
            Self::ConcurrencyPolicy => to.concurrency_policy = from.concurrency_policy,
            Self::Annotations => to.annotations.clone_from(&from.annotations),
        }
    }
}

impl Mask<PipelineField> {
    /// Copies the mask's fields from the draft to the current spec.
    pub(in crate::api) fn apply(
        &self,
        draft: &PipelineDraft,
        current: &Pipeline,
    ) -> Result<PipelineSpec, Vec<Violation>> {
        let changes_project = !draft.project.is_empty() && draft.project != current.project;
        if self.is_replacement && changes_project {
            let description = format!("is immutable; it is '{}'", current.project);
            return Err(vec![Violation::new("project", description)]);
        }
        let mut spec = current.spec.clone();
        for field in &self.fields {
            field.copy(&draft.spec, &mut spec);
        }
        Ok(spec)
    }

    /// Clears the fields that are not in the mask, so that they are not validated.
    pub(in crate::api) fn leave_only_its_fields(&self, pipeline: &mut v1::Pipeline) {
        for field in PipelineField::ALL {
            if !self.fields.contains(field) {
                field.clear(pipeline);
            }
        }
    }
}
