use std::marker::PhantomData;

use bytes::{BufMut, Bytes};
use prost::{EncodeError, Message};
use tonic::{
    Status,
    codec::{BufferSettings, EncodeBuf, Encoder},
};
use tonic_prost::{ProstCodec, ProstDecoder};

/// Enough for a heartbeat, or for a request that names something by its id.
const BUFFER: usize = 64;
/// Once so much is encoded, it is sent without waiting for more.
const YIELD_THRESHOLD: usize = 32 * 1024;

fn buffers() -> BufferSettings {
    BufferSettings::new(BUFFER, YIELD_THRESHOLD)
}

/// What can be sent.
pub trait Outgoing: Send + 'static {
    /// Encodes it.
    ///
    /// # Errors
    /// If it does not fit into a buffer that grows, which no message is known to do.
    fn write(self, buffer: &mut EncodeBuf<'_>) -> Result<(), EncodeError>;
}

impl<M: Message + 'static> Outgoing for M {
    fn write(self, buffer: &mut EncodeBuf<'_>) -> Result<(), EncodeError> {
        // At once, as a buffer that grows with the message is copied each time.
        buffer.reserve(self.encoded_len());
        self.encode(buffer)
    }
}

/// What a server sends: build.rs puts it in the place of a message, where that may be one
/// that is encoded already.
#[derive(Debug)]
pub enum Reply<M> {
    /// A message for one reader.
    Message(M),
    /// A message that was encoded once for many.
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

/// As tonic's codec for prost, except that a call's buffer is as large as its messages:
/// tonic begins with 8 KiB for each call, which a watcher that waits would hold on to.
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

/// Encodes messages into as many bytes as they take.
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
