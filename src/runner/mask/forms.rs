//! The forms in which a secret may turn up in a log. What is not here is not masked;
//! docs/SECURITY.md says so.

use std::collections::BTreeSet;

use base64::{Engine as _, prelude::BASE64_STANDARD_NO_PAD};

/// Shorter lines are not masked, in bytes: a log would be shredded and say nothing.
const SHORTEST: usize = 4;

/// What percent-encodings leave as it is, besides letters and digits, and whether they
/// write a space as `+`.
const PERCENT_ENCODINGS: [(&[u8], bool); 8] = [
    // RFC 3986's unreserved characters, with `+` as query strings have it.
    (b"-._~", false),
    (b"-._~", true),
    // HTML forms.
    (b"-._*", true),
    // encodeURIComponent.
    (b"-._~!'()*", false),
    // encodeURI.
    (b"-._~!'()*;,/?:@&=+$#", false),
    // Paths: all but the slash, or a segment as RFC 3986 allows it.
    (b"-._~/", false),
    (b"-._~$&+=:@", false),
    // The password in front of a host.
    (b"-._~$&+,;=", false),
];

/// All forms of all secrets, each once.
pub(super) fn of_all<'a>(secrets: impl Iterator<Item = &'a str>) -> BTreeSet<Vec<u8>> {
    let mut forms = BTreeSet::new();
    for secret in secrets {
        let lines: Vec<&str> = secret.split(['\n', '\r']).map(str::trim_ascii).collect();
        for line in lines.iter().filter(|line| line.len() >= SHORTEST) {
            add_line(line, &mut forms);
        }
        // In base64 the borders of its lines cannot be told any more.
        if secret.len() >= SHORTEST {
            add_base64(secret, &mut forms);
        }
    }
    forms
}

fn add_line(line: &str, forms: &mut BTreeSet<Vec<u8>>) {
    forms.insert(line.into());
    add_base64(line, forms);
    for (kept, plus) in PERCENT_ENCODINGS {
        for hex in [b"0123456789ABCDEF", b"0123456789abcdef"] {
            forms.insert(percent_encoded(line, kept, plus, hex));
        }
    }
    let json = serde_json::Value::from(line).to_string();
    forms.insert(json[1..json.len() - 1].into());
    // Inside single quotes of a shell, as its trace of commands writes them.
    for quote in [r"'\''", r#"'"'"'"#] {
        forms.insert(line.replace('\'', quote).into());
    }
}

/// Alone, and followed by the newline that `echo` adds.
fn add_base64(text: &str, forms: &mut BTreeSet<Vec<u8>>) {
    for text in [text.to_owned(), format!("{text}\n")] {
        for before in 0..3 {
            for form in base64_forms(text.as_bytes(), before) {
                forms.insert(form.replace('+', "-").replace('/', "_").into());
                forms.insert(form.into());
            }
        }
    }
}

/// The base64 of a text that `before` bytes, modulo three, stand in front of: the
/// characters that no neighbour has a part in, and the same up to the end of the
/// encoded text, without padding and with it.
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

fn percent_encoded(text: &str, kept: &[u8], plus: bool, hex: &[u8; 16]) -> Vec<u8> {
    let mut encoded = Vec::with_capacity(3 * text.len());
    for byte in text.bytes() {
        match byte {
            b' ' if plus => encoded.push(b'+'),
            byte if byte.is_ascii_alphanumeric() || kept.contains(&byte) => encoded.push(byte),
            byte => {
                let [high, low] = [byte >> 4, byte & 15].map(|digit| hex[usize::from(digit)]);
                encoded.extend([b'%', high, low]);
            }
        }
    }
    encoded
}
