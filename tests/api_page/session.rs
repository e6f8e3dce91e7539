//! The examples: one session with grpcurl, in a meaningful order. The session acts as the
//! only runner, so nothing happens in the background and the output is deterministic.

use regex::Regex;

use crate::{
    console::{ADDRESS, Reader},
    regions::generated,
};

/// A call of the session.
pub(crate) struct Step {
    /// `package.Service/Method`.
    pub(crate) method: &'static str,
    /// Text shown to the reader before the call.
    says: &'static str,
    /// The request. `{name}` is replaced by a value saved from an earlier response.
    request: &'static str,
    /// Values to save from the response: a name, and the field whose first value it gets.
    keeps: &'static [(&'static str, &'static str)],
}

/// The session. It calls each method at least once.
pub(crate) const SESSION: &[Step] = &[
    Step {
        method: "pipewright.v1.PipelineService/CreatePipeline",
        says: "Create a pipeline with a stage whose labels no runner has yet:",
        request: r#"{"pipeline": {"name": "hello", "stages": [
    {"name": "greet", "command": "echo hello, $WHO", "runner_labels": {"by": "hand"}}
  ]}}"#,
        keeps: &[("pipeline", "id"), ("etag", "etag")],
    },
    Step {
        method: "pipewright.v1.PipelineService/UpdatePipeline",
        says: "Update the variables if the etag is still current. Other tools take the mask in the JSON form of \
               protobuf, `\"variables\"`; grpcurl 1.9 takes it as a message:",
        request: r#"{"pipeline": {"id": "{pipeline}", "variables": {"WHO": "you"}, "etag": "{etag}"},
    "update_mask": {"paths": ["variables"]}}"#,
        keeps: &[("changed", "etag")],
    },
    Step {
        method: "pipewright.v1.PipelineService/GetPipeline",
        says: "Get the revision before the change:",
        request: r#"{"pipeline_id": "{pipeline}", "revision": 1}"#,
        keeps: &[],
    },
    Step {
        method: "pipewright.v1.PipelineService/ListPipelines",
        says: "Find a pipeline's ID by its name, for example in a script:",
        request: r#"{"project": "default", "name": "hello"}"#,
        keeps: &[],
    },
    Step {
        method: "pipewright.v1.PipelineService/TriggerPipeline",
        says: "The call returns immediately. A retry with the same `request_id` starts no second job:",
        request: r#"{"pipeline_id": "{pipeline}", "request_id": "5f0a1a9e-3c1f-4f0e-9a53-6c1e3c7d2b48"}"#,
        keeps: &[("job", "id")],
    },
    Step {
        method: "pipewright.v1.JobService/GetJob",
        says: "`pendingReason` says why a stage waits:",
        request: r#"{"job_id": "{job}"}"#,
        keeps: &[],
    },
    Step {
        method: "pipewright.runner.v1.LeaseService/RegisterRunner",
        says: "From here on, the session acts as a runner. It has the label that the stage of the example requires:",
        request: r#"{"display_name": "by-hand", "labels": {"by": "hand"}, "capacity": 1,
    "session_id": "c2b6d8a4-7a55-4be1-8d0e-0b6b1f7e93d5"}"#,
        keeps: &[("runner", "runnerId")],
    },
    Step {
        method: "pipewright.runner.v1.LeaseService/AcquireLease",
        says: "The lease for the stage, with 15 s to confirm it:",
        request: r#"{"runner_id": "{runner}", "session_id": "c2b6d8a4-7a55-4be1-8d0e-0b6b1f7e93d5",
    "request_id": "0d2f3a57-9f6b-4a0c-a1a4-5d1c8a3e6f70", "max_wait": "20s"}"#,
        keeps: &[("lease", "id"), ("token", "fencingToken")],
    },
    Step {
        method: "pipewright.runner.v1.LeaseService/RenewLease",
        says: "The first call confirms the lease. It can also report progress:",
        request: r#"{"proof": {"lease_id": "{lease}", "fencing_token": "{token}"}, "progress_percent": 50}"#,
        keeps: &[],
    },
    Step {
        method: "pipewright.v1.RunnerService/GetRunner",
        says: "The runner that runs the stage of the example:",
        request: r#"{"runner_id": "{runner}"}"#,
        keeps: &[],
    },
    Step {
        method: "pipewright.runner.v1.LeaseService/AppendLog",
        says: "Append `hello, you` and a line feed, in base64:",
        request: r#"{"proof": {"lease_id": "{lease}", "fencing_token": "{token}"},
    "offset": 0, "data": "aGVsbG8sIHlvdQo="}"#,
        keeps: &[],
    },
    Step {
        method: "pipewright.runner.v1.LeaseService/CompleteLease",
        says: "The command has exited. End the lease:",
        request: r#"{"proof": {"lease_id": "{lease}", "fencing_token": "{token}"},
    "outcome": "OUTCOME_SUCCEEDED", "exit_code": 0, "log_size_bytes": 11}"#,
        keeps: &[],
    },
    Step {
        method: "pipewright.v1.JobService/WatchJob",
        says: "The job has already ended, so the stream ends after its last event, the seventh. The client has \
               seen six events before:",
        request: r#"{"job_id": "{job}", "last_seen_sequence": 6}"#,
        keeps: &[],
    },
    Step {
        method: "pipewright.v1.JobService/ReadStageLog",
        says: "Read a whole, complete log. JSON encodes bytes as base64:",
        request: r#"{"job_id": "{job}", "stage_name": "greet"}"#,
        keeps: &[],
    },
    Step {
        method: "pipewright.v1.JobService/RetryJob",
        says: "Run all stages again, as a new job:",
        request: r#"{"job_id": "{job}", "scope": "SCOPE_ALL_STAGES"}"#,
        keeps: &[("retry", "id")],
    },
    Step {
        method: "pipewright.v1.JobService/ListJobs",
        says: "Get the newest job of the pipeline and the token of the next page:",
        request: r#"{"pipeline_id": "{pipeline}", "page_size": 1}"#,
        keeps: &[],
    },
    Step {
        method: "pipewright.v1.JobService/CancelJob",
        says: "No stage of this job has started, so it ends immediately:",
        request: r#"{"job_id": "{retry}", "reason": "one is enough"}"#,
        keeps: &[],
    },
    Step {
        method: "pipewright.v1.RunnerService/DrainRunner",
        says: "Drain a runner, for example before its machine is shut down:",
        request: r#"{"runner_id": "{runner}"}"#,
        keeps: &[],
    },
    Step {
        method: "pipewright.v1.RunnerService/ListRunners",
        says: "List all runners:",
        request: "{}",
        keeps: &[],
    },
    Step {
        method: "pipewright.v1.RunnerService/ResumeRunner",
        says: "Resume the drained runner:",
        request: r#"{"runner_id": "{runner}"}"#,
        keeps: &[],
    },
    Step {
        method: "pipewright.runner.v1.LeaseService/DeregisterRunner",
        says: "The runner stops, and is offline immediately:",
        request: r#"{"runner_id": "{runner}", "session_id": "c2b6d8a4-7a55-4be1-8d0e-0b6b1f7e93d5"}"#,
        keeps: &[],
    },
    Step {
        method: "pipewright.v1.PipelineService/DeletePipeline",
        says: "Delete the pipeline if the etag is still current:",
        request: r#"{"pipeline_id": "{pipeline}", "etag": "{changed}"}"#,
        keeps: &[],
    },
    Step {
        method: "pipewright.v1.ProjectService/CreateProject",
        says: "Create a project with a description. CreatePipeline creates missing projects, too, but without one:",
        request: r#"{"project": {"name": "shop", "description": "All that sells"}}"#,
        keeps: &[("described", "etag")],
    },
    Step {
        method: "pipewright.v1.ProjectService/UpdateProject",
        says: "Update the annotations if the etag is still current. Fields outside the mask are unchanged:",
        request: r#"{"project": {"name": "shop", "annotations": {"team": "web"}, "etag": "{described}"},
    "update_mask": {"paths": ["annotations"]}}"#,
        keeps: &[("annotated", "etag")],
    },
    Step {
        method: "pipewright.v1.ProjectService/GetProject",
        says: "Get a project. Its name is its identifier:",
        request: r#"{"name": "shop"}"#,
        keeps: &[],
    },
    Step {
        method: "pipewright.v1.ProjectService/ListProjects",
        says: "List all projects. `default` always exists:",
        request: "{}",
        keeps: &[],
    },
    Step {
        method: "pipewright.v1.ProjectService/DeleteProject",
        says: "Delete the project, which is empty:",
        request: r#"{"name": "shop", "etag": "{annotated}"}"#,
        keeps: &[],
    },
    Step {
        method: "pipewright.v1.AdminService/ListTasks",
        says: "Get the first task:",
        request: r#"{"page_size": 1}"#,
        keeps: &[],
    },
];

/// A call as shown on the page.
pub(crate) struct Shown {
    pub(crate) method: &'static str,
    says: &'static str,
    command: String,
    /// The output shown on the page; empty if there is none yet.
    pub(crate) output: String,
}

impl Shown {
    /// The Markdown of the call.
    pub(crate) fn block(&self) -> String {
        let Self {
            says,
            command,
            output,
            ..
        } = self;
        format!("{says}\n\n```console\n$ {command}\n{output}```\n\n")
    }
}

/// Runs the session. With grpcurl, the reader makes the calls; without it, the output is
/// taken from the page.
pub(crate) fn play(page: &str, reader: &mut Reader) -> Vec<Shown> {
    let page = generated(page);
    let mut kept: Vec<(&str, String)> = Vec::new();
    let mut played: Vec<Shown> = Vec::new();
    for step in SESSION {
        let earlier = played.iter().filter(|shown| shown.method == step.method);
        let shown = shown(&page, step.method, earlier.count());
        let fill = |text: String, (name, value): &(&str, String)| {
            text.replace(&format!("{{{name}}}"), value)
        };
        let request = kept.iter().fold(step.request.to_owned(), fill);
        let command = command(&request, step.method);
        let output = if reader.has_grpcurl {
            reader.try_step(&command, &shown)
        } else {
            shown
        };
        let keeps = step.keeps.iter();
        kept.extend(keeps.map(|(name, field)| (*name, value_of(field, &output))));
        played.push(Shown {
            method: step.method,
            says: step.says,
            command,
            output,
        });
    }
    played
}

fn command(request: &str, method: &str) -> String {
    match request {
        "{}" => format!("grpcurl -plaintext {ADDRESS} {method}"),
        _ => format!("grpcurl -plaintext -d '{request}' \\\n    {ADDRESS} {method}"),
    }
}

/// The output that the page shows for the method's call with this index.
fn shown(page: &str, method: &str, number: usize) -> String {
    let pattern = format!(
        r"(?ms)^\$ grpcurl [^`]*? {}\n(.*?)^```$",
        regex::escape(method)
    );
    let pattern = Regex::new(&pattern).unwrap();
    let found = pattern.captures_iter(page).nth(number);
    found.map_or(String::new(), |found| found[1].to_owned())
}

/// The value of the first field with this name.
fn value_of(field: &str, output: &str) -> String {
    let pattern = format!(r#""{field}": "([^"]+)""#);
    let found = Regex::new(&pattern).unwrap().captures(output);
    found.map_or(String::new(), |found| found[1].to_owned())
}
