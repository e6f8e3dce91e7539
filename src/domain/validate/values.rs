//! Validation of single values. Each error says what a valid value is.

use icu_properties::{
    CodePointMapData, CodePointSetData,
    props::{DefaultIgnorableCodePoint, GeneralCategory, VariationSelector},
};

use uuid::Uuid;

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
    single_line(name)?;
    if name.trim() != name {
        return Err("must not begin or end with white space".into());
    }
    Ok(())
}

/// Text that is shown on one line.
pub(super) fn single_line(text: &str) -> Result<(), String> {
    refuse_invisible(text, "")
}

/// Text that is shown as lines.
pub(super) fn lines(text: &str) -> Result<(), String> {
    refuse_invisible(text, "\n\t")
}

fn refuse_invisible(text: &str, allowed: &str) -> Result<(), String> {
    let refused = |c: &char| is_invisible(*c) && !allowed.contains(*c);
    match text.chars().find(refused) {
        Some(c) => Err(format!(
            "must not contain control characters or invisible characters, such as U+{:04X}",
            u32::from(c)
        )),
        None => Ok(()),
    }
}

/// Whether a character is invisible but can change how text looks: control characters, line
/// separators, format characters (bidirectional controls, zero-width characters, tags) and
/// blank fillers. Names that differ only in them look the same, and a name can reorder the
/// text after it. Variation selectors are allowed: they only select the glyph of an emoji.
pub(super) fn is_invisible(c: char) -> bool {
    use GeneralCategory::{Control, Format, LineSeparator, ParagraphSeparator};
    if c.is_ascii() {
        return c.is_ascii_control();
    }
    let category = CodePointMapData::<GeneralCategory>::new().get(c);
    matches!(
        category,
        Control | Format | LineSeparator | ParagraphSeparator
    ) || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
        && !CodePointSetData::new::<VariationSelector>().contains(c)
}

/// Refuses a name that commands and calls would interpret as an id.
pub(super) fn no_id(name: &str) -> Result<(), String> {
    if Uuid::parse_str(name).is_ok() {
        return Err("must not be a UUID, because it would be taken for an id".into());
    }
    Ok(())
}

/// Text that may be empty.
pub(super) fn short_text(text: &str, most: usize) -> Result<(), String> {
    if text.is_empty() {
        return Ok(());
    }
    name(text, most)
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
    if path.len() > limits::MAX_WORKING_DIRECTORY {
        return Err("must be at most 1024 bytes".into());
    }
    single_line(path)
}

/// Text of a client for use in a message: escaped, and cut to keep the message readable.
pub(super) fn shown(text: &str) -> String {
    const MOST: usize = 80;
    let mut shown = String::new();
    for c in text.chars().take(MOST) {
        if is_invisible(c) {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    if text.chars().nth(MOST).is_some() {
        shown.push_str("...");
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One of each kind of invisible or reordering character.
    const INVISIBLE: [char; 22] = [
        '\0',
        '\n',
        '\t',
        '\u{1b}',
        '\u{7f}',
        '\u{85}',
        '\u{9b}',
        '\u{ad}',
        '\u{34f}',
        '\u{61c}',
        '\u{115f}',
        '\u{180e}',
        '\u{200b}',
        '\u{200d}',
        '\u{200f}',
        '\u{2028}',
        '\u{202e}',
        '\u{2060}',
        '\u{2066}',
        '\u{3164}',
        '\u{feff}',
        '\u{e0041}',
    ];

    #[test]
    fn invisible_characters_are_refused() {
        for c in INVISIBLE {
            let text = format!("a{c}b");
            assert!(name(&text, 50).is_err(), "{text:?}");
            assert!(short_text(&text, 50).is_err(), "{text:?}");
            assert!(stage_name(&text).is_err(), "{text:?}");
            assert!(working_directory(&text).is_err(), "{text:?}");
            assert_eq!(lines(&text).is_ok(), matches!(c, '\n' | '\t'), "{text:?}");
            assert!(!shown(&text).contains(c), "{text:?}");
        }
    }

    #[test]
    fn names_may_be_of_any_script() {
        for text in [
            "café",
            "construção",
            "日本語",
            "עברית",
            "हिन्दी",
            "ship it ✈\u{fe0f}",
            "a — b",
            "…",
        ] {
            assert_eq!(name(text, 50), Ok(()), "{text}");
            assert_eq!(shown(text), text);
        }
    }

    #[test]
    fn a_uuid_in_any_format_is_not_a_name() {
        let id = "0190b2f0-0000-7000-8000-000000000001";
        let simple = id.replace('-', "");
        for text in [
            id.to_owned(),
            id.to_uppercase(),
            simple.clone(),
            format!("{{{id}}}"),
            format!("urn:uuid:{id}"),
        ] {
            assert!(no_id(&text).is_err(), "{text}");
        }
        for text in [
            "",
            "ci",
            &id[1..],
            &simple[1..],
            "0190b2f0",
            "a 0190b2f0-0000-7000-8000-000000000001",
        ] {
            assert_eq!(no_id(text), Ok(()), "{text}");
        }
    }
}
