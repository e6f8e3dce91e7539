use std::marker::PhantomData;

use bytes::{BufMut, Bytes};
use prost::{EncodeError, Message};
use tonic::{
    Status,
    codec::{BufferSettings, EncodeBuf, Encoder},
};
use tonic_prost::{ProstCodec, ProstDecoder};

/// Enough for a heartbeat, or for a request with an id.
const BUFFER: usize = 64;
/// Once this many bytes are encoded, they are sent without waiting for more messages.
const YIELD_THRESHOLD: usize = 32 * 1024;

fn buffers() -> BufferSettings {
    BufferSettings::new(BUFFER, YIELD_THRESHOLD)
}

/// A message that can be sent.
pub trait Outgoing: Send + 'static {
    /// Encodes the message.
    ///
    /// # Errors
    /// If it does not fit into the buffer; as the buffer grows, this is not expected.
    fn write(self, buffer: &mut EncodeBuf<'_>) -> Result<(), EncodeError>;
}

impl<M: Message + 'static> Outgoing for M {
    fn write(self, buffer: &mut EncodeBuf<'_>) -> Result<(), EncodeError> {
        // Reserved in one step: each time that a buffer grows, it is copied.
        buffer.reserve(self.encoded_len());
        self.encode(buffer)
    }
}

/// A response of a server. For methods whose responses may already be encoded, build.rs
/// generates this type in place of the message.
#[derive(Debug)]
pub enum Reply<M> {
    /// A message for one client.
    Message(M),
    /// An encoded message, which many clients get.
    Encoded(Bytes),
}

impl<M> From<M> for Reply<M> {
    fn from(message: M) -> Self {
        Self::Message(message)
    }
}

impl<M: Message + 'static> Outgoing for Reply<M> {
    fn write(self, buffer: &mut EncodeBuf<'_>) -> Result<(), EncodeError> {
        match self {
            Self::Message(message) => message.write(buffer),
            Self::Encoded(bytes) => {
                buffer.reserve(bytes.len());
                buffer.put(bytes);
                Ok(())
            }
        }
    }
}

/// tonic's prost codec, except that a call's buffer is only as large as its messages: tonic
/// allocates 8 KiB for each call, which an idle watch would keep.
#[derive(Debug)]
pub struct Codec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for Codec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> tonic::codec::Codec for Codec<T, U>
where
    T: Outgoing,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = Exact<T>;
    type Decoder = ProstDecoder<U>;

    fn encoder(&mut self) -> Exact<T> {
        Exact(PhantomData)
    }

    fn decoder(&mut self) -> ProstDecoder<U> {
        ProstCodec::<U, U>::raw_decoder(buffers())
    }
}

/// Encodes messages into a buffer of exactly their size.
#[derive(Debug)]
pub struct Exact<T>(PhantomData<T>);

impl<T: Outgoing> Encoder for Exact<T> {
    type Item = T;
    type Error = Status;

    fn encode(&mut self, message: T, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        let written = message.write(buffer);
        written.map_err(|error| Status::internal(error.to_string()))
    }

    fn buffer_settings(&self) -> BufferSettings {
        buffers()
    }
}
