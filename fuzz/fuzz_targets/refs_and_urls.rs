//! Refs and repositories: accepted values become arguments of git, and through git
//! of ssh. This checks how those two read them, not how they are validated.
#![no_main]

use std::time::{Duration, SystemTime};

use libfuzzer_sys::fuzz_target;
use pipewright::{
    domain::{
        Pipeline, PipelineId, PipelineSpec, Secrets, Stage, StageAction, StageType, Variables,
        validate,
    },
    fuzzing::runner::check_source,
};
use uuid::Uuid;

fuzz_target!(|text: &str| {
    if !text.is_empty() && is_accepted_ref(text) {
        check_ref(text);
        assert_eq!(check_source("https://host/path", text), Ok(()), "{text:?}");
    }
    if !text.is_empty() && is_accepted_repository(text) {
        check_repository(text);
        assert_eq!(check_source(text, "main"), Ok(()), "{text:?}");
    }
});

fn is_accepted_ref(text: &str) -> bool {
    let none = (Variables::new(), Secrets::default());
    validate::trigger(text, &none.0, &none.1, 0).is_empty()
}

fn is_accepted_repository(text: &str) -> bool {
    let spec = PipelineSpec {
        name: "p".into(),
        git_repository: text.into(),
        stages: vec![Stage {
            name: "s".into(),
            stage_type: StageType::Run,
            action: StageAction::Command("true".into()),
            timeout: Duration::from_secs(1),
            needs: Vec::new(),
            run_condition: Default::default(),
            variables: Variables::new(),
            runner_labels: Variables::new(),
            working_directory: String::new(),
        }]
        .into(),
        ..PipelineSpec::default()
    };
    let (id, now) = (PipelineId(Uuid::nil()), SystemTime::UNIX_EPOCH);
    Pipeline::new(id, "p".into(), spec, "alice".into(), now).is_ok()
}

/// It is inserted between a `+` and a `:` in a refspec, and alone before
/// `^{commit}`.
fn check_ref(text: &str) {
    assert!(text.len() <= 1024);
    assert!(!text.starts_with(['-', '+']), "{text:?}");
    let special = [' ', ':', '*', '?', '[', '^', '~', '\\'];
    assert!(
        !text.contains(|c: char| c.is_control() || special.contains(&c)),
        "{text:?}"
    );
    assert!(
        !text.contains("..") && !text.contains("@{") && text != "@",
        "{text:?}"
    );
}

fn check_repository(text: &str) {
    assert!(text.len() <= 2048 && !text.starts_with('-'));
    assert!(
        !text.contains(|c: char| c.is_control() || c.is_whitespace()),
        "{text:?}"
    );

    // `helper::address` starts the program git-remote-helper.
    let is_of_scheme = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    assert!(
        !text.trim_start_matches(is_of_scheme).starts_with("::"),
        "{text:?}"
    );

    let authority = match text.split_once("://") {
        Some((scheme, rest)) => {
            assert!(["https", "http", "ssh"].contains(&scheme), "{text:?}");
            // For ssh, git decodes the whole, and only a slash ends the host.
            let rest = if scheme == "ssh" {
                decoded(rest)
            } else {
                rest.into()
            };
            let ends: &[char] = if scheme == "ssh" {
                &['/']
            } else {
                &['/', '?', '#']
            };
            rest.split(ends).next().unwrap_or_default().to_owned()
        }
        None => {
            // Without a colon before the first slash it is a directory of the runner.
            let (authority, path) = text.split_once(':').expect("a place on another machine");
            assert!(!authority.contains('/'), "{text:?}");
            assert!(!path.is_empty() && !path.starts_with('-'), "{text:?}");
            authority.to_owned()
        }
    };
    assert!(
        !authority.contains(|c: char| c.is_control() || c.is_whitespace()),
        "{text:?}"
    );
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", &authority));
    assert!(!host.is_empty() && !host.starts_with('-'), "{text:?}");
    // ssh takes the whole as one argument, and splits it itself.
    assert!(!user.starts_with('-'), "{text:?}");
    // Every reader of the pipeline would read the password.
    assert!(!decoded(user).contains(':'), "{text:?}");
}

fn decoded(text: &str) -> String {
    let mut rest = text.as_bytes();
    let mut out = Vec::new();
    while let [byte, after @ ..] = rest {
        let hex = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(escaped) if *byte == b'%' => {
                out.push(escaped);
                rest = &after[2..];
            }
            _ => {
                out.push(*byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
