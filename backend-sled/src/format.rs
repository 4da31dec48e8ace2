//! The bytes on disk: rows, control records, and the names of trees.
//!
//! Format version 1. A store is one sled database:
//!
//! | tree | key | value |
//! |---|---|---|
//! | default | `format` | the contents of the marker file, to tell a mixed-up folder |
//! | default | `barrier` | number of the last barrier, u64 BE |
//! | default | `revision` | last revision given to a control record, u64 BE |
//! | default | `tree` | last number given to a tree of rows, u64 BE |
//! | default | `n/` + name | number of the namespace's tree, u64 BE |
//! | default | `c/` + control key | revision, u64 BE, then the value |
//! | `rows-` + 16 hex digits | the record's key | version, i64 BE; flags, one byte; the value |
//!
//! All bookkeeping is in the one default tree, since the engine writes a batch atomically
//! within one tree only. Flags: 0 is a live record, 1 the marker of a conditional delete,
//! which has no value; anything else is damage.

use pinstate_core::{Contender, Version};

/// The version of what is described here; a higher one on disk is refused untouched.
pub(crate) const FORMAT: u32 = 1;

pub(crate) const KEY_FORMAT: &[u8] = b"format";
pub(crate) const KEY_BARRIER: &[u8] = b"barrier";
pub(crate) const KEY_REVISION: &[u8] = b"revision";
pub(crate) const KEY_TREE: &[u8] = b"tree";
pub(crate) const PREFIX_NAMESPACE: &[u8] = b"n/";
pub(crate) const PREFIX_CONTROL: &[u8] = b"c/";
const PREFIX_ROWS: &str = "rows-";

const HEADER: usize = 9;
const LIVE: u8 = 0;
const DELETED: u8 = 1;

/// A stored row, read in place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Row<'a> {
    pub(crate) version: Version,
    /// The value, or `None` for a delete marker.
    pub(crate) value: Option<&'a [u8]>,
}

impl<'a> Row<'a> {
    /// Reads a row, or says what is wrong with it.
    pub(crate) fn decode(stored: &'a [u8]) -> Result<Self, &'static str> {
        let (version, rest) =
            stored.split_first_chunk::<8>().ok_or("the stored row is shorter than its header")?;
        let version = Version(i64::from_be_bytes(*version));
        match rest.split_first() {
            None => Err("the stored row is shorter than its header"),
            Some((&LIVE, value)) => Ok(Self { version, value: Some(value) }),
            Some((&DELETED, [])) => Ok(Self { version, value: None }),
            Some((&DELETED, _)) => Err("the stored row is a delete marker and has a value"),
            Some(_) => Err("the stored row has unknown flags"),
        }
    }

    /// The stored form of a row; `scratch` saves an allocation.
    pub(crate) fn encode(self, scratch: &mut Vec<u8>) -> sled::IVec {
        scratch.clear();
        scratch.reserve(HEADER + self.value.map_or(0, <[u8]>::len));
        scratch.extend_from_slice(&self.version.0.to_be_bytes());
        scratch.push(if self.value.is_some() { LIVE } else { DELETED });
        scratch.extend_from_slice(self.value.unwrap_or_default());
        sled::IVec::from(scratch.as_slice())
    }

    /// The row as one side of a contest of writes.
    pub(crate) fn contender(&self) -> Contender<'a> {
        Contender { version: self.version, value: self.value }
    }
}

/// The name of a tree of rows.
pub(crate) fn tree_name(number: u64) -> String {
    format!("{PREFIX_ROWS}{number:016x}")
}

/// Whether a tree of this name holds rows.
pub(crate) fn is_tree_of_rows(name: &[u8]) -> bool {
    name.starts_with(PREFIX_ROWS.as_bytes())
}

/// A number as it is stored.
pub(crate) fn decode_number(stored: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(*stored.first_chunk().filter(|_| stored.len() == 8)?))
}

/// A control record's revision and value.
pub(crate) fn decode_control(stored: &[u8]) -> Option<(u64, &[u8])> {
    let (revision, value) = stored.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*revision), value))
}

/// A control record as it is stored.
pub(crate) fn encode_control(revision: u64, value: &[u8]) -> Vec<u8> {
    let mut stored = Vec::with_capacity(8 + value.len());
    stored.extend_from_slice(&revision.to_be_bytes());
    stored.extend_from_slice(value);
    stored
}

/// `prefix` and `key`, one after the other.
pub(crate) fn join(prefix: &[u8], key: &[u8]) -> Vec<u8> {
    [prefix, key].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The suite opens each of them (V1); this sees that none is missing.
    #[test]
    fn every_format_has_a_store_that_was_written_in_it() {
        let fixtures = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
        for format in 1..=FORMAT {
            let fixture = fixtures.join(format!("format-{format}/fixture.json"));
            assert!(fixture.is_file(), "there is no {}: see CONTRIBUTING.md", fixture.display());
        }
    }

    #[test]
    fn rows_have_the_documented_bytes() {
        let mut scratch = Vec::new();
        let live = Row { version: Version(0x0102), value: Some(b"pin") };
        let stored = live.encode(&mut scratch);
        assert_eq!(stored.as_ref(), b"\0\0\0\0\0\0\x01\x02\0pin");
        assert_eq!(Row::decode(&stored), Ok(live));
        let marker = Row { version: Version(-1), value: None };
        let stored = marker.encode(&mut scratch);
        assert_eq!(stored.as_ref(), b"\xff\xff\xff\xff\xff\xff\xff\xff\x01");
        assert_eq!(Row::decode(&stored), Ok(marker));
    }

    #[test]
    fn damaged_rows_are_told_from_all_others() {
        let mut good =
            Row { version: Version(7), value: Some(b"v") }.encode(&mut Vec::new()).to_vec();
        for cut in 0..HEADER {
            assert!(Row::decode(&good[..cut]).is_err(), "{cut} bytes");
        }
        assert!(Row::decode(&good[..HEADER]).unwrap().value == Some(b""));
        for flags in 1..=u8::MAX {
            good[8] = flags;
            assert!(Row::decode(&good).is_err(), "flags {flags}");
        }
    }

    #[test]
    fn numbers_are_exactly_eight_bytes() {
        assert_eq!(decode_number(&7u64.to_be_bytes()), Some(7));
        assert_eq!(decode_number(&[0; 7]), None);
        assert_eq!(decode_number(&[0; 9]), None);
        assert_eq!(decode_control(&encode_control(3, b"x")), Some((3, b"x".as_slice())));
        assert_eq!(decode_control(&[0; 7]), None);
        assert_eq!(tree_name(255), "rows-00000000000000ff");
        assert!(is_tree_of_rows(tree_name(1).as_bytes()) && !is_tree_of_rows(b"__sled__default"));
    }
}
