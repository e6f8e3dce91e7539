//! Suggestions for misspelt names.

/// The known name that the misspelt one probably means.
pub(crate) fn nearest<'a>(field: &str, names: &[&'a str]) -> Option<&'a str> {
    let lower = field.to_lowercase();
    let distance = |name: &str| strsim::damerau_levenshtein(&lower, &name.to_lowercase());
    let near = names.iter().map(|name| (distance(name), *name)).min()?;
    (near.0 <= 1 + field.len() / 4).then_some(near.1)
}
