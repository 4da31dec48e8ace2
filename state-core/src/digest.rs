//! Digests of whole pinsets, which do not depend on the order of the records.
//!
//! A digest is a count of rows and the sum, modulo 2^128, of one 128-bit number for each
//! row: the first 16 bytes, taken as a little-endian number, of the BLAKE3 hash of
//!
//! > length of the key (8 bytes, little-endian), key, length of the bytes (8 bytes,
//! > little-endian), bytes
//!
//! Sums can be taken in any order, in parts and in parallel, and then be merged. Adding
//! (and not exclusive-or) keeps a row that occurs twice from cancelling itself out. The
//! version of a record is no part of it, so that two stores which hold the same pins agree.
//!
//! What the bytes are is the digest's [`Kind`]:
//! - `raw:` the stored value, verbatim. Equal only where the stored bytes are.
//! - `pin:` the canonical encoding of the pin, which is what ipfs-cluster v1.1.6 writes for
//!   what it reads from the value. The only kind that survives NDJSON, which keeps no
//!   stored bytes.
//!
//! A row's number is the same in both kinds, so one hash serves both wherever the stored
//! value is canonical already.
//!
//! This finds damage, loss and mix-ups. It is **no defence against forgery**: there is no
//! key in it, and someone who chooses the records can make two sets with the same sum.

mod canonical;

use std::fmt;
use std::str::FromStr;

use crate::format::Fault;
use crate::pin::PinView;

pub use self::canonical::canonical;

/// Rows up to this many bytes are put together on the stack and hashed in one go.
const SMALL_ROW: usize = 1024;

/// What a [`Digest`] is taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The stored bytes, verbatim.
    Raw,
    /// The canonical encoding of each pin.
    Pin,
}

impl Kind {
    /// The word before the first colon of a digest's text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Pin => "pin",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The number that one row adds to a [`Digest`]; see the [module](self).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row(u128);

impl Row {
    /// Hashes one row.
    #[must_use]
    pub fn new(key: &[u8], bytes: &[u8]) -> Self {
        Self::hashed(None, key, bytes)
    }

    /// Hashes one row under a secret, so that whoever does not know it cannot choose rows
    /// whose numbers cancel out. No part of any [`Digest`].
    #[must_use]
    pub fn keyed(secret: &[u8; 32], key: &[u8], bytes: &[u8]) -> Self {
        Self::hashed(Some(secret), key, bytes)
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> u128 {
        self.0
    }

    fn hashed(secret: Option<&[u8; 32]>, key: &[u8], bytes: &[u8]) -> Self {
        let lengths = (key.len() as u64).to_le_bytes();
        let parts = [&lengths[..], key, &(bytes.len() as u64).to_le_bytes(), bytes];
        let mut row = [0; SMALL_ROW];
        let mut free = &mut row[..];
        for part in parts {
            let Some((place, rest)) = free.split_at_mut_checked(part.len()) else {
                return Self::long(secret, parts);
            };
            place.copy_from_slice(part);
            free = rest;
        }
        let used = SMALL_ROW - free.len();
        let row = row.get(..used).unwrap_or_default();
        Self::of(&match secret {
            Some(secret) => blake3::keyed_hash(secret, row),
            None => blake3::hash(row),
        })
    }

    fn long(secret: Option<&[u8; 32]>, parts: [&[u8]; 4]) -> Self {
        let mut hasher = secret.map_or_else(blake3::Hasher::new, blake3::Hasher::new_keyed);
        for part in parts {
            hasher.update(part);
        }
        Self::of(&hasher.finalize())
    }

    fn of(hash: &blake3::Hash) -> Self {
        let (first, _) = hash.as_bytes().split_first_chunk().unwrap_or((&[0; 16], &[]));
        Self(u128::from_le_bytes(*first))
    }
}

/// A count of rows and the sum of their numbers; see the [module](self).
///
/// Its text, which [`Display`](fmt::Display) writes and [`FromStr`] reads, is
/// `KIND:COUNT:SUM`, the sum in 32 lower-case hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Digest {
    kind: Kind,
    count: u64,
    sum: u128,
}

impl Digest {
    /// The digest of no rows.
    #[must_use]
    pub const fn new(kind: Kind) -> Self {
        Self { kind, count: 0, sum: 0 }
    }

    /// What it is taken over.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// How many rows it covers.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Adds the row of `key` and `bytes`: the stored value in a digest of kind
    /// [`Raw`](Kind::Raw), the canonical encoding of the pin in one of kind [`Pin`](Kind::Pin).
    pub fn add(&mut self, key: &[u8], bytes: &[u8]) {
        self.add_row(Row::new(key, bytes));
    }

    /// Adds a pin, in the encoding of the digest's kind.
    pub fn add_pin(&mut self, pin: &PinView<'_>) {
        match self.kind {
            Kind::Raw => self.add(pin.key(), pin.value()),
            Kind::Pin => self.add(pin.key(), &canonical(pin)),
        }
    }

    /// Adds a stored record, in the encoding of the digest's kind.
    ///
    /// # Errors
    /// If a record that is no pin is added to a digest of kind [`Pin`](Kind::Pin); the digest
    /// is then unchanged. One of kind [`Raw`](Kind::Raw) takes every record.
    pub fn add_record(&mut self, key: &[u8], value: &[u8]) -> Result<(), Fault> {
        match self.kind {
            Kind::Raw => self.add(key, value),
            Kind::Pin => self.add_pin(&PinView::new(key, value)?),
        }
        Ok(())
    }

    /// Adds a row that is hashed already, as when one row goes into both kinds.
    pub fn add_row(&mut self, row: Row) {
        self.count = self.count.wrapping_add(1);
        self.sum = self.sum.wrapping_add(row.0);
    }

    /// Adds all rows of another digest.
    ///
    /// # Errors
    /// [`MixedKinds`] if the other is of another kind; this one is then unchanged.
    pub fn merge(&mut self, other: &Self) -> Result<(), MixedKinds> {
        if self.kind != other.kind {
            return Err(MixedKinds { into: self.kind, from: other.kind });
        }
        self.count = self.count.wrapping_add(other.count);
        self.sum = self.sum.wrapping_add(other.sum);
        Ok(())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{:032x}", self.kind, self.count, self.sum)
    }
}

/// Two digests of different kinds, which cannot be merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a {from}: digest cannot be merged into a {into}: digest")]
pub struct MixedKinds {
    /// The kind of the digest that was to be added to.
    pub into: Kind,
    /// The kind of the digest that was to be added.
    pub from: Kind,
}

/// A text that is no digest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is no digest: {reason}; one looks like pin:3:0123456789abcdef0123456789abcdef")]
pub struct ParseDigestError {
    text: String,
    reason: &'static str,
}

impl FromStr for Digest {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fault = |reason| ParseDigestError { text: text.to_owned(), reason };
        let (kind, rest) = text.split_once(':').ok_or_else(|| fault("it has no colon"))?;
        let kind = match kind {
            "raw" => Kind::Raw,
            "pin" => Kind::Pin,
            _ => return Err(fault("it begins with neither raw: nor pin:")),
        };
        let (count, sum) = rest.split_once(':').ok_or_else(|| fault("it has no second colon"))?;
        let canonical_count = count.bytes().all(|byte| byte.is_ascii_digit())
            && (count == "0" || !count.starts_with('0'));
        let count = match count.parse() {
            Ok(count) if canonical_count => count,
            _ => return Err(fault("the count is no plain 64-bit number")),
        };
        let lower_hex = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if sum.len() != 32 || !sum.bytes().all(lower_hex) {
            return Err(fault("the sum is not 32 lower-case hexadecimal digits"));
        }
        let sum = u128::from_str_radix(sum, 16).map_err(|_| fault("the sum is not hexadecimal"))?;
        Ok(Self { kind, count, sum })
    }
}

#[cfg(test)]
#[path = "digest_tests.rs"]
mod tests;
