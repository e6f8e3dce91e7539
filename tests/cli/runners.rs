//! `pipewright runner`: processes that run stages for a service.

use std::{
    collections::{HashMap, HashSet},
    fs::{self, File},
    io::Read,
    path::Path,
};

use pipewright::proto::v1::{
    self, job_service_client::JobServiceClient, pipeline_service_client::PipelineServiceClient,
};
use rustix::process::Signal;
use tonic::transport::Channel;

use crate::binary::{Running, Served, gate, pipewright};

/// A service without an embedded runner.
fn service(arguments: &[&str]) -> Served {
    Served::start(&[&["--no-embedded-runner"], arguments].concat())
}

/// A registered runner of this name, in a directory of its own.
fn runner(served: &Served, name: &str, arguments: &[&str]) -> Running {
    let mut runner = start(served, name, arguments);
    runner.until_stderr("registered");
    runner
}

fn start(served: &Served, name: &str, arguments: &[&str]) -> Running {
    let directory = served.path(name);
    let mut command = served.command(&["runner", "--name", name, "--workspace-dir"]);
    Running::start(command.arg(directory).args(arguments))
}

fn show(served: &Served, name: &str) -> serde_json::Value {
    served.run(&["runner", "get", name, "-o", "json"]).json()
}

#[test]
fn a_remote_runner_runs_the_stages_of_a_service() {
    let served = service(&[]);
    served.create("p", "echo hello; pwd");
    let job = served.trigger("p");
    let arguments = ["--labels", "gpu=a100,eu=", "--capacity", "3"];
    let runner = runner(&served, "one", &arguments);
    served.run(&["job", "watch", &job]).ok();
    let log = served.run(&["job", "log", &job, "s"]).ok();
    let workspaces = served.path("one");
    assert!(log.starts_with("hello\n"), "{log}");
    assert!(log.contains(workspaces.to_str().unwrap()), "{log}");

    let list = served.run(&["runner", "list", "-o", "json"]).json();
    let [shown] = list["runners"].as_array().unwrap().as_slice() else {
        panic!("{list}");
    };
    assert_eq!(shown["displayName"], "one");
    assert_eq!(
        (&shown["capacity"], &shown["state"]),
        (&3.into(), &"STATE_ONLINE".into())
    );
    let labels = &shown["labels"];
    assert_eq!(
        (&labels["gpu"], &labels["eu"]),
        (&"a100".into(), &"".into())
    );
    assert_eq!(labels["os"], std::env::consts::OS);
    let table = served.run(&["runner", "list"]).ok();
    assert!(table.contains("0 of 3"), "{table}");

    let drained = served.run(&["runner", "drain", "one", "-o", "json"]).json();
    assert_eq!(drained["draining"], true);
    let id = shown["id"].as_str().unwrap();
    let resumed = served.run(&["runner", "resume", id]).ok();
    assert!(!resumed.contains("draining"), "{resumed}");
    assert_eq!(served.run(&["runner", "drain", "two"]).code, Some(4));

    runner.signal(Signal::TERM);
    assert_eq!(runner.finish().code, Some(0));
    let left: Vec<_> = entries(&workspaces);
    assert_eq!(left, ["runner-id"]);
    // Immediately, and not only after a silence as long as the life of a lease.
    assert_eq!(show(&served, "one")["state"], "STATE_OFFLINE");
}

#[test]
fn a_runner_starts_before_its_service_and_outlives_it() {
    let served = service(&[]);
    let address = served.address.to_string();
    drop(served);
    let directory = tempfile::tempdir().unwrap();
    let mut command = pipewright(&["runner", "--server", &address, "--workspace-dir"]);
    let mut runner = Running::start(command.arg(directory.path()));
    runner.until_stderr("could not register");
    for _ in 0..2 {
        // It has nothing to reload, and no terminal that could have gone away.
        runner.signal(Signal::HUP);
        let served = Served::start_at(&address, &["--no-embedded-runner"]);
        runner.until_stderr("registered");
        served.create("p", "true");
        served.run(&["pipeline", "trigger", "p", "--watch"]).ok();
    }
    runner.signal(Signal::INT);
    assert_eq!(runner.wait().code(), Some(0));
}

#[test]
fn a_stop_lets_stages_end_and_a_second_one_does_not() {
    let served = service(&[]);
    let (held, go) = (served.path("held"), served.path("go"));
    gate(&held);
    gate(&go);
    let (held_name, go_name) = (held.display(), go.display());
    let command = format!("trap '' TERM; exec 3>{held_name}; echo ready >&3; cat {go_name}");
    served.create("p", &command);
    for is_patient in [true, false] {
        let mut runner = runner(&served, "one", &[]);
        let job = served.trigger("p");
        let mut stage = File::open(&held).unwrap();
        stage.read_exact(&mut [0; "ready\n".len()]).unwrap();
        runner.signal(Signal::TERM);
        runner.until_stderr("stopping");
        if is_patient {
            fs::write(&go, "").unwrap();
            assert_eq!(runner.wait().code(), Some(0));
            served.run(&["job", "watch", &job]).ok();
        } else {
            runner.signal(Signal::TERM);
            assert_eq!(runner.wait().code(), Some(130));
        }
        // Ends when no process has the other end any more.
        assert_eq!(stage.read_to_end(&mut Vec::new()).unwrap(), 0);
    }
}

#[test]
fn a_directory_identifies_a_runner_and_is_used_exclusively() {
    let served = service(&[]);
    let first = runner(&served, "one", &[]);
    let id = show(&served, "one")["id"].clone();
    let second = start(&served, "one", &[]).finish();
    assert_eq!(second.code, Some(2), "{second:?}");
    assert!(second.stderr.contains("another runner uses"), "{second:?}");

    let pid = served.path("pid");
    let command = format!(
        "echo $$ > {0}.new; mv {0}.new {0}; exec sleep 1000",
        pid.display()
    );
    served.create("p", &command);
    let job = served.trigger("p");
    while !pid.exists() {
        std::thread::yield_now();
    }
    first.signal(Signal::KILL);
    drop(first);
    assert_eq!(entries(&served.path("one")).len(), 2, "a workspace is left");
    fs::remove_file(&pid).unwrap();
    let _again = runner(&served, "one", &[]);
    assert_eq!(show(&served, "one")["id"], id);
    // The lease of the killed process is void immediately, not only when it expires.
    while !pid.exists() {
        std::thread::yield_now();
    }
    let shown = served.run(&["job", "get", &job, "-o", "json"]).json();
    assert_eq!(shown["stageRuns"].as_array().unwrap().len(), 2);
    assert_eq!(entries(&served.path("one")).len(), 2, "the one in use");
    served.run(&["job", "cancel", &job]).ok();
    served.run(&["job", "watch", &job]);
}

#[test]
fn a_runner_that_is_refused_says_why_and_ends() {
    let served = service(&[]);
    let ran = start(&served, "one", &["--labels", "a b=c"]).finish();
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.stderr.contains("labels[\"a b\"]"), "{ran:?}");
}

/// The service's gRPC client: hundreds of client processes would take too long.
struct Client {
    pipelines: PipelineServiceClient<Channel>,
    jobs: JobServiceClient<Channel>,
}

impl Client {
    fn of(served: &Served) -> Self {
        let server = Channel::from_shared(format!("http://{}", served.address)).unwrap();
        let channel = server.connect_lazy();
        Self {
            pipelines: PipelineServiceClient::new(channel.clone()),
            jobs: JobServiceClient::new(channel),
        }
    }

    async fn create(&mut self, name: &str, stages: Vec<v1::Stage>) -> String {
        let pipeline = v1::Pipeline {
            name: name.to_owned(),
            parallel: true,
            stages,
            ..Default::default()
        };
        let request = v1::CreatePipelineRequest {
            pipeline: Some(pipeline),
            ..Default::default()
        };
        let created = self.pipelines.create_pipeline(request).await.unwrap();
        created.into_inner().pipeline.unwrap().id
    }

    async fn trigger(&mut self, pipeline_id: &str) -> String {
        let request = v1::TriggerPipelineRequest {
            pipeline_id: pipeline_id.to_owned(),
            ..Default::default()
        };
        let job = self.pipelines.trigger_pipeline(request).await.unwrap();
        job.into_inner().job.unwrap().id
    }

    /// The job once it is over.
    async fn ended(&mut self, job_id: &str) -> v1::Job {
        let watch = v1::WatchJobRequest {
            job_id: job_id.to_owned(),
            ..Default::default()
        };
        let mut stream = self.jobs.watch_job(watch).await.unwrap().into_inner();
        while stream.message().await.unwrap().is_some() {}
        let request = v1::GetJobRequest {
            job_id: job_id.to_owned(),
        };
        let got = self.jobs.get_job(request).await.unwrap();
        got.into_inner().job.unwrap()
    }
}

fn stage(name: &str, command: &str, labels: &[(&str, &str)]) -> v1::Stage {
    v1::Stage {
        name: name.to_owned(),
        action: Some(v1::stage::Action::Command(command.to_owned())),
        runner_labels: labels
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect(),
        ..Default::default()
    }
}

#[tokio::test]
async fn hundreds_of_stages_run_once_each_on_matching_runners() {
    let served = service(&[]);
    let pools = ["a", "b", "c"];
    let _runners: Vec<_> = pools
        .iter()
        .map(|pool| {
            let label = format!("pool={pool}");
            runner(&served, pool, &["--capacity", "4", "--labels", &label])
        })
        .collect();
    let mut client = Client::of(&served);
    let ran = served.path("ran");
    // A single append writes a line atomically.
    let command = format!(
        "echo \"$PIPEWRIGHT_JOB_ID $PIPEWRIGHT_STAGE_NAME $PWD\" >> {}",
        ran.display()
    );
    let stages = pools.map(|pool| stage(pool, &command, &[("pool", pool)]));
    let pipeline = client.create("p", stages.into()).await;
    let mut jobs = Vec::new();
    for _ in 0..100 {
        jobs.push(client.trigger(&pipeline).await);
    }
    for job in &jobs {
        let ended = client.ended(job).await;
        assert_eq!(ended.state(), v1::job::State::Succeeded, "{ended:?}");
        assert_eq!(ended.stage_runs.len(), 3);
    }
    let ran = fs::read_to_string(ran).unwrap();
    let mut seen = HashSet::new();
    for line in ran.lines() {
        let [job, pool, directory] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        assert!(seen.insert((job, pool)), "{line} ran twice");
        assert!(
            Path::new(directory).starts_with(served.path(pool)),
            "{line}"
        );
    }
    assert_eq!(seen.len(), 300);
}

#[tokio::test]
async fn a_killed_runner_fails_no_job() {
    let served = service(&["--lease-ttl", "2s"]);
    let mut runners: HashMap<_, _> = ["a", "b", "c"]
        .map(|name| (name, runner(&served, name, &["--capacity", "2"])))
        .into();
    let mut client = Client::of(&served);
    let pid = served.path("pid");
    // Only the first attempt of the first stage waits, and it waits indefinitely.
    let first = format!(
        "[ $PIPEWRIGHT_ATTEMPT = 1 ] || exit 0\npwd > {0}.new; mv {0}.new {0}; exec sleep 1000",
        pid.display()
    );
    let stuck = client.create("stuck", vec![stage("s", &first, &[])]).await;
    let stuck = client.trigger(&stuck).await;
    while !pid.exists() {
        tokio::task::yield_now().await;
    }
    let directory = fs::read_to_string(&pid).unwrap();
    let victim = ["a", "b", "c"]
        .into_iter()
        .find(|name| Path::new(&directory).starts_with(served.path(name)))
        .unwrap();
    let mut jobs = Vec::new();
    let pipeline = client
        .create("many", vec![stage("s", "sleep 0.05", &[])])
        .await;
    for _ in 0..40 {
        jobs.push(client.trigger(&pipeline).await);
    }
    runners.remove(victim).unwrap().signal(Signal::KILL);
    for job in &jobs {
        let ended = client.ended(job).await;
        assert_eq!(ended.state(), v1::job::State::Succeeded, "{ended:?}");
    }
    let ended = client.ended(&stuck).await;
    assert_eq!(ended.state(), v1::job::State::Succeeded, "{ended:?}");
    let [lost, again] = ended.stage_runs.as_slice() else {
        panic!("{ended:?}");
    };
    let reason = lost.failure.as_ref().unwrap().reason();
    assert_eq!(reason, v1::failure::Reason::RunnerLost);
    assert_eq!(again.attempt, 2);
}

fn entries(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.collect()
}

#[test]
fn a_watch_shows_why_nothing_runs() {
    let served = service(&[]);
    served.create("p", "true");
    let mut command = served.command(&["pipeline", "trigger", "p", "--watch"]);
    let mut watch = Running::start(&mut command);
    watch.until_stderr("[s] waits: no matching runner");
    let _runner = runner(&served, "one", &[]);
    assert_eq!(watch.wait().code(), Some(0));
}

/// The user gets the command that resumes the watch.
#[test]
fn an_interrupted_watch_shows_the_command_that_resumes_it() {
    let served = service(&[]);
    served.create("p", "true");
    let mut command = served.command(&["pipeline", "trigger", "p", "--watch"]);
    let mut watch = Running::start(&mut command);
    watch.until_stderr("waits: no matching runner");
    watch.signal(Signal::INT);
    let line = watch.until_stderr(" continues; ");
    let (_, again) = line.split_once("`pipewright ").unwrap();
    let (again, _) = again.split_once('`').unwrap();
    assert_eq!(watch.wait().code(), Some(130));
    let _runner = runner(&served, "one", &[]);
    let again: Vec<_> = again.split(' ').collect();
    assert_eq!(again[..2], ["job", "watch"]);
    assert!(served.run(&again).ok().contains("succeeded"));
}

#[test]
fn a_runner_logs_its_stages_and_an_unreachable_service() {
    let served = service(&[]);
    let address = served.address.to_string();
    served.create("p", "exit 3");
    let mut runner = runner(&served, "one", &[]);
    let job = served.trigger("p");
    for event in ["stage started", "stage ended"] {
        let line = runner.until_stderr(event);
        assert!(
            line.contains(&job) && line.contains("stage=\"s\""),
            "{line}"
        );
    }
    drop(served);
    let line = runner.until_stderr("trying again");
    assert!(line.contains(&address), "{line}");
}

#[test]
fn an_unusable_directory_is_reported_before_registration() {
    let served = service(&[]);
    let file = served.path("file");
    fs::write(&file, "").unwrap();
    let file = file.to_str().unwrap();
    let refused = served.run(&["runner", "--workspace-dir", file]);
    assert_eq!(refused.code, Some(2));
    let expected = format!("cannot use the workspace directory {file}: ");
    assert!(refused.stderr.contains(&expected), "{}", refused.stderr);
    let listed = served.run(&["runner", "list", "-o", "json"]).json();
    assert_eq!(listed["runners"], serde_json::Value::Null, "{listed}");
}

#[test]
fn a_stopped_runner_finishes_the_jobs_that_it_began() {
    let served = service(&[]);
    let (started, go_on) = (served.path("started"), served.path("go-on"));
    gate(&started);
    gate(&go_on);
    let first = format!(
        "echo made >file; echo >{}; read x <{}",
        started.display(),
        go_on.display()
    );
    let data = serde_json::json!({
        "name": "two",
        "stages": [{ "name": "first", "command": first }, { "name": "second", "command": "cat file" }],
    });
    let data = data.to_string();
    served.run(&["pipeline", "create", "--data", &data]).ok();
    let mut one = runner(&served, "one", &["--capacity", "1"]);
    let begun = served.trigger("two");
    fs::read(&started).unwrap();
    one.signal(Signal::TERM);
    one.until_stderr("stopping");
    // It takes no new job, and its state shows that.
    served.create("other", "true");
    let other = served.trigger("other");
    fs::write(&go_on, "\n").unwrap();
    served.run(&["job", "watch", &begun]).ok();
    assert_eq!(served.run(&["job", "log", &begun, "second"]).ok(), "made\n");
    assert_eq!(one.wait().code(), Some(0));
    assert_eq!(show(&served, "one")["draining"], true);
    let waits = served.run(&["job", "get", &other, "-o", "json"]).json();
    assert_eq!(waits["state"], "STATE_QUEUED");
}
