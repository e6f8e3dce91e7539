//! One command, from its start to the last of its processes.

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

/// Time between two looks at a process group whose members are not children here.
const LOOK: Duration = Duration::from_millis(50);

/// Runs the command and answers when it is over and no process of it is left.
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
    /// The leader's, once it is reaped.
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

    /// Waits for the leader's end, or begins to bring it about.
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

    /// Asks the processes to end and gives them time for it: the leader may die at
    /// once while what it started is still tidying up.
    fn stop(&mut self) -> Cut {
        self.signal(Signal::SIGTERM);
        // What stands still would not notice.
        self.signal(Signal::SIGCONT);
        let end = Instant::now() + self.grace;
        while self.is_alive() && Instant::now() < end {
            let until = match self.mode {
                Mode::ProcessGroup => end.min(Instant::now() + LOOK),
                Mode::PidNamespace | Mode::Subreaper => end,
            };
            if let Event::Kill(cut) = self.events.next(Some(until)) {
                return cut;
            }
        }
        Cut::Asked
    }

    /// Kills until nothing is left.
    fn sweep(&mut self) {
        if self.mode == Mode::ProcessGroup {
            // Its other members are nobody's children here, so nothing tells of them.
            // If none are left, the number would have to be another's within moments.
            self.signal(Signal::SIGKILL);
        }
        // A process that loses its parent is adopted here, so no child means no
        // process. One that dies may have left some to be adopted: look again.
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

    /// Reaps all children that have ended; whether there are others.
    fn reap(&mut self) -> bool {
        while let Some(ended) = self.reap_one(WaitPidFlag::WNOHANG) {
            if !ended {
                return true;
            }
        }
        false
    }

    /// Reaps a child; `None` if there is none, and whether one has ended.
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
            Err(error) => unreachable!("waitpid is called as it should be: {error}"),
        }
    }

    fn signal(&self, signal: Signal) {
        // Fails only when there is nobody to hit, or nobody whom this user may.
        let _ = killpg(self.leader, signal);
    }
}
