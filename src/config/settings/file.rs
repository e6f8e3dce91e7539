//! Reads settings from a TOML file.

use std::{collections::BTreeMap, fs, path::Path};

use toml::{Spanned, Value};

use super::{Origin, Problem, settings, source_value::SourceValue};

/// Reads a file. The outer error is a problem of the file as a whole.
pub(super) fn read(path: &Path) -> Result<Vec<Result<SourceValue, Problem>>, Problem> {
    let text = fs::read_to_string(path).map_err(|error| {
        Problem::new(
            Origin::File(path.to_owned(), None),
            format!("cannot be read: {error}"),
        )
    })?;
    parse(path, &text)
}

/// Parses the text of a file.
pub(super) fn parse(path: &Path, text: &str) -> Result<Vec<Result<SourceValue, Problem>>, Problem> {
    let at = |offset: usize| {
        let before = text.bytes().take(offset);
        let line = 1 + before.filter(|byte| *byte == b'\n').count();
        Origin::File(path.to_owned(), Some(line))
    };
    let keys: BTreeMap<Spanned<String>, Value> = toml::from_str(text).map_err(|error| {
        let origin = error
            .span()
            .map_or(Origin::File(path.to_owned(), None), |span| at(span.start));
        Problem::new(origin, format!("is not TOML: {}", error.message()))
    })?;
    let mut keys: Vec<_> = keys.into_iter().collect();
    // In file order, not sorted by name.
    keys.sort_by_key(|(key, _)| key.span().start);
    let values = keys.into_iter().map(|(key, value)| {
        let origin = at(key.span().start);
        let name = key.into_inner();
        let Some(setting) = settings().find(|setting| setting.name == name) else {
            return Err(Problem::new(origin, unknown(&name, &value)));
        };
        match as_text(value) {
            Ok(text) => Ok(SourceValue {
                setting,
                origin,
                text,
            }),
            Err(wrong) => Err(Problem::of(setting, origin, wrong)),
        }
    });
    Ok(values.collect())
}

/// The text of a value, as it would be written in a flag.
fn as_text(value: Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text),
        Value::Array(items) => {
            let texts = items.into_iter().map(|item| match item {
                Value::String(text) => Ok(text),
                other => Err(format!("{other} is not a text in quotes")),
            });
            Ok(texts.collect::<Result<Vec<_>, _>>()?.join(","))
        }
        Value::Integer(_) | Value::Float(_) | Value::Boolean(_) => Ok(value.to_string()),
        Value::Datetime(_) | Value::Table(_) => {
            Err("is neither a text, a number, true, false nor a list of texts".to_owned())
        }
    }
}

/// The message for an unknown key.
fn unknown(name: &str, value: &Value) -> String {
    if value.is_table() {
        return format!("[{name}]: settings are not in sections; remove this line");
    }
    match nearest(name) {
        Some(near) => format!("{name}: is not a setting; did you mean {near}?"),
        None => format!("{name}: is not a setting; `pipewright config show` lists them all"),
    }
}

/// The setting with the most similar name, if it is similar enough. Ignores case, `-` for
/// `_`, and the prefix `no_`.
fn nearest(name: &str) -> Option<&'static str> {
    let plain = name.to_lowercase().replace('-', "_");
    let plain = plain.strip_prefix("no_").unwrap_or(&plain);
    let distances = settings().map(|setting| {
        let distance = strsim::damerau_levenshtein(plain, setting.name);
        (distance, setting.name)
    });
    let (distance, near) = distances.min()?;
    (distance <= 1 + plain.len() / 4).then_some(near)
}
