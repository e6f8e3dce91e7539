//! A minimal HTTP/2 client connection, so that the cost of the load generator is not measured:
//! a call is two prepared frames, and of a response only the frame headers are read. It
//! requires a well-behaved server and does not test the protocol.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
/// The default maximum frame size of HTTP/2, in bytes.
const MAX_FRAME_SIZE: usize = 16_384;
/// More than is ever received on one connection or stream, so that only one WINDOW_UPDATE is
/// sent for each.
const WINDOW: u32 = (1 << 31) - 1;
const USUAL_WINDOW: u32 = 65_535;

/// What was received on a stream.
pub(crate) enum Came<'a> {
    Data(&'a [u8]),
    End,
    Reset,
}

pub(crate) struct Connection {
    pub(crate) socket: TcpStream,
    received: Vec<u8>,
    waiting: Vec<u8>,
    first: Vec<u8>,
    later: Vec<u8>,
    next_stream: u32,
}

impl Connection {
    /// Opens a connection for calls of one method by one caller.
    pub(crate) fn open(
        address: SocketAddr,
        path: &str,
        authorization: Option<&str>,
    ) -> io::Result<Self> {
        let socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        socket.set_nonblocking(true)?;
        let settings = [&[0, 4], &WINDOW.to_be_bytes()[..]].concat();
        let more = (WINDOW - USUAL_WINDOW).to_be_bytes();
        let (first, later) = headers(&address.to_string(), path, authorization);
        Ok(Self {
            socket,
            received: Vec::new(),
            waiting: [
                PREFACE,
                &frame(SETTINGS, 0, 0, &settings),
                &frame(WINDOW_UPDATE, 0, 0, &more),
            ]
            .concat(),
            first,
            later,
            next_stream: 1,
        })
    }

    /// Begins a call with a message. Returns the id of its stream.
    pub(crate) fn call(&mut self, message: &[u8]) -> u32 {
        let stream = self.next_stream;
        self.next_stream += 2;
        let block = if stream == 1 {
            &self.first
        } else {
            &self.later
        };
        put(&mut self.waiting, HEADERS, END_HEADERS, stream, &[block]);
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        let whole = [&[0][..], &length, message].concat();
        let mut pieces = whole.chunks(MAX_FRAME_SIZE).peekable();
        while let Some(piece) = pieces.next() {
            let flags = if pieces.peek().is_none() {
                END_STREAM
            } else {
                0
            };
            put(&mut self.waiting, DATA, flags, stream, &[piece]);
        }
        stream
    }

    pub(crate) fn has_more(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Sends the buffered data, as far as the socket accepts it.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        while !self.waiting.is_empty() {
            match self.socket.write(&self.waiting) {
                Ok(sent) => drop(self.waiting.drain(..sent)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads once, and calls `handle` for what was received.
    pub(crate) fn read(&mut self, handle: impl FnMut(u32, Came<'_>)) -> io::Result<()> {
        const MAX_READ: usize = 256 * 1024;
        let begin = self.received.len();
        self.received.resize(begin + MAX_READ, 0);
        let read = match self.socket.read(&mut self.received[begin..]) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            other => other,
        };
        self.received.truncate(begin + *read.as_ref().unwrap_or(&0));
        read?;
        self.frames(handle)
    }

    fn frames(&mut self, mut handle: impl FnMut(u32, Came<'_>)) -> io::Result<()> {
        let mut rest = &self.received[..];
        while let Some((head, after)) = rest.split_first_chunk::<9>() {
            let [a, b, c, kind, flags, stream @ ..] = *head;
            let Some((payload, after)) =
                after.split_at_checked(u32::from_be_bytes([0, a, b, c]) as usize)
            else {
                break;
            };
            rest = after;
            let stream = u32::from_be_bytes(stream);
            match kind {
                DATA => handle(stream, Came::Data(payload)),
                RST_STREAM => handle(stream, Came::Reset),
                SETTINGS if flags & ACK == 0 => put(&mut self.waiting, SETTINGS, ACK, 0, &[]),
                PING if flags & ACK == 0 => put(&mut self.waiting, PING, ACK, 0, &[payload]),
                GOAWAY => return Err(sent_away(payload)),
                _ => {}
            }
            if matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0 {
                handle(stream, Came::End);
            }
        }
        let left = rest.len();
        self.received.drain(..self.received.len() - left);
        Ok(())
    }
}

fn sent_away(payload: &[u8]) -> io::Error {
    let (code, words) = payload[4..].split_at(4);
    let words = String::from_utf8_lossy(words);
    io::Error::other(format!("the server sends away: {code:?} {words}"))
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    put(&mut frame, kind, flags, stream, &[payload]);
    frame
}

fn put(to: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[&[u8]]) {
    let length: usize = payload.iter().map(|part| part.len()).sum();
    let length = u32::try_from(length).unwrap().to_be_bytes();
    to.extend_from_slice(&length[1..]);
    to.extend_from_slice(&[kind, flags]);
    to.extend_from_slice(&stream.to_be_bytes());
    payload.iter().for_each(|part| to.extend_from_slice(part));
}

/// The encoded headers of the first call, which the server adds to its dynamic table, and of
/// all later calls, which only reference the table (RFC 7541, 2.3.3 and 6.2.1).
fn headers(authority: &str, path: &str, authorization: Option<&str>) -> (Vec<u8>, Vec<u8>) {
    const POST: u8 = 0x83;
    const HTTP: u8 = 0x86;
    const FIRST_REMEMBERED: u8 = 62;
    let mut all = vec![
        (":authority", authority),
        (":path", path),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ];
    all.extend(authorization.map(|value| ("authorization", value)));
    let (mut first, mut later) = (vec![POST, HTTP], vec![POST, HTTP]);
    let text = |text: &str| {
        let length = u8::try_from(text.len()).unwrap();
        assert!(length < 127, "a longer text has a longer length");
        [&[length], text.as_bytes()].concat()
    };
    // The latest entry is the first one of the dynamic table.
    for ((name, value), behind) in all.iter().zip((0..all.len()).rev()) {
        first.extend([vec![0x40], text(name), text(value)].concat());
        later.push(0x80 | (FIRST_REMEMBERED + u8::try_from(behind).unwrap()));
    }
    (first, later)
}
