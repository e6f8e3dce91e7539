//! Generates a load, with one thread for all connections.

use std::{
    collections::HashMap,
    io,
    os::fd::AsFd,
    process,
    time::{Duration, Instant},
};

use nix::{
    poll::{PollFd, PollFlags, ppoll},
    sys::resource::{UsageWho, getrusage},
    sys::time::TimeSpec,
};

use crate::{
    connection::{Came, Connection},
    load::{NUMBER, Outcome, Pace, Plan, Until},
};

/// Fewer than the service allows on a connection, so that calls wait here.
const MAX_STREAMS: usize = 200;
/// Without any response for this time, the server is considered stuck.
const PATIENCE: Duration = Duration::from_secs(30);

struct Flight {
    due: Instant,
    answered: bool,
}

struct Lane {
    connection: Connection,
    flights: HashMap<u32, Flight>,
}

struct Generator<'a> {
    plan: &'a Plan,
    /// Each with the offset of its number.
    messages: Vec<(Vec<u8>, Option<usize>)>,
    lanes: Vec<Lane>,
    begin: Instant,
    begun: u64,
    times: Vec<Duration>,
}

pub(crate) fn make(plan: &Plan) -> io::Result<Outcome> {
    let open = |_| -> io::Result<Lane> {
        let authorization = plan.authorization.as_deref();
        Ok(Lane {
            connection: Connection::open(plan.address, &plan.path, authorization)?,
            flights: HashMap::new(),
        })
    };
    let lanes: Vec<Lane> = (0..plan.connections).map(open).collect::<io::Result<_>>()?;
    let messages = plan.messages.iter();
    let messages = messages.map(|message| (message.clone(), Plan::number_at(message)));
    let mut generator = Generator {
        plan,
        messages: messages.collect(),
        lanes,
        begin: Instant::now(),
        begun: 0,
        times: Vec::new(),
    };
    generator.run()?;
    Ok(generator.outcome())
}

impl Generator<'_> {
    fn run(&mut self) -> io::Result<()> {
        loop {
            let next_due = self.begin_calls();
            for lane in &mut self.lanes {
                lane.connection.flush()?;
            }
            if next_due.is_none() && self.lanes.iter().all(|lane| lane.flights.is_empty()) {
                return Ok(());
            }
            self.wait(next_due)?;
            for lane in &mut self.lanes {
                lane.read(&mut self.times)?;
            }
        }
    }

    /// Begins all calls that are due. Returns when the next one is due, if any.
    fn begin_calls(&mut self) -> Option<Instant> {
        let now = Instant::now();
        match self.plan.pace {
            Pace::Closed {
                streams_per_connection,
            } => {
                for lane in 0..self.lanes.len() {
                    while self.lanes[lane].flights.len() < streams_per_connection
                        && self.goes_on(now)
                    {
                        self.begin_call(lane, now);
                    }
                }
                self.goes_on(now).then(|| now + PATIENCE)
            }
            Pace::Open { per_second } => loop {
                let due = self.begin + Duration::from_secs_f64(self.begun as f64 / per_second);
                let lane = self.begun as usize % self.lanes.len();
                if !self.goes_on(due) {
                    return None;
                }
                if self.lanes[lane].flights.len() >= MAX_STREAMS {
                    return Some(now + PATIENCE);
                }
                if due > now {
                    return Some(due);
                }
                self.begin_call(lane, due);
            },
        }
    }

    fn goes_on(&self, due: Instant) -> bool {
        match self.plan.until {
            Until::Elapsed(time) => due < self.begin + time,
            Until::Calls(calls) => self.begun < calls,
        }
    }

    fn begin_call(&mut self, lane: usize, due: Instant) {
        let position = self.begun as usize % self.messages.len();
        let (message, number) = &mut self.messages[position];
        if let Some(at) = *number {
            // Unique across processes, too.
            let number = format!("{:08x}{:08x}", process::id(), self.begun);
            message[at..at + NUMBER.len()].copy_from_slice(number.as_bytes());
        }
        let Lane {
            connection,
            flights,
        } = &mut self.lanes[lane];
        let flight = Flight {
            due,
            answered: false,
        };
        flights.insert(connection.call(message), flight);
        self.begun += 1;
    }

    /// Waits for a response or until the next call is due.
    fn wait(&self, until: Option<Instant>) -> io::Result<()> {
        let patience = until.map_or(PATIENCE, |until| {
            until.saturating_duration_since(Instant::now())
        });
        let mut all: Vec<_> = self.lanes.iter().map(Lane::interest).collect();
        let ready = ppoll(&mut all, Some(TimeSpec::from_duration(patience)), None)?;
        if ready == 0 && patience >= PATIENCE {
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(())
    }

    fn outcome(mut self) -> Outcome {
        let elapsed = self.begin.elapsed();
        self.times.sort_unstable();
        let at = |part: usize| self.times[self.times.len() * part / 100];
        let usage = getrusage(UsageWho::RUSAGE_SELF).unwrap();
        let cpu = [usage.user_time(), usage.system_time()]
            .map(|time| Duration::from_micros((time.tv_sec() * 1_000_000 + time.tv_usec()) as u64));
        Outcome {
            calls: self.begun,
            elapsed,
            p50: at(50),
            p99: at(99),
            cpu: cpu.into_iter().sum(),
        }
    }
}

impl Lane {
    fn interest(&self) -> PollFd<'_> {
        let mut flags = PollFlags::POLLIN;
        flags.set(PollFlags::POLLOUT, self.connection.has_more());
        PollFd::new(self.connection.socket.as_fd(), flags)
    }

    fn read(&mut self, times: &mut Vec<Duration>) -> io::Result<()> {
        let now = Instant::now();
        let mut failed = false;
        let flights = &mut self.flights;
        self.connection.read(|stream, came| match came {
            Came::Data(_) => {
                if let Some(flight) = flights.get_mut(&stream) {
                    flight.answered = true;
                }
            }
            Came::End => {
                // A response without a message is an error.
                match flights.remove(&stream) {
                    Some(flight) if flight.answered => times.push(now - flight.due),
                    _ => failed = true,
                }
            }
            Came::Reset => failed = true,
        })?;
        if failed {
            return Err(io::Error::other("a call was refused"));
        }
        Ok(())
    }
}
