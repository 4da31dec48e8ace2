use proptest::prelude::*;

use super::*;

fn of(kind: Kind, rows: &[(Vec<u8>, Vec<u8>)]) -> Digest {
    let mut digest = Digest::new(kind);
    for (key, bytes) in rows {
        digest.add(key, bytes);
    }
    digest
}

/// The definition in the module's documentation, spelt out once more.
fn by_definition(key: &[u8], bytes: &[u8]) -> u128 {
    let mut row = (key.len() as u64).to_le_bytes().to_vec();
    row.extend(key);
    row.extend((bytes.len() as u64).to_le_bytes());
    row.extend(bytes);
    let hash = blake3::hash(&row);
    u128::from_le_bytes(hash.as_bytes()[..16].try_into().unwrap())
}

#[test]
fn known_texts() {
    // Computed with another BLAKE3, lukechampine.com/blake3 1.4.1. They may never change:
    // manifests of years ago are compared with them.
    assert_eq!(Digest::new(Kind::Raw).to_string(), "raw:0:00000000000000000000000000000000");
    let mut digest = Digest::new(Kind::Pin);
    digest.add(b"key", b"value");
    assert_eq!(digest.to_string(), "pin:1:5801e7c67c0f8c901f571f26c39151a2");
    digest.add(b"", &[7; 3000]);
    assert_eq!(digest.to_string(), "pin:2:a0a56fec9e21bfde7b5411b0a147a0a7");
}

#[test]
fn borders_between_key_and_bytes_count() {
    assert_ne!(Row::new(b"ab", b"c"), Row::new(b"a", b"bc"));
    assert_ne!(Row::new(b"ab", b""), Row::new(b"", b"ab"));
    assert_ne!(Row::new(b"a", b"b"), Row::new(b"b", b"a"));
}

#[test]
fn a_row_twice_does_not_cancel_out() {
    let mut twice = Digest::new(Kind::Raw);
    twice.add(b"k", b"v");
    twice.add(b"k", b"v");
    assert_ne!(twice.sum, 0);
    assert_eq!(twice.count(), 2);
}

#[test]
fn sums_wrap() {
    let mut digest = Digest { kind: Kind::Raw, count: 1, sum: u128::MAX };
    digest.add_row(Row(2));
    assert_eq!((digest.count, digest.sum), (2, 1));
}

#[test]
fn kinds_do_not_mix() {
    let mut raw = Digest::new(Kind::Raw);
    let refused = raw.merge(&of(Kind::Pin, &[(vec![1], vec![2])]));
    assert_eq!(refused, Err(MixedKinds { into: Kind::Raw, from: Kind::Pin }));
    assert_eq!(raw, Digest::new(Kind::Raw));
}

#[test]
fn texts_that_are_no_digest() {
    let sum = "0123456789abcdef0123456789abcdef";
    for bad in [
        String::new(),
        "pin".into(),
        "pin:1".into(),
        format!("sha:1:{sum}"),
        format!("PIN:1:{sum}"),
        format!("pin:+1:{sum}"),
        format!("pin:01:{sum}"),
        format!("pin::{sum}"),
        format!("pin:18446744073709551616:{sum}"),
        format!("pin:1:{}", &sum[1..]),
        format!("pin:1:{}", sum.to_uppercase()),
        format!("pin:1:+{}", &sum[1..]),
        format!("pin:1:{sum} "),
    ] {
        assert!(bad.parse::<Digest>().is_err(), "{bad}");
    }
    let error = "raw:x".parse::<Digest>().unwrap_err();
    assert_eq!(
        error.to_string(),
        "'raw:x' is no digest: it has no second colon; one looks like pin:3:0123456789abcdef0123456789abcdef"
    );
}

proptest! {
    #[test]
    fn any_order_and_any_parts_agree(
        mut rows in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..40), prop::collection::vec(any::<u8>(), 0..1200)), 0..12),
        cut in any::<prop::sample::Index>(),
        turn in any::<prop::sample::Index>(),
    ) {
        let whole = of(Kind::Raw, &rows);
        let sum = rows.iter().fold(0_u128, |sum, (key, bytes)| sum.wrapping_add(by_definition(key, bytes)));
        prop_assert_eq!((whole.count, whole.sum), (rows.len() as u64, sum));
        if !rows.is_empty() {
            let turn = turn.index(rows.len());
            rows.rotate_left(turn);
        }
        let cut = cut.index(rows.len() + 1);
        let mut merged = of(Kind::Raw, &rows[..cut]);
        merged.merge(&of(Kind::Raw, &rows[cut..])).unwrap();
        prop_assert_eq!(merged, whole);
        prop_assert_eq!(whole.to_string().parse(), Ok(whole));
    }

    #[test]
    fn one_changed_byte_changes_it(key in prop::collection::vec(any::<u8>(), 1..40), at in any::<prop::sample::Index>(), by in 1..=255_u8) {
        let mut changed = key.clone();
        changed[at.index(key.len())] ^= by;
        prop_assert_ne!(Row::new(&key, b"v"), Row::new(&changed, b"v"));
        prop_assert_ne!(Row::new(b"k", &key), Row::new(b"k", &changed));
    }

    #[test]
    fn no_panic(text in ".{0,60}") {
        let _ = text.parse::<Digest>();
    }
}

#[test]
fn records_go_in_by_the_encoding_of_the_kind() {
    let cid = &[1, 0x55, 0, 0];
    let stored = b"\x10\x01\x32\x00"; // ipfs-cluster would write the CID too
    let canonical = b"\x0a\x04\x01\x55\x00\x00\x10\x01\x32\x00";
    for (kind, bytes) in [(Kind::Raw, &stored[..]), (Kind::Pin, canonical)] {
        let mut digest = Digest::new(kind);
        digest.add_record(cid, stored).unwrap();
        assert_eq!(digest, of(kind, &[(cid.to_vec(), bytes.to_vec())]));
        let mut by_view = Digest::new(kind);
        by_view.add_pin(&PinView::new(cid, stored).unwrap());
        assert_eq!(by_view, digest);
    }
    let mut pins = Digest::new(Kind::Pin);
    assert!(pins.add_record(cid, b"\xff").is_err());
    assert_eq!(pins, Digest::new(Kind::Pin));
    let mut raw = Digest::new(Kind::Raw);
    raw.add_record(b"no CID", b"\xff").unwrap();
    assert_eq!(raw.count(), 1);
}
