//! Processes that try to outlive their stage, in each guard mode that this machine
//! offers.

use std::{
    fs,
    time::{Duration, Instant},
};

use pipewright::{
    config::{Guard, Supervision},
    domain::Outcome,
    runner::StageWork,
    supervisor::{self, Limits},
};

use crate::{
    offered::{offered, probe},
    processes::living,
    world::{World, supervision, text, work, work_with_fifo},
};

const GRACE: Duration = Duration::from_millis(300);

/// Each leaves a process behind, which opens `$FIFO` when it is up.
const DAEMONS: [(&str, &str); 7] = [
    ("setsid", "setsid sh -c \"$UP; exec sleep 999\" &"),
    ("double fork", "(setsid sh -c \"$UP; sleep 999; :\" &)"),
    ("nohup", "nohup sh -c \"$UP; exec sleep 999\" >/dev/null &"),
    (
        "ignores SIGTERM",
        "setsid sh -c \"trap '' TERM; $UP; sleep 999; :\" &",
    ),
    ("stopped", "sh -c \"$UP; kill -STOP \\$\\$; sleep 999\" &"),
    (
        "no output",
        "setsid sh -c \"$UP; exec sleep 999\" >&- 2>&- &",
    ),
    (
        "forgets its variables",
        "setsid env -i PATH=\"$PATH\" sh -c \"$UP; sleep 999; :\" &",
    ),
];

fn guarded(guard: Guard) -> World {
    World::guarded(Supervision {
        guard,
        ..supervision()
    })
}

/// A stage that starts a daemon and continues when that is up. All of its processes
/// have the fifo's path in an argument or a variable.
fn with_daemon(world: &World, name: &str, daemon: &str, then: &str) -> (StageWork, String) {
    let fifo = world.fifo(&name.replace(' ', "-"));
    let marker = fifo.to_str().unwrap().to_owned();
    let command = format!("UP='echo up >{marker}'\n{daemon}\nread up <\"$FIFO\"\n{then}");
    (work_with_fifo(&command, &fifo), marker)
}

#[tokio::test]
async fn nothing_outlives_a_command_that_ends() {
    for (guard, _) in offered() {
        let world = guarded(guard);
        for (name, daemon) in DAEMONS {
            let (stage, marker) = with_daemon(&world, name, daemon, "echo over");
            let started = Instant::now();
            let (completion, log) = world.run(stage).await;
            assert_eq!(living(&marker), [], "{guard}, {name}");
            assert_eq!(completion.outcome, Outcome::Succeeded, "{guard}, {name}");
            assert!(text(&log).ends_with("over\n"), "{guard}, {name}");
            assert!(
                started.elapsed() < Duration::from_secs(2),
                "{guard}, {name}"
            );
        }
        world.finish().await;
    }
}

#[tokio::test]
async fn nothing_outlives_a_command_that_is_cancelled() {
    for (guard, _) in offered() {
        let world = guarded(guard);
        for (name, daemon) in DAEMONS {
            let stubborn = "trap '' TERM; echo ready; while :; do sleep 1 || :; done";
            let (mut stage, marker) = with_daemon(&world, name, daemon, stubborn);
            stage.kill_grace = GRACE;
            let run = world.leases.give(stage);
            run.logged("ready").await;
            let asked = Instant::now();
            run.0.change(|state| state.cancel = true);
            let (completion, _) = run.done().await;
            assert_eq!(living(&marker), [], "{guard}, {name}");
            assert_eq!(completion.outcome, Outcome::Cancelled, "{guard}, {name}");
            assert!(
                asked.elapsed() < GRACE + Duration::from_secs(2),
                "{guard}, {name}"
            );
        }
        world.finish().await;
    }
}

#[tokio::test]
async fn a_supervisor_that_is_killed_takes_the_command_with_it() {
    for (guard, _) in offered() {
        let world = guarded(guard);
        let fifo = world.fifo("never");
        let marker = fifo.to_str().unwrap();
        let run = world
            .leases
            .give(work_with_fifo("echo ready; read never <\"$FIFO\"", &fifo));
        run.logged("ready").await;
        for (pid, _) in supervisors_of(marker) {
            let pid = rustix::process::Pid::from_raw(pid).unwrap();
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        }
        let (completion, _) = run.done().await;
        assert_eq!(completion.outcome, Outcome::RunnerError, "{guard}");
        assert_eq!(completion.message, "the stage's supervisor was killed");
        while !living(marker).is_empty() {
            tokio::task::yield_now().await;
        }
        world.finish().await;
    }
}

/// The outermost supervisors of the marked processes: children of this process.
fn supervisors_of(marker: &str) -> Vec<(i32, String)> {
    let own = std::process::id().to_string();
    let parent = |pid: i32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let fields = stat.rsplit_once(") ").map(|(_, fields)| fields.to_owned());
        fields.and_then(|fields| Some(fields.split(' ').nth(1)?.to_owned()))
    };
    let mut found = Vec::new();
    for (mut pid, shown) in living(marker) {
        while let Some(above) = parent(pid).filter(|above| *above != own) {
            pid = above.parse().unwrap();
        }
        found.push((pid, shown));
    }
    found.sort_unstable();
    found.dedup_by_key(|(pid, _)| *pid);
    found
}

#[tokio::test]
async fn secrets_reach_only_the_command_and_unchanged() {
    for (guard, _) in offered() {
        let world = guarded(guard);
        let fifo = world.fifo("go");
        // Unique on this machine: another run of this test has its own value.
        let known = format!("s3cr\u{e9}t-{}-", std::process::id());
        let secret = format!("{known} 'x' \"y\"\n$(id) \\ \u{1f511}\t");
        let mut stage = work_with_fifo("printf %s \"$SECRET\"; read go <\"$FIFO\"", &fifo);
        stage
            .variables
            .insert("SECRET".into(), secret.as_str().into());
        let run = world.leases.give(stage);
        run.logged(&secret).await;
        let marker = fifo.to_str().unwrap();
        let seen = living(&known);
        assert!(
            !seen.is_empty() && seen == living(marker),
            "{guard}: {seen:?}"
        );
        let is_supervisor = |(_, shown): &(i32, String)| shown.contains(supervisor::ARGUMENT);
        assert!(!seen.iter().any(is_supervisor), "{guard}: {seen:?}");
        tokio::fs::write(&fifo, "go\n").await.unwrap();
        let (completion, log) = run.done().await;
        assert_eq!(completion.message, "");
        assert_eq!(text(&log), secret);
        world.finish().await;
    }
}

/// A stage over a limit is stopped, if limits work. If not, that is printed, and
/// nothing is tried.
#[tokio::test]
async fn a_stage_over_a_limit_fails_alone() {
    const PROCESSES: u64 = 64;
    const MEMORY: u64 = 128 << 20;
    let limits = Limits {
        processes: Some(PROCESSES),
        memory: Some(MEMORY),
    };
    let found = probe(None, limits);
    println!("limits: {:?}, {:?}", found.processes, found.memory);
    for (guard, _) in offered() {
        let world = World::guarded(Supervision {
            guard,
            max_processes: PROCESSES,
            max_memory: Some(MEMORY),
            ..supervision()
        });
        let bystander = world.fifo("bystander");
        let bystander_run = world
            .leases
            .give(work_with_fifo("echo ready; read go <\"$FIFO\"", &bystander));
        bystander_run.logged("ready").await;

        let in_force = in_force(&world, &["pids.max"], PROCESSES).await;
        assert_eq!(in_force, found.processes.as_ref().unwrap().is_ok());
        if in_force {
            let bomb = "i=0; while [ $i -lt 200 ]; do sleep 999 & i=$((i+1)); done";
            let (completion, _) = world.run(work(bomb)).await;
            assert_eq!(completion.outcome, Outcome::CommandFailed, "{guard}");
        }
        let files = ["memory.max", "memory.limit_in_bytes"];
        let in_force = self::in_force(&world, &files, MEMORY).await;
        assert_eq!(in_force, found.memory.as_ref().unwrap().is_ok());
        if in_force {
            let (completion, _) = world
                .run(work("dd if=/dev/zero of=/dev/null bs=1G count=1"))
                .await;
            assert_eq!(completion.outcome, Outcome::CommandFailed, "{guard}");
            let expected = "killed: it used more than its memory limit of 128MiB;";
            assert!(completion.message.starts_with(expected), "{completion:?}");
        }
        tokio::fs::write(&bystander, "go\n").await.unwrap();
        let (completion, _) = bystander_run.done().await;
        assert_eq!(completion.outcome, Outcome::Succeeded, "{guard}");
        world.finish().await;
    }
}

/// Whether a harmless stage finds the limit in a file of its own cgroups.
async fn in_force(world: &World, files: &[&str], limit: u64) -> bool {
    let (_, log) = world.run(work("cat /proc/self/cgroup")).await;
    let log = text(&log);
    let own = log.lines().filter_map(|line| line.rsplit_once('/'));
    if !own.clone().any(|(_, name)| name.starts_with("pipewright-")) {
        return false;
    }
    let script = "cut -d: -f3 /proc/self/cgroup | grep pipewright- | sort -u | while read group; do \
                for file in $FILES; do cat /sys/fs/cgroup*$group/$file \
                /sys/fs/cgroup/*$group/$file 2>/dev/null || :; done; done";
    let mut stage = work(script);
    stage.variables.insert("FILES".into(), files.join(" "));
    let (_, log) = world.run(stage).await;
    text(&log).lines().any(|line| line == limit.to_string())
}

#[tokio::test]
async fn an_unusable_guard_is_an_error_at_the_start() {
    let world = World::guarded(Supervision {
        program: Some("/dev/null".into()),
        ..supervision()
    });
    let error = world.fails().await;
    let expected = "cannot run /dev/null as a supervisor: ";
    assert!(error.to_string().starts_with(expected), "{error}");
}

#[tokio::test]
async fn a_command_that_stops_its_supervisor_ends_at_its_timeout() {
    for (guard, _) in offered() {
        let world = World::guarded(Supervision {
            guard,
            ..supervision()
        });
        let work = StageWork {
            timeout: Duration::from_secs(1),
            kill_grace: Duration::ZERO,
            ..work("kill -STOP $PPID || true; sleep 999")
        };
        let (completion, _) = world.run(work).await;
        assert_eq!(completion.outcome, Outcome::TimedOut, "{guard}");
        world.finish().await;
    }
}

#[tokio::test]
async fn a_command_inherits_no_open_files_of_the_service() {
    // As a careless parent of the service leaves it: open across an exec.
    let (reader, _writer) = std::io::pipe().unwrap();
    rustix::io::fcntl_setfd(&reader, rustix::io::FdFlags::empty()).unwrap();
    let number = std::os::fd::AsRawFd::as_raw_fd(&reader);
    let known = fs::read_link(format!("/proc/self/fd/{number}")).unwrap();
    for (guard, _) in offered() {
        let world = guarded(guard);
        let script = work("for fd in /proc/self/fd/*; do readlink \"$fd\" || :; done");
        let (_, log) = world.run(script).await;
        let log = text(&log);
        assert!(log.contains("/dev/null"), "{log}");
        assert!(!log.contains(known.to_str().unwrap()), "{log}");
        world.finish().await;
    }
}
