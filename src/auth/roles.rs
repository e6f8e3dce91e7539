use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
    sync::Arc,
};

/// What a caller is allowed to do with the pipelines and jobs of a project. Each role
/// includes those before it, except for [`Role::Runner`], which is separate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Reads pipelines, jobs and logs.
    Viewer,
    /// Triggers, cancels and retries jobs that deploy nothing.
    Developer,
    /// Triggers, cancels and retries jobs that deploy.
    Deployer,
    /// Creates, changes and deletes pipelines.
    Admin,
    /// Takes stages of every project and runs them, with their secrets.
    Runner,
}

impl Role {
    pub const ALL: [Self; 5] = [
        Self::Viewer,
        Self::Developer,
        Self::Deployer,
        Self::Admin,
        Self::Runner,
    ];

    /// Whether this role includes the other.
    pub fn includes(self, needed: Self) -> bool {
        match (self, needed) {
            (Self::Runner, Self::Runner) => true,
            (Self::Runner, _) | (_, Self::Runner) => false,
            (held, needed) => held >= needed,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Viewer => "viewer",
            Self::Developer => "developer",
            Self::Deployer => "deployer",
            Self::Admin => "admin",
            Self::Runner => "runner",
        })
    }
}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        Self::ALL
            .into_iter()
            .find(|role| role.to_string() == text)
            .ok_or_else(|| UnknownRole(text.to_owned()))
    }
}

/// The text is not the name of a role.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no role; there are viewer, developer, deployer, admin and runner")]
pub struct UnknownRole(String);

/// All projects, in a grant.
pub const ALL_PROJECTS: &str = "*";

/// The roles that a caller has, by project; `*` is every project.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants(pub BTreeMap<String, BTreeSet<Role>>);

impl Grants {
    /// All roles: for the service's own user, or for a service without credentials.
    pub fn everything() -> Self {
        let all = BTreeSet::from([Role::Admin, Role::Runner]);
        Self(BTreeMap::from([(ALL_PROJECTS.to_owned(), all)]))
    }

    /// Whether a role that includes this one is granted in the project.
    pub fn allow_in(&self, project: &str, needed: Role) -> bool {
        self.allow_everywhere(needed) || self.given(project, needed)
    }

    /// Whether a role that includes this one is granted for all projects.
    pub fn allow_everywhere(&self, needed: Role) -> bool {
        self.given(ALL_PROJECTS, needed)
    }

    /// Whether a role that includes this one is granted for any project.
    pub fn allow_somewhere(&self, needed: Role) -> bool {
        self.0.keys().any(|project| self.given(project, needed))
    }

    /// The projects in which a role that includes this one is granted; none for all.
    pub fn projects(&self, needed: Role) -> Option<BTreeSet<String>> {
        if self.allow_everywhere(needed) {
            return None;
        }
        let given = self.0.keys().filter(|project| self.given(project, needed));
        Some(given.cloned().collect())
    }

    fn given(&self, project: &str, needed: Role) -> bool {
        let held = self.0.get(project);
        held.is_some_and(|held| held.iter().any(|role| role.includes(needed)))
    }
}

/// An authenticated caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// Unique name. The resources that the call creates store it.
    pub name: String,
    pub grants: Grants,
}

/// A caller together with the role that the call needs. Every access to a project checks
/// it first.
#[derive(Clone, Debug)]
pub struct Authority {
    pub principal: Arc<Principal>,
    /// The role that the call needs in its project.
    pub needed: Role,
}

/// Why a call is not authorized for a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// The caller may not see the project: to it the project does not exist.
    Hidden,
    /// The caller may see the project, but lacks this role in it.
    Lacks(Role),
}

impl Authority {
    /// A caller without any role.
    pub fn of_nobody() -> Self {
        let principal = Principal {
            name: String::new(),
            grants: Grants::default(),
        };
        Self {
            principal: Arc::new(principal),
            needed: Role::Admin,
        }
    }

    /// Checks that the call is authorized for a project.
    ///
    /// # Errors
    /// If it is not.
    pub fn over(&self, project: &str) -> Result<(), Denied> {
        self.over_with(project, self.needed)
    }

    /// As [`over`](Self::over), for work that needs another role than the call.
    ///
    /// # Errors
    /// If it is not.
    pub fn over_with(&self, project: &str, needed: Role) -> Result<(), Denied> {
        let grants = &self.principal.grants;
        if grants.allow_in(project, needed) {
            Ok(())
        } else if grants.allow_in(project, Role::Viewer) {
            Err(Denied::Lacks(needed))
        } else {
            Err(Denied::Hidden)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(given: &[(&str, Role)]) -> Grants {
        let mut grants = Grants::default();
        for (project, role) in given {
            grants
                .0
                .entry((*project).to_owned())
                .or_default()
                .insert(*role);
        }
        grants
    }

    #[test]
    fn a_role_includes_those_before_it_and_runner_stands_apart() {
        let table = Role::ALL.map(|held| {
            let included = Role::ALL
                .into_iter()
                .filter(|needed| held.includes(*needed));
            let included: Vec<String> = included.map(|role| role.to_string()).collect();
            format!("{held}: {}", included.join(" "))
        });
        assert_eq!(
            table,
            [
                "viewer: viewer",
                "developer: viewer developer",
                "deployer: viewer developer deployer",
                "admin: viewer developer deployer admin",
                "runner: runner",
            ]
        );
    }

    #[test]
    fn a_grant_is_of_its_project_and_a_star_of_all() {
        let some = grants(&[("shop", Role::Developer), ("*", Role::Viewer)]);
        assert!(some.allow_in("shop", Role::Developer));
        assert!(!some.allow_in("bank", Role::Developer));
        assert!(some.allow_in("bank", Role::Viewer));
        assert!(some.allow_everywhere(Role::Viewer) && !some.allow_everywhere(Role::Developer));
        assert!(some.allow_somewhere(Role::Developer) && !some.allow_somewhere(Role::Admin));
        assert_eq!(some.projects(Role::Viewer), None);
        assert_eq!(
            some.projects(Role::Developer),
            Some(BTreeSet::from(["shop".to_owned()]))
        );
        assert_eq!(grants(&[]).projects(Role::Viewer), Some(BTreeSet::new()));
    }

    #[test]
    fn what_may_not_be_seen_is_hidden() {
        let principal = Principal {
            name: "ada".to_owned(),
            grants: grants(&[("shop", Role::Viewer)]),
        };
        let authority = Authority {
            principal: Arc::new(principal),
            needed: Role::Developer,
        };
        assert_eq!(authority.over("bank"), Err(Denied::Hidden));
        assert_eq!(authority.over("shop"), Err(Denied::Lacks(Role::Developer)));
        assert_eq!(authority.over_with("shop", Role::Viewer), Ok(()));
    }

    #[test]
    fn a_role_is_read_as_it_is_written() {
        for role in Role::ALL {
            assert_eq!(role.to_string().parse::<Role>().ok(), Some(role));
        }
        assert!("Admin".parse::<Role>().is_err());
    }
}
