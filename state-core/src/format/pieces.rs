//! Memory for the keys that decoders give: many of them stand in one piece.
//!
//! Stores keep keys in a form of their own, so these live for a moment; an allocation for
//! each, made by one thread and freed by another, would cost more than reading it does.

use bytes::{Bytes, BytesMut};

/// Bytes of a piece: what the longest-lived of some four hundred keys keeps in memory. A key
/// that is longer has a piece of its own.
const PIECE_BYTES: usize = 16 << 10;

/// The piece that is being filled.
#[derive(Debug)]
pub(crate) struct Pieces {
    open: BytesMut,
}

impl Pieces {
    pub(crate) fn new() -> Self {
        Self { open: BytesMut::new() }
    }

    /// A copy of a key.
    pub(crate) fn copy(&mut self, key: &[u8]) -> Bytes {
        if self.open.capacity() < key.len() {
            self.open = BytesMut::with_capacity(key.len().max(PIECE_BYTES));
        }
        self.open.extend_from_slice(key);
        self.open.split().freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_are_whole_whatever_their_length() {
        let mut pieces = Pieces::new();
        let mut copies = Vec::new();
        for len in [0, 1, 36, PIECE_BYTES - 37, 1, PIECE_BYTES, PIECE_BYTES + 1, 7] {
            let key = vec![len as u8; len];
            copies.push((pieces.copy(&key), key));
        }
        for (copy, key) in copies {
            assert_eq!(copy, key);
        }
    }
}
