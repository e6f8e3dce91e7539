use std::fmt;

use bytes::Bytes;
use parking_lot::Mutex;

/// Bytes that are worked out of a value once, by whoever first asks for them, and kept with
/// it until they are let go of. The value must never change. They say nothing that it does not
/// say: a memo is equal to every other, and that of a copy is empty.
#[derive(Default)]
pub struct Memo(Mutex<Option<Bytes>>);

impl Memo {
    /// The bytes, which are always worked out in the same way.
    pub fn get_or_make(&self, make: impl FnOnce() -> Bytes) -> Bytes {
        self.0.lock().get_or_insert_with(make).clone()
    }

    /// Lets go of the bytes, as hardly anybody will ask for them again.
    pub fn forget(&self) {
        *self.0.lock() = None;
    }
}

impl Clone for Memo {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl PartialEq for Memo {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl fmt::Debug for Memo {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Memo")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_are_made_once_until_they_are_let_go_of() {
        let memo = Memo::default();
        let get = |made: &'static [u8]| memo.get_or_make(|| Bytes::from_static(made));
        assert_eq!(get(b"first"), "first");
        assert_eq!(get(b"second"), "first");
        assert_eq!(memo.clone().get_or_make(Bytes::new), "");
        memo.forget();
        assert_eq!(get(b"third"), "third");
    }
}
