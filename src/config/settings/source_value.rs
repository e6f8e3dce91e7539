use super::{Origin, Setting};

/// The value of a setting in one source.
#[derive(Debug)]
pub(super) struct SourceValue {
    pub(super) setting: &'static Setting,
    pub(super) origin: Origin,
    pub(super) text: String,
}
