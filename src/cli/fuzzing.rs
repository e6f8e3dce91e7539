//! Entry points for `fuzz/`.

use super::{commands::file, present::json};
use crate::proto::v1;

/// Parses a pipeline file; returns the pipeline and the fields that an update by it changes.
///
/// # Errors
/// The message for the user if the file is wrong.
pub fn pipeline_file(text: &str, source: &str) -> Result<(v1::Pipeline, Vec<String>), String> {
    let file = file::parse(text, source).map_err(|error| error.message().unwrap_or_default())?;
    let mask = file.mask();
    Ok((file.into(), mask))
}

/// A pipeline as `pipeline get` prints it.
pub fn printed(pipeline: &v1::Pipeline) -> String {
    json::pretty("Pipeline", pipeline)
}
