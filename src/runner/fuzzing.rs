//! Entry points for `fuzz/`.

use super::{mask::Masker, workspace::Source};

/// Masks secrets in a stage's output that arrives in these pieces.
pub fn masked<'a>(secrets: &[&str], pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut masker = Masker::new(secrets.iter().copied());
    let mut out = Vec::new();
    for piece in pieces {
        out.extend_from_slice(&masker.push(piece));
    }
    out.extend(masker.finish());
    out
}

/// Checks the repository and ref of a checkout, as is done right before git runs.
///
/// # Errors
/// Why it is refused.
pub fn check_source(repository: &str, reference: &str) -> Result<(), String> {
    Source::commit(repository, reference).check()
}
