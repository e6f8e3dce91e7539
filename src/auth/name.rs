const MOST_CHARACTERS: usize = 64;
/// Names of callers without credentials of their own.
const RESERVED: [&str; 2] = ["anonymous", "local"];

/// Why the name of a principal is not valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    /// It has other characters, is too long or is empty.
    #[error("a name is 1 to 64 of the characters A-Z a-z 0-9 . _ @ -")]
    Form,
    /// The service itself uses it.
    #[error("`anonymous` and `local` are names that the service itself uses; take another")]
    Reserved,
}

/// Validates the name of a principal. It appears in logs, in jobs and before the colon of
/// `user:password`, so characters with a meaning there are not allowed.
///
/// # Errors
/// If it is not valid.
pub fn check_name(name: &str) -> Result<(), BadName> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "._@-".contains(c);
    if name.is_empty() || name.len() > MOST_CHARACTERS || !name.chars().all(is_allowed) {
        return Err(BadName::Form);
    }
    if RESERVED.contains(&name) {
        Err(BadName::Reserved)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_the_characters_that_mean_nothing_elsewhere() {
        for name in ["ada", "Ada.L_1@example.com", "-", &"a".repeat(64)] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
        for name in ["", "a b", "a:b", "ä", "a/b", "a\n", &"a".repeat(65)] {
            assert_eq!(check_name(name), Err(BadName::Form), "{name}");
        }
        assert_eq!(check_name("local"), Err(BadName::Reserved));
        assert_eq!(check_name("anonymous"), Err(BadName::Reserved));
    }
}
