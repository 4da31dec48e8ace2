//! One JSON document, read straight to the record that is stored for it.

use bytes::Bytes;

use crate::format::pieces::Pieces;
use crate::format::{Fault, Leniency};
use crate::pin::fault::fault;
use crate::pin::proto::{self, Parts};
use crate::pin::{PeerId, PinMode};

use super::field::{FIELDS, Field, eat_key};
use super::lex::{Cursor, Stop};
use super::quirk::Quirk;
use super::scratch::Scratch;
use super::unescape::unescape;

/// What an import sets in every pin, whatever its document says.
#[derive(Clone, Debug, Default)]
pub struct ImportOverrides {
    /// The smallest number of peers, if above 0.
    pub replication_factor_min: i32,
    /// The largest number of peers, if above 0.
    pub replication_factor_max: i32,
    /// The peers that hold the content, unless empty.
    pub allocations: Vec<PeerId>,
}

/// What was found where a document was looked for.
pub(crate) enum Read {
    /// The bytes end within it.
    Incomplete,
    /// No JSON.
    Syntax {
        /// Bytes before the one that does not fit.
        at: usize,
        /// What was expected there.
        expected: &'static str,
    },
    /// A document.
    Document {
        /// Bytes it takes.
        len: usize,
        /// CID and stored value. A fault's offset counts from the document's first byte.
        body: Result<(Bytes, Bytes), Fault>,
        /// What ipfs-cluster lets through and a strict reader refuses.
        let_through: Vec<&'static str>,
    },
}

/// Reads documents of pins.
pub(crate) struct JsonReader {
    strict: bool,
    overrides: ImportOverrides,
    allocations: Vec<u8>,
    pub(super) scratch: Scratch,
    value: Vec<u8>,
    keys: Pieces,
}

impl JsonReader {
    pub(crate) fn new(leniency: Leniency, overrides: ImportOverrides) -> Self {
        let mut allocations = Vec::new();
        for peer in &overrides.allocations {
            proto::push_allocation(peer.as_bytes(), &mut allocations);
        }
        Self {
            strict: leniency == Leniency::Strict,
            overrides,
            allocations,
            scratch: Scratch::new(),
            value: Vec::new(),
            keys: Pieces::new(),
        }
    }

    /// Reads the document at the start of `input`, without white space before it.
    pub(crate) fn read(&mut self, input: &[u8], at_end: bool) -> Read {
        self.scratch.clear();
        let mut cursor = Cursor::new(input);
        match self.document(&mut cursor, at_end) {
            Ok(()) => Read::Document {
                len: cursor.at(),
                body: self.finish(),
                let_through: std::mem::take(&mut self.scratch.let_through),
            },
            Err(Stop::Incomplete) => Read::Incomplete,
            Err(Stop::Syntax { at, expected }) => Read::Syntax { at, expected },
        }
    }

    fn document(&mut self, cursor: &mut Cursor<'_>, at_end: bool) -> Result<(), Stop> {
        if cursor.peek()? == b'[' {
            // It may be the whole export, so it is not read to its end.
            return cursor.syntax("one pin after another and not a list of them");
        }
        if cursor.peek()? != b'{' {
            // To Go, `null` is a pin without anything: the missing CID is found below.
            let is_null = cursor.peek()? == b'n';
            cursor.skip_value(0, at_end)?;
            if !is_null {
                self.refuse("", 0, "is no JSON object, as a pin is");
            }
            return Ok(());
        }
        cursor.expect(b'{', "an object")?;
        if cursor.empty(b'}')? {
            return Ok(());
        }
        let mut expected = FIELDS.iter();
        loop {
            // Whoever writes pins writes the keys in one order and without spaces.
            match expected.next().filter(|field| eat_key(**field, cursor)) {
                Some(field) => self.field(*field, cursor)?,
                None => self.unexpected_key(cursor)?,
            }
            if !cursor.more(b'}', "a comma or the object's end")? {
                return Ok(());
            }
        }
    }

    /// A key that is not the next one in the usual order, or written otherwise.
    fn unexpected_key(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Stop> {
        cursor.peek()?;
        let at = cursor.at();
        let raw = cursor.string()?;
        cursor.expect(b':', "a colon")?;
        let mut key = Vec::new();
        let whole = unescape(raw, &mut key);
        let key = String::from_utf8_lossy(&key).into_owned();
        match Field::of_key(&key).filter(|_| whole) {
            Some(field) => {
                if field.name() != key {
                    self.quirk(Quirk::KeyCase, field.name(), at);
                }
                self.field(field, cursor)
            }
            None => {
                if self.strict {
                    let shown: String = key.chars().take(60).collect();
                    let reason = Quirk::UnknownKey.reason();
                    self.refuse(format!("{shown:?}"), at, reason);
                } else {
                    self.quirk(Quirk::UnknownKey, "", at);
                }
                cursor.skip_value(1, false)
            }
        }
    }

    fn field(&mut self, field: Field, cursor: &mut Cursor<'_>) -> Result<(), Stop> {
        let first = cursor.peek()?;
        let at = cursor.at();
        let bit = 1 << field as u16;
        if self.scratch.seen & bit != 0 {
            self.quirk(Quirk::KeyTwice, field.name(), at);
        }
        self.scratch.seen |= bit;
        if first == b'n' {
            if !cursor.eat(b"null") {
                cursor.word("null")?;
            }
            self.null(field, at);
            return Ok(());
        }
        match field {
            Field::ReplicationMin => {
                self.scratch.replication_min = self.int32(field, cursor)?;
            }
            Field::ReplicationMax => {
                self.scratch.replication_max = self.int32(field, cursor)?;
            }
            Field::MaxDepth => self.scratch.max_depth = Some(self.int32(field, cursor)?),
            Field::ShardSize => {
                self.scratch.shard_size =
                    self.number(field, "is no whole number below 2^64", cursor)?;
            }
            Field::Name => {
                if let Some(raw) = self.string(field, cursor)? {
                    self.scratch.name.clear();
                    if !unescape(raw, &mut self.scratch.name) {
                        self.quirk(Quirk::Replaced, "name", at);
                    }
                }
            }
            Field::Mode => {
                if let Some(raw) = self.string(field, cursor)? {
                    self.mode(raw, at);
                }
            }
            Field::Type => self.pin_type(first, cursor)?,
            Field::ExpireAt => {
                if let Some(stored) = self.time(field, cursor)? {
                    self.scratch.expire_at = stored;
                }
            }
            Field::Timestamp => {
                if let Some(stored) = self.time(field, cursor)? {
                    self.scratch.timestamp = stored;
                }
            }
            Field::Cid | Field::PinUpdate | Field::Reference => {
                self.cid(field, first, cursor)?;
            }
            Field::Allocations | Field::UserAllocations | Field::Origins => {
                self.list(field, first, cursor)?;
            }
            Field::Metadata => self.metadata(first, cursor)?,
        }
        Ok(())
    }

    /// Notes what ipfs-cluster lets through, or refuses it.
    #[cold]
    pub(super) fn quirk(&mut self, quirk: Quirk, field: &'static str, at: usize) {
        if self.strict {
            self.refuse(field, at, quirk.reason());
        } else if !self.scratch.let_through.contains(&quirk.kind()) {
            self.scratch.let_through.push(quirk.kind());
        }
    }

    /// Refuses the document for its first fault; it is read on to find its end.
    #[cold]
    pub(super) fn refuse(
        &mut self,
        field: impl Into<std::borrow::Cow<'static, str>>,
        at: usize,
        reason: &'static str,
    ) {
        self.scratch.fault.get_or_insert_with(|| {
            let mut fault = fault(field, reason);
            fault.offset = Some(at as u64);
            fault
        });
    }

    /// Checks what no single field shows, and builds the record.
    fn finish(&mut self) -> Result<(Bytes, Bytes), Fault> {
        if self.scratch.fault.is_none() {
            self.whole();
        }
        if let Some(fault) = self.scratch.fault.take() {
            return Err(fault);
        }
        let or = |set: i32, read: i32| if set > 0 { set } else { read };
        let scratch = &self.scratch;
        self.value.clear();
        Parts {
            cid: &scratch.cid,
            pin_type: scratch.pin_type.unwrap_or_default(),
            allocations: if self.allocations.is_empty() {
                &scratch.allocations
            } else {
                &self.allocations
            },
            max_depth: scratch.max_depth.unwrap_or_default(),
            reference: &scratch.reference,
            timestamp: scratch.timestamp,
            replication_factor_min: or(
                self.overrides.replication_factor_min,
                scratch.replication_min,
            ),
            replication_factor_max: or(
                self.overrides.replication_factor_max,
                scratch.replication_max,
            ),
            name: &scratch.name,
            shard_size: scratch.shard_size,
            pin_update: &scratch.pin_update,
            expire_at: scratch.expire_at,
            origins: &scratch.origins,
            metadata: &scratch.metadata,
        }
        .write(&mut self.value);
        Ok((self.keys.copy(&scratch.cid), Bytes::copy_from_slice(&self.value)))
    }

    fn whole(&mut self) {
        if self.scratch.cid.is_empty() {
            // Go stores this under the namespace's own key, where no list finds it.
            self.refuse("cid", 0, "is missing, and without it there is no pin");
            return;
        }
        if self.scratch.pin_type.is_none() {
            self.quirk(Quirk::NoType, "type", 0);
        }
        let mode = self.scratch.mode;
        match self.scratch.max_depth {
            None => self.quirk(Quirk::NoDepth, "max_depth", 0),
            Some(depth) if mode.is_some_and(|mode| mode != PinMode::from_depth(depth)) => {
                self.quirk(Quirk::ModeAgainstDepth, "mode", 0);
            }
            Some(_) => {}
        }
        if !self.scratch.sort_metadata() {
            self.quirk(Quirk::KeyTwice, "metadata", 0);
        }
    }
}
