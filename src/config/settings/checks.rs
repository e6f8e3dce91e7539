//! Whether settings go together.

use super::{Origin, Origins, Problem, draft::Draft, settings};

/// What is wrong with the settings as a whole.
pub(super) fn together(draft: &mut Draft, origins: &Origins) -> Vec<Problem> {
    let mut mistakes = without_effect(draft, origins);
    mistakes.extend(open_to_strangers(draft, origins));
    mistakes
}

/// Settings that somebody gave although another one, which they need, is not there.
fn without_effect(draft: &mut Draft, origins: &Origins) -> Vec<Problem> {
    let mut mistakes = Vec::new();
    for setting in settings() {
        let (Some(needed), Some(origin)) = (setting.needs, origins.get(setting.name)) else {
            continue;
        };
        // The variables of other programs are not said to this service alone.
        let is_shared =
            matches!(origin, Origin::Environment(name) if Some(name.as_str()) == setting.alias);
        if !is_shared && let Some(why) = missing(needed, draft, origins) {
            let text = format!("has no effect {why}");
            mistakes.push(Problem::of(setting, origin.clone(), text));
        }
    }
    mistakes
}

/// Why what a setting needs is not there, if so.
pub(super) fn missing(needed: &str, draft: &mut Draft, origins: &Origins) -> Option<String> {
    let other = settings().find(|setting| setting.name == needed)?;
    match other.show(draft) {
        Some(toml::Value::Boolean(false)) => Some(format!("while {needed} is false")),
        // SourceValue and not understood is a mistake of its own.
        None if !origins.contains_key(needed) => Some(format!("without {needed}")),
        _ => None,
    }
}

/// Whoever reaches a service without credentials can run commands.
fn open_to_strangers(draft: &Draft, origins: &Origins) -> Option<Problem> {
    let listen = draft.listen;
    let has_credentials = draft.credentials.is_some()
        // What was given and not understood is a mistake of its own.
        || origins.contains_key("credentials");
    let is_closed = has_credentials || listen.ip().is_loopback() || draft.insecure;
    // By default nobody else reaches it, so somebody has said otherwise.
    let origin = origins.get("listen").filter(|_| !is_closed)?;
    Some(Problem::new(
        origin.clone(),
        format!(
            "{listen} can be reached by others, and without credentials whoever reaches it can \
             run commands as you. Make some (pipewright user add, pipewright token create) and \
             say --credentials, listen on a loopback address, or say --insecure if something \
             else keeps strangers out"
        ),
    ))
}
