//! Explains git's errors to people.

use url::Url;

/// Why a git command failed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum GitError {
    /// It was stopped.
    Stopped,
    /// Git is not installed.
    NoGit,
    NoRef,
    NoRepository,
    /// Credentials are missing or refused.
    Denied,
    UnknownHostKey,
    /// Git's line about it.
    Unreachable(String),
    Protocol,
    /// The repository uses the other hash function.
    ObjectFormat,
    /// Git's line about it.
    Other(String),
}

impl GitError {
    /// Classifies a failure by git's output, which is in English.
    pub(super) fn from_output(said: &str) -> Self {
        let says = |clues: &[&str]| clues.iter().any(|clue| said.contains(clue));
        if says(&["couldn't find remote ref", "not our ref"]) {
            Self::NoRef
        } else if says(&["mismatched algorithms"]) {
            Self::ObjectFormat
        } else if says(&["Host key verification failed"]) {
            Self::UnknownHostKey
        } else if says(&[
            "Authentication failed",
            "could not read Username",
            "could not read Password",
            "Permission denied (",
            "returned error: 401",
            "returned error: 403",
        ]) {
            Self::Denied
        } else if says(&[
            "' not found",
            "epository not found",
            "does not appear to be a git",
        ]) {
            Self::NoRepository
        } else if says(&[
            "Could not resolve",
            "Couldn't connect",
            "Failed to connect",
            "Connection refused",
            "Connection reset",
            "timed out",
            "No route to host",
            "Network is unreachable",
        ]) {
            Self::Unreachable(reason(said))
        } else if said.contains("transport '") && said.contains("' not allowed") {
            Self::Protocol
        } else {
            Self::Other(reason(said))
        }
    }

    /// What happened and what to do.
    pub(super) fn explain(&self, url: &str, reference: &str) -> String {
        match self {
            Self::Stopped => "stopped".to_owned(),
            Self::NoGit => "the runner has no git; install it there".to_owned(),
            Self::NoRef if is_short_commit_id(reference) => format!(
                "ref '{reference}' not found; if it is a commit, give its full id, \
                 which has 40 or 64 digits"
            ),
            Self::NoRef => format!("ref '{reference}' not found"),
            Self::NoRepository => {
                "repository not found; check the URL, and that the runner may read it".to_owned()
            }
            Self::Denied => "the host asks for credentials that the runner does not have, \
                             or refuses those it has"
                .to_owned(),
            Self::UnknownHostKey => "the host's ssh key is not known to the runner; \
                                     add it to its known_hosts"
                .to_owned(),
            Self::Unreachable(line) => {
                format!("host not reachable ({})", without_secrets(line, url))
            }
            Self::Protocol => "protocol not allowed; use https, http or ssh".to_owned(),
            Self::ObjectFormat => "the hash function of the repository is not known".to_owned(),
            Self::Other(line) => without_secrets(line, url),
        }
    }
}

/// Whether a ref looks like an abbreviated commit id.
fn is_short_commit_id(reference: &str) -> bool {
    matches!(reference.len(), 4..40) && reference.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The line that says why git gave up.
fn reason(said: &str) -> String {
    let line = ["fatal: ", "error: "]
        .iter()
        .find_map(|mark| said.lines().find_map(|line| line.strip_prefix(mark)))
        .or_else(|| said.lines().next_back())
        .unwrap_or("git failed and did not say why");
    // Part of it may come from the host.
    line.chars().filter(|c| !c.is_control()).collect()
}

/// The URL as it may be shown: without a password, and without a user name that, on
/// its own and outside of ssh, is as good as one.
pub(super) fn masked(url: &str) -> String {
    let Ok(mut parsed) = Url::parse(url) else {
        return url.to_owned();
    };
    // Fails only for URLs that cannot have a password or user name.
    if parsed.password().is_some() {
        let _ = parsed.set_password(Some("***"));
    } else if parsed.scheme().starts_with("http") && !parsed.username().is_empty() {
        let _ = parsed.set_username("***");
    } else {
        return url.to_owned();
    }
    parsed.into()
}

fn without_secrets(text: &str, url: &str) -> String {
    let text = text.replace(url, &masked(url));
    match Url::parse(url).ok().as_ref().and_then(Url::password) {
        Some(password) if !password.is_empty() => text.replace(password, "***"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn git_is_understood() {
        for (said, error) in [
            ("fatal: couldn't find remote ref x\n", GitError::NoRef),
            (
                "fatal: remote error: upload-pack: not our ref 12\n",
                GitError::NoRef,
            ),
            (
                "fatal: repository 'http://h/x/' not found\n",
                GitError::NoRepository,
            ),
            (
                "fatal: could not read Username for 'https://h': terminal prompts disabled\n",
                GitError::Denied,
            ),
            (
                "git@h: Permission denied (publickey).\nfatal: Could not read from remote \
                 repository.\n",
                GitError::Denied,
            ),
            (
                "Host key verification failed.\nfatal: Could not read from remote repository.\n",
                GitError::UnknownHostKey,
            ),
            ("fatal: transport 'ext' not allowed\n", GitError::Protocol),
            (
                "fatal: unable to access 'http://h/': Could not resolve host: h\n",
                GitError::Unreachable(
                    "unable to access 'http://h/': Could not resolve host: h".into(),
                ),
            ),
            (
                "warning: w\nfatal: bad\u{1b}[31m thing\n",
                GitError::Other("bad[31m thing".into()),
            ),
            ("", GitError::Other("git failed and did not say why".into())),
        ] {
            assert_eq!(GitError::from_output(said), error);
        }
    }

    #[test]
    fn a_short_commit_id_gets_a_hint() {
        let told = |reference| GitError::NoRef.explain("https://h/r", reference);
        let full = "0".repeat(40);
        for short in ["a1b2", "A1B2C3D", &full[1..]] {
            assert!(told(short).contains("give its full id"), "{short}");
        }
        for other in ["main", "abc", "v1a2b3c", &full] {
            assert_eq!(told(other), format!("ref '{other}' not found"));
        }
    }

    #[test]
    fn secrets_are_masked() {
        for (url, shown) in [
            ("https://me:hunter2@host/repo", "https://me:***@host/repo"),
            ("https://token@host/repo", "https://***@host/repo"),
            ("ssh://git@host/repo", "ssh://git@host/repo"),
            ("git@host:repo", "git@host:repo"),
            ("https://host/repo", "https://host/repo"),
        ] {
            assert_eq!(masked(url), shown);
        }
        let line = GitError::Other("cannot read https://me:hunter2@host/repo or hunter2".into());
        assert_eq!(
            line.explain("https://me:hunter2@host/repo", "main"),
            "cannot read https://me:***@host/repo or ***"
        );
    }
}
