//! One JSON document, read straight to the record that is stored for it.

use bytes::Bytes;

use crate::format::{Fault, Leniency};
use crate::pin::fault::{element, fault};
use crate::pin::proto::{self, Parts};
use crate::pin::time::{UnixSeconds, parse_rfc3339};
use crate::pin::{PeerId, PinMode, PinType, cid, origin, peer};

use super::lex::{Cursor, RawString, Stop, unescape};
use super::quirk::Quirk;
use super::scratch::Scratch;

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

/// Characters in the text of an Ed25519 key's peer ID, the kind of peer ID in use today.
const ED25519_TEXT: usize = 52;

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
    scratch: Scratch,
}

/// Passes the key of a field with its colon, if it comes next and is written as usual.
#[inline(always)]
fn eat_key(field: Field, cursor: &mut Cursor<'_>) -> bool {
    // Literals, so that each is compared in a few words and not by a call.
    match field {
        Field::ReplicationMin => cursor.eat(b"\"replication_factor_min\":"),
        Field::ReplicationMax => cursor.eat(b"\"replication_factor_max\":"),
        Field::Name => cursor.eat(b"\"name\":"),
        Field::Mode => cursor.eat(b"\"mode\":"),
        Field::ShardSize => cursor.eat(b"\"shard_size\":"),
        Field::UserAllocations => cursor.eat(b"\"user_allocations\":"),
        Field::ExpireAt => cursor.eat(b"\"expire_at\":"),
        Field::Metadata => cursor.eat(b"\"metadata\":"),
        Field::PinUpdate => cursor.eat(b"\"pin_update\":"),
        Field::Origins => cursor.eat(b"\"origins\":"),
        Field::Cid => cursor.eat(b"\"cid\":"),
        Field::Type => cursor.eat(b"\"type\":"),
        Field::Allocations => cursor.eat(b"\"allocations\":"),
        Field::MaxDepth => cursor.eat(b"\"max_depth\":"),
        Field::Reference => cursor.eat(b"\"reference\":"),
        Field::Timestamp => cursor.eat(b"\"timestamp\":"),
    }
}

/// The fields of a document, in the order in which they are written.
static FIELDS: [Field; 16] = [
    Field::ReplicationMin,
    Field::ReplicationMax,
    Field::Name,
    Field::Mode,
    Field::ShardSize,
    Field::UserAllocations,
    Field::ExpireAt,
    Field::Metadata,
    Field::PinUpdate,
    Field::Origins,
    Field::Cid,
    Field::Type,
    Field::Allocations,
    Field::MaxDepth,
    Field::Reference,
    Field::Timestamp,
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    ReplicationMin,
    ReplicationMax,
    Name,
    Mode,
    ShardSize,
    UserAllocations,
    ExpireAt,
    Metadata,
    PinUpdate,
    Origins,
    Cid,
    Type,
    Allocations,
    MaxDepth,
    Reference,
    Timestamp,
}

impl Field {
    /// The key as it is written.
    fn name(self) -> &'static str {
        match self {
            Self::ReplicationMin => "replication_factor_min",
            Self::ReplicationMax => "replication_factor_max",
            Self::Name => "name",
            Self::Mode => "mode",
            Self::ShardSize => "shard_size",
            Self::UserAllocations => "user_allocations",
            Self::ExpireAt => "expire_at",
            Self::Metadata => "metadata",
            Self::PinUpdate => "pin_update",
            Self::Origins => "origins",
            Self::Cid => "cid",
            Self::Type => "type",
            Self::Allocations => "allocations",
            Self::MaxDepth => "max_depth",
            Self::Reference => "reference",
            Self::Timestamp => "timestamp",
        }
    }

    /// The field of a key, which Go compares without regard to case, by Unicode's simple
    /// folding. Of the letters beyond ASCII two fold into it: the long s and the kelvin.
    fn of_key(key: &str) -> Option<Self> {
        let folded = key
            .chars()
            .map(|letter| match letter {
                '\u{17f}' => 's',
                '\u{212a}' => 'k',
                other => other.to_ascii_lowercase(),
            })
            .collect::<String>();
        FIELDS.into_iter().find(|field| field.name() == folded)
    }
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

    /// `null` empties what may be empty and leaves the rest as it was.
    fn null(&mut self, field: Field, at: usize) {
        let scratch = &mut self.scratch;
        match field {
            Field::UserAllocations => {}
            Field::Metadata => scratch.clear_metadata(),
            Field::PinUpdate => scratch.pin_update.clear(),
            Field::Origins => scratch.origins.clear(),
            Field::Cid => scratch.cid.clear(),
            Field::Allocations => scratch.allocations.clear(),
            Field::Reference => scratch.reference.clear(),
            Field::Type => {
                scratch.pin_type = Some(PinType::SHARD.stored());
                self.quirk(Quirk::AllType, field.name(), at);
            }
            Field::Mode => scratch.mode = Some(PinMode::Recursive),
            // A depth of null is no depth: `finish` treats it as missing.
            Field::ReplicationMin
            | Field::ReplicationMax
            | Field::Name
            | Field::ShardSize
            | Field::ExpireAt
            | Field::MaxDepth
            | Field::Timestamp => {}
        }
    }

    /// A string; anything else is passed and refused.
    fn string<'a>(
        &mut self,
        field: Field,
        cursor: &mut Cursor<'a>,
    ) -> Result<Option<RawString<'a>>, Stop> {
        let at = cursor.at();
        if cursor.peek()? == b'"' {
            return cursor.string().map(Some);
        }
        cursor.skip_value(1, false)?;
        self.refuse(field.name(), at, "is no string");
        Ok(None)
    }

    /// A whole number without fraction and exponent; anything else is passed and refused.
    fn number<N: std::str::FromStr + Default>(
        &mut self,
        field: Field,
        reason: &'static str,
        cursor: &mut Cursor<'_>,
    ) -> Result<N, Stop> {
        let at = cursor.at();
        let number = if let b'-' | b'0'..=b'9' = cursor.peek()? {
            let digits = cursor.number(false)?;
            std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok())
        } else {
            cursor.skip_value(1, false)?;
            None
        };
        if number.is_none() {
            self.refuse(field.name(), at, reason);
        }
        Ok(number.unwrap_or_default())
    }

    /// A number of 64 bits, of which storage has the lower 32.
    fn int32(&mut self, field: Field, cursor: &mut Cursor<'_>) -> Result<i32, Stop> {
        let at = cursor.at();
        let number: i64 = self.number(field, "is no whole number of 64 bits", cursor)?;
        if i32::try_from(number).is_err() {
            self.quirk(Quirk::CutNumber, field.name(), at);
        }
        Ok(number as i32)
    }

    fn mode(&mut self, raw: RawString<'_>, at: usize) {
        let mode = match plain_text(raw, &mut self.scratch.text) {
            b"direct" => Some(PinMode::Direct),
            b"recursive" => Some(PinMode::Recursive),
            _ => None,
        };
        if mode.is_none() {
            self.quirk(Quirk::UnknownMode, "mode", at);
        }
        self.scratch.mode = mode.or(Some(PinMode::Recursive));
    }

    fn pin_type(&mut self, first: u8, cursor: &mut Cursor<'_>) -> Result<(), Stop> {
        let at = cursor.at();
        if first.is_ascii_digit() {
            // Written by v0.11 to v0.14.5: the type's bit, or several.
            let bits: u64 = self.number(Field::Type, "is no type", cursor)?;
            self.scratch.pin_type = Some(bits.checked_ilog2().unwrap_or(0) as u8);
            if !bits.is_power_of_two() || bits > PinType::SHARD.bit() {
                self.quirk(Quirk::UnknownType, "type", at);
            }
            return Ok(());
        }
        let Some(raw) = self.string(Field::Type, cursor)? else {
            return Ok(());
        };
        let text = std::str::from_utf8(plain_text(raw, &mut self.scratch.text));
        let (pin_type, quirk) = match text.unwrap_or_default() {
            "" | "all" => (PinType::SHARD, Some(Quirk::AllType)),
            name => match PinType::from_name(name) {
                Some(pin_type) => (pin_type, None),
                None => (PinType::BAD, Some(Quirk::UnknownType)),
            },
        };
        self.scratch.pin_type = Some(pin_type.stored());
        if let Some(quirk) = quirk {
            self.quirk(quirk, "type", at);
        }
        Ok(())
    }

    fn time(&mut self, field: Field, cursor: &mut Cursor<'_>) -> Result<Option<u64>, Stop> {
        let at = cursor.at();
        let Some(raw) = self.string(field, cursor)? else {
            return Ok(None);
        };
        if raw.body == b"0001-01-01T00:00:00Z" {
            return Ok(Some(0));
        }
        // Go does not look for escapes here, so a time with one is no time.
        let Some(time) = parse_rfc3339(raw.body) else {
            self.refuse(field.name(), at, "is no RFC 3339 time");
            return Ok(None);
        };
        if !time.proper {
            self.quirk(Quirk::ImproperTime, field.name(), at);
        }
        let stored = time.stored();
        let zero = time.seconds == UnixSeconds::GO_ZERO.0;
        if (stored == 0 && !zero) || (zero && time.fraction) {
            self.quirk(Quirk::TimeLost, field.name(), at);
        }
        Ok(Some(stored))
    }

    fn cid(&mut self, field: Field, first: u8, cursor: &mut Cursor<'_>) -> Result<(), Stop> {
        let at = cursor.at();
        let raw = if first == b'{' {
            self.legacy_cid(field, cursor)?
        } else {
            self.string(field, cursor)?
        };
        let Some(raw) = raw else {
            return Ok(());
        };
        let Scratch { text, cid, pin_update, reference, .. } = &mut self.scratch;
        let to = match field {
            Field::PinUpdate => pin_update,
            Field::Reference => reference,
            _ => cid,
        };
        to.clear();
        if cid::parse_text(plain_text(raw, text), to).is_none() {
            self.refuse(field.name(), at, "is no CID");
        }
        Ok(())
    }

    /// `{"/": "…"}`, as v0.11 to v0.14.5 wrote CIDs.
    fn legacy_cid<'a>(
        &mut self,
        field: Field,
        cursor: &mut Cursor<'a>,
    ) -> Result<Option<RawString<'a>>, Stop> {
        let start = *cursor;
        cursor.expect(b'{', "an object")?;
        if cursor.peek()? == b'"' && cursor.string()?.body == b"/" {
            cursor.expect(b':', "a colon")?;
            if cursor.peek()? == b'"' {
                let raw = cursor.string()?;
                if cursor.peek()? == b'}' {
                    cursor.expect(b'}', "the object's end")?;
                    return Ok(Some(raw));
                }
            }
        }
        *cursor = start;
        cursor.skip_value(1, false)?;
        self.refuse(field.name(), start.at(), "is no CID");
        Ok(None)
    }

    fn list(&mut self, field: Field, first: u8, cursor: &mut Cursor<'_>) -> Result<(), Stop> {
        if first != b'[' {
            let at = cursor.at();
            cursor.skip_value(1, false)?;
            self.refuse(field.name(), at, "is no list");
            return Ok(());
        }
        match field {
            Field::Allocations => self.scratch.allocations.clear(),
            Field::Origins => self.scratch.origins.clear(),
            _ => {}
        }
        let start = cursor.at();
        cursor.expect(b'[', "a list")?;
        if cursor.empty(b']')? {
            return Ok(());
        }
        if field == Field::UserAllocations {
            self.quirk(Quirk::UserAllocations, field.name(), start);
        }
        let mut index = 0;
        loop {
            self.element(field, index, cursor)?;
            index += 1;
            if !cursor.more(b']', "a comma or the list's end")? {
                return Ok(());
            }
        }
    }

    fn element(&mut self, field: Field, index: usize, cursor: &mut Cursor<'_>) -> Result<(), Stop> {
        // A known text is no more than its own length of plain characters, so a peer that has
        // been met before is not looked through for the end of its string.
        if field == Field::Allocations
            && let Some(peer) =
                cursor.quoted(ED25519_TEXT).and_then(|text| self.scratch.peers.get(text))
        {
            proto::push_allocation(peer, &mut self.scratch.allocations);
            cursor.pass(ED25519_TEXT + 2);
            return Ok(());
        }
        let is_string = cursor.peek()? == b'"';
        let at = cursor.at();
        if !is_string {
            cursor.skip_value(2, false)?;
            self.refuse(element(field.name(), index), at, "is no string");
            return Ok(());
        }
        let raw = cursor.string()?;
        let scratch = &mut self.scratch;
        if field == Field::Origins {
            scratch.text.clear();
            let whole = unescape(raw, &mut scratch.text);
            match origin::parse_text(&scratch.text) {
                Some(bytes) => proto::push_origin(&bytes, &mut scratch.origins),
                None => self.refuse(element(field.name(), index), at, "is no multiaddress"),
            }
            if !whole {
                self.quirk(Quirk::Replaced, field.name(), at);
            }
            return Ok(());
        }
        let text = plain_text(raw, &mut scratch.text);
        match scratch.peers.get_or(text, peer::parse_text) {
            None => self.refuse(element(field.name(), index), at, "is no peer ID"),
            Some(peer) if field == Field::Allocations => {
                proto::push_allocation(peer, &mut scratch.allocations);
            }
            Some(_) => {}
        }
        Ok(())
    }

    /// Entries are added to those of an earlier `metadata` key, as in Go.
    fn metadata(&mut self, first: u8, cursor: &mut Cursor<'_>) -> Result<(), Stop> {
        let at = cursor.at();
        if first != b'{' {
            cursor.skip_value(1, false)?;
            self.refuse("metadata", at, "is no object");
            return Ok(());
        }
        cursor.expect(b'{', "an object")?;
        if cursor.empty(b'}')? {
            return Ok(());
        }
        loop {
            cursor.peek()?;
            let at = cursor.at();
            let key = cursor.string()?;
            cursor.expect(b':', "a colon")?;
            let value = match cursor.peek()? {
                b'"' => Some(cursor.string()?),
                b'n' => {
                    cursor.word("null")?;
                    self.quirk(Quirk::NullMetadata, "metadata", at);
                    None
                }
                _ => {
                    cursor.skip_value(2, false)?;
                    self.refuse("metadata", at, "has a value that is no string");
                    None
                }
            };
            if !self.scratch.add_metadata(key, value) {
                self.quirk(Quirk::Replaced, "metadata", at);
            }
            if !cursor.more(b'}', "a comma or the object's end")? {
                return Ok(());
            }
        }
    }

    /// Notes what ipfs-cluster lets through, or refuses it.
    #[cold]
    fn quirk(&mut self, quirk: Quirk, field: &'static str, at: usize) {
        if self.strict {
            self.refuse(field, at, quirk.reason());
        } else if !self.scratch.let_through.contains(&quirk.kind()) {
            self.scratch.let_through.push(quirk.kind());
        }
    }

    /// Refuses the document for its first fault; it is read on to find its end.
    #[cold]
    fn refuse(
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
        let mut value = Vec::new();
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
        .write(&mut value);
        Ok((Bytes::copy_from_slice(&scratch.cid), Bytes::from(value)))
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

/// The text of a string that should be plain ASCII; it is copied only if it is not.
fn plain_text<'a>(raw: RawString<'a>, scratch: &'a mut Vec<u8>) -> &'a [u8] {
    if !raw.escaped && raw.body.is_ascii() {
        return raw.body;
    }
    scratch.clear();
    unescape(raw, scratch);
    scratch
}
