use std::str::FromStr;

use crate::domain::validate;

use super::{ALL_PROJECTS, Grants, Role, UnknownRole};

/// A role in a project, or in all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    project: String,
    role: Role,
}

/// Why a grant is not valid.
#[derive(Debug, thiserror::Error)]
pub enum BadGrant {
    #[error(transparent)]
    Role(#[from] UnknownRole),
    /// The project name is not valid.
    #[error(
        "the project must be `*`, for all, or a slug: a lower-case letter, \
         then at most 62 of a-z, 0-9 and -"
    )]
    Project,
    /// A runner takes stages of every project.
    #[error("`runner` is given for all projects only, as `*=runner`")]
    RunnerInProject,
}

impl Grant {
    /// A role in a project; in all of them for `*`.
    ///
    /// # Errors
    /// If the project name is not valid, or if the role cannot be granted for one project.
    pub fn new(project: &str, role: Role) -> Result<Self, BadGrant> {
        let is_everywhere = project == ALL_PROJECTS;
        if !is_everywhere && !validate::is_project(project) {
            return Err(BadGrant::Project);
        }
        if role == Role::Runner && !is_everywhere {
            return Err(BadGrant::RunnerInProject);
        }
        Ok(Self {
            project: project.to_owned(),
            role,
        })
    }
}

/// Parses `PROJECT=ROLE`; a role on its own is for all projects.
impl FromStr for Grant {
    type Err = BadGrant;

    fn from_str(text: &str) -> Result<Self, BadGrant> {
        let (project, role) = text.split_once('=').unwrap_or((ALL_PROJECTS, text));
        Self::new(project, role.parse()?)
    }
}

impl FromIterator<Grant> for Grants {
    fn from_iter<T: IntoIterator<Item = Grant>>(given: T) -> Self {
        let mut grants = Self::default();
        for Grant { project, role } in given {
            grants.0.entry(project).or_default().insert(role);
        }
        grants
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_is_written_project_equals_role() {
        let read = |text: &str| text.parse::<Grant>().map_err(|error| error.to_string());
        let grant = |project: &str, role| {
            let project = project.to_owned();
            Ok(Grant { project, role })
        };
        assert_eq!(read("shop=deployer"), grant("shop", Role::Deployer));
        assert_eq!(read("*=runner"), grant("*", Role::Runner));
        assert_eq!(read("viewer"), grant("*", Role::Viewer));
        let refused = ["boss", "Shop=viewer", "=viewer", "shop=runner", "shop="];
        let told: Vec<_> = refused
            .map(|text| format!("{text}: {}", read(text).unwrap_err()))
            .into();
        insta::assert_snapshot!(told.join("\n"));
    }
}
