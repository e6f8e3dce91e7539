//! Authorization: every method of the API, with each role, and in which project.

mod deploys;
mod endings;
mod leases;
mod methods;
mod projects;
mod table;
mod targets;

use pipewright::config::Access;
use tonic::{Code, Status};

use crate::{
    known,
    service::{Service, refusal},
};

const ROLES: [&str; 5] = ["viewer", "developer", "deployer", "admin", "runner"];

/// A service with one caller for each role in the project `shop`, named after the
/// role; one for each role in all projects, named `all-` and the role; and an
/// `outsider` of another project.
async fn service() -> Service {
    let mut known = vec![("outsider".to_owned(), "bank", "admin")];
    for role in ROLES {
        let is_runner = role == "runner";
        known.push((role.to_owned(), if is_runner { "*" } else { "shop" }, role));
        known.push((format!("all-{role}"), "*", role));
    }
    let known: Vec<_> = known.iter().map(|(n, p, r)| (n.as_str(), *p, *r)).collect();
    Service::with(|config| {
        config.runner = None;
        let path = config
            .log_dir
            .as_ref()
            .unwrap()
            .with_file_name("credentials.toml");
        known::write(&path, &known);
        config.access = Access::File(path);
    })
    .await
}

/// The code and the reason of a refusal.
#[track_caller]
fn why<T: std::fmt::Debug>(answer: Result<T, Status>) -> (Code, String) {
    let (code, reason, _) = refusal(answer);
    (code, reason)
}
