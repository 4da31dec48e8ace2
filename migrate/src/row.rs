//! What a row comes to in a comparison: a bucket and a number, both keyed.

use std::hash::{BuildHasher, RandomState};

use pinstate_core::digest::{Kind, Row, canonical};
use pinstate_core::pin::PinView;
use uuid::Uuid;

/// How many buckets the keys fall into.
pub(crate) const BUCKETS: usize = 1 << 16;

type Secret = [u8; 32];

/// Turns rows into numbers under secrets drawn for one comparison, so that nobody can choose
/// records whose numbers cancel out.
///
/// The number of a row is that of a digest's [`Row`], keyed with one of two secrets: which
/// one depends on whether the bytes are those that are stored or a pin's canonical encoding.
/// The bucket comes from the key alone, by the keyed hash of the standard library's tables, so
/// that different records of one key fall into the same one.
#[derive(Clone)]
pub(crate) struct RowHasher {
    kind: Kind,
    stored: Secret,
    pin: Secret,
    bucket: RandomState,
}

/// A row, hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hashed {
    /// The number of its key and value.
    pub(crate) row: u128,
    /// Whether it was to be compared as a pin and is none.
    pub(crate) unreadable: bool,
}

impl RowHasher {
    /// One with secrets that nobody knows beforehand.
    pub(crate) fn new(kind: Kind) -> Self {
        Self { kind, stored: secret(), pin: secret(), bucket: RandomState::new() }
    }

    /// Hashes a row.
    pub(crate) fn hash(&self, key: &[u8], value: &[u8]) -> Hashed {
        let view = match self.kind {
            Kind::Raw => None,
            Kind::Pin => Some(PinView::new(key, value)),
        };
        let row = match &view {
            Some(Ok(pin)) => Row::keyed(&self.pin, key, &canonical(pin)),
            _ => Row::keyed(&self.stored, key, value),
        };
        Hashed { row: row.number(), unreadable: matches!(view, Some(Err(_))) }
    }

    /// The bucket of a key, below [`BUCKETS`].
    pub(crate) fn bucket(&self, key: &[u8]) -> u16 {
        self.bucket.hash_one(key) as u16
    }
}

impl std::fmt::Debug for RowHasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RowHasher").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// Two random UUIDs: 244 bits that nobody knows.
fn secret() -> Secret {
    let mut secret = [0; 32];
    for place in secret.chunks_exact_mut(16) {
        place.copy_from_slice(Uuid::new_v4().as_bytes());
    }
    secret
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_differ_by_key_value_and_comparison() {
        let hasher = RowHasher::new(Kind::Raw);
        let row = |key: &[u8], value: &[u8]| hasher.hash(key, value).row;
        assert_eq!(row(b"key", b"value"), row(b"key", b"value"));
        assert_ne!(row(b"key", b"value"), row(b"keyv", b"alue"));
        assert_ne!(row(b"key", b"value"), row(b"key", b"valuf"));
        assert_ne!(row(b"key", b"value"), RowHasher::new(Kind::Raw).hash(b"key", b"value").row);
        let long = vec![7; 3_000];
        assert_ne!(row(b"key", &long), row(b"key", &long[1..]));
        assert_eq!(hasher.bucket(b"key"), hasher.clone().bucket(b"key"));
    }
}
