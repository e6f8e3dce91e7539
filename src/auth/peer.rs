use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

/// The other end of a connection.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// The certificate by which it proved who it is, as DER; it was checked against
    /// the configured authorities.
    pub certificate: Option<Arc<[u8]>>,
}

/// As what an address is counted: a customer has 2^64 addresses of IPv6 or more, and all
/// of them are one here.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}
