//! Parsing and display of roles.

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;

use crate::auth::{Grant, Grants, Role};

/// Roles of a principal.
#[derive(Args, Debug)]
pub(super) struct Roles {
    /// Role in a project, such as `shop=developer`, or in all projects, such as `viewer`.
    /// Roles are viewer, developer, deployer, admin and runner. May be repeated
    #[arg(long = "role", value_name = "[PROJECT=]ROLE", required = true)]
    role: Vec<Grant>,
}

impl Roles {
    pub(super) fn grants(self) -> Grants {
        self.role.into_iter().collect()
    }
}

/// Roles as they are given.
pub(super) fn show(grants: &Grants) -> String {
    let each = |(project, roles): (&String, &BTreeSet<Role>)| {
        let given = |role: &Role| format!("{project}={role}");
        roles.iter().map(given).collect::<Vec<_>>()
    };
    let all: Vec<_> = grants.0.iter().flat_map(each).collect();
    all.join(" ")
}

/// Roles by project, for programs.
pub(super) fn by_project(grants: &Grants) -> BTreeMap<String, Vec<String>> {
    let each = |(project, roles): (&String, &BTreeSet<Role>)| {
        let roles = roles.iter().map(ToString::to_string);
        (project.clone(), roles.collect())
    };
    grants.0.iter().map(each).collect()
}
