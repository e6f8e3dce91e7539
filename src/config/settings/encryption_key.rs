//! Encryption keys in the environment, which are not a row of the table, so that they are never
//! shown.

use std::ffi::OsString;

use secrecy::SecretString;

use super::{Origin, Origins, Problem, sources::Source};

const VARIABLE: &str = "PIPEWRIGHT_ENCRYPTION_KEY";
/// The setting that excludes the variable.
const FILE: &str = "encryption_key_file";

/// The keys in the environment, if there are any.
pub(super) fn read(
    source: &Source<'_>,
    origins: &Origins,
) -> Result<Option<SecretString>, Problem> {
    // An empty variable counts as unset, as for all settings.
    let found = (source.environment)(VARIABLE).filter(|value| !value.is_empty());
    let Some(found) = found else {
        return Ok(None);
    };
    let problem = |text| Problem::new(Origin::Environment(VARIABLE.to_owned()), text);
    if let Some(file) = origins.get(FILE) {
        let text = format!("excludes {FILE}, which {file} sets too; remove one of them");
        return Err(problem(text));
    }
    let key = found.into_string().map(SecretString::from);
    key.map(Some)
        .map_err(|_: OsString| problem("is not UTF-8".to_owned()))
}
