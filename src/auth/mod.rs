//! Authentication of callers. Independent of how the call arrived.

mod authenticator;
mod cache;
mod certificate;
mod entry;
mod failures;
mod file;
#[cfg(fuzzing)]
pub mod fuzzing;
mod grant;
mod known;
mod logins;
mod name;
mod password;
mod peer;
mod presented;
mod roles;
mod session;
mod single_flight;
#[cfg(test)]
mod tests;
mod token;
mod verifier;

pub use authenticator::{AuthError, Authenticator, LoginSettings, WallClock};
pub use certificate::Subject;
pub use entry::{Entry, Kind, Proof, Replaced, Token};
pub use file::{CredentialsError, CredentialsFile, Draft, Problem, Problems};
pub use grant::{BadGrant, Grant};
pub use name::{BadName, check_name};
pub use password::{BadPassword, PasswordHash};
pub use peer::{Peer, network};
pub use presented::Presented;
pub use roles::{ALL_PROJECTS, Authority, Denied, Grants, Principal, Role, UnknownRole};
pub use session::Session;
pub use token::{NewToken, TokenHash};
