//! IPFS-Cluster's file formats, as codecs that do no input or output of their own.
//!
//! A [`Decoder`] is handed the bytes that have arrived so far and gives back whole
//! entries; an [`Encoder`] is handed one stored record at a time and appends its text
//! or bytes to a buffer. Whoever drives them owns the files, the buffers and the
//! threads, so the same code serves a file, a pipe, a socket and a test.

pub mod key;
pub mod manifest;
pub mod ndjson;
pub(crate) mod pieces;
pub mod raft;
pub mod snapshot;

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;

/// Where an entry stands in its input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Number of the entry, counted from 1.
    pub ordinal: u64,
    /// Line on which the entry begins, counted from 1; 0 in a binary format.
    pub line: u64,
    /// Bytes before the entry's first byte.
    pub offset: u64,
}

/// Why an entry cannot be stored, or a stored record cannot be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The field at fault, by its name in the format (`cid`, `allocations[2]`, `key`);
    /// empty where the entry as a whole is at fault.
    pub field: Cow<'static, str>,
    /// What is wrong, in one line without a final stop.
    pub reason: Cow<'static, str>,
    /// Byte offset of the fault in the whole input, where it is known more closely
    /// than the entry's own [`Position::offset`].
    pub offset: Option<u64>,
    /// Whether the reader knows where the next entry begins.
    pub recoverable: bool,
}

impl Fault {
    /// A fault of a stored record as a whole, after which the next one can be read.
    pub(crate) fn whole(reason: impl Into<Cow<'static, str>>) -> Self {
        Self { field: Cow::Borrowed(""), reason: reason.into(), offset: None, recoverable: true }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.reason)
    }
}

impl std::error::Error for Fault {}

/// One entry that a [`Decoder`] found.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Where it stands.
    pub at: Position,
    /// The record to store (CID bytes, protobuf value), or why there is none. The value has
    /// memory of its own, which a store may take over; the key shares some with its
    /// neighbours, so it is to be copied where it is kept.
    pub body: Result<(Bytes, Bytes), Fault>,
    /// The entry's own bytes; empty unless `body` is a fault.
    pub raw: Bytes,
    /// What ipfs-cluster lets through and a strict reader would refuse, one for each kind;
    /// always empty from a strict reader. Together with a fault: ipfs-cluster goes on after
    /// this entry, and so is the caller to; it is not stored, and reported.
    pub let_through: Vec<&'static str>,
}

/// How lenient a reader is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Leniency {
    /// Every entry must be whole, well formed and a valid pin.
    #[default]
    Strict,
    /// As ipfs-cluster v1.1.6: what it lets through is stored and counted.
    Compat,
}

/// A format's reader, without input of its own.
pub trait Decoder: Send {
    /// Decodes the whole entries at the start of `input` and appends them to `out`.
    ///
    /// Returns how many bytes of `input` are used up; the rest must be handed in again,
    /// followed by more. `at_end` says that nothing follows `input`. A decoder stops
    /// early (with bytes left over) once `out` holds `limit` entries. After an entry whose
    /// fault is not recoverable it finds no more.
    fn decode(&mut self, input: &[u8], at_end: bool, limit: usize, out: &mut Vec<Entry>) -> usize;
}

/// A format's writer, without output of its own.
pub trait Encoder: Send {
    /// Appends one record to `out`, or leaves `out` as it was and says why not.
    fn encode(&mut self, key: &[u8], value: &[u8], out: &mut Vec<u8>) -> Result<(), Fault>;
}
