//! Checks out a commit with the git command line.
//!
//! URL and ref are untrusted input: they are arguments behind `--end-of-options`, never
//! text of a script, and git may speak only to https, http and ssh. No remote is
//! configured and nothing is logged, so a password in the URL stays out of `.git`.

use std::path::Path;

use tracing::warn;

use super::{
    git::Git,
    git_error::{GitError, masked},
};
use crate::runner::{StageWork, process::Launcher};

/// Where the fetched ref is kept: under no name that git logs or lists as a branch.
const FETCHED: &str = "refs/pipewright/source";

/// Why a checkout failed.
#[derive(Debug)]
pub(super) enum CheckoutError {
    /// It was stopped.
    Stopped,
    /// Git failed; what happened and what to do, for people.
    Failed(String),
}

/// What to check out.
#[derive(Debug)]
pub(in crate::runner) struct Source<'a> {
    repository: &'a str,
    /// A branch, a tag, a full commit id or `HEAD`.
    reference: &'a str,
}

impl<'a> Source<'a> {
    /// The stage's commit, else its ref, else the remote's HEAD.
    pub(super) fn of(work: &'a StageWork) -> Self {
        let reference = [&work.commit_id, &work.git_ref]
            .into_iter()
            .find(|reference| !reference.is_empty())
            .map_or("HEAD", String::as_str);
        Self {
            repository: &work.git_repository,
            reference,
        }
    }

    /// A known commit.
    pub(in crate::runner) fn commit(repository: &'a str, commit: &'a str) -> Self {
        Self {
            repository,
            reference: commit,
        }
    }

    /// Refuses text that git could read as an option, or as a refspec of another meaning.
    pub(in crate::runner) fn check(&self) -> Result<(), String> {
        if self.repository.starts_with('-') {
            return Err("the repository's URL starts with '-'".to_owned());
        }
        let special = |c: char| c.is_control() || matches!(c, ' ' | ':' | '*' | '?' | '^' | '~');
        if self.reference.starts_with(['-', '+']) || self.reference.contains(special) {
            return Err(format!(
                "{:?} is not the name of a branch, a tag or a commit",
                self.reference
            ));
        }
        Ok(())
    }
}

/// Checks the source out into `directory`, which is emptied first, and returns
/// its full commit id.
pub(super) async fn checkout(
    source: &Source<'_>,
    directory: &Path,
    launcher: Launcher<'_>,
) -> Result<String, CheckoutError> {
    let git = Git {
        directory,
        launcher,
    };
    let result = match source.check() {
        Ok(()) => Checkout { git, source }.obtain().await,
        Err(refusal) => Err(GitError::Other(refusal)),
    };
    result.map_err(|error| match error {
        GitError::Stopped => CheckoutError::Stopped,
        error => CheckoutError::Failed(format!(
            "could not check out {}: {}",
            masked(source.repository),
            error.explain(source.repository, source.reference)
        )),
    })
}

struct Checkout<'a> {
    git: Git<'a>,
    source: &'a Source<'a>,
}

impl Checkout<'_> {
    async fn obtain(&self) -> Result<String, GitError> {
        let said = match self.fetch("sha1").await {
            Err(GitError::ObjectFormat) => self.fetch("sha256").await?,
            fetched => fetched?,
        };
        if said.contains("[new tag]") {
            self.warn_of_hidden_branch().await;
        }
        let wanted = if is_commit_id(self.source.reference) {
            self.source.reference
        } else {
            FETCHED
        };
        let commit = self.resolve(wanted).await?;
        self.git
            .run(&["checkout", "--quiet", "--detach", &commit])
            .await?;
        Ok(commit)
    }

    /// Fetches only the one commit, or its whole history where the host
    /// does not offer that.
    async fn fetch(&self, format: &str) -> Result<String, GitError> {
        self.start_afresh().await?;
        let format = format!("--object-format={format}");
        self.git
            .run(&["init", "--quiet", "--template=", &format])
            .await?;

        let one = format!("+{}:{FETCHED}", self.source.reference);
        match self.fetch_refs(&["--depth=1"], &[&one]).await {
            // Not every host serves a commit by its id.
            Err(GitError::Other(_) | GitError::NoRef) if is_commit_id(self.source.reference) => {
                let all = [
                    "+refs/heads/*:refs/pipewright/heads/*",
                    "+refs/tags/*:refs/pipewright/tags/*",
                ];
                self.fetch_refs(&[], &all).await
            }
            // A host of plain files does not support shallow fetches.
            Err(GitError::Other(_)) => self.fetch_refs(&[], &[&one]).await,
            fetched => fetched,
        }
    }

    async fn fetch_refs(&self, options: &[&str], refspecs: &[&str]) -> Result<String, GitError> {
        // FETCH_HEAD would contain the URL, which nothing in the workspace needs. Not quiet: it
        // says whether a ref is a tag.
        let fixed = ["fetch", "--no-tags", "--no-write-fetch-head"];
        let args = [
            &fixed,
            options,
            &["--end-of-options", self.source.repository],
            refspecs,
        ]
        .concat();
        self.git.run(&args).await
    }

    /// A name means a tag before it means a branch, which may not be what was meant.
    async fn warn_of_hidden_branch(&self) {
        let Source {
            repository,
            reference,
        } = self.source;
        let branch = format!("refs/heads/{reference}");
        let args = ["ls-remote", "--end-of-options", repository, &branch];
        let is_line = |line: &str| line.ends_with(&format!("\t{branch}"));
        // Without an answer there is nothing to warn about.
        if let Ok(said) = self.git.run(&args).await
            && said.lines().any(is_line)
        {
            warn!(
                tag = ?reference, ?branch,
                "checked out a tag that hides a branch of the same name; \
                 for the branch, give its full name as the ref"
            );
        }
    }

    async fn resolve(&self, name: &str) -> Result<String, GitError> {
        let commit = format!("{name}^{{commit}}");
        let said = self
            .git
            .run(&["rev-parse", "--verify", "--end-of-options", &commit])
            .await
            .map_err(|error| match error {
                GitError::Other(_) => GitError::NoRef,
                error => error,
            })?;
        // Warnings are in the same output.
        let id = said.lines().find(|line| is_commit_id(line));
        id.map(str::to_owned).ok_or(GitError::NoRef)
    }

    /// Empties the directory: files of an earlier attempt must not become part of this one.
    async fn start_afresh(&self) -> Result<(), GitError> {
        let empty = async {
            tokio::fs::remove_dir_all(self.git.directory).await?;
            tokio::fs::create_dir(self.git.directory).await
        };
        empty
            .await
            .map_err(|error| GitError::Other(format!("could not empty the workspace: {error}")))
    }
}

fn is_commit_id(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source<'a>(repository: &'a str, reference: &'a str) -> Source<'a> {
        Source {
            repository,
            reference,
        }
    }

    #[test]
    fn options_and_refspecs_are_refused() {
        assert!(
            source("--upload-pack=touch /tmp/x", "main")
                .check()
                .is_err()
        );
        for reference in [
            "-x",
            "--upload-pack=x",
            "+main",
            "a:b",
            "refs/*",
            "a\nb",
            "main~1",
        ] {
            let refusal = source("https://host/repo", reference).check();
            assert!(refusal.is_err(), "{reference}");
        }
    }

    #[test]
    fn odd_names_that_git_allows_are_accepted() {
        for reference in [
            "main",
            "refs/pull/1/head",
            "v1.0",
            "a\";id>x;\"",
            "$(id)",
            "é",
        ] {
            assert_eq!(source("git@host:repo", reference).check(), Ok(()));
        }
    }

    #[test]
    fn commit_ids_are_full() {
        assert!(is_commit_id(&"a1".repeat(20)));
        assert!(is_commit_id(&"0F".repeat(32)));
        assert!(!is_commit_id("a1b2c3d"));
        assert!(!is_commit_id(&"g".repeat(40)));
    }
}
