//! Names that were probably meant.

/// The name that a slip of the hand would make of the field.
pub(crate) fn nearest<'a>(field: &str, names: &[&'a str]) -> Option<&'a str> {
    let lower = field.to_lowercase();
    let distance = |name: &str| strsim::damerau_levenshtein(&lower, &name.to_lowercase());
    let near = names.iter().map(|name| (distance(name), *name)).min()?;
    (near.0 <= 1 + field.len() / 4).then_some(near.1)
}
