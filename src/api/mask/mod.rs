//! Update masks: the fields that an update changes.

mod pipeline;
mod project;

use prost_types::FieldMask;
use tonic::Status;

use crate::domain::Violation;

use super::status::{invalid, invalid_field};

pub(super) use pipeline::PipelineField;
pub(super) use project::ProjectField;

/// More than the fields of any message, so that repeated paths are accepted.
const MAX_PATHS: usize = 20;

/// A mutable field of a message.
pub(super) trait Field: Copy + Eq + 'static {
    type Message;
    const ALL: &'static [Self];
    /// The message's other fields.
    const IMMUTABLE: &'static [&'static str];

    fn path(self) -> &'static str;
    fn is_populated(self, message: &Self::Message) -> bool;
}

/// The fields that an update changes.
pub(super) struct Mask<F> {
    fields: Vec<F>,
    /// The path is `*`: the client replaces the whole resource.
    is_replacement: bool,
}

impl<F: Field> Mask<F> {
    /// The fields that a mask names. Without paths, the fields that are populated in the
    /// message.
    pub(super) fn new(mask: Option<FieldMask>, message: &F::Message) -> Result<Self, Status> {
        let paths = mask.map(|mask| mask.paths).unwrap_or_default();
        if paths.is_empty() {
            let populated = F::ALL.iter().filter(|field| field.is_populated(message));
            return Ok(Self::of(populated.copied().collect()));
        }
        if paths.len() > MAX_PATHS {
            let description = format!("has {} paths; at most {MAX_PATHS} are allowed", paths.len());
            return Err(invalid_field("update_mask", description));
        }
        if paths == ["*"] {
            return Ok(Self {
                fields: F::ALL.to_vec(),
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
        if violations.is_empty() {
            Ok(Self::of(fields))
        } else {
            Err(invalid(violations))
        }
    }

    fn of(fields: Vec<F>) -> Self {
        Self {
            fields,
            is_replacement: false,
        }
    }
}

fn named<F: Field>(path: &str) -> Result<F, String> {
    if let Some(field) = F::ALL.iter().find(|field| field.path() == path) {
        return Ok(*field);
    }
    match path {
        "*" => Err("must be the only path".to_owned()),
        path if F::IMMUTABLE.contains(&path) => Err(format!("'{path}' cannot be changed")),
        path => {
            let path: String = path
                .chars()
                .take(40)
                .flat_map(char::escape_default)
                .collect();
            let names: Vec<_> = F::ALL.iter().map(|field| field.path()).collect();
            let names = names.join(", ");
            Err(format!(
                "'{path}' is not a top-level field; use {names}, or *"
            ))
        }
    }
}
