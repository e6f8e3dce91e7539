//! Errors in a pipeline file: the place, the error, and a suggestion.

use std::borrow::Cow;

use serde_saphyr::{Error, MessageFormatter, SnippetMode, UserMessageFormatter};

use crate::cli::present::suggestion::nearest;

/// The error with the file's name, line and column and the lines around it. The lines are
/// left out if the file mentions secrets, misspelt or not: any of them may be one.
pub(super) fn render(error: &Error, text: &str, source: &str) -> String {
    let has_secrets = text.to_lowercase().contains("secret");
    let told = error.render_with_options(serde_saphyr::render_options! {
        source_name: Some(source),
        formatter: &Messages,
        snippets: if has_secrets { SnippetMode::Off } else { SnippetMode::Auto },
    });
    if has_secrets {
        format!("{source}: {told}")
    } else {
        told
    }
}

/// The library's messages, reworded for authors of pipelines.
struct Messages;

impl MessageFormatter for Messages {
    fn format_message<'a>(&self, error: &'a Error) -> Cow<'a, str> {
        match error {
            Error::SerdeUnknownField {
                field, expected, ..
            } => unknown_field(field, expected).into(),
            Error::DuplicateMappingKey { key: Some(key), .. } => {
                format!("`{key}` is given twice").into()
            }
            Error::NullIntoString { .. } => "a text is missing; \"\" is an empty one".into(),
            Error::InvalidScalar { ty: "boolean", .. } => "expected true or false".into(),
            Error::Unexpected { expected, .. } => format!("expected {}", plain(expected)).into(),
            Error::MultipleDocuments { .. } => {
                "there is more than one YAML document; remove `---` and all but one of them".into()
            }
            // Not the default formatter: it names functions and types of the library.
            other => UserMessageFormatter.format_message(other),
        }
    }
}

/// The parser's terms in plain words.
fn plain(expected: &str) -> &str {
    match expected {
        "sequence start" => "a list",
        "mapping start" => "a mapping, as `field: value`",
        "string scalar" => "a single value",
        other => other,
    }
}

fn unknown_field(field: &str, expected: &[&str]) -> String {
    match nearest(field, expected) {
        Some(near) => format!("unknown field `{field}`; did you mean `{near}`?"),
        None => {
            // Without the lowerCamelCase aliases, which would only make the list longer.
            let is_twin = |name: &&&str| name.contains(char::is_uppercase);
            let names: Vec<&str> = expected.iter().filter(|n| !is_twin(n)).copied().collect();
            format!("unknown field `{field}`; known are {}", names.join(", "))
        }
    }
}
