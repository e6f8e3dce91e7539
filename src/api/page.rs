//! Pages of lists.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use prost::Message;
use sha2::{Digest, Sha256};
use tonic::Status;
use uuid::Uuid;

use super::status::{invalid_field, page_token_mismatch};

const DEFAULT_SIZE: usize = 50;
const MAX_SIZE: usize = 1000;
/// A page ends early once it is about this long.
const MAX_BYTES: usize = 1024 * 1024;
const VERSION: u8 = 1;
/// Bytes of the filters' hash that a token carries.
const BINDING: usize = 8;

/// What tells the items of a list apart, and where a page ends.
pub(super) trait Key: Sized {
    /// The end of a token.
    fn bytes(&self) -> &[u8];
    /// None for bytes that are no key.
    fn read(bytes: &[u8]) -> Option<Self>;
}

impl Key for Uuid {
    fn bytes(&self) -> &[u8] {
        self.as_bytes()
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        Self::from_slice(bytes).ok()
    }
}

/// A name, which is never empty.
impl Key for String {
    fn bytes(&self) -> &[u8] {
        self.as_bytes()
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let text = str::from_utf8(bytes).ok()?;
        (!text.is_empty()).then(|| text.to_owned())
    }
}

/// Which page a request asks for.
#[derive(Debug)]
pub(super) struct PageRequest<K> {
    /// Items on the page, at most.
    pub(super) size: usize,
    /// The last item of the page before.
    pub(super) after: Option<K>,
    binding: [u8; BINDING],
}

impl<K: Key> PageRequest<K> {
    /// Reads the paging of a call of `method`. `filters` is the request without its
    /// paging: a token is good only for the list that it came from.
    pub(super) fn new(
        method: &str,
        size: i32,
        token: &str,
        filters: &impl Message,
    ) -> Result<Self, Status> {
        let size = match usize::try_from(size) {
            Ok(0) => DEFAULT_SIZE,
            Ok(size) => size.min(MAX_SIZE),
            Err(_) => {
                let description = format!("is {size}; must not be negative, 0 means 50");
                return Err(invalid_field("page_size", description));
            }
        };
        let hash = Sha256::new()
            .chain_update(method)
            .chain_update(filters.encode_to_vec())
            .finalize();
        let mut binding = [0; BINDING];
        binding.copy_from_slice(&hash[..BINDING]);
        let after = match token {
            "" => None,
            token => Some(read_token(token, binding).ok_or_else(page_token_mismatch)?),
        };
        Ok(Self {
            size,
            after,
            binding,
        })
    }

    /// Items to ask the store for: one more than fits tells whether a page follows.
    pub(super) fn lookahead(&self) -> usize {
        self.size + 1
    }

    /// Cuts a list to the page, and gives the token of the page after it.
    pub(super) fn cut<T>(
        &self,
        items: impl IntoIterator<Item = (K, T)>,
        encoded_len: impl Fn(&T) -> usize,
    ) -> (Vec<T>, String) {
        let mut page = Vec::new();
        let mut bytes = 0;
        let mut last = None;
        for (key, item) in items {
            bytes += encoded_len(&item);
            let is_full = page.len() == self.size || (bytes > MAX_BYTES && !page.is_empty());
            if let (true, Some(last)) = (is_full, &last) {
                return (page, self.token(last));
            }
            page.push(item);
            last = Some(key);
        }
        (page, String::new())
    }

    fn token(&self, last: &K) -> String {
        let parts = [&[VERSION][..], &self.binding, last.bytes()];
        URL_SAFE_NO_PAD.encode(parts.concat())
    }
}

fn read_token<K: Key>(token: &str, binding: [u8; BINDING]) -> Option<K> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
    let rest = bytes.strip_prefix(&[VERSION])?;
    K::read(rest.strip_prefix(&binding[..])?)
}
