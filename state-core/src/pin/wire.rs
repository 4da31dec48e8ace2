//! Protocol buffers, as far as pins need them.
//!
//! Source: the encoding guide of protocol buffers; what is malformed is decided as by
//! google.golang.org/protobuf, which ipfs-cluster reads with.

/// The value of one field.
#[derive(Clone, Copy)]
pub(crate) enum Value<'a> {
    /// A number, whatever its kind.
    Varint(u64),
    /// A string, bytes or a message.
    Bytes(&'a [u8]),
    /// A value of four or eight bytes, or a group: pins have none, so it is skipped.
    Other,
}

/// The bytes are not protocol buffers, or they end too early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// The fields of a message, one after the other.
#[derive(Clone, Copy, Default)]
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

/// The largest number of a field.
const LARGEST_NUMBER: u64 = (1 << 29) - 1;

impl<'a> Fields<'a> {
    pub(crate) fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    /// What has not been read yet.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next field's number and value; `None` at the end.
    ///
    /// Scans spend their time here: within each of the few loops around it, the result
    /// need not go through memory.
    #[inline(always)]
    pub(crate) fn next(&mut self) -> Result<Option<(u32, Value<'a>)>, Malformed> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let number = tag >> 3;
        if number == 0 || number > LARGEST_NUMBER {
            return Err(Malformed);
        }
        let value = match tag & 7 {
            0 => Value::Varint(self.varint()?),
            2 => Value::Bytes(self.bytes()?),
            kind => {
                self.skip_other(number, kind)?;
                Value::Other
            }
        };
        Ok(Some((number as u32, value)))
    }

    #[inline(always)]
    fn varint(&mut self) -> Result<u64, Malformed> {
        match self.rest {
            [low, rest @ ..] if *low < 0x80 => {
                self.rest = rest;
                Ok(u64::from(*low))
            }
            [low, high, rest @ ..] if *high < 0x80 => {
                self.rest = rest;
                Ok(u64::from(*low & 0x7f) | u64::from(*high) << 7)
            }
            _ => self.long_varint(),
        }
    }

    /// At most ten bytes, of which the tenth has one bit; not necessarily the fewest.
    #[inline(never)]
    fn long_varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0;
        for (index, &byte) in self.rest.iter().take(10).enumerate() {
            if index == 9 && byte > 1 {
                return Err(Malformed);
            }
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte < 0x80 {
                self.rest = self.rest.get(index + 1..).unwrap_or_default();
                return Ok(value);
            }
        }
        Err(Malformed)
    }

    #[inline(always)]
    fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let length = usize::try_from(self.varint()?).map_err(|_| Malformed)?;
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or(Malformed)?;
        self.rest = rest;
        Ok(bytes)
    }

    #[cold]
    fn skip_other(&mut self, number: u64, kind: u64) -> Result<(), Malformed> {
        match kind {
            1 => self.skip(8),
            3 => self.skip_group(number),
            5 => self.skip(4),
            // 4 ends a group that was never begun; 6 and 7 are no wire types.
            _ => Err(Malformed),
        }
    }

    fn skip(&mut self, count: usize) -> Result<(), Malformed> {
        self.rest = self.rest.get(count..).ok_or(Malformed)?;
        Ok(())
    }

    /// Passes a group and the groups in it, at most as deep as Go goes.
    fn skip_group(&mut self, number: u64) -> Result<(), Malformed> {
        const DEEPEST: usize = 10_001;
        let mut open = vec![number];
        while let Some(&innermost) = open.last() {
            let tag = self.varint()?;
            let number = tag >> 3;
            if number == 0 || number > i32::MAX as u64 {
                return Err(Malformed);
            }
            match tag & 7 {
                0 => self.varint().map(drop)?,
                1 => self.skip(8)?,
                2 => self.bytes().map(drop)?,
                3 if open.len() < DEEPEST => open.push(number),
                4 if number == innermost => drop(open.pop()),
                5 => self.skip(4)?,
                _ => return Err(Malformed),
            }
        }
        Ok(())
    }
}

/// The number of a `sint32` field: the low 32 bits, in zigzag.
pub(crate) fn sint32(varint: u64) -> i32 {
    let low = varint as u32;
    (low >> 1) as i32 ^ -((low & 1) as i32)
}

/// The varint of a `sint32` field.
pub(crate) fn zigzag(value: i32) -> u64 {
    u64::from((value << 1 ^ value >> 31) as u32)
}

/// Bytes that a varint takes.
pub(crate) fn varint_len(value: u64) -> usize {
    let bits = 64 - (value | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

/// Appends a varint.
#[inline]
pub(crate) fn push_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a number's field, unless it is zero. The field's number is below 16.
#[inline]
pub(crate) fn push_number(number: u8, value: u64, out: &mut Vec<u8>) {
    if value != 0 {
        out.push(number << 3);
        push_varint(value, out);
    }
}

/// Bytes that [`push_number`] appends.
pub(crate) fn number_len(value: u64) -> usize {
    if value == 0 { 0 } else { 1 + varint_len(value) }
}

/// Appends a field of bytes, even if there are none. The field's number is below 16.
#[inline]
pub(crate) fn push_bytes(number: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(number << 3 | 2);
    push_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// Bytes that [`push_bytes`] appends.
pub(crate) fn bytes_len(length: usize) -> usize {
    1 + varint_len(length as u64) + length
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(bytes: &[u8]) -> Result<usize, Malformed> {
        let mut fields = Fields::new(bytes);
        let mut count = 0;
        while fields.next()?.is_some() {
            count += 1;
        }
        Ok(count)
    }

    #[test]
    fn numbers_come_back() {
        for value in [0, 1, -1, 63, -64, 64, i32::MAX, i32::MIN] {
            assert_eq!(sint32(zigzag(value)), value);
        }
        assert_eq!(sint32(0xffff_ffff_0000_0001), -1, "cut to 32 bits");
        for value in [0, 0x7f, 0x80, 0x3fff, 0x4000, u64::MAX] {
            let mut bytes = vec![8];
            push_varint(value, &mut bytes);
            assert_eq!(bytes.len(), 1 + varint_len(value));
            let read = Fields::new(&bytes).next();
            assert!(matches!(read, Ok(Some((1, Value::Varint(v)))) if v == value));
        }
    }

    #[test]
    fn well_formed_messages_are_walked() {
        assert_eq!(walk(&[]), Ok(0));
        assert_eq!(walk(&[8, 0x81, 0x80, 0x00]), Ok(1), "not the fewest bytes");
        assert_eq!(walk(&[0x88, 0x80, 0x00, 5]), Ok(1), "nor in the tag");
        assert_eq!(walk(&[9, 1, 2, 3, 4, 5, 6, 7, 8, 13, 1, 2, 3, 4]), Ok(2));
        assert_eq!(walk(&[11, 8, 1, 19, 20, 12, 8, 1]), Ok(2), "groups");
    }

    #[test]
    fn malformed_messages_are_refused() {
        let overlong = [8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2];
        for bytes in [
            &[8][..],
            &[8, 0x80],
            &[10, 2, 1],
            &[10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
            &[0, 1],
            &[9, 1],
            &[13, 1, 2, 3],
            &[14, 1],
            &[12],
            &[11, 8, 1],
            &[11, 20],
            &overlong,
            &[0x80, 0x80, 0x80, 0x80, 0x10, 1],
        ] {
            assert_eq!(walk(bytes), Err(Malformed), "{bytes:?}");
        }
        let deep = [11; 20_000];
        assert_eq!(walk(&deep), Err(Malformed));
    }
}
