//! The network between a runner and its service, which a test can cut.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    thread,
};

use parking_lot::{Condvar, Mutex};

/// Forwards bytes while it is whole. When cut, it reads bytes and sends nothing: no
/// FIN and no reset, as if a cable were unplugged.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    wire: Arc<Wire>,
}

#[derive(Default)]
struct Wire {
    is_cut: Mutex<bool>,
    changed: Condvar,
}

impl Wire {
    fn wait_until_whole(&self) {
        let mut is_cut = self.is_cut.lock();
        self.changed.wait_while(&mut is_cut, |is_cut| *is_cut);
    }
}

impl Proxy {
    pub(crate) fn to(service: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let wire = Arc::new(Wire::default());
        let accepting = Arc::clone(&wire);
        thread::spawn(move || {
            for client in listener.incoming() {
                let (client, wire) = (client.unwrap(), Arc::clone(&accepting));
                thread::spawn(move || connect(client, service, &wire));
            }
        });
        Self { address, wire }
    }

    pub(crate) fn set_cut(&self, is_cut: bool) {
        *self.wire.is_cut.lock() = is_cut;
        self.wire.changed.notify_all();
    }
}

fn connect(client: TcpStream, service: SocketAddr, wire: &Arc<Wire>) {
    wire.wait_until_whole();
    let Ok(server) = TcpStream::connect(service) else {
        return;
    };
    let (up, down) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    let outward = Arc::clone(wire);
    thread::spawn(move || copy(up, server, &outward));
    copy(down, client, wire);
}

fn copy(mut from: TcpStream, mut to: TcpStream, wire: &Wire) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        wire.wait_until_whole();
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Write);
}
