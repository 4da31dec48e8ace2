//! What a row comes to in a comparison: a bucket and a number, both keyed.

use std::hash::{BuildHasher, RandomState};

use highway::{HighwayHash, HighwayHasher, Key};
use pinstate_core::digest::{Kind, canonical};
use pinstate_core::pin::PinView;
use uuid::Uuid;

/// How many buckets the keys fall into.
pub(crate) const BUCKETS: usize = 1 << 16;

/// What nobody knows who may have written the rows.
pub(crate) type Secret = [u8; 32];

/// The number of a row under a secret: whoever does not know that cannot choose rows whose
/// numbers cancel out. It is no part of any digest.
///
/// HighwayHash (Alakuijala, Cox and Wassenberg, 2016) of key and bytes with their lengths, 128
/// bits: a pseudo-random function that is fast on rows as short as pins.
pub(crate) fn number(secret: &Secret, key: &[u8], bytes: &[u8]) -> u128 {
    let mut hasher = HighwayHasher::new(Key(words(secret)));
    // Each length stands before what it is of: no two rows are the same bytes.
    hasher.append(&(key.len() as u64).to_le_bytes());
    hasher.append(key);
    hasher.append(&(bytes.len() as u64).to_le_bytes());
    hasher.append(bytes);
    let [low, high] = hasher.finalize128();
    u128::from(high) << 64 | u128::from(low)
}

fn words(secret: &Secret) -> [u64; 4] {
    let mut words = [0; 4];
    for (word, bytes) in words.iter_mut().zip(secret.as_chunks::<8>().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    words
}

/// Turns rows into numbers under secrets drawn for one comparison.
///
/// The [`number`] of a row is taken under one of two secrets: which
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
            Some(Ok(pin)) => number(&self.pin, key, &canonical(pin)),
            _ => number(&self.stored, key, value),
        };
        Hashed { row, unreadable: matches!(view, Some(Err(_))) }
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
