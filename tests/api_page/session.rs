//! The examples: one session with grpcurl, in the order in which it makes sense. There
//! is no runner but whoever types, so nothing happens by itself and every answer is the
//! same each time.

use regex::Regex;

use crate::{
    console::{ADDRESS, Reader},
    regions::generated,
};

/// A call of the session.
pub(crate) struct Step {
    /// `package.Service/Method`.
    pub(crate) method: &'static str,
    /// A word to the reader, shown before the call.
    says: &'static str,
    /// The request. `{name}` stands for what an earlier answer was kept under.
    request: &'static str,
    /// What of the answer is kept, by name: the first field that is called so.
    keeps: &'static [(&'static str, &'static str)],
}

/// The session. Each method has one place in it, or more.
pub(crate) const SESSION: &[Step] = &[
    Step {
        method: "pipewright.v1.PipelineService/CreatePipeline",
        says: "A stage whose labels no runner has yet:",
        request: r#"{"pipeline": {"name": "hello", "stages": [
    {"name": "greet", "command": "echo hello, $WHO", "runner_labels": {"by": "hand"}}
  ]}}"#,
        keeps: &[("pipeline", "id"), ("etag", "etag")],
    },
    Step {
        method: "pipewright.v1.PipelineService/UpdatePipeline",
        says: "Only if it is still as it was read. Other tools take the mask as `\"variables\"`, as the \
               JSON of protobuf has it; grpcurl 1.9 takes it as a message:",
        request: r#"{"pipeline": {"id": "{pipeline}", "variables": {"WHO": "you"}, "etag": "{etag}"},
    "update_mask": {"paths": ["variables"]}}"#,
        keeps: &[("changed", "etag")],
    },
    Step {
        method: "pipewright.v1.PipelineService/GetPipeline",
        says: "As it was before the change:",
        request: r#"{"pipeline_id": "{pipeline}", "revision": 1}"#,
        keeps: &[],
    },
    Step {
        method: "pipewright.v1.PipelineService/ListPipelines",
        says: "By name, which is how a script finds an id:",
        request: r#"{"project": "default", "name": "hello"}"#,
        keeps: &[],
    },
    Step {
        method: "pipewright.v1.PipelineService/TriggerPipeline",
        says: "The answer comes at once; to repeat the call with this `request_id` starts no second job:",
        request: r#"{"pipeline_id": "{pipeline}", "request_id": "5f0a1a9e-3c1f-4f0e-9a53-6c1e3c7d2b48"}"#,
        keeps: &[("job", "id")],
    },
    Step {
        method: "pipewright.v1.JobService/GetJob",
        says: "A job says why its stages wait:",
        request: r#"{"job_id": "{job}"}"#,
        keeps: &[],
    },
    Step {
        method: "pipewright.runner.v1.LeaseService/RegisterRunner",
        says: "Here begins what a runner does. This one has the label that the stage of the example wants:",
        request: r#"{"display_name": "by-hand", "labels": {"by": "hand"}, "capacity": 1,
    "session_id": "c2b6d8a4-7a55-4be1-8d0e-0b6b1f7e93d5"}"#,
        keeps: &[("runner", "runnerId")],
    },
    Step {
        method: "pipewright.runner.v1.LeaseService/AcquireLease",
        says: "The stage, and 15 s to confirm that it was received:",
        request: r#"{"runner_id": "{runner}", "session_id": "c2b6d8a4-7a55-4be1-8d0e-0b6b1f7e93d5",
    "request_id": "0d2f3a57-9f6b-4a0c-a1a4-5d1c8a3e6f70", "max_wait": "20s"}"#,
        keeps: &[("lease", "id"), ("token", "fencingToken")],
    },
    Step {
        method: "pipewright.runner.v1.LeaseService/RenewLease",
        says: "The first one confirms the lease, and may tell progress already:",
        request: r#"{"proof": {"lease_id": "{lease}", "fencing_token": "{token}"}, "progress_percent": 50}"#,
        keeps: &[],
    },
    Step {
        method: "pipewright.v1.RunnerService/GetRunner",
        says: "The runner that has the stage of the example:",
        request: r#"{"runner_id": "{runner}"}"#,
        keeps: &[],
    },
    Step {
        method: "pipewright.runner.v1.LeaseService/AppendLog",
        says: "`hello, you` and a line feed, in base64:",
        request: r#"{"proof": {"lease_id": "{lease}", "fencing_token": "{token}"},
    "offset": 0, "data": "aGVsbG8sIHlvdQo="}"#,
        keeps: &[],
    },
    Step {
        method: "pipewright.runner.v1.LeaseService/CompleteLease",
        says: "The command has ended, and so does the lease:",
        request: r#"{"proof": {"lease_id": "{lease}", "fencing_token": "{token}"},
    "outcome": "OUTCOME_SUCCEEDED", "exit_code": 0, "log_size_bytes": 11}"#,
        keeps: &[],
    },
    Step {
        method: "pipewright.v1.JobService/WatchJob",
        says: "This job has ended already, so the stream does as well. The watcher has seen six events, and the \
               seventh is the last:",
        request: r#"{"job_id": "{job}", "last_seen_sequence": 6}"#,
        keeps: &[],
    },
    Step {
        method: "pipewright.v1.JobService/ReadStageLog",
        says: "All of a log that is complete. JSON has bytes in base64:",
        request: r#"{"job_id": "{job}", "stage_name": "greet"}"#,
        keeps: &[],
    },
    Step {
        method: "pipewright.v1.JobService/RetryJob",
        says: "All of its stages again, as a job of its own:",
        request: r#"{"job_id": "{job}", "scope": "SCOPE_ALL_STAGES"}"#,
        keeps: &[("retry", "id")],
    },
    Step {
        method: "pipewright.v1.JobService/ListJobs",
        says: "The newest job of the pipeline, and the token of the next page:",
        request: r#"{"pipeline_id": "{pipeline}", "page_size": 1}"#,
        keeps: &[],
    },
    Step {
        method: "pipewright.v1.JobService/CancelJob",
        says: "Of this job no stage has started, so it has ended at once:",
        request: r#"{"job_id": "{retry}", "reason": "one is enough"}"#,
        keeps: &[],
    },
    Step {
        method: "pipewright.v1.RunnerService/DrainRunner",
        says: "Before a machine is taken away:",
        request: r#"{"runner_id": "{runner}"}"#,
        keeps: &[],
    },
    Step {
        method: "pipewright.v1.RunnerService/ListRunners",
        says: "Every runner that there is:",
        request: "{}",
        keeps: &[],
    },
    Step {
        method: "pipewright.v1.RunnerService/ResumeRunner",
        says: "And back again:",
        request: r#"{"runner_id": "{runner}"}"#,
        keeps: &[],
    },
    Step {
        method: "pipewright.v1.PipelineService/DeletePipeline",
        says: "Only if nobody has changed it meanwhile:",
        request: r#"{"pipeline_id": "{pipeline}", "etag": "{changed}"}"#,
        keeps: &[],
    },
    Step {
        method: "pipewright.v1.ProjectService/CreateProject",
        says: "A pipeline that names a project makes it, too, but without a word of what it is:",
        request: r#"{"project": {"name": "shop", "description": "All that sells"}}"#,
        keeps: &[("described", "etag")],
    },
    Step {
        method: "pipewright.v1.ProjectService/UpdateProject",
        says: "Only if it is still as it was read; what is not in the mask stays:",
        request: r#"{"project": {"name": "shop", "annotations": {"team": "web"}, "etag": "{described}"},
    "update_mask": {"paths": ["annotations"]}}"#,
        keeps: &[("annotated", "etag")],
    },
    Step {
        method: "pipewright.v1.ProjectService/GetProject",
        says: "By its name, which is its id:",
        request: r#"{"name": "shop"}"#,
        keeps: &[],
    },
    Step {
        method: "pipewright.v1.ProjectService/ListProjects",
        says: "`default` is always there:",
        request: "{}",
        keeps: &[],
    },
    Step {
        method: "pipewright.v1.ProjectService/DeleteProject",
        says: "There is nothing in it, so it can go:",
        request: r#"{"name": "shop", "etag": "{annotated}"}"#,
        keeps: &[],
    },
    Step {
        method: "pipewright.v1.AdminService/ListTasks",
        says: "The first of the tasks:",
        request: r#"{"page_size": 1}"#,
        keeps: &[],
    },
];

/// A call as the page shows it.
pub(crate) struct Shown {
    pub(crate) method: &'static str,
    says: &'static str,
    command: String,
    /// What the page shows for it; empty if it shows nothing yet.
    pub(crate) output: String,
}

impl Shown {
    /// Its lines in the page.
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

/// Goes through the session. A reader with grpcurl makes the calls; with any other, the
/// answers are those of the page.
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
        let output = match reader.has_grpcurl {
            true => reader.try_step(&command, &shown),
            false => shown,
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

/// What the page shows that the method's call of this number printed.
fn shown(page: &str, method: &str, number: usize) -> String {
    let pattern = format!(
        r"(?ms)^\$ grpcurl [^`]*? {}\n(.*?)^```$",
        regex::escape(method)
    );
    let pattern = Regex::new(&pattern).unwrap();
    let found = pattern.captures_iter(page).nth(number);
    found.map_or(String::new(), |found| found[1].to_owned())
}

/// The value of the first field of that name.
fn value_of(field: &str, output: &str) -> String {
    let pattern = format!(r#""{field}": "([^"]+)""#);
    let found = Regex::new(&pattern).unwrap().captures(output);
    found.map_or(String::new(), |found| found[1].to_owned())
}
