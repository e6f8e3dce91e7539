use std::collections::BTreeSet;

use base64::{Engine as _, prelude::*};
use proptest::{
    collection::vec,
    prelude::*,
    sample::{Index, select},
};

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

/// Output that was once printed unmasked, and similar encodings.
#[test]
fn escapes_of_json_and_html_are_masked() {
    let html_in_json = |text: &str| {
        let text = json(text).replace('&', r"\u0026").replace('<', r"\u003c");
        text.replace('>', r"\u003e").replace('\'', r"\u0027")
    };
    let html = |text: &str| {
        let text = text.replace('&', "&amp;").replace('<', "&lt;");
        text.replace('>', "&gt;").replace('"', "&quot;")
    };
    let encoders: [&dyn Fn(&str) -> String; 10] = [
        &json,
        &|text| json_in_ascii(text, |unit| format!(r"\u{unit:04x}")),
        &|text| json_in_ascii(text, |unit| format!(r"\u{unit:04X}")),
        &html_in_json,
        &|text| json(text).replace('/', r"\/"),
        &|text| json(text).replace('/', r"\u002F"),
        &|text| json(text).replace('/', r"\u002f"),
        &|text| html(text).replace('\'', "&apos;"),
        &|text| html(text).replace('\'', "&#39;").replace('ö', "&#246;"),
        &|text| html(text).replace('\'', "&#x27;").replace('/', "&#x2F;"),
    ];
    for secret in [
        "correct&horse<battery>",
        "Passwörd-2026",
        "c2Vj/a/b",
        r#"it's "😀" \ & </b>"#,
    ] {
        for encode in encoders {
            let line = format!(r#"{{"key": "{}"}}"#, encode(secret));
            assert_eq!(masked(&[secret], &line), r#"{"key": "***"}"#, "{line}");
        }
    }
}

fn json(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

fn json_in_ascii(text: &str, number: impl Fn(u16) -> String) -> String {
    let unit = |unit: u16| match u8::try_from(unit) {
        Ok(byte) if byte.is_ascii() => char::from(byte).to_string(),
        _ => number(unit),
    };
    json(text).encode_utf16().map(unit).collect()
}

#[test]
fn each_character_may_be_escaped_in_a_way_of_its_own() {
    for form in [
        r#"a&b</'" c"#,
        r#"a&amp;b%3c&#47;'\''\"+c"#,
        r#"a\u0026b&lt;\/&#x27;&quot;%20c"#,
        r#"a%26b\u003c%2f'"'"'&#034;&#32;c"#,
        r#"a&#x00026;b<\u002F\u0027%22\u0020c"#,
    ] {
        let told = masked(&[r#"a&b</'" c"#], format!("-{form}-"));
        assert_eq!(told, "-***-", "{form}");
    }
}

#[test]
fn what_looks_escaped_may_be_a_secret_as_it_is() {
    for secret in [
        "a&amp;b",
        r"a\u0026b",
        "100%25+1",
        r"\\\\",
        r"'\'''\''",
        r"a\/b",
    ] {
        let html = secret.replace('&', "&amp;");
        for form in [secret, &json(secret), &html] {
            assert_eq!(masked(&[secret], format!("({form})")), "(***)", "{form}");
        }
    }
}

#[test]
fn base64_is_masked_when_it_is_escaped() {
    let secret = "??>~~?pass";
    let encoded = BASE64_STANDARD.encode(secret);
    assert!(encoded.contains('/') && encoded.contains('+'), "{encoded}");
    for escaped in [
        encoded.replace('/', r"\/"),
        encoded.replace('+', "%2B").replace('/', "%2f"),
        encoded.replace('+', "&#43;").replace('=', "&#61;"),
    ] {
        assert_eq!(masked(&[secret], escaped), "***");
    }
}

#[test]
fn the_values_in_a_json_secret_are_masked_one_by_one() {
    let key = serde_json::json!({
        "type": "account",
        "id": 12_345_678,
        "private": "-----BEGIN-----\nMIIEv/x&y\n-----END-----\n",
        "more": [{ "pass\"word": "hunter2 \"quoted\"" }, true, null, "abc"],
    });
    for secret in [key.to_string(), format!("{key:#}\n")] {
        for (told, expected) in [
            ("an account", "an ***"),
            ("12345678", "***"),
            ("MIIEv/x&y", "***"),
            (r#"hunter2 "quoted""#, "***"),
            (r#"hunter2 \"quoted\""#, "***"),
            (
                r#"pass"word type true null abc"#,
                r#"pass"word type true null abc"#,
            ),
        ] {
            assert_eq!(masked(&[&secret], told), expected);
        }
        let encoded = BASE64_STANDARD.encode("MIIEv/x&y");
        assert_eq!(masked(&[&secret], encoded), "***");
    }
    assert_eq!(masked(&["[\"hunter2\"]"], "hunter2"), "***");
    // Only text that is an object or array as a whole has values.
    assert_eq!(masked(&["x [\"hunter2\"]"], "hunter2"), "hunter2");
}

#[test]
fn a_secret_is_maskable_unless_all_of_it_is_short() {
    for (secret, expected) in [
        ("", true),
        ("abc", false),
        ("ab\ncd\n", false),
        ("  abc  ", false),
        ("abcd", true),
        ("ab\nlonger", true),
        ("öö", true),
    ] {
        assert_eq!(is_maskable(secret), expected, "{secret:?}");
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
fn what_may_become_an_escape_is_held_back_where_it_matters() {
    let mut plain = masker(&["hunter2-pass"]);
    assert_eq!(*plain.push(b"done: 50%"), *b"done: 50%");
    assert_eq!(*plain.push(b"hunter2%"), *b"");
    assert_eq!(*plain.push(b"2"), *b"");
    assert_eq!(*plain.push(br"Dpass, hunter2\u002"), *b"***, ");
    assert_eq!(*plain.push(b"0"), *br"hunter2\u0020");
    let mut special = masker(&["&hunter2"]);
    assert_eq!(*special.push(b"a&am"), *b"a");
    assert_eq!(*special.push(b"x"), *b"&amx");
    assert_eq!(*special.push(b"a&am"), *b"a");
    assert_eq!(special.finish(), b"&am");
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

/// Secrets that can be read in many ways, in an output that has nothing else.
#[test]
fn memory_is_bounded_where_everything_is_an_escape() {
    for (secret, output) in [
        (r"\", r"\"),
        ("/", r"\/"),
        ("+ ", "+"),
        ("'", r"'\''"),
        ("& ", "&amp;+"),
        (r"\/", r"\\\/"),
    ] {
        let secret = format!("{}x", secret.repeat(100));
        let output = output.repeat(250);
        let mut masker = masker(&[&secret]);
        for _ in 0..4 {
            masker.push(output.as_bytes());
            let stream = masker.0.as_ref().unwrap();
            let bound = secret.len() * (escapes::LONGEST + 1);
            assert!(stream.held.len() <= bound, "{}", stream.held.len());
        }
        let mut out = masker.push(b"x-").into_owned();
        out.extend(masker.finish());
        let out = String::from_utf8_lossy(&out);
        assert!(out.ends_with("***-"), "{out}");
    }
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

/// The results of the search; overlapping ranges are merged.
fn found(secrets: &[&str], input: &[u8]) -> Vec<Range<usize>> {
    let mut search = Search::new(patterns::of_all(secrets.iter().copied()));
    let ends = 1..=input.len();
    united(ends.filter_map(|end| Some(search.step(&input[..end])?..end)))
}

/// The expected results, by brute force: each way to write each character at each position.
fn slowly(secrets: &[&str], input: &[u8]) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    for pattern in patterns::of_all(secrets.iter().copied()) {
        let pattern = String::from_utf8(pattern).unwrap();
        for begin in 0..input.len() {
            let mut ends = BTreeSet::from([begin]);
            for char in pattern.chars() {
                let next = ends.iter().flat_map(|&end| written(char, input, end));
                ends = next.collect();
            }
            ranges.extend(ends.last().map(|&end| begin..end));
        }
    }
    ranges.sort_by_key(|range| (range.end, range.start));
    united(ranges.into_iter())
}

/// The possible ends of a character that is written at a position.
fn written(char: char, input: &[u8], at: usize) -> Vec<usize> {
    let ways = ways(char).into_iter();
    let ways = ways.filter(|way| input[at..].starts_with(way.as_bytes()));
    ways.map(|way| at + way.len()).collect()
}

/// Ways to write a character: all but zeros in front and digits of mixed case.
fn ways(char: char) -> Vec<String> {
    let mut ways = vec![char.to_string()];
    if char.is_ascii_alphanumeric() {
        return ways;
    }
    let code = u32::from(char);
    ways.push(format!("&#{code};"));
    for hex in [format!("{code:x}"), format!("{code:X}")] {
        ways.push(format!("&#x{hex};"));
    }
    let mut units = [0; 2];
    let units = &*char.encode_utf16(&mut units);
    let bytes = char.to_string().into_bytes();
    ways.push(units.iter().map(|unit| format!(r"\u{unit:04x}")).collect());
    ways.push(units.iter().map(|unit| format!(r"\u{unit:04X}")).collect());
    ways.push(bytes.iter().map(|byte| format!("%{byte:02x}")).collect());
    ways.push(bytes.iter().map(|byte| format!("%{byte:02X}")).collect());
    let special: &[&str] = match char {
        '"' => &[r#"\""#, "&quot;"],
        '\'' => &[r"'\''", r#"'"'"'"#, "&apos;"],
        '\\' => &[r"\\"],
        '/' => &[r"\/"],
        ' ' => &["+"],
        '&' => &["&amp;"],
        '<' => &["&lt;"],
        _ => &[],
    };
    ways.extend(special.iter().map(|way| (*way).to_owned()));
    ways
}

/// Merges overlapping ranges, which are in order of their ends.
fn united(ranges: impl Iterator<Item = Range<usize>>) -> Vec<Range<usize>> {
    let mut united: Vec<Range<usize>> = Vec::new();
    for mut range in ranges {
        while let Some(last) = united.pop_if(|last| last.end > range.start) {
            range = range.start.min(last.start)..range.end.max(last.end);
        }
        united.push(range);
    }
    united
}

fn with_masks(input: &[u8], ranges: &[Range<usize>]) -> Vec<u8> {
    let (mut out, mut at) = (Vec::new(), 0);
    for range in ranges {
        out.extend_from_slice(&input[at..range.start]);
        out.extend_from_slice(MASK);
        at = range.end;
    }
    out.extend_from_slice(&input[at..]);
    out
}

/// Few letters, so that secrets overlap each other and themselves.
fn secret() -> impl Strategy<Value = String> {
    r"[ab%'\n]{0,9}|[ab]{4,12}|[a&/\\ ';<ö]{4,7}"
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    let piece = select(vec![
        "a", "b", "ab", "%", "'", "\n", "YWJ", "aabb", "\u{fe}", "YWFh", "\\", "/", "&amp;",
        r"\u00", "2f", "+",
    ]);
    vec(piece, 0..40).prop_map(|pieces| pieces.concat().into_bytes())
}

/// A secret with each of its characters written in some way.
fn escaped(secret: &str, choices: &[Index]) -> String {
    let written = secret.chars().zip(choices.iter().cycle());
    let written = written.map(|(char, choice)| choice.get(&ways(char)).clone());
    written.collect()
}

proptest! {
    #[test]
    fn any_cut_of_the_input_gives_the_same_output(
        secrets in vec(secret(), 0..5),
        told in any::<Index>(),
        choices in vec(any::<Index>(), 1..9),
        pieces in vec(text(), 0..5),
        cuts in vec(0_usize..7, 0..200),
    ) {
        let mut secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
        secrets.push("abab\nbb");
        // Texts that hold a secret plain, in base64 and escaped, among others.
        let secret = *told.get(&secrets);
        let forms = [secret.to_owned(), BASE64_STANDARD.encode(secret), escaped(secret, &choices)];
        let input = pieces.join(forms.concat().as_bytes());

        let ranges = found(&secrets, &input);
        let least = slowly(&secrets, &input);
        for range in &least {
            let is_found = ranges.iter().any(|found| found.start <= range.start && range.end <= found.end);
            prop_assert!(is_found, "{range:?} is not masked in {}", input.escape_ascii());
        }
        // A mask may begin early only where there are escapes.
        if !input.iter().any(|byte| escapes::is_opening(*byte)) {
            prop_assert_eq!(&ranges, &least);
        }

        let mut masker = Masker::new(secrets.iter().copied());
        let (mut out, mut rest) = (Vec::new(), &input[..]);
        for cut in cuts {
            let (piece, more) = rest.split_at(cut.min(rest.len()));
            out.extend_from_slice(&masker.push(piece));
            rest = more;
        }
        out.extend_from_slice(&masker.push(rest));
        out.extend(masker.finish());
        let expected = with_masks(&input, &ranges);
        prop_assert_eq!(String::from_utf8_lossy(&out), String::from_utf8_lossy(&expected));
    }
}
