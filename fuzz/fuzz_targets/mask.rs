//! Masking: secrets stay out of the output, however it is cut into pieces.
//!
//! Input: secrets, lengths of pieces and the text, divided by 0xFF. 0xFE divides the
//! secrets. In the text 0x80 and up is a secret as it is, 0x90 and up in base64.
#![no_main]

use base64::{Engine as _, prelude::BASE64_STANDARD};
use libfuzzer_sys::fuzz_target;
use pipewright::fuzzing::runner::masked;

const MOST_SECRETS: usize = 4;
const LONGEST_SECRET: usize = 40;

fuzz_target!(|input: &[u8]| {
    let mut parts = input.splitn(3, |byte| *byte == 0xFF);
    let mut part = || parts.next().unwrap_or_default();
    let (secrets, cuts, text) = (part(), part(), part());

    let secrets: Vec<String> = secrets
        .split(|byte| *byte == 0xFE)
        .take(MOST_SECRETS)
        .map(|secret| &secret[..secret.len().min(LONGEST_SECRET)])
        .map(|secret| String::from_utf8_lossy(secret).into_owned())
        .collect();
    let secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
    let text = filled_in(text, &secrets);

    let whole = masked(&secrets, [&text[..]]);
    assert_eq!(masked(&secrets, pieces(&text, cuts)), whole);
    assert_eq!(masked(&secrets, text.chunks(1)), whole);

    // A mask next to a star makes more stars, which says nothing.
    for secret in secrets.iter().filter(|secret| !secret.contains('*')) {
        let lines = secret.split(['\n', '\r']).map(str::trim_ascii);
        for line in lines.filter(|line| line.len() >= 4) {
            assert_is_not_in(line, &whole);
            assert_is_not_in(&BASE64_STANDARD.encode(line), &whole);
        }
    }
    if secrets.iter().all(|secret| secret.len() < 4) {
        assert_eq!(whole, text);
    }
});

fn filled_in(text: &[u8], secrets: &[&str]) -> Vec<u8> {
    let mut filled = Vec::new();
    for &byte in text {
        let secret = secrets.get(usize::from(byte & 0x0F)).copied();
        match (byte & 0xF0, secret) {
            (0x80, Some(secret)) => filled.extend_from_slice(secret.as_bytes()),
            (0x90, Some(secret)) => filled.extend(BASE64_STANDARD.encode(secret).into_bytes()),
            _ => filled.push(byte),
        }
    }
    filled
}

fn pieces<'a>(mut text: &'a [u8], cuts: &[u8]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    for &cut in cuts {
        let (piece, rest) = text.split_at(text.len().min(cut.into()));
        pieces.push(piece);
        text = rest;
    }
    pieces.push(text);
    pieces
}

fn assert_is_not_in(secret: &str, out: &[u8]) {
    let is_in = out
        .windows(secret.len())
        .any(|window| window == secret.as_bytes());
    assert!(!is_in, "{secret:?} is in {}", out.escape_ascii());
}
