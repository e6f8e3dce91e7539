use std::fmt::{self, Write as _};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use secrecy::SecretString;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Prefix of every token, so that secret scanners recognize it.
const PREFIX: &str = "pw";
const ID_BYTES: usize = 6;
const SECRET_BYTES: usize = 32;

/// A new token. The text is shown once and not stored.
#[derive(Debug)]
pub struct NewToken {
    /// `pw_ID_SECRET`.
    pub text: SecretString,
    /// The `ID` in it.
    pub id: String,
    /// The part that is stored.
    pub hash: TokenHash,
}

impl NewToken {
    /// Creates a token with 256 random bits.
    pub fn random() -> Self {
        let id = hex(&rand::random::<[u8; ID_BYTES]>());
        let secret = BASE64_URL_SAFE_NO_PAD.encode(rand::random::<[u8; SECRET_BYTES]>());
        let text = format!("{PREFIX}_{id}_{secret}");
        Self {
            hash: TokenHash::of(text.as_bytes()),
            text: text.into(),
            id,
        }
    }
}

/// The id in a token's text; none if the text is malformed.
pub(super) fn id_in(text: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(text).ok()?;
    let (prefix, rest) = text.split_once('_')?;
    let (id, _) = rest.split_once('_')?;
    (prefix == PREFIX).then_some(id)
}

/// Whether text can be the id of a token.
pub(super) fn is_id(text: &str) -> bool {
    (1..=32).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// SHA-256 of a token. As the token has 256 random bits, nothing slower is needed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    pub(super) fn of(text: &[u8]) -> Self {
        Self(Sha256::digest(text).into())
    }

    /// Parses 64 hexadecimal digits.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let mut hash = [0; 32];
        for (byte, digits) in hash.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let digits = std::str::from_utf8(digits).ok()?;
            *byte = u8::from_str_radix(digits, 16).ok()?;
        }
        Some(Self(hash))
    }

    /// Its 64 hexadecimal digits.
    pub(super) fn text(&self) -> String {
        hex(&self.0)
    }

    /// Whether the token matches. Takes the same time for all tokens.
    pub(super) fn matches(&self, text: &[u8]) -> bool {
        Self::of(text).0.ct_eq(&self.0).into()
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("TokenHash(..)")
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_token_has_its_id_and_256_bits() {
        let (made, other) = (NewToken::random(), NewToken::random());
        let text = made.text.expose_secret();
        assert_eq!(id_in(text.as_bytes()), Some(made.id.as_str()));
        assert!(is_id(&made.id));
        let secret = text.strip_prefix(&format!("pw_{}_", made.id)).unwrap();
        assert_eq!(BASE64_URL_SAFE_NO_PAD.decode(secret).unwrap().len(), 32);
        assert!(made.hash.matches(text.as_bytes()));
        assert!(!made.hash.matches(other.text.expose_secret().as_bytes()));
        assert!(!format!("{made:?}").contains(secret));
    }

    #[test]
    fn text_of_another_form_has_no_id() {
        for text in ["", "pw", "pw_", "pw_abc", "px_abc_def", "abc"] {
            assert_eq!(id_in(text.as_bytes()), None, "{text}");
        }
        assert_eq!(id_in(b"pw_\xff_x"), None);
    }

    #[test]
    fn a_hash_is_read_as_it_is_written() {
        let hash = TokenHash::of(b"text");
        assert_eq!(TokenHash::parse(&hash.text()), Some(hash));
        let upper = hash.text().to_uppercase();
        assert_eq!(TokenHash::parse(&upper), Some(hash));
        for wrong in ["", "ab", &"g".repeat(64), &"é".repeat(32)] {
            assert_eq!(TokenHash::parse(wrong), None);
        }
        assert_eq!(format!("{hash:?}"), "TokenHash(..)");
    }
}
