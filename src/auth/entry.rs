use std::{fmt, time::SystemTime};

use super::{PasswordHash, Principal, Subject, TokenHash};

/// A principal and how it proves who it is, as the credentials file has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Who it is and what it may do.
    pub principal: Principal,
    /// What it shows.
    pub proof: Proof,
}

/// What a principal shows to prove who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// A password.
    Password(PasswordHash),
    /// A bearer token.
    Token(Token),
    /// A certificate of one of the authorities that the service trusts, with this name.
    Certificate(Subject),
}

/// What is kept of a bearer token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Part of the token's text by which people find it again. No secret.
    pub id: String,
    /// Hash of the whole text.
    pub hash: TokenHash,
    /// When it was made, if the file says so.
    pub create_time: Option<SystemTime>,
    /// When it stops being good, if ever.
    pub expire_time: Option<SystemTime>,
    /// The token that it has replaced, while both are good.
    pub replaced: Option<Replaced>,
}

/// What is kept of a token that a rotation has replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replaced {
    /// Its id.
    pub id: String,
    /// Hash of its whole text.
    pub hash: TokenHash,
    /// When it stops being good.
    pub expire_time: SystemTime,
}

impl Entry {
    /// Which of the three it is.
    pub fn kind(&self) -> Kind {
        match self.proof {
            Proof::Password(_) => Kind::User,
            Proof::Token(_) => Kind::Token,
            Proof::Certificate(_) => Kind::Certificate,
        }
    }

    /// When it stops being good, if ever.
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
    /// All of them, in the file's order.
    pub const ALL: [Self; 3] = [Self::User, Self::Token, Self::Certificate];

    /// The file's name for its entries.
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
