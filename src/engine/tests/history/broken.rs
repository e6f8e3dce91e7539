//! Valid histories, and invalid ones.

use std::time::Duration;

use super::{Seen, check_history};

const TTL: Duration = Duration::from_secs(30);

fn event(watcher: u32, sequence: i64) -> Seen {
    Seen::Event {
        watcher,
        job: 1,
        sequence,
        what: format!("event {sequence}"),
        is_terminal: false,
    }
}

fn end(watcher: u32, sequence: i64) -> Seen {
    Seen::Event {
        watcher,
        job: 1,
        sequence,
        what: "end".to_owned(),
        is_terminal: true,
    }
}

fn accepted(token: i64) -> Seen {
    Seen::Accepted {
        stage: "s".to_owned(),
        token,
    }
}

fn running(seconds: u64, has_lease: bool) -> Seen {
    Seen::Running {
        stage: "s".to_owned(),
        at: Duration::from_secs(seconds),
        has_lease,
    }
}

const ENDED: Seen = Seen::WatchEnded { watcher: 1, job: 1 };

#[test]
fn valid_histories_are_accepted() {
    let history = [
        event(1, 1),
        event(2, 1),
        accepted(5),
        running(0, true),
        running(10, false),
        running(45, false),
        running(50, true),
        running(60, false),
        accepted(5),
        accepted(7),
        event(1, 2),
        end(1, 3),
        ENDED,
        event(2, 2),
    ];
    check_history(&history, TTL).unwrap();
}

#[test]
fn invalid_histories_are_found() {
    let other = Seen::Event {
        watcher: 2,
        job: 1,
        sequence: 1,
        what: "another".to_owned(),
        is_terminal: false,
    };
    let broken: [(&str, &[Seen]); 10] = [
        ("I2", &[event(1, 2)]),
        ("I2", &[event(1, 1), event(1, 3)]),
        ("I2", &[event(1, 1), event(1, 1)]),
        ("I2", &[event(1, 1), other]),
        ("I3", &[event(1, 1), end(1, 2), event(1, 3)]),
        ("I3", &[end(1, 1), end(1, 2)]),
        ("I3", &[event(1, 1), ENDED]),
        ("I3", &[event(1, 1), event(2, 1), end(2, 2), ENDED]),
        ("I4", &[accepted(5), accepted(7), accepted(5)]),
        (
            "I5",
            &[running(0, true), running(1, false), running(37, false)],
        ),
    ];
    for (invariant, history) in broken {
        let found = check_history(history, TTL).unwrap_err();
        assert!(found.starts_with(invariant), "{history:?}: {found}");
    }
}
