//! The credentials file: every entry authenticates, no identity occurs twice, and
//! error messages contain no hash.
#![no_main]

use std::collections::HashSet;

use libfuzzer_sys::fuzz_target;
use pipewright::{
    auth::{CredentialsError, Proof, check_name},
    fuzzing::auth::entries,
};

/// No word of a message is this long, and every hash is longer.
const SHORTER_THAN_A_HASH: usize = 40;

fuzz_target!(|text: &str| {
    let entries = match entries(text) {
        Ok(entries) => entries,
        Err(CredentialsError::Wrong { problems, .. }) => {
            assert!(!problems.0.is_empty());
            for problem in problems.0 {
                let lines = 1 + text.matches('\n').count();
                assert!(problem.line.is_none_or(|line| (1..=lines).contains(&line)));
                let mut words = problem.what.split(|c: char| !c.is_ascii_alphanumeric());
                assert!(
                    words.all(|word| word.len() < SHORTER_THAN_A_HASH),
                    "{problem}"
                );
            }
            return;
        }
        Err(error) => panic!("{error}"),
    };
    let (mut names, mut ids) = (HashSet::new(), HashSet::new());
    for entry in entries {
        let name = entry.principal.name;
        assert_eq!(check_name(&name), Ok(()));
        assert!(names.insert(name.clone()), "{name} twice");
        if let Proof::Token(token) = entry.proof {
            assert!(
                token.id.chars().all(|c| c.is_ascii_alphanumeric()),
                "{token:?}"
            );
            assert!(ids.insert(token.id.clone()), "{token:?} twice");
        }
    }
});
