//! What single values may be. Each says of a bad one what would be right.

use crate::domain::{Variables, limits};

pub(super) fn is_label(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '/' | '-');
    (1..=limits::MAX_LABEL).contains(&text.len()) && text.chars().all(allowed)
}

pub(super) fn name(name: &str, most: usize) -> Result<(), String> {
    let length = name.chars().count();
    if length == 0 {
        return Err(format!("must not be empty; give 1 to {most} characters"));
    }
    if length > most {
        return Err(format!(
            "has {length} characters; at most {most} are allowed"
        ));
    }
    if name.chars().any(char::is_control) {
        return Err("must not contain control characters".into());
    }
    if name.trim() != name {
        return Err("must not begin or end with white space".into());
    }
    Ok(())
}

/// Text that may be empty.
pub(super) fn short_text(text: &str, most: usize) -> Result<(), String> {
    match text.is_empty() {
        true => Ok(()),
        false => name(text, most),
    }
}

pub(super) fn stage_name(text: &str) -> Result<(), String> {
    name(text, limits::MAX_STAGE_NAME)?;
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(format!("'{}' must not start with a digit", shown(text)));
    }
    Ok(())
}

pub(super) fn command(command: &str) -> Result<(), String> {
    match command.len() {
        0 => Err("must not be empty; give the script that the stage runs".into()),
        1..=limits::MAX_COMMAND if command.contains('\0') => {
            Err("must not contain a NUL byte".into())
        }
        1..=limits::MAX_COMMAND => Ok(()),
        size => Err(format!("has {size} bytes; at most 64 KiB are allowed")),
    }
}

pub(super) fn variable_name(name: &str) -> Result<(), String> {
    let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if !starts || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Err("the name must match [A-Za-z_][A-Za-z0-9_]*".into());
    }
    if name == "CI" || name.starts_with("PIPEWRIGHT_") {
        return Err("the name is set by the service: CI and PIPEWRIGHT_* are refused".into());
    }
    if name.len() > limits::MAX_VARIABLE_VALUE {
        return Err("the name must be at most 32 KiB".into());
    }
    Ok(())
}

pub(super) fn variable_value(value: &str) -> Result<(), String> {
    if value.len() > limits::MAX_VARIABLE_VALUE {
        return Err(format!(
            "the value has {} bytes; at most 32 KiB are allowed",
            value.len()
        ));
    }
    if value.contains('\0') {
        return Err("the value must not contain a NUL byte".into());
    }
    Ok(())
}

pub(super) fn annotations(annotations: &Variables) -> Result<(), String> {
    match size_of(annotations) {
        0..=limits::MAX_ANNOTATIONS => Ok(()),
        size => Err(format!(
            "have {size} bytes in all; at most 16 KiB are allowed"
        )),
    }
}

pub(super) fn size_of(map: &Variables) -> usize {
    map.iter().map(|(key, value)| key.len() + value.len()).sum()
}

pub(super) fn working_directory(path: &str) -> Result<(), String> {
    let inside = !path.starts_with('/') && path.split('/').all(|part| part != "..");
    if !inside {
        return Err("must be relative to the workspace and must not contain '..'".into());
    }
    if path.len() > limits::MAX_WORKING_DIRECTORY || path.chars().any(char::is_control) {
        return Err("must be at most 1024 bytes without control characters".into());
    }
    Ok(())
}

/// Text of a client as it may stand in a message: escaped, and cut to a length
/// that keeps a refusal readable.
pub(super) fn shown(text: &str) -> String {
    const MOST: usize = 80;
    let mut shown = String::new();
    for c in text.chars().take(MOST) {
        match c.is_control() {
            true => shown.extend(c.escape_default()),
            false => shown.push(c),
        }
    }
    if text.chars().nth(MOST).is_some() {
        shown.push_str("...");
    }
    shown
}
