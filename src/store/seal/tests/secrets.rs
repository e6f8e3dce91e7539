use proptest::{collection::vec, prelude::*};

use super::keyring;
use crate::store::{
    DataKey,
    codec::{CodecError, Seal, Unsealed},
};

const AAD: &str = "jobs/1/TOKEN";
const SECRET: &[u8] = b"hunter2-pass";

fn data_key() -> DataKey {
    keyring(&[1]).new_data_key("jobs/1").0
}

fn refused(key: &dyn Seal, aad: &str, sealed: &[u8]) -> String {
    let error = key.open(aad, sealed).unwrap_err();
    assert!(matches!(&error, CodecError::Sealed { aad: of, .. } if of == aad));
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains("hunter2"), "{shown}");
    error.to_string()
}

#[test]
fn a_sealed_secret_does_not_contain_the_secret_and_differs_each_time() {
    let key = data_key();
    let sealed = key.seal(AAD, SECRET);
    assert!(!sealed.windows(4).any(|window| window == b"hunt"));
    assert_ne!(sealed, key.seal(AAD, SECRET));
    assert_eq!(key.open(AAD, &sealed).unwrap(), SECRET);
}

#[test]
fn a_secret_opens_with_its_own_key_and_name_only() {
    let key = data_key();
    let sealed = key.seal(AAD, SECRET);
    let expected = "the secret jobs/1/PIN cannot be opened: it is damaged, or was encrypted with \
                    another data key or for another owner";
    assert_eq!(refused(&key, "jobs/1/PIN", &sealed), expected);
    for other in ["jobs/2/TOKEN", "pipelines/1/TOKEN", "jobs/1/TOKEN ", ""] {
        refused(&key, other, &sealed);
    }
    refused(&data_key(), AAD, &sealed);
}

#[test]
fn encrypted_and_unencrypted_values_are_not_taken_for_each_other() {
    let key = data_key();
    refused(&Unsealed, AAD, &key.seal(AAD, SECRET));
    let expected = "the secret jobs/1/TOKEN cannot be opened: it is not encrypted in a form that \
                    this version knows";
    assert_eq!(refused(&key, AAD, &Unsealed.seal(AAD, SECRET)), expected);
}

#[test]
fn every_change_of_a_sealed_secret_is_detected() {
    let key = data_key();
    let sealed = key.seal(AAD, SECRET);
    for length in 0..sealed.len() {
        refused(&key, AAD, &sealed[..length]);
    }
    refused(&key, AAD, &[&sealed[..], &[0]].concat());
    for bit in 0..sealed.len() * 8 {
        let mut flipped = sealed.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        refused(&key, AAD, &flipped);
    }
}

#[test]
fn debug_shows_no_key() {
    let shown = format!("{:?}", data_key());
    assert_eq!(shown, "DataKey(CipherKey(SecretBox<[u8; 32]>([REDACTED])))");
}

proptest! {
    #[test]
    fn a_secret_round_trips(plain in vec(any::<u8>(), 0..300), aad in ".{0,40}") {
        let key = data_key();
        prop_assert_eq!(key.open(&aad, &key.seal(&aad, &plain)).unwrap(), plain);
    }

    #[test]
    fn no_bytes_make_opening_panic(bytes in vec(any::<u8>(), 0..100)) {
        let key = data_key();
        prop_assert!(key.open(AAD, &bytes).is_err());
        prop_assert!(key.open(AAD, &[&[1], &bytes[..]].concat()).is_err());
    }
}
