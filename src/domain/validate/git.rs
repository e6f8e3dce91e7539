//! Validation of git refs and repositories. Each error says what a valid value is.

use url::Url;

use super::values::{is_invisible, shown};
use crate::domain::limits;

/// `https://`, `http://`, `ssh://` or `user@host:path`, as git accepts them.
///
/// Everyone who may read the pipeline can read its repository, so it must not contain
/// credentials: no user information, except the user name of ssh, no query and no fragment.
/// No error quotes the text, because the invalid part may be a secret.
pub(super) fn git_repository(text: &str) -> Result<(), String> {
    const RIGHT: &str = "give an https://, http:// or ssh:// URL, or user@host:path";
    if text.is_empty() {
        return Ok(());
    }
    if text.len() > limits::MAX_GIT_REPOSITORY {
        return Err("must be at most 2048 bytes".into());
    }
    if text.chars().any(|c| is_invisible(c) || c.is_whitespace()) {
        return Err(format!(
            "must not contain white space, control characters or invisible characters; {RIGHT}"
        ));
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        if is_scp_like(text) {
            return Ok(());
        }
        return Err(format!("is not a repository; {RIGHT}"));
    };
    if !matches!(scheme, "https" | "http" | "ssh") {
        return Err(format!("has a scheme that is not allowed; {RIGHT}"));
    }
    let url = Url::parse(text).map_err(|error| format!("is not a valid URL ({error}); {RIGHT}"))?;
    let authority = rest.split('/').next().unwrap_or_default();
    let (user, address) = authority.rsplit_once('@').unwrap_or(("", authority));
    let host = url.host_str().unwrap_or_default();
    // The URL parser accepts http:///path, with the path as the host.
    if rest.starts_with('/')
        || host.is_empty()
        || [host, address, user]
            .iter()
            .any(|part| part.starts_with('-'))
        || is_ambiguous(user, address)
    {
        return Err(format!("has no valid host; {RIGHT}"));
    }
    let has_credentials = match scheme {
        "ssh" => url.password().is_some() || user.contains(':'),
        _ => authority.contains('@') || !url.username().is_empty() || url.password().is_some(),
    };
    if has_credentials {
        return Err(
            "must not contain credentials: everyone who may read the pipeline would see them; \
             use a git credential helper on the runner"
                .into(),
        );
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(
            "must not have a query or a fragment, which may hold a token; use a git credential \
             helper on the runner"
                .into(),
        );
    }
    Ok(())
}

/// Whether git, ssh or curl could parse another user or host than the URL parser does: git
/// percent-decodes the whole ssh URL first, and ends the host only at a slash.
fn is_ambiguous(user: &str, address: &str) -> bool {
    // A user name may be an email address.
    let user = user.replace("%40", "");
    let special = ['%', '@', '?', '#', '\\'];
    user.contains(special) || address.contains(special)
}

/// `user@host:path`. A path that begins with a colon would select a remote helper, such as
/// `ext::`.
fn is_scp_like(text: &str) -> bool {
    let word = |part: &str| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        !part.is_empty() && !part.starts_with('-') && part.chars().all(allowed)
    };
    text.split_once('@')
        .and_then(|(user, rest)| Some((user, rest.split_once(':')?)))
        .is_some_and(|(user, (host, path))| {
            word(user) && word(host) && !path.is_empty() && !path.starts_with([':', '-'])
        })
}

/// The rules of `git check-ref-format --allow-onelevel`: branches, tags and commit ids may
/// have one level.
pub(super) fn git_ref_or_empty(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Ok(());
    }
    if text.len() > limits::MAX_GIT_REF {
        return Err("must be at most 1024 bytes".into());
    }
    // In a refspec, a plus means a forced fetch.
    if text.starts_with(['-', '+']) {
        return Err(format!("'{}' must not start with '-' or '+'", shown(text)));
    }
    let bad_character =
        |c: char| is_invisible(c) || matches!(c, ' ' | '~' | '^' | ':' | '?' | '*' | '[' | '\\');
    let bad_part = |part: &str| part.is_empty() || part.starts_with('.') || part.ends_with(".lock");
    let bad = text.contains(bad_character)
        || text.contains("..")
        || text.contains("@{")
        || text.ends_with('.')
        || text == "@"
        || text.split('/').any(bad_part);
    if bad {
        return Err(format!(
            "'{}' is not a git ref; give a branch, a tag or a full commit id",
            shown(text)
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_are_urls_or_scp_like() {
        for good in [
            "",
            "https://host/path.git",
            "http://host:8080/path%20of",
            "https://host/a@b:c",
            "ssh://git@host:22/~/path%20of",
            "ssh://ada%40example.com@host/path",
            "ssh://host/path",
            "https://[::1]:1/path",
            "git@host:path",
        ] {
            assert_eq!(git_repository(good), Ok(()), "{good}");
        }
        for bad in [
            "/etc",
            "file:///etc",
            "ext::sh",
            "git@host::path",
            "-oProxyCommand=x:path",
            "git@-oProxyCommand=x:path",
            "ssh://-oProxyCommand=x/path",
            "https://user:password@host/path",
        ] {
            assert!(git_repository(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_percent_encoded_ssh_option_is_refused() {
        for bad in [
            "ssh://%2doProxyCommand=x/path",
            "ssh://%2dx@host/path",
            "ssh://user%40-x/path",
            "ssh://ho%0ast/path",
        ] {
            assert!(git_repository(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_host_that_begins_with_a_dash_after_normalization_is_refused() {
        assert!(git_repository("http://-\u{326}0/path").is_err());
        assert!(git_repository("http://\u{ff0d}host/path").is_err());
    }

    #[test]
    fn a_host_that_git_parses_differently_is_refused() {
        for bad in [
            "ssh://host?x@-other/path",
            "ssh://host#x@-other/path",
            r"https://host\@other/path",
            "https://user@host@other/path",
        ] {
            assert!(git_repository(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_repository_with_credentials_is_refused_and_no_error_quotes_them() {
        for bad in [
            "https://s3cret@host/path",
            "http://s3cret@host/path",
            "https://s3cret:@host/path",
            "https://:s3cret@host/path",
            "https://user:s3cret@host/path",
            "https://s3cret%40example.com@host/path",
            "https://@host/path?s3cret",
            "https://host/path?token=s3cret",
            "https://host/path?s3cret",
            "https://host?s3cret",
            "https://host/path#s3cret",
            "https://host#s3cret",
            "ssh://git:s3cret@host/path",
            "ssh://git@host/path?token=s3cret",
            "ssh://git@host/path#s3cret",
            "user:s3cret@host:path",
            "s3cret:x@host/path",
            "s3cret@host/path",
            "s3cret://host/path",
            "user:s3cret@https://host/path",
            "https://s3cret@ho st/path",
            "https://s3cret@host:port/path",
            "https://s3cret@-host/path",
            "//s3cret@host/path",
        ] {
            let error = git_repository(bad).expect_err(bad);
            assert!(!error.contains("s3cret"), "{bad}: {error}");
        }
    }

    #[test]
    fn a_password_that_the_parser_does_not_see_is_refused() {
        for bad in [
            "ssh://user%3Apassword@host/path",
            r"https://user:1\:password@host/path",
            "ssh://user#:password@host/path",
            "https://token:@host/path",
        ] {
            assert!(git_repository(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_ref_that_the_runner_would_refuse_is_refused() {
        for bad in ["+main", "-x", "a:b", "a..b", "main~1", "a b", "@"] {
            assert!(git_ref_or_empty(bad).is_err(), "{bad}");
        }
        for good in ["", "main", "a+b", "refs/pull/1/head", "$(id)"] {
            assert_eq!(git_ref_or_empty(good), Ok(()), "{good}");
        }
    }
}
