//! The snapshot: ipfs-cluster's binary dump of a pinset (`dsstate`, `Marshal` and
//! `Unmarshal`), which is also the `state.bin` of a [raft snapshot](super::raft).
//!
//! A snapshot is a bare row of entries, with no header, count or checksum. Each entry is a
//! msgpack map of two fields in this order, both byte strings of the old raw family
//! (`fixraw` below 32 bytes, `raw16` below 65,536, else `raw32`):
//!
//! > `82` · `a1 6b` ("k") key · `a1 76` ("v") value
//!
//! The key is the [key text](super::key) of the CID, the value is the stored protobuf pin.
//!
//! # Strict and lenient
//! [`Leniency::Strict`] takes exactly what [`SnapshotEncoder`] writes, so that what it
//! accepts would be written again byte for byte, and whose values are pins.
//!
//! [`Leniency::Compat`] takes what go-codec 1.2.12 takes, in all its layouts, and stores
//! values that are no pins. It counts these, and tells the three things apart that
//! ipfs-cluster does not:
//! - a key that is not the canonical text of a CID is a fault, here too: no pin can be found
//!   under it. (One that only has path separators around it is the same key to ipfs-cluster,
//!   and is let through);
//! - an entry that the codec gives up on is a fault that ends the reading;
//! - a last entry that is cut short, which ipfs-cluster drops in silence, is a fault that
//!   comes *with* a note in [`Entry::let_through`]: it is to be counted, not refused.

mod entry;

use bytes::Bytes;

use self::entry::{ENTRY, KEY, Oddity, Parsed, Stop, VALUE, parse_any, parse_written};
use super::key::{self, KeyFault};
use super::pieces::Pieces;
use super::{Decoder, Encoder, Entry, Fault, Leniency, Position};
use crate::pin::PinView;

/// The longest entry that is read, in bytes. A longer one is refused before its bytes are
/// kept: no store would take it.
pub const MAX_ENTRY: usize = 64 << 20;

/// In [`Entry::let_through`]: the same content in another layout than ipfs-cluster writes.
pub const OTHER_LAYOUT: &str = "entry in another msgpack layout";
/// In [`Entry::let_through`]: a field besides `k` and `v`, which is ignored.
pub const UNKNOWN_FIELD: &str = "unknown field";
/// In [`Entry::let_through`]: a field that occurs again; the last one is taken.
pub const REPEATED_FIELD: &str = "repeated field";
/// In [`Entry::let_through`]: no value, or nil; stored as an empty one.
pub const NO_VALUE: &str = "entry without a value";
/// In [`Entry::let_through`]: a key with path separators, which ipfs-cluster takes away.
pub const PATH_KEY: &str = "key written as a path";
/// In [`Entry::let_through`]: a value that is no pin, stored all the same.
pub const UNDECODABLE: &str = "value that is no pin";
/// In [`Entry::let_through`]: a last entry that is cut short; nothing is stored of it.
pub const CUT_SHORT: &str = "last entry cut short";

/// Reads snapshots.
#[derive(Debug)]
pub struct SnapshotDecoder {
    leniency: Leniency,
    /// Where the next entry begins.
    at: Position,
    /// Fewer bytes than this cannot hold the whole next entry.
    need: usize,
    state: State,
    /// The CID bytes of the key at hand.
    cid: Vec<u8>,
    keys: Pieces,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// At the start of an entry.
    Reading,
    /// Within an entry of at least `need` bytes, too many, of which so many are dropped.
    Dropping { need: u64, dropped: u64 },
    /// After the end, or after a fault that ends the reading.
    Ended,
}

impl SnapshotDecoder {
    /// A reader at the start of a snapshot.
    #[must_use]
    pub fn new(leniency: Leniency) -> Self {
        let at = Position { ordinal: 1, line: 0, offset: 0 };
        Self {
            leniency,
            at,
            need: 1,
            state: State::Reading,
            cid: Vec::with_capacity(64),
            keys: Pieces::new(),
        }
    }

    /// The entry at the start of `input`, and its length.
    fn entry(&mut self, input: &[u8]) -> Result<(Entry, usize), Stop> {
        if let Some((key, value, len)) = parse_written(input) {
            return Ok((self.check(input, key, value, len, &[]), len));
        }
        let Parsed { key, value, len, oddities } = parse_any(input)?;
        Ok((self.check(input, &key, &value, len, &oddities), len))
    }

    /// Judges an entry that was read whole.
    fn check(
        &mut self,
        input: &[u8],
        key: &[u8],
        value: &[u8],
        len: usize,
        oddities: &[(Oddity, usize)],
    ) -> Entry {
        let strict = self.leniency == Leniency::Strict;
        let mut let_through = Vec::new();
        let body = match oddities.first() {
            Some((oddity, at)) if strict => Err(self.oddity_fault(*oddity, *at)),
            _ => match key::parse(key, &mut self.cid) {
                Err(fault) if strict || !self.is_path(key) => Err(key_fault(&fault)),
                Err(_) => {
                    let_through.push(PATH_KEY);
                    Ok(())
                }
                Ok(()) => Ok(()),
            },
        };
        let body = body.and_then(|()| {
            let_through.extend(oddities.iter().map(|(oddity, _)| note(*oddity)));
            match PinView::new(&self.cid, value) {
                Err(fault) if strict => Err(fault),
                Err(_) => {
                    let_through.push(UNDECODABLE);
                    Ok(())
                }
                Ok(_) => Ok(()),
            }
        });
        let raw = match body {
            Ok(()) => Bytes::new(),
            Err(_) => Bytes::copy_from_slice(input.get(..len).unwrap_or(input)),
        };
        let body = body.map(|()| (self.keys.copy(&self.cid), Bytes::copy_from_slice(value)));
        Entry { at: self.at, body, raw, let_through }
    }

    /// Whether the key is the path of a canonical text; if so, puts the CID in its place.
    fn is_path(&mut self, key: &[u8]) -> bool {
        let part = key::only_part(key);
        part.is_some_and(|part| key::parse(part, &mut self.cid).is_ok())
    }

    fn oddity_fault(&self, oddity: Oddity, at: usize) -> Fault {
        let (field, reason) = match oddity {
            Oddity::Layout => {
                (ENTRY, "is not laid out as ipfs-cluster writes it; --compat reads it")
            }
            Oddity::UnknownField => (ENTRY, "has a field besides k and v; --compat ignores it"),
            Oddity::RepeatedField => (ENTRY, "has a field twice; --compat takes the last one"),
            Oddity::NoValue => (VALUE, "is missing or nil; --compat stores an empty one"),
        };
        let offset = Some(self.at.offset + at as u64);
        Fault { field: field.into(), reason: reason.into(), offset, recoverable: true }
    }

    /// The entry that ends the reading because ipfs-cluster's codec gives up on it too.
    fn malformed(
        &mut self,
        input: &[u8],
        at: usize,
        field: &'static str,
        reason: &'static str,
    ) -> Entry {
        self.state = State::Ended;
        let offset = Some(self.at.offset + at as u64);
        let fault =
            Fault { field: field.into(), reason: reason.into(), offset, recoverable: false };
        let raw = Bytes::copy_from_slice(input.get(..=at).unwrap_or(input));
        Entry { at: self.at, body: Err(fault), raw, let_through: Vec::new() }
    }

    /// The last entry, of which there are only `len` bytes.
    fn cut_short(&mut self, input: &[u8], len: u64) -> Entry {
        self.state = State::Ended;
        let reason = format!("is cut short: the input ends after {len} bytes of it");
        let offset = Some(self.at.offset + len);
        let fault =
            Fault { field: ENTRY.into(), reason: reason.into(), offset, recoverable: false };
        let let_through = match self.leniency {
            Leniency::Strict => Vec::new(),
            Leniency::Compat => vec![CUT_SHORT],
        };
        Entry { at: self.at, body: Err(fault), raw: Bytes::copy_from_slice(input), let_through }
    }

    /// Drops what `input` holds of an entry that is too long: it is refused where its `need`
    /// bytes have gone by, and cut short where the input ends before that.
    fn drop_some(&mut self, input: &[u8], need: u64, dropped: u64, at_end: bool) -> Option<Entry> {
        let dropped = dropped.saturating_add(input.len() as u64);
        if dropped >= need {
            self.state = State::Ended;
            let reason = format!("is longer than {} MiB, the most that is read", MAX_ENTRY >> 20);
            let fault = Fault {
                field: ENTRY.into(),
                reason: reason.into(),
                offset: None,
                recoverable: false,
            };
            let body = Err(fault);
            Some(Entry { at: self.at, body, raw: Bytes::new(), let_through: Vec::new() })
        } else if at_end {
            Some(self.cut_short(&[], dropped))
        } else {
            self.state = State::Dropping { need, dropped };
            None
        }
    }
}

impl Decoder for SnapshotDecoder {
    /// See [`Decoder::decode`]. Once there are no more entries, all of `input` is used up.
    fn decode(&mut self, input: &[u8], at_end: bool, limit: usize, out: &mut Vec<Entry>) -> usize {
        let mut rest = input;
        while out.len() < limit {
            match self.state {
                State::Ended => return input.len(),
                State::Dropping { need, dropped } => {
                    out.extend(self.drop_some(rest, need, dropped, at_end));
                    return input.len();
                }
                State::Reading if rest.is_empty() && at_end => {
                    self.state = State::Ended;
                    break;
                }
                State::Reading if rest.len() < self.need && !at_end => break,
                State::Reading => {}
            }
            match self.entry(rest.get(..MAX_ENTRY).unwrap_or(rest)) {
                Ok((entry, len)) => {
                    out.push(entry);
                    self.at.ordinal += 1;
                    self.at.offset += len as u64;
                    self.need = 1;
                    rest = rest.get(len..).unwrap_or_default();
                }
                Err(Stop::Malformed { at, field, reason }) => {
                    out.push(self.malformed(rest, at, field, reason));
                }
                Err(Stop::Short { need }) if need > MAX_ENTRY => {
                    self.state = State::Dropping { need: need as u64, dropped: 0 };
                }
                Err(Stop::Short { .. }) if at_end => {
                    out.push(self.cut_short(rest, rest.len() as u64));
                }
                Err(Stop::Short { need }) => self.need = need,
            }
        }
        input.len() - rest.len()
    }
}

fn key_fault(fault: &KeyFault) -> Fault {
    Fault { field: KEY.into(), reason: fault.to_string().into(), offset: None, recoverable: true }
}

/// What [`Entry::let_through`] says of an oddity.
const fn note(oddity: Oddity) -> &'static str {
    match oddity {
        Oddity::Layout => OTHER_LAYOUT,
        Oddity::UnknownField => UNKNOWN_FIELD,
        Oddity::RepeatedField => REPEATED_FIELD,
        Oddity::NoValue => NO_VALUE,
    }
}

/// Writes snapshots with ipfs-cluster's own bytes.
///
/// Values are written as they are, pins or not, as ipfs-cluster does. The order of the entries
/// is the caller's.
#[derive(Clone, Copy, Debug, Default)]
pub struct SnapshotEncoder;

impl SnapshotEncoder {
    /// A writer; nothing comes before the first entry or after the last.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

impl Encoder for SnapshotEncoder {
    fn encode(&mut self, key: &[u8], value: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        if key.is_empty() {
            return Err(key_fault(&KeyFault::Empty));
        }
        let text_len = key::text_len(key.len());
        let entry_len = text_len.saturating_add(value.len()).saturating_add(15);
        if entry_len > MAX_ENTRY {
            let reason =
                format!("is too long for a snapshot: entries end at {} MiB", MAX_ENTRY >> 20);
            let field = VALUE.into();
            return Err(Fault { field, reason: reason.into(), offset: None, recoverable: true });
        }
        out.reserve(entry_len);
        out.extend_from_slice(&[0x82, 0xa1, b'k']);
        write_raw_head(text_len, out);
        key::write(key, out);
        out.extend_from_slice(&[0xa1, b'v']);
        write_raw_head(value.len(), out);
        out.extend_from_slice(value);
        Ok(())
    }
}

/// Appends the shortest header of the old raw family for at most `u32::MAX` bytes.
pub(super) fn write_raw_head(len: usize, out: &mut Vec<u8>) {
    let [.., a, b, c, d] = len.to_be_bytes();
    match len {
        ..32 => out.push(0xa0 | d),
        32..0x1_0000 => out.extend_from_slice(&[0xda, c, d]),
        _ => out.extend_from_slice(&[0xdb, a, b, c, d]),
    }
}

/// Appends the shortest header of an array of at most `u32::MAX` items.
pub(super) fn write_array_head(len: usize, out: &mut Vec<u8>) {
    let [.., a, b, c, d] = len.to_be_bytes();
    match len {
        ..16 => out.push(0x90 | d),
        16..0x1_0000 => out.extend_from_slice(&[0xdc, c, d]),
        _ => out.extend_from_slice(&[0xdd, a, b, c, d]),
    }
}

#[cfg(test)]
mod tests;
