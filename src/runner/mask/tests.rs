use base64::{Engine as _, prelude::*};
use proptest::{collection::vec, prelude::*, sample::select};

use super::*;

fn masker(secrets: &[&str]) -> Masker {
    Masker::new(secrets.iter().copied())
}

fn masked(secrets: &[&str], input: impl AsRef<[u8]>) -> String {
    let mut masker = masker(secrets);
    let mut out = masker.push(input.as_ref()).into_owned();
    out.extend(masker.finish());
    String::from_utf8_lossy(&out).into_owned()
}

#[test]
fn a_value_is_masked_wherever_it_stands() {
    let all = "hunter2-pass at first, then xhunter2-passx, hunter2-pas and hunter2-pass";
    assert_eq!(
        masked(&["hunter2-pass"], all),
        "*** at first, then x***x, hunter2-pas and ***"
    );
    let bytes = [b"\xff\0\x80".as_slice(), b"hunter2-pass", b"\xfe"].concat();
    let mut of_bytes = masker(&["hunter2-pass"]);
    assert_eq!(*of_bytes.push(&bytes), *b"\xff\0\x80***\xfe");
}

#[test]
fn values_that_overlap_become_one_mask() {
    assert_eq!(masked(&["abcdef", "defghi"], "-abcdefghi-"), "-***-");
    assert_eq!(masked(&["cdef", "abcdefgh"], "-abcdefgh-"), "-***-");
    assert_eq!(masked(&["aaaa"], "-aaaaaaa-"), "-***-");
    assert_eq!(masked(&["abcd", "efgh"], "abcdefgh"), "******");
}

#[test]
fn each_line_is_masked_by_itself() {
    let key = "-----BEGIN-----\n  first line\r\nsecond line\nab\n";
    assert_eq!(
        masked(&[key], "a second line, then\n  first line\nab"),
        "a ***, then\n  ***\nab"
    );
}

#[test]
fn short_lines_are_left_alone() {
    assert_eq!(masked(&["abc", "", "\n\n", " xy "], "abc xy"), "abc xy");
    assert_eq!(masked(&["abcd"], "abcd"), "***");
}

#[test]
fn base64_is_masked_at_every_alignment() {
    // Bits that give characters of both special kinds.
    let secret = "h\u{fbf}?~nter2>>pass\u{fe}?";
    let engines: [&dyn Fn(&str) -> String; 4] = [
        &|text| BASE64_STANDARD.encode(text),
        &|text| BASE64_STANDARD_NO_PAD.encode(text),
        &|text| BASE64_URL_SAFE.encode(text),
        &|text| BASE64_URL_SAFE_NO_PAD.encode(text),
    ];
    for encode in engines {
        assert_eq!(masked(&[secret], encode(secret)), "***");
        assert_eq!(masked(&[secret], encode(&format!("{secret}\n"))), "***");
        for before in 0..6 {
            for after in 0..6 {
                let text = format!("{}{secret}{}", "u".repeat(before), "v".repeat(after));
                let told = masked(&[secret], encode(&text).trim_end_matches('='));
                // What is left has at most a character at each side that the secret has a part in.
                let most = (before * 8).div_ceil(6) + 3 + (after * 8).div_ceil(6) + 1;
                assert!(told.contains("***") && told.len() <= most, "{told}");
            }
        }
    }
}

#[test]
fn a_value_of_many_lines_is_masked_in_base64_as_a_whole() {
    let key = "-----BEGIN-----\nab\ncd\nMIIEv\n-----END-----\n";
    assert_eq!(masked(&[key], BASE64_STANDARD.encode(key)), "***");
    let first = "first of two\nsecond of two";
    assert_eq!(masked(&[first], BASE64_STANDARD.encode(first)), "***");
}

#[test]
fn url_forms_are_masked() {
    let secret = "p@ss w/rd+é~!";
    for form in [
        "p%40ss%20w%2Frd%2B%C3%A9~%21",
        "p%40ss%20w%2frd%2b%c3%a9~%21",
        "p%40ss+w%2Frd%2B%C3%A9~%21",
        "p%40ss+w%2Frd%2B%C3%A9%7E%21",
        "p%40ss%20w%2Frd%2B%C3%A9~!",
        "p@ss%20w/rd+%C3%A9~!",
        "p%40ss%20w/rd%2B%C3%A9~%21",
        "p@ss%20w%2Frd+%C3%A9~%21",
        "p%40ss%20w%2Frd+%C3%A9~%21",
    ] {
        assert_eq!(masked(&[secret], format!("?a={form}&b")), "?a=***&b");
    }
}

#[test]
fn quoted_forms_are_masked() {
    let secret = r#"it's "quoted" \ twice"#;
    for form in [
        r#"it's \"quoted\" \\ twice"#,
        r#"it'\''s "quoted" \ twice"#,
        r#"it'"'"'s "quoted" \ twice"#,
    ] {
        assert_eq!(masked(&[secret], format!("'{form}'")), "'***'");
    }
}

#[test]
fn only_what_may_begin_a_secret_is_held_back() {
    let mut masker = masker(&["hunter2-pass"]);
    assert_eq!(*masker.push(b"Continue? [y/n] "), *b"Continue? [y/n] ");
    assert_eq!(*masker.push(b"the hunt"), *b"the ");
    assert_eq!(
        *masker.push(b"ing season, hunter2-pa"),
        *b"hunting season, "
    );
    assert_eq!(*masker.push(b"ss"), *b"***");
    assert_eq!(*masker.push(b"wd hun"), *b"wd ");
    assert_eq!(masker.finish(), b"hun");
}

#[test]
fn memory_is_bounded_by_the_longest_form() {
    let secret = "a".repeat(1_000);
    let mut masker = masker(&[&secret]);
    let mut out = 0;
    for _ in 0..1_000 {
        out += masker.push(&[b'a'; 999]).len();
        let stream = masker.0.as_ref().unwrap();
        assert!(stream.held.len() <= 1_500 && stream.masks.len() <= 1);
    }
    assert_eq!((out, masker.finish().len()), (3, 0));
}

#[test]
fn without_secrets_nothing_is_copied() {
    for secrets in [&[][..], &["abc", ""]] {
        let mut masker = masker(secrets);
        let input = b"anything".as_slice();
        assert!(matches!(masker.push(input), Cow::Borrowed(same) if same == input));
        assert!(masker.finish().is_empty());
    }
}

/// Each byte of each occurrence, found the slow way; overlapping ones are one mask.
fn slowly(secrets: &[&str], input: &[u8]) -> Vec<u8> {
    let mut begins = vec![None; input.len()];
    for form in forms::of_all(secrets.iter().copied()) {
        for (at, _) in input
            .windows(form.len())
            .enumerate()
            .filter(|(_, w)| *w == form)
        {
            begins[at] = begins[at].max(Some(form.len()));
        }
    }
    let (mut out, mut end) = (Vec::new(), 0);
    for (at, &byte) in input.iter().enumerate() {
        if let Some(length) = begins[at] {
            if at >= end {
                out.extend_from_slice(MASK);
            }
            end = end.max(at + length);
        }
        if at >= end {
            out.push(byte);
        }
    }
    out
}

/// Few letters, so that secrets overlap each other and themselves.
fn secret() -> impl Strategy<Value = String> {
    "[ab%'\n]{0,9}|[ab]{4,12}"
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    let piece = select(vec![
        "a", "b", "ab", "%", "'", "\n", "YWJ", "aabb", "\u{fe}", "YWFh",
    ]);
    vec(piece, 0..60).prop_map(|pieces| pieces.concat().into_bytes())
}

proptest! {
    #[test]
    fn any_cut_of_the_input_gives_the_same_output(
        secrets in vec(secret(), 0..5),
        told in any::<prop::sample::Index>(),
        pieces in vec(text(), 0..6),
        cuts in vec(0_usize..7, 0..200),
    ) {
        let mut secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
        secrets.push("abab\nbb");
        // Texts that hold secrets, plain and in base64, among others.
        let secret = secrets[told.index(secrets.len())];
        let input = pieces.join(&[secret.as_bytes(), BASE64_STANDARD.encode(secret).as_bytes()].concat()[..]);
        let expected = slowly(&secrets, &input);

        let mut masker = Masker::new(secrets.iter().copied());
        let (mut out, mut rest) = (Vec::new(), &input[..]);
        for cut in cuts {
            let (piece, more) = rest.split_at(cut.min(rest.len()));
            out.extend_from_slice(&masker.push(piece));
            rest = more;
        }
        out.extend_from_slice(&masker.push(rest));
        out.extend(masker.finish());
        prop_assert_eq!(String::from_utf8_lossy(&out), String::from_utf8_lossy(&expected));

        for form in forms::of_all(secrets.into_iter()) {
            prop_assert!(!out.windows(form.len()).any(|window| window == form));
        }
    }
}
