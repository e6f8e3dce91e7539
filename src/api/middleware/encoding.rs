//! Decodes request bodies that are not plain gRPC frames: base64 of gRPC-Web text, and
//! messages that are compressed with gzip. Both are decoded as they arrive.

use std::io::Read;

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::{Buf, Bytes, BytesMut};
use flate2::read::GzDecoder;
use tonic::Status;

use super::request_body::{MessageLimit, PREFIX, malformed};

/// A request extension that marks a gRPC-Web request as text.
#[derive(Clone, Copy, Debug)]
pub struct WebText;

/// Decodes base64 in pieces. The gRPC-Web protocol allows a client to encode and pad each
/// piece separately, so any group of four characters may end with padding.
#[derive(Debug, Default)]
pub(super) struct TextDecoder {
    /// An incomplete group: fewer than four characters.
    rest: Vec<u8>,
}

impl TextDecoder {
    pub(super) fn decode(&mut self, data: &[u8]) -> Result<Bytes, Status> {
        self.rest.extend_from_slice(data);
        let whole = self.rest.len() / 4 * 4;
        let mut decoded = Vec::with_capacity(whole / 4 * 3);
        let mut text = &self.rest[..whole];
        while !text.is_empty() {
            let padding = text.iter().position(|byte| *byte == b'=');
            let end = padding.map_or(text.len(), |at| (at / 4 + 1) * 4);
            let (piece, after) = text.split_at(end);
            BASE64_STANDARD
                .decode_vec(piece, &mut decoded)
                .map_err(|error| malformed(&format!("the body is not base64: {error}")))?;
            text = after;
        }
        self.rest.drain(..whole);
        Ok(decoded.into())
    }

    /// The body has ended.
    pub(super) fn finish(&self) -> Result<(), Status> {
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(malformed(
            "the body is not base64: it ends within four characters",
        ))
    }
}

/// Decompresses the messages that are marked as compressed, each when it is complete. The
/// message limit applies to the compressed and to the decompressed size.
#[derive(Debug)]
pub(super) struct Gunzip {
    limit: MessageLimit,
    received: BytesMut,
}

impl Gunzip {
    pub(super) fn new(limit: MessageLimit) -> Self {
        Self {
            limit,
            received: BytesMut::new(),
        }
    }

    /// The complete messages, as uncompressed frames.
    pub(super) fn decode(&mut self, data: &[u8]) -> Result<Bytes, Status> {
        self.received.extend_from_slice(data);
        let mut decoded = BytesMut::new();
        while let Some(&[flag, a, b, c, d]) = self.received.first_chunk::<PREFIX>() {
            let length = u32::from_be_bytes([a, b, c, d]);
            self.limit.check(length)?;
            let end = PREFIX + length as usize;
            if self.received.len() < end {
                break;
            }
            let frame = self.received.split_to(end);
            if flag == 1 {
                self.decompress(&frame[PREFIX..], &mut decoded)?;
            } else {
                decoded.extend_from_slice(&frame);
            }
        }
        Ok(decoded.freeze())
    }

    /// The bytes of an incomplete message at the end of the body.
    pub(super) fn finish(&mut self) -> Bytes {
        let rest = self.received.remaining();
        self.received.split_to(rest).freeze()
    }

    fn decompress(&self, message: &[u8], decoded: &mut BytesMut) -> Result<(), Status> {
        let mut bytes = Vec::new();
        // One byte over the limit is enough to refuse the message.
        GzDecoder::new(message)
            .take(self.limit.bytes() + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| malformed(&format!("the message is not gzip: {error}")))?;
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        self.limit.check(length)?;
        decoded.extend_from_slice(&[0]);
        decoded.extend_from_slice(&length.to_be_bytes());
        decoded.extend_from_slice(&bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};
    use tonic::Code;

    use super::*;

    fn text(pieces: &[&str]) -> Result<Vec<u8>, Status> {
        let mut decoder = TextDecoder::default();
        let mut decoded = Vec::new();
        for piece in pieces {
            decoded.extend(decoder.decode(piece.as_bytes())?);
        }
        decoder.finish().map(|()| decoded)
    }

    #[test]
    fn text_may_be_padded_and_split_anywhere() {
        assert_eq!(text(&["AAAAAAA="]).unwrap(), [0; 5]);
        let padded = "AAAAAAA=YWJjZA==ZQ==Zmdo";
        for at in 0..=padded.len() {
            let (before, after) = padded.split_at(at);
            assert_eq!(text(&[before, after]).unwrap(), b"\0\0\0\0\0abcdefgh");
        }
        assert_eq!(text(&[]).unwrap(), b"");
    }

    #[test]
    fn invalid_base64_is_refused() {
        for bad in ["A", "AAAAA", "A===", "AA=A", "====", "AA\nA", "AAA*"] {
            let refused = text(&[bad]).unwrap_err();
            assert_eq!(refused.code(), Code::InvalidArgument, "{bad}");
        }
    }

    fn frame(flag: u8, message: &[u8]) -> Vec<u8> {
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        [&[flag][..], &length, message].concat()
    }

    fn gzip(message: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(message).unwrap();
        encoder.finish().unwrap()
    }

    fn gunzip(limit: u64, pieces: &[&[u8]]) -> Result<Vec<u8>, Status> {
        let mut gunzip = Gunzip::new(MessageLimit::Setting(limit));
        let mut decoded = Vec::new();
        for piece in pieces {
            decoded.extend(gunzip.decode(piece)?);
        }
        decoded.extend(gunzip.finish());
        Ok(decoded)
    }

    #[test]
    fn compressed_messages_are_decompressed_wherever_they_are_split() {
        let message = [b'a'; 300];
        let stream = [
            frame(1, &gzip(&message)),
            frame(0, b"plain"),
            frame(1, &gzip(b"")),
        ]
        .concat();
        let plain = [frame(0, &message), frame(0, b"plain"), frame(0, b"")].concat();
        for at in 0..=stream.len() {
            let (before, after) = stream.split_at(at);
            assert_eq!(gunzip(300, &[before, after]).unwrap(), plain);
        }
        let cut = &stream[..stream.len() - 1];
        let unfinished = gunzip(300, &[cut]).unwrap();
        assert!(
            unfinished.len() > plain.len() - PREFIX,
            "the rest is passed on"
        );
    }

    #[test]
    fn the_limit_applies_to_the_decompressed_message() {
        let bomb = frame(1, &gzip(&vec![0; 1 << 20]));
        assert!(bomb.len() < 4096);
        let status = gunzip(4096, &[&bomb]).unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted);
        let status = gunzip(4096, &[&frame(1, b"no gzip")]).unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        let status = gunzip(4, &[&frame(0, b"plain")]).unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted);
    }
}
