//! A crowd of watchers and the publisher of their events, on one thread.

use std::{
    collections::HashMap,
    io,
    os::fd::AsFd,
    time::{Duration, Instant},
};

use nix::{
    poll::{PollFd, PollFlags, ppoll},
    sys::time::TimeSpec,
};

use crate::{
    connection::{Came, Connection},
    events::Reader,
    load::{Show, Shown},
    server::cpu,
};

/// Concurrent publishing calls.
const MAX_UNANSWERED: usize = 32;
/// Without any event for this time, the server is considered stuck.
const PATIENCE: Duration = Duration::from_secs(30);

struct Watchers {
    connection: Connection,
    readers: HashMap<u32, Reader>,
}

struct Audience {
    watchers: Vec<Watchers>,
    /// Opened when there are events to publish, because the server closes a connection
    /// without requests.
    publisher: Option<Connection>,
    /// Watchers that have received a message.
    begun: usize,
    delivered: u64,
    unanswered: usize,
}

pub(crate) fn watch(show: &Show) -> io::Result<Shown> {
    let mut audience = Audience::open(show)?;
    let crowd = show.connections * show.watchers_per_connection;
    audience.run_until(PATIENCE, |audience| audience.begun == crowd)?;
    audience.publisher = Some(Connection::open(show.address, &show.publish, None)?);
    let (begin, before) = (Instant::now(), cpu(show.process));
    let mut times = match show.pace {
        Some(pace) => audience.paced(show, crowd as u64, pace)?,
        None => audience.burst(show, crowd as u64)?,
    };
    times.sort_unstable();
    Ok(Shown {
        delivered: audience.delivered,
        elapsed: begin.elapsed(),
        until_last: times[times.len() / 2],
        cpu: cpu(show.process) - before,
    })
}

impl Audience {
    fn open(show: &Show) -> io::Result<Self> {
        let (path, message) = &show.watch;
        let open = |_| -> io::Result<Watchers> {
            let mut connection = Connection::open(show.address, path, None)?;
            let calls = (0..show.watchers_per_connection).map(|_| connection.call(message));
            let readers = calls.map(|stream| (stream, Reader::default())).collect();
            Ok(Watchers {
                connection,
                readers,
            })
        };
        Ok(Self {
            watchers: (0..show.connections).map(open).collect::<io::Result<_>>()?,
            publisher: None,
            begun: 0,
            delivered: 0,
            unanswered: 0,
        })
    }

    /// The times from a message until the last watcher has received its events.
    fn paced(&mut self, show: &Show, crowd: u64, pace: Duration) -> io::Result<Vec<Duration>> {
        let (mut times, mut expected) = (Vec::new(), 0);
        for (message, events) in &show.messages {
            let published = Instant::now();
            self.publish(message);
            expected += events * crowd;
            self.run_until(PATIENCE, |audience| audience.delivered == expected)?;
            times.push(published.elapsed());
            let rest = (published + pace).saturating_duration_since(Instant::now());
            self.run_until(rest, |_| false)?;
        }
        Ok(times)
    }

    fn burst(&mut self, show: &Show, crowd: u64) -> io::Result<Vec<Duration>> {
        let begin = Instant::now();
        for (message, _) in &show.messages {
            self.run_until(PATIENCE, |audience| audience.unanswered < MAX_UNANSWERED)?;
            self.publish(message);
        }
        let expected = crowd * show.messages.iter().map(|(_, events)| events).sum::<u64>();
        self.run_until(PATIENCE, |audience| audience.delivered == expected)?;
        Ok(vec![begin.elapsed()])
    }

    fn publish(&mut self, message: &[u8]) {
        let publisher = self.publisher.as_mut();
        publisher.expect("a crowd that has begun").call(message);
        self.unanswered += 1;
    }

    /// Sends and receives until a condition holds, or for the given time. If the time is
    /// [`PATIENCE`] and the condition does not hold by then, this is an error.
    fn run_until(&mut self, time: Duration, is_done: impl Fn(&Self) -> bool) -> io::Result<()> {
        let until = Instant::now() + time;
        loop {
            if is_done(self) {
                return Ok(());
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                if time < PATIENCE {
                    return Ok(());
                }
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.turn(left)?;
        }
    }

    fn turn(&mut self, most: Duration) -> io::Result<()> {
        let connections = self.watchers.iter_mut().map(|all| &mut all.connection);
        for connection in connections.chain(&mut self.publisher) {
            connection.flush()?;
        }
        let connections = self.watchers.iter().map(|all| &all.connection);
        let mut waits: Vec<_> = connections.chain(&self.publisher).map(interest).collect();
        ppoll(&mut waits, Some(TimeSpec::from_duration(most)), None)?;
        let ready: Vec<_> = waits.iter().map(|wait| wait.any() == Some(true)).collect();
        for (watchers, _) in self.watchers.iter_mut().zip(&ready).filter(|(_, is)| **is) {
            let (begun, delivered) = watchers.read()?;
            self.begun += begun;
            self.delivered += delivered;
        }
        self.read_answers()
    }

    fn read_answers(&mut self) -> io::Result<()> {
        let Some(publisher) = &mut self.publisher else {
            return Ok(());
        };
        let (mut messages, mut ends) = (0, 0);
        publisher.read(|_, came| match came {
            Came::Data(_) => messages += 1,
            Came::End | Came::Reset => ends += 1,
        })?;
        self.unanswered -= ends;
        // A response is one message and its end, which are sent together.
        if ends > messages {
            return Err(io::Error::other("publishing was refused"));
        }
        Ok(())
    }
}

impl Watchers {
    /// The number of watchers that received their first message, and of events received.
    fn read(&mut self) -> io::Result<(usize, u64)> {
        let (mut begun, mut delivered, mut ended) = (0, 0, false);
        let readers = &mut self.readers;
        self.connection.read(|stream, came| match came {
            Came::Data(data) => {
                let reader = readers.get_mut(&stream).expect("a stream that was begun");
                let came = reader.take(data);
                begun += usize::from(came.is_first);
                delivered += came.events;
            }
            Came::End | Came::Reset => ended = true,
        })?;
        if ended {
            return Err(io::Error::other("a watch ended"));
        }
        Ok((begun, delivered))
    }
}

fn interest(connection: &Connection) -> PollFd<'_> {
    let mut flags = PollFlags::POLLIN;
    flags.set(PollFlags::POLLOUT, connection.has_more());
    PollFd::new(connection.socket.as_fd(), flags)
}
