//! What a backend stores: keys, values, versions, and the order of writes.

use std::fmt;

use bytes::Bytes;

/// The key of a record: opaque bytes. [`State`](crate::State) uses the full binary CID,
/// so that CIDv0 and CIDv1 of one multihash are two pins, as in IPFS-Cluster.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Key(Bytes);

impl Key {
    /// A key of these bytes. Cloning a key shares them.
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        Self(bytes.into())
    }

    /// A key that owns a copy of `bytes`.
    #[must_use]
    pub fn copy_from(bytes: &[u8]) -> Self {
        Self(Bytes::copy_from_slice(bytes))
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes, shared.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.0
    }

    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The end of it, for logs that many may read: enough to tell keys apart, and too little to
    /// find the content by. The beginning of all CIDs of one kind is the same.
    #[must_use]
    pub fn short(&self) -> String {
        let from = self.0.len() - (self.0.len() / 2).min(4);
        let end = self.0.get(from..).unwrap_or_default();
        format!("…{} ({} bytes)", data_encoding::HEXLOWER.encode(end), self.0.len())
    }

    /// Whether the key is the empty string of bytes, which is a legal key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// At most this many bytes of a key are printed; a longer one is cut with its length.
const PRINTED_KEY_BYTES: usize = 64;

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.get(..PRINTED_KEY_BYTES).unwrap_or(&self.0);
        for byte in shown {
            write!(f, "{byte:02x}")?;
        }
        if shown.len() < self.0.len() {
            write!(f, "… ({} bytes)", self.0.len())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({self})")
    }
}

impl From<&[u8]> for Key {
    fn from(bytes: &[u8]) -> Self {
        Self::copy_from(bytes)
    }
}

impl AsRef<[u8]> for Key {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// The version of a write: microseconds since the Unix epoch, drawn from the one
/// [`Clock`](crate::Clock) or, with `if newer`, given by the caller.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Debug,
    Default,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(transparent)]
pub struct Version(pub i64);

impl Version {
    /// The lowest version that every backend accepts: CQL servers refuse `i64::MIN` itself.
    pub const MIN: Self = Self(i64::MIN + 1);
    /// The highest version.
    pub const MAX: Self = Self(i64::MAX);

    /// Microseconds since the Unix epoch.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A stored record, or the hidden marker of a conditional delete.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Record {
    /// Its key.
    pub key: Key,
    /// The stored bytes, verbatim; empty for a marker and in a key-only scan.
    pub value: Bytes,
    /// The version of the write that put it there.
    pub version: Version,
    /// Whether this is a marker left by a conditional delete. Only a scan that asks for
    /// markers gives one.
    pub deleted: bool,
    /// Whether it was read at a lower consistency than configured, since that could not be
    /// met: there may be a newer one. Only a store that was told to do so ever gives one.
    pub degraded: bool,
}

impl Record {
    /// A live record.
    #[must_use]
    pub fn live(key: Key, value: Bytes, version: Version) -> Self {
        Self { key, value, version, deleted: false, degraded: false }
    }

    /// The marker of a conditional delete.
    #[must_use]
    pub fn marker(key: Key, version: Version) -> Self {
        Self { key, value: Bytes::new(), version, deleted: true, degraded: false }
    }

    /// A look at it.
    #[must_use]
    pub fn view(&self) -> RecordView<'_> {
        RecordView::new(self.key.as_bytes(), &self.value, self.version)
    }
}

/// A live record where it stands, for a look at it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct RecordView<'a> {
    /// Its key's bytes.
    pub key: &'a [u8],
    /// The stored bytes, verbatim.
    pub value: &'a [u8],
    /// The version of the write that put it there.
    pub version: Version,
}

impl<'a> RecordView<'a> {
    /// A live record.
    #[must_use]
    pub fn new(key: &'a [u8], value: &'a [u8], version: Version) -> Self {
        Self { key, value, version }
    }

    /// A copy of it.
    #[must_use]
    pub fn to_record(self) -> Record {
        let Self { key, value, version } = self;
        Record::live(Key::copy_from(key), Bytes::copy_from_slice(value), version)
    }
}

/// One side of a contest between two writes of the same key.
#[derive(Clone, Copy, Debug)]
pub struct Contender<'a> {
    /// The write's version.
    pub version: Version,
    /// The value it puts, or `None` for a delete.
    pub value: Option<&'a [u8]>,
}

impl Contender<'_> {
    /// The order of writes: whether `self` replaces `stored`.
    ///
    /// The higher version wins; on equal versions a delete beats a put, and of two puts
    /// the larger bytes win. This is CQL's own rule for one cell, so every backend can
    /// agree with it. A write equal to what is stored does not beat it (and need not).
    #[must_use]
    pub fn beats(&self, stored: &Contender<'_>) -> bool {
        match self.version.cmp(&stored.version) {
            std::cmp::Ordering::Greater => true,
            std::cmp::Ordering::Less => false,
            std::cmp::Ordering::Equal => match (self.value, stored.value) {
                (None, Some(_)) => true,
                (_, None) => false,
                (Some(new), Some(old)) => new > old,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(version: i64, value: &[u8]) -> Contender<'_> {
        Contender { version: Version(version), value: Some(value) }
    }

    fn delete(version: i64) -> Contender<'static> {
        Contender { version: Version(version), value: None }
    }

    #[test]
    fn order_of_writes_is_total_and_is_cqls() {
        assert!(put(2, b"a").beats(&put(1, b"z")));
        assert!(!put(1, b"z").beats(&put(2, b"a")));
        assert!(delete(1).beats(&put(1, b"z")));
        assert!(!put(1, b"z").beats(&delete(1)));
        assert!(put(1, b"b").beats(&put(1, b"a")));
        assert!(put(1, b"ab").beats(&put(1, b"a")));
        for same in [put(1, b"a"), delete(1)] {
            assert!(!same.beats(&same));
        }
        let all = [put(1, b""), put(1, b"a"), delete(1), put(2, b""), delete(2)];
        for (i, a) in all.iter().enumerate() {
            for (j, b) in all.iter().enumerate() {
                assert_eq!(a.beats(b), i > j, "{a:?} against {b:?}");
            }
        }
    }

    #[test]
    fn long_keys_are_cut_in_print() {
        assert_eq!(Key::copy_from(&[0, 0xff]).to_string(), "00ff");
        assert_eq!(
            Key::copy_from(&[7; 65]).to_string(),
            format!("{}… (65 bytes)", "07".repeat(64))
        );
    }
}
