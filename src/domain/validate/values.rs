//! What single values may be. Each says of a bad one what would be right.

use url::Url;

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

/// `https://`, `http://`, `ssh://` or `user@host:path`, as git takes them.
pub(super) fn git_repository(text: &str) -> Result<(), String> {
    const RIGHT: &str = "give an https://, http:// or ssh:// URL, or user@host:path";
    if text.is_empty() {
        return Ok(());
    }
    if text.len() > limits::MAX_GIT_REPOSITORY {
        return Err("must be at most 2048 bytes".into());
    }
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(format!(
            "must not contain white space or control characters; {RIGHT}"
        ));
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        return match is_scp_like(text) {
            true => Ok(()),
            false => Err(format!("'{}' is not a repository; {RIGHT}", shown(text))),
        };
    };
    if !matches!(scheme, "https" | "http" | "ssh") {
        return Err(format!(
            "scheme '{}' is not allowed; {RIGHT}",
            shown(scheme)
        ));
    }
    let url = Url::parse(text).map_err(|error| format!("is not a valid URL ({error}); {RIGHT}"))?;
    let host = url.host_str().unwrap_or_default();
    // The parser is lenient with http:///path and takes the path for the host.
    if rest.starts_with('/')
        || host.is_empty()
        || host.starts_with('-')
        || url.username().starts_with('-')
    {
        return Err(format!("names no valid host; {RIGHT}"));
    }
    if url.password().is_some() {
        return Err(
            "must not contain a password: everyone who may read the pipeline would see it; \
                    use a git credential helper on the runner"
                .into(),
        );
    }
    Ok(())
}

/// `user@host:path`; a path that begins with a colon would be `ext::` and the like.
fn is_scp_like(text: &str) -> bool {
    let word = |part: &str| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        !part.is_empty() && !part.starts_with('-') && part.chars().all(allowed)
    };
    text.split_once('@')
        .and_then(|(user, rest)| Some((user, rest.split_once(':')?)))
        .is_some_and(|(user, (host, path))| {
            word(user) && word(host) && !path.is_empty() && !path.starts_with([':', '-'])
        })
}

/// The rules of `git check-ref-format`, one level allowed, as branches, tags and
/// commit ids have it.
pub(super) fn git_ref_or_empty(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Ok(());
    }
    if text.len() > limits::MAX_GIT_REF {
        return Err("must be at most 1024 bytes".into());
    }
    if text.starts_with('-') {
        return Err(format!("'{}' must not start with '-'", shown(text)));
    }
    let bad_character =
        |c: char| c.is_control() || matches!(c, ' ' | '~' | '^' | ':' | '?' | '*' | '[' | '\\');
    let bad_part = |part: &str| part.is_empty() || part.starts_with('.') || part.ends_with(".lock");
    let bad = text.contains(bad_character)
        || text.contains("..")
        || text.contains("@{")
        || text.ends_with('.')
        || text == "@"
        || text.split('/').any(bad_part);
    match bad {
        true => Err(format!(
            "'{}' is not a git ref; give a branch, a tag or a full commit id",
            shown(text)
        )),
        false => Ok(()),
    }
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
