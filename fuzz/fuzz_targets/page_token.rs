//! Page tokens: a client may send any text, but only tokens that a list issued are
//! valid, for that list.
//!
//! Input: five lines, of which the first four are a method, filters, other filters and
//! a page's size. The rest is a token.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pipewright::fuzzing::api::{page, page_of_names};
use uuid::Uuid;

fuzz_target!(|input: &str| {
    let mut lines = input.splitn(5, '\n');
    let mut line = || lines.next().unwrap_or_default().to_owned();
    let (method, filters, other, size, token) = (line(), line(), line(), line(), line());
    let size = size.parse().unwrap_or(1);

    if let Ok(read) = page(&method, size, &token, &filters) {
        assert!(size >= 0);
        assert_eq!(read.after().is_none(), token.is_empty());
        // A token of another method or other filters is refused.
        if !token.is_empty() {
            assert!(page(&format!("{method}x"), size, &token, &filters).is_err());
            assert!(filters == other || page(&method, size, &token, &other).is_err());
        }
    }

    let Ok(first) = page(&method, size, "", &filters) else {
        assert!(size < 0);
        return;
    };
    let items = |from: u128| (from..from + 1_100).map(|id| (Uuid::from_u128(id), other.clone()));
    let (items_of_page, next) = first.cut(items(0));
    assert!((1..=1_000).contains(&items_of_page.len()));
    let next = page(&method, size, &next, &filters).expect("a token of its own is read");
    let last = Uuid::from_u128(items_of_page.len() as u128 - 1);
    assert_eq!(next.after(), Some(last));
    assert_eq!(
        first.cut(items(0).take(1)),
        (vec![other.clone()], String::new())
    );

    // A list of things with names. A token that a client invents is accepted only if
    // it is a name.
    if let Ok(read) = page_of_names(&method, size, &token, &filters) {
        assert_eq!(read.after().is_none(), token.is_empty());
        assert_ne!(read.after(), Some(String::new()));
    }
    let Ok(first) = page_of_names(&method, 1, "", &filters) else {
        unreachable!("the size is good");
    };
    let named = [
        (format!("a{method}"), other.clone()),
        ("b".to_owned(), other),
    ];
    let (_, next) = first.cut(named);
    let next = page_of_names(&method, 1, &next, &filters).expect("a token of its own is read");
    assert_eq!(next.after(), Some(format!("a{method}")));
});
