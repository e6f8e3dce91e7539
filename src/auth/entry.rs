use std::{fmt, time::SystemTime};

use super::{PasswordHash, Principal, Subject, TokenHash};

/// A principal and its credential, as in the credentials file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub principal: Principal,
    pub proof: Proof,
}

/// The credential of a principal, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    Password(PasswordHash),
    Token(Token),
    /// A certificate of one of the authorities that the service trusts, with this name.
    Certificate(Subject),
}

/// The stored part of a bearer token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The part of the token's text that identifies it. Not secret.
    pub id: String,
    /// Hash of the whole text.
    pub hash: TokenHash,
    /// When it was created, if the file has that.
    pub create_time: Option<SystemTime>,
    /// None: it does not expire.
    pub expire_time: Option<SystemTime>,
    /// The token that it has replaced, while both are valid.
    pub replaced: Option<Replaced>,
}

/// The stored part of a token that a rotation has replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replaced {
    pub id: String,
    /// Hash of the whole text.
    pub hash: TokenHash,
    pub expire_time: SystemTime,
}

impl Entry {
    pub fn kind(&self) -> Kind {
        match self.proof {
            Proof::Password(_) => Kind::User,
            Proof::Token(_) => Kind::Token,
            Proof::Certificate(_) => Kind::Certificate,
        }
    }

    /// When the token expires, if ever; none for other credentials.
    pub fn expire_time(&self) -> Option<SystemTime> {
        match &self.proof {
            Proof::Token(token) => token.expire_time,
            Proof::Password(_) | Proof::Certificate(_) => None,
        }
    }
}

/// Kinds of principals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A person with a password.
    User,
    /// A program with a token.
    Token,
    /// A program with a certificate.
    Certificate,
}

impl Kind {
    /// In the order of the file.
    pub const ALL: [Self; 3] = [Self::User, Self::Token, Self::Certificate];

    /// The name of its tables in the file.
    pub(super) fn table(self) -> &'static str {
        match self {
            Self::User => "users",
            Self::Token => "tokens",
            Self::Certificate => "certificates",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::User => "user",
            Self::Token => "token",
            Self::Certificate => "certificate",
        })
    }
}
