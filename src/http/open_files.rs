//! The limit of open files, shared between connections and everything else: a crowd of
//! connections must not take the descriptors that stages and logs need.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Files that the store, the logs and the stages of other runners may open besides the
/// connections, if the limit has room for that many.
const OTHERS: u64 = 512;
/// Concurrent connections that get a response with the reason for their refusal, if the limit
/// has room for that many. Further ones are closed without a response.
const MAX_REFUSING: usize = 64;

/// The number of connections that the limit of open files allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Places {
    /// Served connections.
    pub(super) open: usize,
    /// Refused connections that get a response with the reason.
    pub(super) refusing: usize,
    /// The limit of open files, and not a setting, limits `open`.
    pub(super) is_cut: bool,
}

/// Raises the soft limit of open files to what this many connections need in addition to the
/// reserved files, at most to the hard limit, and divides what there is.
pub(super) fn places(connections: usize, reserved: u64) -> Places {
    let most = connections.saturating_add(MAX_REFUSING) as u64;
    let wanted = most.saturating_add(reserved.max(OTHERS));
    let limit = raise(wanted);
    let places = Places::within(limit, connections, reserved);
    if places.is_cut {
        tracing::warn!(
            limit,
            max_connections = connections,
            connections = places.open,
            "the limit of open files (ulimit -Hn) is lower than max_connections needs: fewer connections are \
             served, so that stages and logs have the files that they need"
        );
    }
    places
}

/// The soft limit after raising it as far as necessary and possible.
fn raise(wanted: u64) -> u64 {
    let warn = |error| tracing::warn!(%error, wanted, "cannot raise the limit of open files");
    let (soft, hard) = match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok(limits) => limits,
        Err(error) => {
            warn(error);
            return wanted;
        }
    };
    let raised = wanted.min(hard);
    if soft >= raised {
        return soft;
    }
    match setrlimit(Resource::RLIMIT_NOFILE, raised, hard) {
        Ok(()) => raised,
        Err(error) => {
            warn(error);
            soft
        }
    }
}

impl Places {
    fn within(limit: u64, connections: usize, reserved: u64) -> Self {
        let reserved = reserved.max(OTHERS.min(limit / 2));
        // Without any connection no one could see what is wrong.
        let left = limit.saturating_sub(reserved).max(limit / 8);
        let left = usize::try_from(left).unwrap_or(usize::MAX);
        let refusing = MAX_REFUSING.min(left / 4);
        let most = left.saturating_sub(refusing);
        Self {
            open: connections.min(most),
            refusing,
            is_cut: most < connections,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_get_what_is_left() {
        for (limit, connections, reserved, open, refusing, is_cut) in [
            (20_576, 20_000, 40, 20_000, 64, false),
            (20_575, 20_000, 40, 19_999, 64, true),
            (1 << 40, 500, 40, 500, 64, false),
            (1_024, 20_000, 40, 448, 64, true),
            (1_024, 20_000, 800, 168, 56, true),
            (64, 20_000, 40, 18, 6, true),
            (64, 10, 40, 10, 6, false),
            // Less than the stages may need: a few connections all the same.
            (32, 20_000, 40, 3, 1, true),
        ] {
            let places = Places::within(limit, connections, reserved);
            let expected = Places {
                open,
                refusing,
                is_cut,
            };
            assert_eq!(places, expected, "{limit} {connections} {reserved}");
            let taken = (places.open + places.refusing) as u64;
            assert!(taken + reserved.min(limit - limit / 8) <= limit);
        }
    }
}
