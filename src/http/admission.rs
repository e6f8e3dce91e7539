//! Which connections are let in: so many in all, so many of an address.

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

use super::refusal::Refusal;

/// Connections at once that are told why they are refused; more are closed unheard.
const MAX_REFUSING: usize = 64;

/// Counts the connections.
pub(super) struct Admission {
    max_open: usize,
    max_of_an_address: usize,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    open: usize,
    refusing: usize,
    of_an_address: HashMap<IpAddr, usize>,
    warned: LogThrottle,
}

/// What happens to a connection.
pub(super) enum Verdict {
    /// It is served for as long as the guard is held.
    Admitted(Guard),
    /// It is told why it is not served.
    Refused(Refusal, Guard),
    /// Too many are being told already.
    Dropped,
}

/// Holds the place of a connection.
pub(super) struct Guard {
    admission: Arc<Admission>,
    /// None for one that is refused.
    address: Option<IpAddr>,
}

impl Admission {
    pub(super) fn new(limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            max_open: limits.max_connections,
            max_of_an_address: limits.max_connections_per_address,
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
        let of_it = counts.of_an_address.get(&address).copied().unwrap_or(0);
        let refusal = if counts.open >= self.max_open {
            Refusal::too_many_connections("", "max_connections", self.max_open)
        } else if of_it >= self.max_of_an_address {
            let (setting, limit) = ("max_connections_per_address", self.max_of_an_address);
            Refusal::too_many_connections(" of one address", setting, limit)
        } else {
            counts.open += 1;
            gauge!(CONNECTIONS).increment(1.0);
            counter!(CONNECTIONS_ACCEPTED).increment(1);
            counts.of_an_address.insert(address, of_it + 1);
            return Verdict::Admitted(guard(Some(address)));
        };
        if let Some(before) = counts.warned.now() {
            tracing::warn!(%address, setting = refusal.setting, before, "refusing connections");
        }
        if counts.refusing >= MAX_REFUSING {
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
        if let Some(of_it) = counts.of_an_address.get_mut(&address) {
            *of_it -= 1;
            if *of_it == 0 {
                counts.of_an_address.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(max_connections: usize, max_connections_per_address: usize) -> Arc<Admission> {
        Admission::new(&Limits {
            max_connections,
            max_connections_per_address,
            ..Limits::default()
        })
    }

    fn admitted(admission: &Arc<Admission>, address: &str) -> Result<Guard, &'static str> {
        match admission.admit(address.parse().unwrap()) {
            Verdict::Admitted(guard) => Ok(guard),
            Verdict::Refused(refusal, _) => Err(refusal.setting),
            Verdict::Dropped => Err("dropped"),
        }
    }

    #[test]
    fn a_place_is_free_again_when_its_connection_ends() {
        let admission = admission(2, 1);
        let first = admitted(&admission, "10.0.0.1").unwrap();
        let of_the_address = Err("max_connections_per_address");
        assert_eq!(admitted(&admission, "10.0.0.1").map(drop), of_the_address);
        let mapped = admitted(&admission, "::ffff:10.0.0.1").map(drop);
        assert_eq!(mapped, of_the_address);
        let _second = admitted(&admission, "10.0.0.2").unwrap();
        let in_all = Err("max_connections");
        assert_eq!(admitted(&admission, "10.0.0.3").map(drop), in_all);
        drop(first);
        admitted(&admission, "10.0.0.1").unwrap();
        assert_eq!(admission.counts.lock().of_an_address.len(), 1);
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one_address() {
        let admission = admission(9, 1);
        let _first = admitted(&admission, "2001:db8::1").unwrap();
        assert!(admitted(&admission, "2001:db8::ffff:1").is_err());
        admitted(&admission, "2001:db8:0:1::1").unwrap();
    }

    #[test]
    fn only_so_many_are_told_why() {
        let admission = admission(0, 0);
        let address = "10.0.0.1".parse().unwrap();
        let told: Vec<_> = (0..MAX_REFUSING)
            .map(|_| admission.admit(address))
            .collect();
        assert!(matches!(admission.admit(address), Verdict::Dropped));
        drop(told);
        assert!(matches!(admission.admit(address), Verdict::Refused(..)));
    }
}
