//! How a record stands in the engine.
//!
//! A namespace has a keyspace of rows. The engine's key is one byte, since it takes no empty
//! key, and the record's key. The row is
//!
//! ```text
//! tag (1)  version (8, big-endian)  body  CRC-32 of key, tag, version and body (4)
//! ```
//!
//! where the body of a live record is its value; of one whose value is long, the value's
//! length (4) and CRC-32 (4), and the value stands under the same key in a second keyspace; and
//! of a marker, nothing. Both are written in one batch, so neither is ever there without the
//! other. Reading keys and versions thus never reads a long value, and compaction of rows
//! never moves one.

use bytes::{BufMut, Bytes, BytesMut};
use pinstate_core::{Contender, Error, Key, Operation, Result, Version};

use crate::error;

/// Values from this length on stand apart.
pub(crate) const LONG_VALUE_BYTES: usize = 16 << 10;

const MARKER: u8 = 0;
const LIVE: u8 = 1;
const LONG: u8 = 2;

const HEAD: usize = 9;
const SUM: usize = 4;

/// The engine's key of a record's.
pub(crate) fn engine_key(key: &[u8]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(key.len() + 1);
    bytes.put_u8(0);
    bytes.put_slice(key);
    bytes.freeze()
}

/// The bytes that a write takes of the memory of its call.
pub(crate) fn written_bytes(key: &[u8], value: Option<&[u8]>) -> usize {
    1 + key.len() + HEAD + SUM + body(value).1
}

/// The tag of a row, and the length of its body.
fn body(value: Option<&[u8]>) -> (u8, usize) {
    match value {
        None => (MARKER, 0),
        Some(value) if value.len() < LONG_VALUE_BYTES => (LIVE, value.len()),
        Some(_) => (LONG, 8),
    }
}

/// The record's key of the engine's.
pub(crate) fn record_key(engine_key: &Bytes) -> Key {
    Key::new(engine_key.slice_ref(record_part(engine_key)))
}

/// The bytes of the record's key in the engine's.
pub(crate) fn record_part(engine_key: &[u8]) -> &[u8] {
    engine_key.get(1..).unwrap_or_default()
}

/// What a write stores: a live record, or the marker of a conditional delete.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) version: Version,
    /// The row as the engine has it.
    pub(crate) bytes: Bytes,
    /// The value that stands apart.
    pub(crate) long: Option<Bytes>,
}

impl Row {
    /// The engine's key of a record, and the row that is to stand there; a marker without a
    /// value. Both are put into the memory of their call, `room`: the engine's tables in memory
    /// keep them, and a piece for each of them would cost as much as the rest of a write.
    pub(crate) fn new(
        key: &[u8],
        version: Version,
        value: Option<Bytes>,
        room: &mut BytesMut,
    ) -> (Bytes, Self) {
        room.put_u8(0);
        room.put_slice(key);
        let engine_key = room.split().freeze();
        let bytes = encode(&engine_key, version, value.as_deref(), room);
        let long = value.filter(|value| value.len() >= LONG_VALUE_BYTES);
        (engine_key, Self { version, bytes, long })
    }

    pub(crate) fn is_live(&self) -> bool {
        self.bytes.first().is_some_and(|tag| *tag != MARKER)
    }

    pub(crate) fn contender(&self) -> Contender<'_> {
        let value = match &self.long {
            Some(long) => Some(&long[..]),
            None if self.is_live() => self.bytes.get(HEAD..self.bytes.len().saturating_sub(SUM)),
            None => None,
        };
        Contender { version: self.version, value }
    }

    /// How many bytes it takes of a group.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() + self.long.as_ref().map_or(0, Bytes::len)
    }
}

fn encode(engine_key: &[u8], version: Version, value: Option<&[u8]>, room: &mut BytesMut) -> Bytes {
    let tag = body(value).0;
    room.put_u8(tag);
    room.put_i64(version.0);
    match value {
        Some(long) if tag == LONG => {
            room.put_u32(u32::try_from(long.len()).unwrap_or(u32::MAX));
            room.put_u32(crc32fast::hash(long));
        }
        value => room.put_slice(value.unwrap_or_default()),
    }
    let sum = checksum(engine_key, room);
    room.put_u32(sum);
    room.split().freeze()
}

fn checksum(engine_key: &[u8], row: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(engine_key);
    hasher.update(row);
    hasher.finalize()
}

/// What a row says without its long value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head<'r> {
    pub(crate) version: Version,
    pub(crate) body: Body<'r>,
}

/// Where the value of a row is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Body<'r> {
    Marker,
    /// In the row itself.
    Here(&'r [u8]),
    /// In the keyspace of long values, with this length and CRC-32.
    Apart {
        len: u32,
        sum: u32,
    },
}

/// What is wrong with a row.
pub(crate) type Reason = &'static str;

impl<'r> Head<'r> {
    /// Reads a row.
    pub(crate) fn decode(engine_key: &[u8], row: &'r [u8]) -> Result<Self, Reason> {
        let Some((rest, sum)) = row.split_last_chunk::<SUM>() else {
            return Err("the row is cut off");
        };
        if checksum(engine_key, rest) != u32::from_be_bytes(*sum) {
            return Err("the row's checksum does not fit");
        }
        let Some((head, body)) = rest.split_first_chunk::<HEAD>() else {
            return Err("the row is cut off");
        };
        let [tag, version @ ..] = *head;
        let body = match (tag, body) {
            (MARKER, []) => Body::Marker,
            (LIVE, body) => Body::Here(body),
            (LONG, body) => match body.as_chunks::<4>() {
                ([len, sum], []) => {
                    Body::Apart { len: u32::from_be_bytes(*len), sum: u32::from_be_bytes(*sum) }
                }
                _ => return Err("the row does not say where its value is"),
            },
            _ => return Err("the row is of no known kind"),
        };
        Ok(Self { version: Version(i64::from_be_bytes(version)), body })
    }

    pub(crate) fn is_live(&self) -> bool {
        !matches!(self.body, Body::Marker)
    }
}

/// Whether a long value is the one that its row speaks of.
pub(crate) fn check_long(value: Option<Bytes>, len: u32, sum: u32) -> Result<Bytes, Reason> {
    let value = value.ok_or("the row's long value is missing")?;
    if value.len() as u64 != u64::from(len) || crc32fast::hash(&value) != sum {
        return Err("the checksum of the row's long value does not fit");
    }
    Ok(value)
}

/// The error of a single read that met a damaged row.
pub(crate) fn damaged(operation: Operation, key: &Key, reason: Reason) -> Error {
    error::corrupt(operation, reason).with_key(key.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_survive_and_no_flipped_bit_does() {
        for value in [None, Some(0), Some(1), Some(LONG_VALUE_BYTES - 1), Some(LONG_VALUE_BYTES)] {
            let value = value.map(|len| Bytes::from(vec![7; len]));
            let bytes = written_bytes(b"key", value.as_deref());
            let mut room = BytesMut::with_capacity(bytes);
            let (key, row) = Row::new(b"key", Version(-5), value.clone(), &mut room);
            assert_eq!((&key, record_key(&key)), (&engine_key(b"key"), Key::copy_from(b"key")));
            assert_eq!(key.len() + row.bytes.len(), bytes);
            let Contender { version, value: held } = row.contender();
            assert_eq!((version, held), (Version(-5), value.as_deref()));
            assert_eq!(row.is_live(), value.is_some());
            let bytes = row.bytes;
            let head = Head::decode(&key, &bytes).unwrap();
            assert_eq!((head.version, head.is_live()), (Version(-5), value.is_some()));
            match head.body {
                Body::Marker => assert!(value.is_none()),
                Body::Here(body) => assert_eq!(Some(body), value.as_deref()),
                Body::Apart { len, sum } => {
                    let value = value.unwrap();
                    check_long(Some(value.clone()), len, sum).unwrap();
                    assert!(check_long(Some(value.slice(1..)), len, sum).is_err());
                    assert!(check_long(None, len, sum).is_err());
                }
            }
            for bit in 0..bytes.len().min(40) * 8 {
                let mut flipped = bytes.to_vec();
                flipped[bit / 8] ^= 1 << (bit % 8);
                assert!(Head::decode(&key, &flipped).is_err(), "bit {bit}");
            }
            assert!(Head::decode(&engine_key(b"kez"), &bytes).is_err(), "another key's row");
        }
    }
}
