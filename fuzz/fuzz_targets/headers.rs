//! Headers, which are parsed before the caller is authenticated.
#![no_main]

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{HeaderMap, HeaderValue, Request, header};
use libfuzzer_sys::fuzz_target;
use pipewright::{
    domain::TraceContext,
    fuzzing::{
        api::timeout,
        auth::login,
        http::{check_host, check_origin},
    },
};

fuzz_target!(|input: &[u8]| {
    authorization(input);
    if let Ok(value) = HeaderValue::from_bytes(input) {
        grpc_timeout(&value);
        host(&value);
        origin(value);
    }
    if let Ok(text) = std::str::from_utf8(input) {
        trace_context(text);
    }
});

/// The first line is `traceparent`, the rest `tracestate`.
fn trace_context(text: &str) {
    let (parent, state) = text.split_once('\n').unwrap_or((text, ""));
    let Some(context) = TraceContext::read(parent, state) else {
        return;
    };
    // Both become environment variables of commands and headers of other calls.
    let shape = "00-................................-................-..";
    assert_eq!(context.parent().len(), shape.len());
    for (c, expected) in context.parent().chars().zip(shape.chars()) {
        let is_hex = matches!(c, '0'..='9' | 'a'..='f');
        assert!(c == expected || (expected == '.' && is_hex), "{parent:?}");
    }
    assert!(context.state().len() <= 512);
    assert!(
        context.state().chars().all(|c| matches!(c, ' '..='~')),
        "{state:?}"
    );
    let again = TraceContext::read(context.parent(), context.state());
    assert_eq!(again, Some(context));
}

/// As a header, and as the username and password of a header.
fn authorization(input: &[u8]) {
    if let Some((user, password)) = login(input) {
        assert!(!user.contains(':'));
        let encoded = BASE64_STANDARD.encode([user.as_bytes(), b":", &password].concat());
        assert!(input.trim_ascii_end().ends_with(encoded.as_bytes()));
    }
    let header = format!("bAsIc  {} ", BASE64_STANDARD.encode(input));
    let colon = input.iter().position(|byte| *byte == b':');
    let parts = colon.and_then(|colon| {
        let user = std::str::from_utf8(&input[..colon]).ok()?;
        Some((user.to_owned(), input[colon + 1..].to_vec()))
    });
    let is_short = input.len() <= 64 + 1 + 1024;
    assert!(login(header.as_bytes()) == parts || !is_short, "{header}");
}

fn grpc_timeout(value: &HeaderValue) {
    let Some(timeout) = timeout(value) else {
        return;
    };
    let (unit, digits) = value.as_bytes().split_last().expect("one of a unit");
    assert!(b"HMSmun".contains(unit) && digits.len() <= 8);
    assert!(digits.iter().all(u8::is_ascii_digit), "{value:?}");
    assert!(timeout.as_secs() <= 99_999_999 * 60 * 60);
}

/// A page in a browser must not reach the service by a name that its own server
/// chose (DNS rebinding).
fn host(value: &HeaderValue) {
    let request = Request::builder().uri("/p.S/M").header(header::HOST, value);
    let request = request.body(()).expect("a request");
    let name = String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase();
    let name = name.rsplit('@').next().unwrap_or_default();
    let name = match name.strip_prefix('[') {
        Some(inside) => inside.split(']').next(),
        None => name.split(':').next(),
    };
    let name = name.unwrap_or_default().trim_end_matches('.');
    if check_host(&[], true, &request).is_ok() {
        let is_address = name.parse::<std::net::IpAddr>().is_ok();
        let is_local = name == "localhost" || name.ends_with(".localhost");
        assert!(is_address || is_local, "{value:?}");
    }
    if check_host(&["ci.example.com".into()], false, &request).is_ok() {
        assert_eq!(name, "ci.example.com");
    }
}

fn origin(value: HeaderValue) {
    let is_allowed = value == "https://ci.example.com";
    let headers = HeaderMap::from_iter([(header::ORIGIN, value)]);
    let checked = check_origin(&["https://ci.example.com".into()], &headers);
    assert_eq!(checked.is_ok(), is_allowed);
}
