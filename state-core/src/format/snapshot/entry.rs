//! One snapshot entry in msgpack: the one layout that ipfs-cluster writes, read fast, and
//! everything else that its codec reads as an entry.

use std::borrow::Cow;

/// What the parts of an entry are called in faults.
pub(super) const KEY: &str = "key";
pub(super) const VALUE: &str = "value";
pub(super) const ENTRY: &str = "entry";

/// Why no entry could be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// The bytes end within the entry, which is at least `need` bytes long.
    Short { need: usize },
    /// ipfs-cluster's codec gives up here too.
    Malformed { at: usize, field: &'static str, reason: &'static str },
}

/// How an entry differs from the one layout that ipfs-cluster writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Oddity {
    /// The same content in another msgpack layout or in longer headers.
    Layout,
    /// A field that is neither `k` nor `v`.
    UnknownField,
    /// A field for the second time; the last one counts.
    RepeatedField,
    /// No value, or nil for one.
    NoValue,
}

/// An entry that was read from somewhere.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parsed<'a> {
    /// The key text; empty where there is none, or nil.
    pub(super) key: Cow<'a, [u8]>,
    /// The value; empty where there is none, or nil.
    pub(super) value: Cow<'a, [u8]>,
    /// The entry's length in bytes.
    pub(super) len: usize,
    /// Each kind of oddity at its first occurrence, with its offset in the entry.
    pub(super) oddities: Vec<(Oddity, usize)>,
}

/// Reads an entry of the layout that ipfs-cluster writes: key text, value, length of the
/// entry. `None` if it is another one, or not all there.
pub(super) fn parse_written(input: &[u8]) -> Option<(&[u8], &[u8], usize)> {
    let rest = input.strip_prefix(&[0x82, 0xa1, b'k'])?;
    let (key, rest) = split_raw(rest)?;
    let rest = rest.strip_prefix(&[0xa1, b'v'])?;
    let (value, rest) = split_raw(rest)?;
    Some((key, value, input.len() - rest.len()))
}

/// Splits off bytes under the shortest header of the old raw family.
fn split_raw(input: &[u8]) -> Option<(&[u8], &[u8])> {
    match *input {
        [head @ 0xa0..=0xbf, ref rest @ ..] => rest.split_at_checked(usize::from(head & 0x1f)),
        [0xda, a, b, ref rest @ ..] => match usize::from(u16::from_be_bytes([a, b])) {
            ..32 => None,
            len => rest.split_at_checked(len),
        },
        [0xdb, a, b, c, d, ref rest @ ..] => match u32::from_be_bytes([a, b, c, d]) {
            ..0x1_0000 => None,
            len => rest.split_at_checked(usize::try_from(len).ok()?),
        },
        _ => None,
    }
}

/// Reads an entry in any layout that go-codec 1.2.12 (`MsgpackHandle{}`) takes for
/// ipfs-cluster's entry structure: a map or an array of any size in any header, byte strings
/// in any header or as an array of small numbers, fields in any order, repeated, unknown,
/// missing or nil.
pub(super) fn parse_any(input: &[u8]) -> Result<Parsed<'_>, Stop> {
    let mut reader = Reader { input, at: 0, oddities: Vec::new() };
    let (mut key, mut value) = (None, None);
    let head = reader.byte()?;
    match head {
        0x80..=0x8f | 0xde | 0xdf => {
            if head != 0x82 {
                reader.note(Oddity::Layout, 0);
            }
            for _ in 0..reader.count(head)? {
                let at = reader.at;
                let name = reader.bytes(ENTRY)?;
                let (field, title) = match name.as_deref() {
                    Some(b"k") => (&mut key, KEY),
                    Some(b"v") => (&mut value, VALUE),
                    _ => {
                        reader.note(Oddity::UnknownField, at);
                        reader.skip()?;
                        continue;
                    }
                };
                reader.field(field, at, title)?;
            }
        }
        0x90..=0x9f | 0xdc | 0xdd => {
            reader.note(Oddity::Layout, 0);
            for index in 0..reader.count(head)? {
                let at = reader.at;
                match index {
                    0 => reader.field(&mut key, at, KEY)?,
                    1 => reader.field(&mut value, at, VALUE)?,
                    _ => {
                        reader.note(Oddity::UnknownField, at);
                        reader.skip()?;
                    }
                }
            }
        }
        0xc0 => reader.note(Oddity::Layout, 0),
        _ => {
            let reason = "begins with neither a map nor an array";
            return Err(Stop::Malformed { at: 0, field: ENTRY, reason });
        }
    }
    let value = value.flatten().unwrap_or_else(|| {
        reader.note(Oddity::NoValue, 0);
        Cow::Borrowed(&[][..])
    });
    let key = key.flatten().unwrap_or_default();
    let Reader { at: len, mut oddities, .. } = reader;
    if oddities.is_empty() && parse_written(input).is_none() {
        oddities.push((Oddity::Layout, 0));
    }
    Ok(Parsed { key, value, len, oddities })
}

struct Reader<'a> {
    input: &'a [u8],
    at: usize,
    oddities: Vec<(Oddity, usize)>,
}

impl<'a> Reader<'a> {
    fn note(&mut self, oddity: Oddity, at: usize) {
        if self.oddities.iter().all(|(known, _)| *known != oddity) {
            self.oddities.push((oddity, at));
        }
    }

    fn take(&mut self, len: u64) -> Result<&'a [u8], Stop> {
        let end = usize::try_from(len).ok().and_then(|len| self.at.checked_add(len));
        let need = end.unwrap_or(usize::MAX);
        let taken = self.input.get(self.at..need).ok_or(Stop::Short { need })?;
        self.at = need;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, Stop> {
        Ok(self.take(1)?.first().copied().unwrap_or_default())
    }

    /// A big-endian number of `width` bytes, at most 8.
    fn number(&mut self, width: u64) -> Result<u64, Stop> {
        Ok(self.take(width)?.iter().fold(0, |number, byte| (number << 8) | u64::from(*byte)))
    }

    /// How many items the container with this first byte has: pairs in a map.
    fn count(&mut self, head: u8) -> Result<u64, Stop> {
        match head {
            0xdc | 0xde => self.number(2),
            0xdd | 0xdf => self.number(4),
            _ => Ok(u64::from(head & 0x0f)),
        }
    }

    /// The content of `k` or `v`, called `title` in faults.
    fn field(
        &mut self,
        field: &mut Option<Option<Cow<'a, [u8]>>>,
        at: usize,
        title: &'static str,
    ) -> Result<(), Stop> {
        if field.is_some() {
            self.note(Oddity::RepeatedField, at);
        }
        *field = Some(self.bytes(title)?);
        Ok(())
    }

    /// Bytes in any spelling; `None` for nil.
    fn bytes(&mut self, field: &'static str) -> Result<Option<Cow<'a, [u8]>>, Stop> {
        let at = self.at;
        let head = self.byte()?;
        let len = match head {
            0xc0 => return Ok(None),
            0xa0..=0xbf => u64::from(head & 0x1f),
            0xc4 | 0xd9 => self.number(1)?,
            0xc5 | 0xda => self.number(2)?,
            0xc6 | 0xdb => self.number(4)?,
            0x90..=0x9f | 0xdc | 0xdd => {
                self.note(Oddity::Layout, at);
                let count = self.count(head)?;
                return self.small_numbers(count, field);
            }
            // go-codec fills a byte slice, though not a string, from a map's keys and values.
            0x80..=0x8f | 0xde | 0xdf if field == VALUE => {
                self.note(Oddity::Layout, at);
                let count = self.count(head)? * 2;
                return self.small_numbers(count, field);
            }
            _ => {
                let reason = "is no byte string";
                return Err(Stop::Malformed { at, field, reason });
            }
        };
        Ok(Some(Cow::Borrowed(self.take(len)?)))
    }

    /// Bytes spelt as an array of `count` numbers from 0 to 255. What is kept grows with what
    /// is read, not with what the header promises.
    fn small_numbers(
        &mut self,
        count: u64,
        field: &'static str,
    ) -> Result<Option<Cow<'a, [u8]>>, Stop> {
        let mut bytes = Vec::new();
        for _ in 0..count {
            let at = self.at;
            let Some(byte) = self.small_number()?.and_then(|number| u8::try_from(number).ok())
            else {
                let reason = "is an array of something else than numbers from 0 to 255";
                return Err(Stop::Malformed { at, field, reason });
            };
            bytes.push(byte);
        }
        Ok(Some(Cow::Owned(bytes)))
    }

    /// A whole number that is not negative, as go-codec reads one: nil is 0, and a float
    /// counts if it is whole. `None` for anything else.
    fn small_number(&mut self) -> Result<Option<u64>, Stop> {
        let head = self.byte()?;
        Ok(match head {
            0x00..=0x7f => Some(u64::from(head)),
            0xc0 => Some(0),
            0xca => whole(f64::from(f32::from_bits(u32::try_from(self.number(4)?).unwrap_or(0)))),
            0xcb => whole(f64::from_bits(self.number(8)?)),
            0xcc => Some(self.number(1)?),
            0xcd => Some(self.number(2)?),
            0xce => Some(self.number(4)?),
            0xcf => Some(self.number(8)?),
            0xd0 => Some(self.number(1)?).filter(|number| *number < 1 << 7),
            0xd1 => Some(self.number(2)?).filter(|number| *number < 1 << 15),
            0xd2 => Some(self.number(4)?).filter(|number| *number < 1 << 31),
            0xd3 => Some(self.number(8)?).filter(|number| *number < 1 << 63),
            _ => None,
        })
    }

    /// Passes over one value of any kind, however deeply nested, in constant space: what
    /// counts is how many values are still to come.
    fn skip(&mut self) -> Result<(), Stop> {
        let mut left = 1_u64;
        while left > 0 {
            left = (left - 1).saturating_add(self.skip_one()?);
        }
        Ok(())
    }

    /// Passes over one scalar or one container's header, and says how many values are in it.
    fn skip_one(&mut self) -> Result<u64, Stop> {
        let at = self.at;
        let head = self.byte()?;
        let bytes = match head {
            0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => 0,
            0x90..=0x9f | 0xdc | 0xdd => return self.count(head),
            0x80..=0x8f | 0xde | 0xdf => return Ok(self.count(head)? * 2),
            0xa0..=0xbf => u64::from(head & 0x1f),
            0xc1 => {
                let reason = "has the byte 0xc1, which begins no msgpack value";
                return Err(Stop::Malformed { at, field: ENTRY, reason });
            }
            0xc4 | 0xd9 => self.number(1)?,
            0xc5 | 0xda => self.number(2)?,
            0xc6 | 0xdb => self.number(4)?,
            // Extensions: a type byte, and then as many as they say.
            0xc7 => self.number(1)? + 1,
            0xc8 => self.number(2)? + 1,
            0xc9 => self.number(4)? + 1,
            0xd4..=0xd8 => (1 << (head - 0xd4)) + 1,
            0xcc | 0xd0 => 1,
            0xcd | 0xd1 => 2,
            0xca | 0xce | 0xd2 => 4,
            0xcb | 0xcf | 0xd3 => 8,
        };
        self.take(bytes)?;
        Ok(0)
    }
}

/// A float as a number, if it is whole and not negative. A negative zero is refused, as
/// go-codec does; so is what is far out of reach of a byte.
fn whole(float: f64) -> Option<u64> {
    let fits = float.is_sign_positive() && float <= 255.0 && float.fract() == 0.0;
    fits.then_some(float as u64)
}
