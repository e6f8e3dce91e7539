//! The variables of the runner's environment that processes get. They are allowlists, so
//! that a variable that is not listed is not passed on.

use std::{env, ffi::OsString};

/// Variables of the runner's own that commands of stages see.
pub(in crate::runner) const COMMAND: &[&str] = &["PATH", "LANG", "TERM", "TZ"];

/// Variables of the runner's own that git sees when it checks out: where the
/// operator's credentials are, and how the network is reached.
pub(in crate::runner) const CHECKOUT: &[&str] = &[
    "PATH",
    "HOME",
    "XDG_CONFIG_HOME",
    "SSH_AUTH_SOCK",
    "http_proxy",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The listed variables as the runner has them; there is always a `PATH`.
pub(in crate::runner) fn inherited(names: &[&str]) -> Vec<(OsString, OsString)> {
    select(names, env::vars_os())
}

fn select(
    names: &[&str],
    own: impl Iterator<Item = (OsString, OsString)>,
) -> Vec<(OsString, OsString)> {
    let listed = own.filter(|(name, _)| names.iter().any(|listed| name == listed));
    std::iter::once(("PATH".into(), DEFAULT_PATH.into()))
        .chain(listed)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(names: &[&str]) -> Vec<(OsString, OsString)> {
        let own = [
            ("PATH", "/bin"),
            ("HOME", "/home/runner"),
            ("SSH_AUTH_SOCK", "/run/agent"),
            ("GIT_SSH_COMMAND", "evil"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
        ];
        let mut seen = select(names, own.iter().map(|(k, v)| (k.into(), v.into())));
        seen.remove(0);
        seen
    }

    #[test]
    fn commands_do_not_see_home_agent_or_secrets() {
        assert_eq!(seen(COMMAND), [("PATH".into(), "/bin".into())]);
    }

    #[test]
    fn git_sees_home_and_agent_but_no_settings_from_the_environment() {
        let names: Vec<_> = seen(CHECKOUT).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["PATH", "HOME", "SSH_AUTH_SOCK"]);
    }

    #[test]
    fn there_is_a_path_without_one() {
        let seen = select(COMMAND, std::iter::empty());
        assert_eq!(seen, [("PATH".into(), DEFAULT_PATH.into())]);
    }
}
