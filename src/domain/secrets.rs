use std::{collections::BTreeMap, fmt, sync::Arc};

use secrecy::{ExposeSecret, SecretString};

/// Secret variables: names and values. Only the stage's command gets the values: neither
/// `Debug` nor any API message contains them. Cheap to clone.
#[derive(Clone, Default)]
pub struct Secrets(Arc<BTreeMap<String, SecretString>>);

impl Secrets {
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &String> {
        self.0.keys()
    }

    /// Names and values, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &SecretString)> {
        self.0.iter()
    }

    /// Bytes of all names and values.
    pub fn size(&self) -> usize {
        let size =
            |(name, value): (&String, &SecretString)| name.len() + value.expose_secret().len();
        self.iter().map(size).sum()
    }

    /// Applies changes: each sets the value of its name, or removes the name if the value is
    /// empty. Other names stay unchanged.
    pub fn changed(&self, changes: &Self) -> Self {
        let mut changed = BTreeMap::clone(&self.0);
        for (name, value) in changes.iter() {
            if value.expose_secret().is_empty() {
                changed.remove(name);
            } else {
                changed.insert(name.clone(), value.clone());
            }
        }
        Self(Arc::new(changed))
    }
}

impl<K: Into<String>, V: Into<SecretString>> FromIterator<(K, V)> for Secrets {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(secrets: I) -> Self {
        let secrets = secrets.into_iter();
        let secrets = secrets.map(|(name, value)| (name.into(), value.into()));
        Self(Arc::new(secrets.collect()))
    }
}

impl PartialEq for Secrets {
    fn eq(&self, other: &Self) -> bool {
        let same = |(one, other): ((&String, &SecretString), (&String, &SecretString))| {
            one.0 == other.0 && one.1.expose_secret() == other.1.expose_secret()
        };
        self.len() == other.len() && self.iter().zip(other.iter()).all(same)
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(entries: &[(&str, &str)]) -> Secrets {
        entries.iter().copied().collect()
    }

    #[test]
    fn debug_shows_only_names() {
        let shown = format!("{:?}", secrets(&[("TOKEN", "hunter2-pass")]));
        assert!(
            shown.contains("TOKEN") && !shown.contains("hunter2"),
            "{shown}"
        );
    }

    #[test]
    fn changes_set_remove_and_leave() {
        let before = secrets(&[("A", "1"), ("B", "2"), ("C", "3")]);
        let changes = secrets(&[("A", "4"), ("B", ""), ("D", "5"), ("E", "")]);
        let after = secrets(&[("A", "4"), ("C", "3"), ("D", "5")]);
        assert_eq!(before.changed(&changes), after);
        assert_eq!(before.changed(&Secrets::default()), before);
        assert_ne!(before, secrets(&[("A", "1"), ("B", "2"), ("C", "4")]));
        assert_eq!(after.size(), 6);
    }
}
