//! The patterns that a secret is searched by in a log, before [`escapes`](super::escapes): its
//! lines, the values in it, and all of these in base64.

use std::collections::BTreeSet;

use base64::{Engine as _, prelude::BASE64_STANDARD_NO_PAD};
use serde_json::Value;

/// Shorter lines are not masked, in bytes: the log would be unreadable.
const SHORTEST: usize = 4;

/// Whether any part of a secret can be masked; an empty one needs no mask.
pub fn is_maskable(secret: &str) -> bool {
    secret.trim_ascii().is_empty() || lines(secret).next().is_some()
}

/// The patterns of all secrets, each once.
pub(super) fn of_all<'a>(secrets: impl Iterator<Item = &'a str>) -> BTreeSet<Vec<u8>> {
    let mut patterns = BTreeSet::new();
    for secret in secrets {
        add_text(secret, &mut patterns);
        if let Ok(json @ (Value::Object(_) | Value::Array(_))) = serde_json::from_str(secret) {
            add_values(&json, &mut patterns);
        }
    }
    patterns
}

fn add_text(text: &str, patterns: &mut BTreeSet<Vec<u8>>) {
    for line in lines(text) {
        patterns.insert(line.into());
        add_base64(line, patterns);
    }
    // Base64 does not show where the lines end.
    if text.len() >= SHORTEST {
        add_base64(text, patterns);
    }
}

/// The strings and numbers in a JSON document. Its keys are no secrets.
fn add_values(json: &Value, patterns: &mut BTreeSet<Vec<u8>>) {
    match json {
        Value::Object(members) => members
            .values()
            .for_each(|value| add_values(value, patterns)),
        Value::Array(items) => items.iter().for_each(|value| add_values(value, patterns)),
        Value::String(text) => add_text(text, patterns),
        Value::Number(number) => add_text(&number.to_string(), patterns),
        Value::Bool(_) | Value::Null => {}
    }
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.split(['\n', '\r']).map(str::trim_ascii);
    lines.filter(|line| line.len() >= SHORTEST)
}

/// The text alone, and followed by the newline that `echo` adds.
fn add_base64(text: &str, patterns: &mut BTreeSet<Vec<u8>>) {
    for text in [text.to_owned(), format!("{text}\n")] {
        for before in 0..3 {
            for form in base64_forms(text.as_bytes(), before) {
                patterns.insert(form.replace('+', "-").replace('/', "_").into());
                patterns.insert(form.into());
            }
        }
    }
}

/// The base64 of a text that follows `before` bytes, modulo three: the characters that
/// depend on no neighbour, and the same up to the end of the encoded text, without
/// padding and with it.
fn base64_forms(text: &[u8], before: usize) -> [String; 3] {
    let shifted = [&[0; 2][..before], text].concat();
    let encoded = BASE64_STANDARD_NO_PAD.encode(&shifted);
    let first = (before * 8).div_ceil(6);
    let behind_last = shifted.len() * 8 / 6;
    let padding = "=".repeat((4 - encoded.len() % 4) % 4);
    [
        encoded[first..behind_last].to_owned(),
        encoded[first..].to_owned(),
        format!("{}{padding}", &encoded[first..]),
    ]
}
