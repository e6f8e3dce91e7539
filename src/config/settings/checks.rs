//! Checks combinations of settings.

use super::{Origin, Origins, Problem, draft::Draft, settings};

/// The problems of the settings as a whole.
pub(super) fn together(draft: &mut Draft, origins: &Origins) -> Vec<Problem> {
    let mut problems = without_effect(draft, origins);
    problems.extend(open_to_others(draft, origins));
    problems
}

/// Settings that were set although another one, which they need, is not.
fn without_effect(draft: &mut Draft, origins: &Origins) -> Vec<Problem> {
    let mut problems = Vec::new();
    for setting in settings() {
        let (Some(needed), Some(origin)) = (setting.needs, origins.get(setting.name)) else {
            continue;
        };
        // An alias is a variable of other programs, so it may be set for them.
        let is_shared =
            matches!(origin, Origin::Environment(name) if Some(name.as_str()) == setting.alias);
        if !is_shared && let Some(why) = missing(needed, draft, origins) {
            let text = format!("has no effect {why}");
            problems.push(Problem::of(setting, origin.clone(), text));
        }
    }
    problems
}

/// Why the setting that another one needs is missing, if it is.
pub(super) fn missing(needed: &str, draft: &mut Draft, origins: &Origins) -> Option<String> {
    let other = settings().find(|setting| setting.name == needed)?;
    match other.show(draft) {
        Some(toml::Value::Boolean(false)) => Some(format!("while {needed} is false")),
        // A value that is set but invalid is already reported as a problem.
        None if !origins.contains_key(needed) => Some(format!("without {needed}")),
        _ => None,
    }
}

/// A service without credentials on a non-loopback address: any client that reaches it can
/// run commands.
fn open_to_others(draft: &Draft, origins: &Origins) -> Option<Problem> {
    let listen = draft.listen;
    let has_credentials = draft.credentials.is_some()
        // A value that is set but invalid is already reported as a problem.
        || origins.contains_key("credentials");
    let is_closed = has_credentials || listen.ip().is_loopback() || draft.insecure;
    // The default is a loopback address, so `listen` was set.
    let origin = origins.get("listen").filter(|_| !is_closed)?;
    Some(Problem::new(
        origin.clone(),
        format!(
            "{listen} can be reached by others, and without credentials any client that reaches \
             it can run commands as you. Create some (pipewright user add, pipewright token \
             create) and pass --credentials, listen on a loopback address, or pass --insecure if \
             something else keeps untrusted clients out"
        ),
    ))
}
