//! Authorization: the single table of methods and the role that each needs. A method that
//! is not in it is refused for every caller. A test compares it with the methods that
//! reflection lists.

use std::{fmt, sync::Arc};

use tonic::Status;

use crate::auth::{Authority, Principal, Role};

use super::status;

/// What a method requires of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// Nothing: a health check has no credentials.
    Open,
    /// Authentication, but no role.
    Authenticated,
    /// The role in the project that the call concerns. The engine checks it.
    InProject(Role),
    /// The role in all projects: the call concerns what they share.
    Everywhere(Role),
}

/// A row of the table, for the middleware.
#[derive(Clone, Copy, Debug)]
pub(super) struct Method {
    /// `/package.Service/Method`.
    pub(super) path: &'static str,
    pub(super) rule: Rule,
    /// Whether calls are written to the audit log, because they change something.
    pub(super) is_audited: bool,
    /// Most bytes of a request message, if less than the setting is enough.
    pub(super) max_message: Option<u64>,
}

/// Enough for ids, names, filters and reasons.
const SMALL: u64 = 64 * 1024;
/// Enough for the variables of a trigger: twice 64 KiB, plus the other fields.
const TRIGGER: u64 = 256 * 1024;
/// Enough for a chunk of a log: 256 KiB, plus the other fields.
const LOG_CHUNK: u64 = 260 * 1024;
/// Enough for the ids of 10,000 held jobs.
const HELD_JOBS: u64 = 512 * 1024;

const METHODS: [Method; 32] = {
    use Role::{Admin, Developer, Runner, Viewer};
    use Rule::{Authenticated, Everywhere, InProject, Open};
    [
        reads("/grpc.health.v1.Health/Check", Open),
        reads("/grpc.health.v1.Health/Watch", Open),
        reads(
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            Authenticated,
        ),
        reads(
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
            Authenticated,
        ),
        changes(
            "/pipewright.v1.PipelineService/CreatePipeline",
            InProject(Admin),
            None,
        ),
        reads(
            "/pipewright.v1.PipelineService/GetPipeline",
            InProject(Viewer),
        ),
        reads(
            "/pipewright.v1.PipelineService/ListPipelines",
            InProject(Viewer),
        ),
        changes(
            "/pipewright.v1.PipelineService/UpdatePipeline",
            InProject(Admin),
            None,
        ),
        changes(
            "/pipewright.v1.PipelineService/DeletePipeline",
            InProject(Admin),
            Some(SMALL),
        ),
        // For these and for CancelJob and RetryJob the engine requires deployer where a stage
        // of the job deploys.
        changes(
            "/pipewright.v1.PipelineService/TriggerPipeline",
            InProject(Developer),
            Some(TRIGGER),
        ),
        reads("/pipewright.v1.JobService/GetJob", InProject(Viewer)),
        reads("/pipewright.v1.JobService/ListJobs", InProject(Viewer)),
        reads("/pipewright.v1.JobService/WatchJob", InProject(Viewer)),
        reads("/pipewright.v1.JobService/ReadStageLog", InProject(Viewer)),
        changes(
            "/pipewright.v1.JobService/CancelJob",
            InProject(Developer),
            Some(SMALL),
        ),
        changes(
            "/pipewright.v1.JobService/RetryJob",
            InProject(Developer),
            Some(SMALL),
        ),
        // A runner runs stages of any project.
        reads("/pipewright.v1.RunnerService/GetRunner", Everywhere(Viewer)),
        reads(
            "/pipewright.v1.RunnerService/ListRunners",
            Everywhere(Viewer),
        ),
        changes(
            "/pipewright.v1.RunnerService/DrainRunner",
            Everywhere(Admin),
            Some(SMALL),
        ),
        changes(
            "/pipewright.v1.RunnerService/ResumeRunner",
            Everywhere(Admin),
            Some(SMALL),
        ),
        changes(
            "/pipewright.v1.ProjectService/CreateProject",
            InProject(Admin),
            Some(SMALL),
        ),
        reads(
            "/pipewright.v1.ProjectService/GetProject",
            InProject(Viewer),
        ),
        reads(
            "/pipewright.v1.ProjectService/ListProjects",
            InProject(Viewer),
        ),
        changes(
            "/pipewright.v1.ProjectService/UpdateProject",
            InProject(Admin),
            Some(SMALL),
        ),
        changes(
            "/pipewright.v1.ProjectService/DeleteProject",
            InProject(Admin),
            Some(SMALL),
        ),
        // Background tasks concern all projects.
        reads("/pipewright.v1.AdminService/ListTasks", Everywhere(Admin)),
        changes(
            "/pipewright.runner.v1.LeaseService/RegisterRunner",
            Everywhere(Runner),
            Some(SMALL),
        ),
        works("/pipewright.runner.v1.LeaseService/AcquireLease", HELD_JOBS),
        works("/pipewright.runner.v1.LeaseService/RenewLease", SMALL),
        works("/pipewright.runner.v1.LeaseService/AppendLog", LOG_CHUNK),
        works("/pipewright.runner.v1.LeaseService/CompleteLease", SMALL),
        changes(
            "/pipewright.runner.v1.LeaseService/DeregisterRunner",
            Everywhere(Runner),
            Some(SMALL),
        ),
    ]
};

const fn reads(path: &'static str, rule: Rule) -> Method {
    Method {
        path,
        rule,
        is_audited: false,
        max_message: Some(SMALL),
    }
}

const fn changes(path: &'static str, rule: Rule, max_message: Option<u64>) -> Method {
    Method {
        path,
        rule,
        is_audited: true,
        max_message,
    }
}

/// A method of a runner's work. Not audited: the calls come many times a second, and their
/// effects are in the jobs' events.
const fn works(path: &'static str, max_message: u64) -> Method {
    Method {
        path,
        rule: Rule::Everywhere(Role::Runner),
        is_audited: false,
        max_message: Some(max_message),
    }
}

pub(super) fn at(row: usize) -> &'static Method {
    &METHODS[row]
}

/// Service and name of each method, in the order of the rows.
pub(super) fn names() -> impl Iterator<Item = (&'static str, &'static str)> {
    let names = |row: &Method| row.path[1..].split_once('/');
    METHODS.iter().filter_map(names)
}

/// The row of a method; none if there is no such method.
pub(super) fn row(path: &str) -> Option<usize> {
    METHODS.iter().position(|method| method.path == path)
}

/// The requirement of a method in words; none if there is no such method.
pub fn needs(path: &str) -> Option<String> {
    row(path).map(|row| at(row).rule.to_string())
}

impl Method {
    /// Whether a call is a bidirectional stream, in which the client sends messages at its
    /// own pace.
    pub(super) fn is_bidirectional(&self) -> bool {
        self.path.starts_with("/grpc.reflection.")
    }
}

impl Rule {
    /// Authorizes an authenticated caller, as far as the method alone decides it. The result
    /// has the role that the engine must still check.
    pub(super) fn authorize(self, principal: &Arc<Principal>) -> Result<Authority, Status> {
        let authority = |needed| Authority {
            principal: Arc::clone(principal),
            needed,
        };
        let grants = &principal.grants;
        match self {
            Self::Open | Self::Authenticated => Ok(authority(Role::Viewer)),
            // The project is known only once the request is read. A caller without a role
            // in any project, such as a runner, is refused before that.
            Self::InProject(needed) if grants.allow_somewhere(Role::Viewer) => {
                Ok(authority(needed))
            }
            Self::Everywhere(needed) if grants.allow_everywhere(needed) => Ok(authority(needed)),
            Self::InProject(needed) => Err(status::role_required(needed, "the project")),
            Self::Everywhere(needed) => Err(status::role_required(needed, "all projects")),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open => out.write_str("nothing"),
            Self::Authenticated => out.write_str("credentials"),
            Self::InProject(role) => write!(out, "{role} in the project"),
            Self::Everywhere(role) => write!(out, "{role} in all projects"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use prost_reflect::DescriptorPool;

    use crate::proto::FILE_DESCRIPTOR_SET;

    use super::*;

    /// Every method that the service serves, by reflection.
    fn served() -> BTreeSet<String> {
        let mut pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap();
        for set in [
            tonic_health::pb::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
        ] {
            pool.decode_file_descriptor_set(set).unwrap();
        }
        let methods = pool.services().flat_map(|service| {
            let path = |method: prost_reflect::MethodDescriptor| {
                format!("/{}/{}", service.full_name(), method.name())
            };
            service.methods().map(path).collect::<Vec<_>>()
        });
        methods.collect()
    }

    #[test]
    fn every_method_has_a_row_and_every_row_a_method() {
        let rows: BTreeSet<String> = METHODS.iter().map(|row| row.path.to_owned()).collect();
        assert_eq!(rows, served());
        assert_eq!(rows.len(), METHODS.len(), "a method has two rows");
    }

    #[test]
    fn a_path_without_a_row_is_no_method() {
        assert!(row("/pipewright.v1.PipelineService/EatPipeline").is_none());
        assert!(row("/pipewright.v1.PipelineService/GetPipeline/").is_none());
    }
}
