use std::{net::SocketAddr, sync::Arc};

/// The other end of a connection.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// The certificate by which it proved who it is, as DER; it was checked against
    /// the configured authorities.
    pub certificate: Option<Arc<[u8]>>,
}
