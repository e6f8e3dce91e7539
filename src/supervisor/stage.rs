//! Supervises one command, from its start until its last process has ended.

use std::{
    io,
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    sys::{
        signal::{Signal, killpg},
        wait::WaitPidFlag,
    },
    unistd::Pid,
};

use super::{
    Cut, Ended, Mode, Report, Spec,
    cgroup::Cgroup,
    command,
    control::Control,
    events::{Event, Events},
    system,
};

/// Poll interval for a process group whose members are not children of this process.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Runs the command. Returns when it has ended and none of its processes is left.
pub(super) fn supervise(
    spec: &Spec,
    cgroup: &Cgroup,
    control: Control,
    parent: Option<UnixStream>,
) -> Report {
    match Stage::start(spec, cgroup, control, parent) {
        Ok(stage) => Report::Ended(stage.run()),
        Err(error) => Report::NotStarted(error.to_string()),
    }
}

struct Stage {
    mode: Mode,
    leader: Pid,
    grace: Duration,
    events: Events,
    /// The leader's status, once it is reaped.
    status: Option<i32>,
}

impl Stage {
    fn start(
        spec: &Spec,
        cgroup: &Cgroup,
        control: Control,
        parent: Option<UnixStream>,
    ) -> io::Result<Self> {
        let leader = command::start(spec, cgroup)?;
        Ok(Self {
            mode: spec.mode,
            leader,
            grace: spec.grace,
            events: Events::new(control, parent, spec.clock, spec.deadline)?,
            status: None,
        })
    }

    fn run(mut self) -> Ended {
        let cut = self.watch();
        self.sweep();
        Ended {
            status: self.status.unwrap_or_default(),
            cut,
            out_of_memory: false,
        }
    }

    /// Waits until the leader has ended or has to be killed.
    fn watch(&mut self) -> Option<Cut> {
        loop {
            self.reap();
            if self.status.is_some() {
                return None;
            }
            match self.events.next(None) {
                Event::Children | Event::Timeout => {}
                Event::Stop => return Some(self.stop()),
                Event::Kill(cut) => return Some(cut),
            }
        }
    }

    /// Sends SIGTERM and waits for the grace time until all processes have ended: the leader
    /// may end immediately while its children still clean up.
    fn stop(&mut self) -> Cut {
        self.signal(Signal::SIGTERM);
        // A stopped process would not handle SIGTERM.
        self.signal(Signal::SIGCONT);
        let end = Instant::now() + self.grace;
        while self.is_alive() && Instant::now() < end {
            let until = match self.mode {
                Mode::ProcessGroup => end.min(Instant::now() + POLL_INTERVAL),
                Mode::PidNamespace | Mode::Subreaper => end,
            };
            if let Event::Kill(cut) = self.events.next(Some(until)) {
                return cut;
            }
        }
        Cut::Asked
    }

    /// Kills until no process is left.
    fn sweep(&mut self) {
        if self.mode == Mode::ProcessGroup {
            // The other members are not children of this process, so their end is not
            // reported. If none is left, the signal fails: the group's id is hardly reused
            // this soon.
            self.signal(Signal::SIGKILL);
        }
        // Orphaned processes are adopted by this process, so no child means no process. The
        // end of a process may orphan others: check again.
        while self.reap() {
            match self.mode {
                #[cfg(target_os = "linux")]
                Mode::PidNamespace => super::namespace::kill_all(),
                #[cfg(target_os = "linux")]
                Mode::Subreaper => super::descendants::kill_all(),
                _ => self.signal(Signal::SIGKILL),
            }
            self.reap_one(WaitPidFlag::empty());
        }
    }

    fn is_alive(&mut self) -> bool {
        self.reap() || (self.mode == Mode::ProcessGroup && killpg(self.leader, None).is_ok())
    }

    /// Reaps all children that have ended. Returns whether others are left.
    fn reap(&mut self) -> bool {
        while let Some(ended) = self.reap_one(WaitPidFlag::WNOHANG) {
            if !ended {
                return true;
            }
        }
        false
    }

    /// Reaps a child, if one has ended. Returns whether one has; `None` if there is no child.
    fn reap_one(&mut self, flags: WaitPidFlag) -> Option<bool> {
        match system::reap(flags) {
            Ok(Some((pid, status))) => {
                if pid == self.leader {
                    self.status = Some(status);
                }
                Some(true)
            }
            Ok(None) => Some(false),
            Err(Errno::ECHILD) => None,
            Err(error) => unreachable!("waitpid failed with valid arguments: {error}"),
        }
    }

    fn signal(&self, signal: Signal) {
        // Fails only if the group has no process, or none that this user may signal.
        let _ = killpg(self.leader, signal);
    }
}
