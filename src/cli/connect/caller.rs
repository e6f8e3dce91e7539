//! Credentials and trace headers of calls.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use parking_lot::Mutex;
use secrecy::{ExposeSecret, SecretString};
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::Interceptor,
};

use crate::{
    cli::{
        connect::{remote::secrets, trace::Trace},
        exit::Failure,
    },
    private_file::FileIdentity,
};

/// Credentials of the caller; none by default.
#[derive(Clone, Default)]
pub(crate) struct Credentials(Option<Source>);

/// Source of the header.
#[derive(Clone)]
enum Source {
    Fixed(Header),
    File(Arc<TokenFile>),
}

/// The value of an `authorization` header.
type Header = MetadataValue<Ascii>;

/// A file with a token, which may be replaced by another one at any time.
struct TokenFile {
    path: PathBuf,
    read: Mutex<TokenRead>,
}

/// The last reading of the file.
struct TokenRead {
    identity: Option<FileIdentity>,
    header: Header,
}

impl Credentials {
    /// The token in a file, which is reloaded when the file changes.
    pub(crate) fn file(path: PathBuf) -> Result<Self, Failure> {
        let read = TokenRead::of(&path)?;
        let read = Mutex::new(read);
        Ok(Self(Some(Source::File(Arc::new(TokenFile { path, read })))))
    }

    /// A bearer token. The error does not contain the token.
    pub(crate) fn bearer(token: &SecretString) -> Result<Self, &'static str> {
        bearer(token).map(Self::fixed)
    }

    /// A user with a password (RFC 7617).
    pub(crate) fn basic(username: &str, password: &SecretString) -> Result<Self, &'static str> {
        let password = password.expose_secret();
        if username.is_empty() || username.contains(':') {
            return Err("a user's name is not empty and has no colon");
        }
        if [username, password]
            .iter()
            .any(|text| text.contains(char::is_control))
        {
            return Err("names and passwords have no control characters");
        }
        let pair = BASE64_STANDARD.encode(format!("{username}:{password}"));
        header(&format!("Basic {pair}")).map(Self::fixed)
    }

    fn fixed(header: Header) -> Self {
        Self(Some(Source::Fixed(header)))
    }

    /// The header for a call that is made now.
    fn header(&self) -> Option<Header> {
        match self.0.as_ref()? {
            Source::Fixed(header) => Some(header.clone()),
            Source::File(file) => Some(file.header()),
        }
    }

    /// The file from which they are reloaded; none for fixed credentials.
    pub(crate) fn token_file(&self) -> Option<&Path> {
        match self.0.as_ref()? {
            Source::Fixed(_) => None,
            Source::File(file) => Some(&file.path),
        }
    }

    /// Whether there are any.
    pub(crate) fn is_some(&self) -> bool {
        self.0.is_some()
    }
}

fn bearer(token: &SecretString) -> Result<Header, &'static str> {
    let token = token.expose_secret();
    let is_visible = token.bytes().all(|byte| byte.is_ascii_graphic());
    if token.is_empty() || !is_visible {
        return Err("a token is one or more visible ASCII characters");
    }
    header(&format!("Bearer {token}"))
}

fn header(value: &str) -> Result<Header, &'static str> {
    let mut value: Header = value.parse().map_err(|_| "it does not fit into a header")?;
    // Sensitive: not shown by `Debug` and not stored in the HTTP/2 header table.
    value.set_sensitive(true);
    Ok(value)
}

impl TokenFile {
    /// Checks the file with each call: the first call after a change already has the new
    /// token. A file that cannot be used leaves the token as it is.
    fn header(&self) -> Header {
        let mut read = self.read.lock();
        let identity = FileIdentity::at(&self.path);
        if identity != read.identity {
            let path = self.path.display();
            match TokenRead::of(&self.path) {
                Ok(new) => {
                    tracing::info!(%path, "read the token again");
                    *read = new;
                }
                Err(failure) => {
                    let reason = failure.message().unwrap_or_default();
                    tracing::warn!(%path, reason, "the token file changed; using the token from before");
                    read.identity = identity;
                }
            }
        }
        read.header.clone()
    }
}

impl TokenRead {
    fn of(path: &Path) -> Result<Self, Failure> {
        // Before the file is read: a change in between is detected by the next call.
        let identity = FileIdentity::at(path);
        let header = bearer(&secrets::from_file(path)?);
        let header =
            header.map_err(|problem| Failure::Usage(format!("{}: {problem}", path.display())))?;
        Ok(Self { identity, header })
    }
}

/// Adds the headers to each call.
#[derive(Clone, Default)]
pub(crate) struct Headers {
    pub(crate) credentials: Credentials,
    pub(crate) trace: Trace,
}

impl Interceptor for Headers {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let headers = [
            ("authorization", self.credentials.header()),
            ("traceparent", self.trace.parent.clone()),
            ("tracestate", self.trace.state.clone()),
        ];
        for (name, value) in headers {
            if let Some(value) = value {
                request.metadata_mut().insert(name, value);
            }
        }
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(credentials: Result<Credentials, &str>) -> MetadataValue<Ascii> {
        credentials.unwrap().header().unwrap()
    }

    #[test]
    fn headers_are_those_of_the_standards_and_marked() {
        let bearer = sent(Credentials::bearer(&"t0k-_.~+/=".into()));
        assert_eq!(bearer, "Bearer t0k-_.~+/=");
        // The example of RFC 7617.
        let basic = sent(Credentials::basic("Aladdin", &"open sesame".into()));
        assert_eq!(basic, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        for value in [bearer, basic] {
            assert!(value.is_sensitive());
            assert_eq!(format!("{value:?}"), "Sensitive");
        }
    }

    #[test]
    fn errors_of_credentials_do_not_contain_them() {
        for token in ["", "a b", "secret\n", "s\u{e9}cret"] {
            let error = Credentials::bearer(&token.into()).err().unwrap();
            assert!(!error.contains("cret"), "{error}");
        }
        assert!(Credentials::basic("a:b", &"p".into()).is_err());
        assert!(Credentials::basic("", &"p".into()).is_err());
        assert!(Credentials::basic("a", &"p\n".into()).is_err());
        assert!(Credentials::basic("a", &"p:q \u{e9}".into()).is_ok());
    }

    #[test]
    fn a_token_file_is_read_again_when_it_changes() {
        use std::{fs, os::unix::fs::PermissionsExt};

        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        let write = |text: &str, mode| {
            let new = directory.path().join("new");
            fs::write(&new, text).unwrap();
            fs::set_permissions(&new, fs::Permissions::from_mode(mode)).unwrap();
            fs::rename(&new, &path).unwrap();
        };
        write("one\n", 0o600);
        let credentials = Credentials::file(path.clone()).unwrap();
        let shown = || credentials.header().unwrap();
        assert_eq!(shown(), "Bearer one");
        write("two\n", 0o600);
        assert_eq!(shown(), "Bearer two");
        assert!(shown().is_sensitive());
        // A file that cannot be used changes nothing.
        for (text, mode) in [("three", 0o644), ("", 0o600), ("a b", 0o600)] {
            write(text, mode);
            assert_eq!(shown(), "Bearer two", "{text:?} {mode:o}");
        }
        fs::remove_file(&path).unwrap();
        assert_eq!(shown(), "Bearer two");
        write("four", 0o600);
        assert_eq!(shown(), "Bearer four");
    }
}
