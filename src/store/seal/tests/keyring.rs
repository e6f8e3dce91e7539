use std::{env, fs, path::Path};

use proptest::{collection::vec, prelude::*};
use secrecy::ExposeSecret;

use super::{key, keyring, text_of};
use crate::store::{
    BadKeys, DataKey, EncryptionKey, Keyring, KeyringError,
    codec::{Seal, StoredDataKey, decode, encode},
};

const OWNER: &str = "pipelines/1/7";
const AAD: &str = "pipelines/1/TOKEN";

/// Both are the same data key.
fn assert_same(one: &DataKey, other: &DataKey) {
    let sealed = one.seal(AAD, b"secret");
    assert_eq!(other.open(AAD, &sealed).unwrap(), b"secret");
}

#[test]
fn a_data_key_is_wrapped_and_unwrapped() {
    let keys = keyring(&[1, 2]);
    let (data_key, wrapped) = keys.new_data_key(OWNER);
    assert_same(&data_key, &keys.unwrap(OWNER, &wrapped).unwrap());
    // The row is small: there is one for each job with secrets.
    assert!(wrapped.len() <= 128, "{}", wrapped.len());
    // An older key only unwraps.
    assert_same(
        &data_key,
        &keyring(&[3, 1]).unwrap(OWNER, &wrapped).unwrap(),
    );
    assert!(keyring(&[2]).unwrap(OWNER, &wrapped).is_err());
}

#[test]
fn each_data_key_is_new() {
    let keys = keyring(&[1]);
    let (one, _) = keys.new_data_key(OWNER);
    let (other, _) = keys.new_data_key(OWNER);
    assert!(other.open(AAD, &one.seal(AAD, b"secret")).is_err());
}

#[test]
fn a_data_key_belongs_to_its_owner() {
    let keys = keyring(&[1]);
    let (_, wrapped) = keys.new_data_key(OWNER);
    let error = keys.unwrap("pipelines/1/8", &wrapped).unwrap_err();
    assert!(matches!(error, KeyringError::Damaged { .. }), "{error}");
    assert!(keys.rewrap("pipelines/1/8", &wrapped).is_err());
}

#[test]
fn a_missing_encryption_key_is_named_with_those_that_are_there() {
    let (_, wrapped) = keyring(&[1]).new_data_key(OWNER);
    let error = |bytes| keyring(bytes).unwrap(OWNER, &wrapped).unwrap_err();
    let [one, two, three] = [1, 2, 3].map(|byte| key(byte).id());
    assert_eq!(
        error(&[2]).to_string(),
        format!(
            "the secrets of pipelines/1/7 need the encryption key {one}, and there is only {two}; \
             add that key to the encryption keys"
        )
    );
    assert_eq!(
        error(&[3, 2]).to_string(),
        format!(
            "the secrets of pipelines/1/7 need the encryption key {one}, and there are only \
             {three}, {two}; add that key to the encryption keys"
        )
    );
}

#[test]
fn a_rotation_keeps_the_data_key() {
    let (data_key, wrapped) = keyring(&[1]).new_data_key(OWNER);
    let both = keyring(&[2, 1]);
    let rewrapped = both.rewrap(OWNER, &wrapped).unwrap().unwrap();
    assert_same(&data_key, &both.unwrap(OWNER, &rewrapped).unwrap());
    assert_same(&data_key, &keyring(&[2]).unwrap(OWNER, &rewrapped).unwrap());
    // The old key is not needed any more, and there is nothing left to do.
    assert!(keyring(&[1]).unwrap(OWNER, &rewrapped).is_err());
    assert_eq!(both.rewrap(OWNER, &rewrapped).unwrap(), None);
    assert!(keyring(&[2]).rewrap(OWNER, &wrapped).is_err());
}

#[test]
fn every_change_of_a_wrapped_data_key_is_detected() {
    let keys = keyring(&[1]);
    let (_, wrapped) = keys.new_data_key(OWNER);
    for length in 0..wrapped.len() {
        assert!(keys.unwrap(OWNER, &wrapped[..length]).is_err());
    }
    for bit in 0..wrapped.len() * 8 {
        let mut flipped = wrapped.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(keys.unwrap(OWNER, &flipped).is_err(), "bit {bit}");
        assert!(keys.rewrap(OWNER, &flipped).is_err(), "bit {bit}");
    }
}

/// The checksum of the envelope detects accidents; this is an attacker who corrects it.
#[test]
fn every_change_below_the_checksum_is_detected() {
    let keys = keyring(&[1]);
    let (_, wrapped) = keys.new_data_key(OWNER);
    let stored: StoredDataKey = decode(&wrapped).unwrap();
    for bit in 0..stored.wrapped.len() * 8 {
        let mut flipped = stored.wrapped.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let flipped = StoredDataKey {
            wrapped: flipped.into(),
            ..stored
        };
        let error = keys.unwrap(OWNER, &encode(&flipped));
        assert!(matches!(error, Err(KeyringError::Damaged { .. })), "{bit}");
    }
}

#[test]
fn keys_are_parsed_in_order_with_comments_and_blank_lines() {
    let (one, two, three) = (text_of(1), text_of(2), text_of(3));
    let text = format!("# keys\n\n  {one} # since May\r\n\t{two}   {three}#x\n# {one}\n");
    let keys = Keyring::parse(&text).unwrap();
    assert_eq!(keys.ids(), [1, 2, 3].map(|byte| key(byte).id()));
    assert_eq!(keys.primary(), key(1).id());
    let again = Keyring::parse(EncryptionKey::generate().to_text().expose_secret());
    assert_eq!(again.unwrap().ids().len(), 1);
}

#[test]
fn problems_of_keys_are_reported_with_their_line_and_without_the_key() {
    let (one, two) = (text_of(1), text_of(2));
    let short = &one[..40];
    let remedy = "`pipewright key generate` makes one";
    let line = |number, problem: &str| format!("line {number}: the key {problem}; {remedy}");
    for (text, expected) in [
        (String::new(), format!("there is no key; {remedy}")),
        (
            "# none\n\n".to_owned(),
            format!("there is no key; {remedy}"),
        ),
        (format!("\n{one}\nhunter2-pass\n"), line(3, "is not base64")),
        (format!("{one}x"), line(1, "is not base64")),
        (
            one.trim_end_matches('=').to_owned(),
            line(1, "is not base64"),
        ),
        (short.to_owned(), line(1, "has 30 bytes; a key has 32")),
        (
            format!("{one}\n{two}\n# x\n{one}\n"),
            "line 4: the key is that of line 1 again".to_owned(),
        ),
    ] {
        let error: BadKeys = Keyring::parse(&text).unwrap_err();
        assert_eq!(error.to_string(), expected);
        let shown = format!("{error} {error:?}");
        for secret in ["hunter2", &one[..8], &two[..8]] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}

#[test]
fn debug_and_errors_show_no_key() {
    let keys = keyring(&[1, 2]);
    let shown = format!("{keys:?} {:?}", key(1).to_text());
    let [one, two] = [1, 2].map(|byte| key(byte).id());
    assert!(
        shown.starts_with(&format!(
            "Keyring {{ primary: EncryptionKey({one}), older: [EncryptionKey({two})] }}"
        )),
        "{shown}"
    );
    assert!(!shown.contains(&text_of(1)[..8]), "{shown}");
}

/// Stored with every data key, so it must never change.
#[test]
fn the_id_of_a_key_has_not_changed() {
    assert_eq!(key(1).id().to_string(), "896a4533c458268e");
}

/// Values that exist in stores must open with every later version: a wrapped data key, and a
/// secret of 8 bytes that is sealed under it. With `UPDATE_GOLDEN=1` a missing file is written.
#[test]
fn a_data_key_that_was_wrapped_earlier_is_unwrapped() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/seal/tests/wrapped.hex");
    if !path.exists() && env::var("UPDATE_GOLDEN").is_ok_and(|update| update == "1") {
        let (data_key, wrapped) = keyring(&[1]).new_data_key(OWNER);
        let bytes = [wrapped, data_key.seal(AAD, b"a secret")].concat();
        let lines = bytes.chunks(32).map(|line| {
            let digits = line.iter().map(|byte| format!("{byte:02x}"));
            digits.collect::<String>() + "\n"
        });
        fs::write(&path, lines.collect::<String>()).unwrap();
    }
    let text = fs::read_to_string(&path).unwrap();
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    let parts: Vec<u8> = digits.chunks(2).map(byte).collect();
    let (wrapped, sealed) = parts.split_at(parts.len() - 49);
    let data_key = keyring(&[1]).unwrap(OWNER, wrapped).unwrap();
    assert_eq!(data_key.open(AAD, sealed).unwrap(), b"a secret");
}

proptest! {
    #[test]
    fn any_data_key_survives_any_rotation(owner in "[a-z]{1,9}/[0-9a-f]{1,9}", secret in vec(any::<u8>(), 0..99)) {
        let (data_key, wrapped) = keyring(&[1]).new_data_key(&owner);
        let sealed = data_key.seal(AAD, &secret);
        let second = keyring(&[2, 1]).rewrap(&owner, &wrapped).unwrap().unwrap();
        let third = keyring(&[3, 2]).rewrap(&owner, &second).unwrap().unwrap();
        let data_key = keyring(&[3]).unwrap(&owner, &third).unwrap();
        prop_assert_eq!(data_key.open(AAD, &sealed).unwrap(), secret);
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in ".{0,200}") {
        let _ = Keyring::parse(&text);
    }

    #[test]
    fn no_bytes_make_unwrapping_panic(bytes in vec(any::<u8>(), 0..150)) {
        prop_assert!(keyring(&[1]).unwrap(OWNER, &bytes).is_err());
    }
}
