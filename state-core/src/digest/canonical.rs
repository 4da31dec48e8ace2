//! The canonical encoding of a pin, and whether a stored value is it already.

use std::borrow::Cow;

use crate::pin::{PinView, UnixSeconds, encode};

/// The canonical encoding of a pin: what ipfs-cluster v1.1.6 writes for what it reads.
///
/// Values that ipfs-cluster wrote are canonical, so this seldom encodes anything.
#[must_use]
pub fn canonical<'a>(view: &PinView<'a>) -> Cow<'a, [u8]> {
    if is_canonical(view) {
        return Cow::Borrowed(view.value());
    }
    let mut out = Vec::new();
    encode(&view.to_pin(), &mut out);
    Cow::Owned(out)
}

/// Whether [`encode`] would write just the bytes that the view is over: they are compared
/// with what it writes, field by field, without writing it.
fn is_canonical(view: &PinView<'_>) -> bool {
    let mut rest = Rest(view.value());
    rest.optional(1, view.key())
        && rest.number(2, u64::from(view.pin_type().stored()))
        && view.allocations().all(|peer| rest.bytes(3, peer))
        && rest.number(4, zigzag(view.max_depth()))
        && rest.optional(5, view.reference().unwrap_or_default())
        && rest.message(6).is_some_and(|options| is_canonical_options(view, options))
        && rest.number(7, UnixSeconds::stored(view.timestamp()))
        && rest.0.is_empty()
}

fn is_canonical_options(view: &PinView<'_>, mut rest: Rest<'_>) -> bool {
    rest.number(1, zigzag(view.replication_factor_min()))
        && rest.number(2, zigzag(view.replication_factor_max()))
        && rest.optional(3, view.name().as_bytes())
        && rest.number(4, view.shard_size())
        && rest.optional(7, view.pin_update().unwrap_or_default())
        && rest.number(8, UnixSeconds::stored(view.expire_at()))
        && view.origins().all(|origin| rest.bytes(9, origin))
        && view.metadata().all(|(key, value)| {
            rest.message(10).is_some_and(|mut entry| {
                entry.optional(1, key.as_bytes())
                    && entry.optional(2, value.as_bytes())
                    && entry.0.is_empty()
            })
        })
        && rest.0.is_empty()
}

/// A protobuf `sint32` on the wire.
fn zigzag(value: i32) -> u64 {
    u64::from(((value << 1) ^ (value >> 31)).cast_unsigned())
}

/// The bytes that are still to be compared. Each method says whether what is expected comes
/// next, and passes over it.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    /// A varint in its shortest form.
    fn varint(&mut self, mut value: u64) -> bool {
        loop {
            let more = value > 0x7f;
            let expected = (value as u8 & 0x7f) | (u8::from(more) << 7);
            match self.0 {
                [byte, rest @ ..] if *byte == expected => self.0 = rest,
                _ => return false,
            }
            if !more {
                return true;
            }
            value >>= 7;
        }
    }

    /// A number, left out if it is zero.
    fn number(&mut self, field: u64, value: u64) -> bool {
        value == 0 || (self.varint(field << 3) && self.varint(value))
    }

    /// Bytes, left out if there are none.
    fn optional(&mut self, field: u64, bytes: &[u8]) -> bool {
        bytes.is_empty() || self.bytes(field, bytes)
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) -> bool {
        if !(self.varint((field << 3) | 2) && self.varint(bytes.len() as u64)) {
            return false;
        }
        let stripped = self.0.strip_prefix(bytes);
        self.0 = stripped.unwrap_or_default();
        stripped.is_some()
    }

    /// A message whose length is written in the shortest form.
    fn message(&mut self, field: u64) -> Option<Rest<'a>> {
        if !self.varint((field << 3) | 2) {
            return None;
        }
        let (mut len, mut shift) = (0_u64, 0_u32);
        loop {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            len |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if *byte < 0x80 {
                if *byte == 0 && shift > 0 {
                    return None;
                }
                break;
            }
            shift += 7;
        }
        let (message, rest) = self.0.split_at_checked(usize::try_from(len).ok()?)?;
        self.0 = rest;
        Some(Rest(message))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A CID, and what is stored of pins under it: alike in most fields, so that bytes moved
    /// from one into the other often make a pin again.
    fn stored() -> impl Strategy<Value = Vec<u8>> {
        let number = prop_oneof![Just(0_u64), 1..200_u64, any::<u64>()];
        let field = prop_oneof![
            3 => (prop_oneof![Just(2_u8), Just(4), Just(7)], number.clone())
                .prop_map(|(field, value)| [&[field << 3][..], &varint(value)].concat()),
            1 => Just([&b"\x0a\x04"[..], KEY].concat()),
            1 => Just(b"\x1a\x03\x00\x01\x07".to_vec()),
            1 => prop_oneof![Just(KEY.to_vec()), Just(b"no".to_vec())].prop_map(|cid| [&[0x2a, cid.len() as u8][..], &cid].concat()),
            4 => options(number).prop_map(|options| [&[0x32][..], &varint(options.len() as u64), &options].concat()),
        ];
        prop::collection::vec(field, 0..7).prop_map(|fields| fields.concat())
    }

    fn options(number: impl Strategy<Value = u64> + Clone) -> impl Strategy<Value = Vec<u8>> {
        let entry = prop::sample::select(vec![
            &b"\x52\x00"[..],
            b"\x52\x03\x0a\x01a",
            b"\x52\x06\x0a\x01b\x12\x01v",
            b"\x52\x05\x0a\x01c\x12\x00",
            b"\x32\x03\x0a\x01a",
        ]);
        let field = prop_oneof![
            2 => (prop_oneof![Just(1_u8), Just(2), Just(4), Just(8)], number).prop_map(|(field, value)| [&[field << 3][..], &varint(value)].concat()),
            1 => "[a-z]{0,3}".prop_map(|name| [&[0x1a, name.len() as u8][..], name.as_bytes()].concat()),
            1 => Just([&b"\x3a\x04"[..], KEY].concat()),
            1 => Just(b"\x4a\x03\x06\x0f\xa1".to_vec()),
            2 => entry.prop_map(<[u8]>::to_vec),
        ];
        (prop::collection::vec(field, 0..6), any::<bool>()).prop_map(|(mut fields, sorted)| {
            if sorted {
                fields.sort();
                fields.dedup_by_key(|field| field[0] != 0x52 && field[0] != 0);
            }
            fields.concat()
        })
    }

    const KEY: &[u8] = &[1, 0x55, 0, 0];

    fn varint(mut value: u64) -> Vec<u8> {
        let mut out = Vec::new();
        while value > 0x7f {
            out.push(value as u8 | 0x80);
            value >>= 7;
        }
        out.push(value as u8);
        out
    }

    fn encoded(value: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        encode(&PinView::new(KEY, value).ok()?.to_pin(), &mut out);
        Some(out)
    }

    fn agrees(value: &[u8]) -> Result<(), TestCaseError> {
        if let Some(encoded) = encoded(value) {
            let view = PinView::new(KEY, value).unwrap();
            prop_assert_eq!(is_canonical(&view), encoded == value, "{:02x?}", value);
            prop_assert_eq!(&canonical(&view)[..], &encoded);
        }
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn knows_what_would_be_written(value in stored(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            agrees(&value)?;
            if let Some(mut encoded) = encoded(&value) {
                agrees(&encoded)?;
                prop_assert!(is_canonical(&PinView::new(KEY, &encoded).unwrap()));
                let at = at.index(encoded.len());
                encoded[at] = byte;
                agrees(&encoded)?;
                encoded.insert(at, byte);
                agrees(&encoded)?;
                encoded.push(byte);
                agrees(&encoded)?;
            }
        }
    }

    #[test]
    fn what_makes_a_value_another_one() {
        let canonical = b"\x0a\x04\x01\x55\x00\x00\x10\x01\x32\x02\x08\x02";
        assert!(is_canonical(&PinView::new(KEY, canonical).unwrap()));
        for other in [
            &b"\x10\x01\x0a\x04\x01\x55\x00\x00\x32\x02\x08\x02"[..], // order
            b"\x10\x01\x32\x02\x08\x02",                              // no CID
            b"\x0a\x04\x01\x70\x00\x00\x10\x01\x32\x02\x08\x02",      // another CID
            b"\x0a\x04\x01\x55\x00\x00\x10\x81\x00\x32\x02\x08\x02",  // a longer varint
            b"\x0a\x04\x01\x55\x00\x00\x10\x01\x32\x82\x00\x08\x02",  // a longer length
            b"\x0a\x04\x01\x55\x00\x00\x10\x01\x20\x00\x32\x02\x08\x02", // a zero
            b"\x0a\x04\x01\x55\x00\x00\x10\x01\x32\x04\x08\x02\x1a\x00", // an empty name
            b"\x0a\x04\x01\x55\x00\x00\x10\x01\x32\x02\x08\x02\x48\x01", // an unknown field
            b"\x0a\x04\x01\x55\x00\x00\x10\x01\x32\x02\x08\x02\x32\x00", // options twice
            b"\x0a\x04\x01\x55\x00\x00\x10\x01",                      // no options
        ] {
            let view = PinView::new(KEY, other).unwrap();
            assert!(!is_canonical(&view), "{other:02x?}");
            assert_eq!(super::canonical(&view), encoded(other).unwrap());
        }
    }
}
