use std::{fmt, ops::RangeInclusive};

use argon2::{
    Argon2, Params,
    password_hash::{
        PasswordHasher, PasswordVerifier,
        phc::{self, Output, Salt},
    },
};
use secrecy::{ExposeSecret, SecretString};

/// Longest password, in bytes.
pub(super) const MOST_BYTES: usize = 1024;
/// NIST SP 800-63B asks for 8 at least, and for no rule about which characters.
const FEWEST_CHARACTERS: usize = 8;
/// OWASP's parameters for argon2id, which are this crate's defaults: 19 MiB, two passes,
/// one lane. Salt and hash are placeholders: no password has this hash.
const USUAL: &str = "$argon2id$v=19$m=19456,t=2,p=1\
    $AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
/// Bounds on the KiB, passes and lanes of a hash in the file: less is too weak, and with
/// more a few logins would exhaust the machine.
const MEMORY: RangeInclusive<u32> = 7 * 1024..=256 * 1024;
const PASSES: RangeInclusive<u32> = 1..=16;
const LANES: RangeInclusive<u32> = 1..=8;
const FEWEST_HASH_BYTES: usize = 16;

/// The stored form of a password: an argon2id hash with its salt and its parameters.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(phc::PasswordHash);

/// Why a password is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPassword {
    #[error("the password is too short; it must have at least 8 characters")]
    TooShort,
    /// A login would refuse it.
    #[error("the password is too long; it may have at most 1024 bytes")]
    TooLong,
    /// No random numbers or no memory.
    #[error("the password cannot be hashed on this machine")]
    Unhashable,
}

impl PasswordHash {
    /// Hashes a password, which takes tens of milliseconds.
    ///
    /// # Errors
    /// If it is too short or too long, or if the machine has no memory.
    pub fn of(password: &SecretString) -> Result<Self, BadPassword> {
        let password = password.expose_secret();
        if password.chars().count() < FEWEST_CHARACTERS {
            return Err(BadPassword::TooShort);
        }
        if password.len() > MOST_BYTES {
            return Err(BadPassword::TooLong);
        }
        let hash = Argon2::default().hash_password(password.as_bytes());
        hash.map(Self).map_err(|_| BadPassword::Unhashable)
    }

    /// Parses a PHC string; none if it is no argon2id hash or if its parameters are out of
    /// bounds.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let hash = phc::PasswordHash::new(text).ok()?;
        let params = Params::try_from(&hash).ok()?;
        let is_whole = hash.salt.is_some()
            && hash
                .hash
                .is_some_and(|hash| hash.len() >= FEWEST_HASH_BYTES);
        let is_bounded = MEMORY.contains(&params.m_cost())
            && PASSES.contains(&params.t_cost())
            && LANES.contains(&params.p_cost());
        let is_argon2id = hash.algorithm.as_str() == "argon2id" && hash.version == Some(19);
        (is_argon2id && is_whole && is_bounded).then_some(Self(hash))
    }

    /// Its PHC string.
    pub(super) fn text(&self) -> String {
        self.0.to_string()
    }

    /// Whether the password matches. Takes the same time for all passwords.
    pub(super) fn matches(&self, password: &[u8]) -> bool {
        Argon2::default().verify_password(password, &self.0).is_ok()
    }

    /// A hash that no password has, and that takes as long to check.
    pub(super) fn decoy(&self) -> Self {
        let mut decoy = self.0.clone();
        decoy.salt = decoy.salt.and_then(|salt| {
            let mut bytes = salt.as_ref().to_vec();
            rand::fill(&mut bytes);
            Salt::new(&bytes).ok()
        });
        decoy.hash = decoy.hash.and_then(|hash| {
            let mut bytes = hash.as_ref().to_vec();
            rand::fill(&mut bytes);
            Output::new(&bytes).ok()
        });
        Self(decoy)
    }

    /// Fast parameters, unsafe outside tests.
    #[cfg(test)]
    pub(super) fn weak(password: &str) -> Self {
        let params = Params::new(*MEMORY.start(), 1, 1, None).unwrap();
        let argon2 = Argon2::new(Default::default(), Default::default(), params);
        Self(argon2.hash_password(password.as_bytes()).unwrap())
    }

    /// A [`decoy`](Self::decoy) with the usual parameters.
    pub(super) fn usual_decoy() -> Self {
        let usual = Self::parse(USUAL).expect("the constant is a hash");
        usual.decoy()
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("PasswordHash(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(password: &str) -> Result<PasswordHash, BadPassword> {
        PasswordHash::of(&password.into())
    }

    #[test]
    fn a_hash_is_that_of_its_password_alone_and_written_as_phc() {
        let made = hash("correct horse").unwrap();
        assert!(made.matches(b"correct horse"));
        assert!(!made.matches(b"correct horsE") && !made.matches(b""));
        let text = made.text();
        assert!(
            text.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{text}"
        );
        assert_eq!(PasswordHash::parse(&text).as_ref(), Some(&made));
        assert_eq!(format!("{made:?}"), "PasswordHash(..)");
        assert_ne!(hash("correct horse").unwrap(), made, "salted");
    }

    #[test]
    fn a_password_has_bounds() {
        assert_eq!(hash("1234567"), Err(BadPassword::TooShort));
        assert_eq!(hash(&"x".repeat(1025)), Err(BadPassword::TooLong));
    }

    #[test]
    fn a_decoy_asks_for_the_same_work() {
        let costly = USUAL.replace("m=19456,t=2", "m=7168,t=3");
        let decoy = PasswordHash::parse(&costly).unwrap().decoy();
        assert!(decoy.text().starts_with("$argon2id$v=19$m=7168,t=3,p=1$"));
        assert_ne!(decoy.text(), costly);
        assert_eq!(decoy.text().len(), costly.len());
    }

    #[test]
    fn only_argon2id_within_bounds_is_read() {
        let salt = "$AAAAAAAAAAAAAAAAAAAAAA";
        for wrong in [
            "",
            "secret",
            "$2b$12$abcdefghijklmnopqrstuv",
            &USUAL.replace("argon2id", "argon2i"),
            &USUAL.replace("v=19", "v=16"),
            &USUAL.replace("m=19456", "m=7167"),
            &USUAL.replace("m=19456", "m=4294967295"),
            &USUAL.replace("t=2", "t=17"),
            &USUAL.replace("p=1", "p=9"),
            USUAL.split_at(USUAL.find(salt).unwrap()).0,
            USUAL.split_at(USUAL.find(salt).unwrap() + salt.len()).0,
        ] {
            assert!(PasswordHash::parse(wrong).is_none(), "{wrong}");
        }
    }
}
