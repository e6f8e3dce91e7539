//! The ways to escape a character of a secret. An escape that is not in this
//! table is not masked; docs/SECURITY.md lists it.

/// Longest escape, in bytes: a surrogate pair in JSON.
pub(super) const LONGEST: usize = 12;

struct Kind {
    /// The byte that each escape of this kind begins with.
    opening: u8,
    /// Reads bytes that begin with `opening`.
    read: fn(&[u8]) -> Reading,
}

const KINDS: [Kind; 7] = [
    Kind {
        opening: b'%',
        read: percent,
    },
    Kind {
        opening: b'+',
        read: plus,
    },
    Kind {
        opening: b'\\',
        read: json_short,
    },
    Kind {
        opening: b'\\',
        read: json_unicode,
    },
    Kind {
        opening: b'&',
        read: html_name,
    },
    Kind {
        opening: b'&',
        read: html_number,
    },
    Kind {
        opening: b'\'',
        read: shell_quote,
    },
];

/// How one kind of escape reads some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// The escape of a character.
    Char(char),
    /// The escape of a byte: characters outside of ASCII have several.
    Byte(u8),
    /// The beginning of an escape.
    Unfinished,
    /// No escape.
    No,
}

impl Reading {
    /// The unescaped text, in UTF-8; empty if it is no escape.
    pub(super) fn meaning(self, buffer: &mut [u8; 4]) -> &[u8] {
        match self {
            Self::Char(char) => char.encode_utf8(buffer).as_bytes(),
            Self::Byte(byte) => {
                buffer[0] = byte;
                &buffer[..1]
            }
            Self::Unfinished | Self::No => &[],
        }
    }
}

/// Whether an escape may begin with this byte.
pub(super) fn is_opening(byte: u8) -> bool {
    matches!(byte, b'%' | b'+' | b'\\' | b'&' | b'\'')
}

/// Whether escapes of this byte are read: no encoder escapes letters and digits.
pub(super) fn is_escaped(byte: u8) -> bool {
    !byte.is_ascii_alphanumeric()
}

/// Reads `bytes` as one escape. No two kinds read the same bytes as one.
pub(super) fn read(bytes: &[u8]) -> Reading {
    let kinds = KINDS
        .iter()
        .filter(|kind| bytes.first() == Some(&kind.opening));
    let mut best = Reading::No;
    for kind in kinds {
        match (kind.read)(bytes) {
            Reading::No => {}
            Reading::Unfinished => best = Reading::Unfinished,
            Reading::Char(char) if char.is_ascii() && !is_escaped(char as u8) => {}
            Reading::Byte(byte) if !is_escaped(byte) => {}
            whole => return whole,
        }
    }
    best
}

/// `%2F`, in URLs and forms.
fn percent(bytes: &[u8]) -> Reading {
    match (&bytes[1..], number(&bytes[1..], 16)) {
        ([], _) | ([_], Some(_)) => Reading::Unfinished,
        ([_, _], Some(byte)) => byte.try_into().map_or(Reading::No, Reading::Byte),
        _ => Reading::No,
    }
}

/// A space in queries and forms.
fn plus(bytes: &[u8]) -> Reading {
    match bytes {
        b"+" => Reading::Char(' '),
        _ => Reading::No,
    }
}

/// `\"`, `\\`, `\/` and so on. Lines are masked one by one, so there is no `\n`.
fn json_short(bytes: &[u8]) -> Reading {
    match &bytes[1..] {
        [] => Reading::Unfinished,
        b"\"" => Reading::Char('"'),
        b"\\" => Reading::Char('\\'),
        b"/" => Reading::Char('/'),
        b"b" => Reading::Char('\u{8}'),
        b"f" => Reading::Char('\u{c}'),
        b"t" => Reading::Char('\t'),
        _ => Reading::No,
    }
}

/// `\u002F`, or two of them for a character that UTF-16 has no single unit for.
fn json_unicode(bytes: &[u8]) -> Reading {
    let (first, rest) = bytes.split_at(bytes.len().min(6));
    let Some(high) = utf16_unit(first) else {
        return Reading::No;
    };
    if first.len() < 6 {
        return Reading::Unfinished;
    }
    if let Some(char) = char::from_u32(high) {
        return match rest {
            [] => Reading::Char(char),
            _ => Reading::No,
        };
    }
    let Some(low) = utf16_unit(rest).filter(|_| is_high_surrogate(high)) else {
        return Reading::No;
    };
    if rest.len() < 6 {
        return Reading::Unfinished;
    }
    let units = [high, low].map(|unit| unit as u16);
    match char::decode_utf16(units).next() {
        Some(Ok(char)) => Reading::Char(char),
        _ => Reading::No,
    }
}

fn is_high_surrogate(unit: u32) -> bool {
    (0xD800..0xDC00).contains(&unit)
}

/// The unit that the beginning of a `\uXXXX` encodes, 0 if it has no digit yet.
fn utf16_unit(bytes: &[u8]) -> Option<u32> {
    match bytes {
        [] | [b'\\'] | [b'\\', b'u'] => Some(0),
        [b'\\', b'u', digits @ ..] if digits.len() <= 4 => number(digits, 16),
        _ => None,
    }
}

/// The entity names for characters that HTML and XML have to escape.
const HTML_NAMES: [(&[u8], char); 6] = [
    (b"&amp;", '&'),
    (b"&lt;", '<'),
    (b"&gt;", '>'),
    (b"&quot;", '"'),
    (b"&apos;", '\''),
    (b"&nbsp;", '\u{a0}'),
];

/// `&amp;`
fn html_name(bytes: &[u8]) -> Reading {
    for (name, char) in HTML_NAMES {
        if name == bytes {
            return Reading::Char(char);
        }
        if name.starts_with(bytes) {
            return Reading::Unfinished;
        }
    }
    Reading::No
}

/// `&#39;` or `&#x27;`, also with zeros in front.
fn html_number(bytes: &[u8]) -> Reading {
    const MOST_DIGITS: usize = 7;
    let (radix, digits) = match bytes {
        [_] | [_, b'#'] | [_, b'#', b'x' | b'X'] => return Reading::Unfinished,
        [_, b'#', b'x' | b'X', digits @ ..] => (16, digits),
        [_, b'#', digits @ ..] => (10, digits),
        _ => return Reading::No,
    };
    let (digits, is_whole) = match digits {
        [digits @ .., b';'] => (digits, true),
        digits => (digits, false),
    };
    match number(digits, radix) {
        Some(code) if is_whole => char::from_u32(code).map_or(Reading::No, Reading::Char),
        Some(_) if digits.len() <= MOST_DIGITS => Reading::Unfinished,
        _ => Reading::No,
    }
}

/// A single quote within single quotes, as in shell scripts and the output of `set -x`.
fn shell_quote(bytes: &[u8]) -> Reading {
    for escape in [br"'\''".as_slice(), br#"'"'"'"#] {
        if escape == bytes {
            return Reading::Char('\'');
        }
        if escape.starts_with(bytes) {
            return Reading::Unfinished;
        }
    }
    Reading::No
}

/// The value of digits of either case.
fn number(digits: &[u8], radix: u32) -> Option<u32> {
    digits.iter().try_fold(None, |number, digit| {
        let digit = char::from(*digit).to_digit(radix)?;
        Some(Some(number.unwrap_or(0_u32).checked_mul(radix)? + digit))
    })?
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each kind with escapes of it, and what they stand for.
    const ESCAPES: [(&str, &[(&str, char)]); 7] = [
        (
            "percent",
            &[("%2F", '/'), ("%2f", '/'), ("%20", ' '), ("%0C", '\u{c}')],
        ),
        ("plus", &[("+", ' ')]),
        (
            "JSON, short",
            &[
                ("\\\"", '"'),
                ("\\\\", '\\'),
                ("\\/", '/'),
                ("\\b", '\u{8}'),
                ("\\f", '\u{c}'),
                ("\\t", '\t'),
            ],
        ),
        (
            "JSON, by number",
            &[
                ("\\u0026", '&'),
                ("\\u003c", '<'),
                ("\\u003C", '<'),
                ("\\u002F", '/'),
                ("\\u002f", '/'),
                ("\\u00f6", 'ö'),
                ("\\u00F6", 'ö'),
                ("\\u20ac", '€'),
                ("\\ud83d\\ude00", '😀'),
                ("\\uD83D\\ude00", '😀'),
            ],
        ),
        (
            "HTML, by name",
            &[
                ("&amp;", '&'),
                ("&lt;", '<'),
                ("&gt;", '>'),
                ("&quot;", '"'),
                ("&apos;", '\''),
                ("&nbsp;", '\u{a0}'),
            ],
        ),
        (
            "HTML, by number",
            &[
                ("&#39;", '\''),
                ("&#039;", '\''),
                ("&#x27;", '\''),
                ("&#X27;", '\''),
                ("&#x2F;", '/'),
                ("&#x2f;", '/'),
                ("&#246;", 'ö'),
                ("&#xF6;", 'ö'),
                ("&#128512;", '😀'),
                ("&#x001f600;", '😀'),
            ],
        ),
        ("shell", &[("'\\''", '\''), ("'\"'\"'", '\'')]),
    ];

    #[test]
    fn every_kind_reads_its_escapes_and_each_of_their_beginnings() {
        assert_eq!(ESCAPES.len(), KINDS.len());
        for (kind, escapes) in ESCAPES {
            for (escape, char) in escapes {
                let mut buffer = [0; 4];
                let read_as = read(escape.as_bytes()).meaning(&mut buffer).to_owned();
                let expected = char.encode_utf8(&mut buffer).as_bytes();
                assert_eq!(read_as, expected, "{kind}: {escape}");
                assert!(escape.len() <= LONGEST && is_opening(escape.as_bytes()[0]));
                for end in 1..escape.len() {
                    let beginning = &escape[..end];
                    let reading = read(beginning.as_bytes());
                    assert_eq!(reading, Reading::Unfinished, "{kind}: {beginning}");
                }
            }
        }
    }

    #[test]
    fn a_byte_of_a_longer_character_is_read_alone() {
        assert_eq!(read(b"%C3"), Reading::Byte(0xC3));
        assert_eq!(read(b"%b6"), Reading::Byte(0xB6));
    }

    #[test]
    fn what_is_no_escape_is_not_read() {
        for text in [
            "%2G",
            "%G",
            "%41",
            "%2F0",
            "++",
            "\\n",
            "\\x",
            "\\u00g",
            "\\u0041",
            "\\u0026x",
            "\\ude00",
            "\\ud83dx",
            "\\ud83d\\u0026",
            "\\ud83d\\n",
            "&am;",
            "&amp",
            "&amp;;",
            "&#;",
            "&#x;",
            "&#x110000;",
            "&#65;",
            "&#00000000",
            "&y",
            "''",
            "'\\'x",
            "'\"\"",
        ] {
            let reading = read(text.as_bytes());
            let is_read = !matches!(reading, Reading::No);
            assert_eq!(is_read, text == "&amp", "{text}: {reading:?}");
        }
    }

    #[test]
    fn no_escape_is_longer_than_the_longest() {
        for text in ["\\ud83d\\ude00", "&#x0000000", "&#0000000"] {
            assert!(text.len() <= LONGEST);
            let longer = format!("{text}0");
            assert_eq!(read(longer.as_bytes()), Reading::No, "{longer}");
        }
    }
}
