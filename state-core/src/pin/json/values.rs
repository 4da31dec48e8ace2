//! The values of a document's fields.
//!
//! A value of the wrong kind is passed and refused, so that the document's end is found.

use crate::pin::fault::element;
use crate::pin::time::{UnixSeconds, parse_rfc3339};
use crate::pin::{PinMode, PinType, cid, origin, peer, proto};

use super::field::Field;
use super::lex::{Cursor, RawString, Stop};
use super::quirk::Quirk;
use super::read::JsonReader;
use super::scratch::Scratch;
use super::unescape::unescape;

/// Characters in the text of an Ed25519 key's peer ID, the kind of peer ID in use today.
const ED25519_TEXT: usize = 52;

impl JsonReader {
    /// `null` empties what may be empty and leaves the rest as it was.
    pub(super) fn null(&mut self, field: Field, at: usize) {
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
    pub(super) fn string<'a>(
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
    pub(super) fn number<N: std::str::FromStr + Default>(
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
    pub(super) fn int32(&mut self, field: Field, cursor: &mut Cursor<'_>) -> Result<i32, Stop> {
        let at = cursor.at();
        let number: i64 = self.number(field, "is no whole number of 64 bits", cursor)?;
        if i32::try_from(number).is_err() {
            self.quirk(Quirk::CutNumber, field.name(), at);
        }
        Ok(number as i32)
    }

    pub(super) fn mode(&mut self, raw: RawString<'_>, at: usize) {
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

    pub(super) fn pin_type(&mut self, first: u8, cursor: &mut Cursor<'_>) -> Result<(), Stop> {
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

    pub(super) fn time(
        &mut self,
        field: Field,
        cursor: &mut Cursor<'_>,
    ) -> Result<Option<u64>, Stop> {
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

    pub(super) fn cid(
        &mut self,
        field: Field,
        first: u8,
        cursor: &mut Cursor<'_>,
    ) -> Result<(), Stop> {
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

    pub(super) fn list(
        &mut self,
        field: Field,
        first: u8,
        cursor: &mut Cursor<'_>,
    ) -> Result<(), Stop> {
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
    pub(super) fn metadata(&mut self, first: u8, cursor: &mut Cursor<'_>) -> Result<(), Stop> {
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
