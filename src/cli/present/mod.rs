//! Output for people and programs: tables, JSON, progress bars, lines of logs, errors.

pub(crate) mod duration;
pub(crate) mod error_json;
pub(crate) mod format;
pub(crate) mod json;
pub(crate) mod labels;
pub(crate) mod log_lines;
pub(crate) mod out;
pub(crate) mod page;
pub(crate) mod progress_bars;
pub(crate) mod resource;
pub(crate) mod screen;
pub(crate) mod suggestion;
pub(crate) mod table;
pub(crate) mod text;
pub(crate) mod view;
