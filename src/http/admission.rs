//! Limits the number of open connections, in total and per address.

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use metrics::{counter, gauge};
use parking_lot::Mutex;

use crate::{
    auth::network,
    config::Limits,
    telemetry::{
        LogThrottle,
        metrics::{CONNECTIONS, CONNECTIONS_ACCEPTED, REFUSALS},
    },
};

use super::{open_files::Places, refusal::Refusal};

pub(super) struct Admission {
    places: Places,
    max_per_address: usize,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    open: usize,
    refusing: usize,
    per_address: HashMap<IpAddr, usize>,
    warned: LogThrottle,
}

pub(super) enum Verdict {
    /// The connection is counted for as long as the guard is held.
    Admitted(Guard),
    /// The client gets a response with the reason.
    Refused(Refusal, Guard),
    /// [`MAX_REFUSING`] is reached: closed without a response.
    Dropped,
}

/// Keeps a connection counted until it is dropped.
pub(super) struct Guard {
    admission: Arc<Admission>,
    /// None for a refused connection.
    address: Option<IpAddr>,
}

impl Admission {
    pub(super) fn new(limits: &Limits, places: Places) -> Arc<Self> {
        Arc::new(Self {
            places,
            max_per_address: limits.max_connections_per_address,
            counts: Mutex::default(),
        })
    }

    pub(super) fn admit(self: &Arc<Self>, address: IpAddr) -> Verdict {
        let address = network(address);
        let guard = |address| Guard {
            admission: Arc::clone(self),
            address,
        };
        let mut counts = self.counts.lock();
        let of_address = counts.per_address.get(&address).copied().unwrap_or(0);
        let refusal = if counts.open >= self.places.open {
            let setting = if self.places.is_cut {
                "ulimit -n"
            } else {
                "max_connections"
            };
            Refusal::too_many_connections("", setting, self.places.open)
        } else if of_address >= self.max_per_address {
            let (setting, limit) = ("max_connections_per_address", self.max_per_address);
            Refusal::too_many_connections(" of one address", setting, limit)
        } else {
            counts.open += 1;
            gauge!(CONNECTIONS).increment(1.0);
            counter!(CONNECTIONS_ACCEPTED).increment(1);
            counts.per_address.insert(address, of_address + 1);
            return Verdict::Admitted(guard(Some(address)));
        };
        if let Some(before) = counts.warned.now() {
            tracing::warn!(%address, setting = refusal.setting, before, "refusing connections");
        }
        // More are closed unheard.
        if counts.refusing >= self.places.refusing {
            counter!(REFUSALS, "reason" => refusal.rule.reason()).increment(1);
            return Verdict::Dropped;
        }
        counts.refusing += 1;
        Verdict::Refused(refusal, guard(None))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let mut counts = self.admission.counts.lock();
        let Some(address) = self.address else {
            counts.refusing -= 1;
            return;
        };
        counts.open -= 1;
        gauge!(CONNECTIONS).decrement(1.0);
        if let Some(of_address) = counts.per_address.get_mut(&address) {
            *of_address -= 1;
            if *of_address == 0 {
                counts.per_address.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFUSING: usize = 64;

    fn admission(max_connections: usize, max_connections_per_address: usize) -> Arc<Admission> {
        let limits = Limits {
            max_connections,
            max_connections_per_address,
            ..Limits::default()
        };
        let places = Places {
            open: max_connections,
            refusing: REFUSING,
            is_cut: false,
        };
        Admission::new(&limits, places)
    }

    fn admitted(admission: &Arc<Admission>, address: &str) -> Result<Guard, &'static str> {
        match admission.admit(address.parse().unwrap()) {
            Verdict::Admitted(guard) => Ok(guard),
            Verdict::Refused(refusal, _) => Err(refusal.setting),
            Verdict::Dropped => Err("dropped"),
        }
    }

    #[test]
    fn a_connection_that_ends_frees_its_slot() {
        let admission = admission(2, 1);
        let first = admitted(&admission, "10.0.0.1").unwrap();
        let over_address_limit = Err("max_connections_per_address");
        let again = admitted(&admission, "10.0.0.1").map(drop);
        assert_eq!(again, over_address_limit);
        let mapped = admitted(&admission, "::ffff:10.0.0.1").map(drop);
        assert_eq!(mapped, over_address_limit);
        let _second = admitted(&admission, "10.0.0.2").unwrap();
        let over_total_limit = Err("max_connections");
        assert_eq!(admitted(&admission, "10.0.0.3").map(drop), over_total_limit);
        drop(first);
        admitted(&admission, "10.0.0.1").unwrap();
        assert_eq!(admission.counts.lock().per_address.len(), 1);
    }

    #[test]
    fn an_ipv6_network_counts_as_one_address() {
        let admission = admission(9, 1);
        let _first = admitted(&admission, "2001:db8::1").unwrap();
        assert!(admitted(&admission, "2001:db8::ffff:1").is_err());
        admitted(&admission, "2001:db8:0:1::1").unwrap();
    }

    #[test]
    fn refusals_beyond_the_limit_are_dropped() {
        let admission = admission(0, 0);
        let address = "10.0.0.1".parse().unwrap();
        let refused: Vec<_> = (0..REFUSING).map(|_| admission.admit(address)).collect();
        assert!(matches!(admission.admit(address), Verdict::Dropped));
        drop(refused);
        assert!(matches!(admission.admit(address), Verdict::Refused(..)));
    }
}
