use super::{Origin, Setting};

/// What somebody said about a setting.
#[derive(Debug)]
pub(super) struct SourceValue {
    pub(super) setting: &'static Setting,
    pub(super) origin: Origin,
    pub(super) text: String,
}
