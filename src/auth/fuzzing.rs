//! Entry points for `fuzz/`.

use secrecy::ExposeSecret;

use super::{
    CredentialsError, CredentialsFile, Entry, Presented,
    presented::{Login, Shown},
};

/// The entries of a credentials file with this text.
///
/// # Errors
/// What is wrong with it.
pub fn entries(text: &str) -> Result<Vec<Entry>, CredentialsError> {
    CredentialsFile::new("credentials.toml".into()).parse(text)
}

/// The name and the password in the value of an `authorization` header, if its scheme is
/// Basic.
pub fn login(header: &[u8]) -> Option<(String, Vec<u8>)> {
    let presented = Presented {
        authorization: Some(header),
        peer: None,
    };
    let Shown::Basic(encoded) = presented.shown() else {
        return None;
    };
    let Login { user, password } = Login::read(encoded)?;
    Some((user, password.expose_secret().to_vec()))
}
