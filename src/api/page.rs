//! Pagination of lists.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use prost::Message;
use sha2::{Digest, Sha256};
use tonic::Status;
use uuid::Uuid;

use super::status::{invalid_field, page_token_mismatch};

const DEFAULT_SIZE: usize = 50;
const MAX_SIZE: usize = 1000;
/// A page is cut at about this many encoded bytes, even if it has fewer items than asked for.
const MAX_BYTES: usize = 1024 * 1024;
const VERSION: u8 = 1;
/// Length of the hash of the method and filters in a token.
const BINDING: usize = 8;

/// The sort key of a list's items. A token contains the key of its page's last item.
pub(super) trait Key: Sized {
    fn bytes(&self) -> &[u8];
    /// None for bytes that are not a valid key.
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

/// The page that a request asks for.
#[derive(Debug)]
pub(super) struct PageRequest<K> {
    /// Most items on the page.
    pub(super) size: usize,
    /// The key of the previous page's last item; none for the first page.
    pub(super) after: Option<K>,
    /// Binds tokens to the method and its filters.
    binding: [u8; BINDING],
}

impl<K: Key> PageRequest<K> {
    /// Parses the paging fields of a call of `method`. `filters` is the request without its
    /// paging fields: a token is valid only for the list that it came from.
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

    /// Items to read from the store: one more than the page has, to see whether a next page
    /// exists.
    pub(super) fn lookahead(&self) -> usize {
        self.size + 1
    }

    /// Cuts a list to one page. Also returns the token of the next page, empty for none.
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
