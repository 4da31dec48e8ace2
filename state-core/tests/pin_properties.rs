//! Random pins there and back, and no input that makes a reader panic.
//!
//! `PROPTEST_CASES` sets how many are tried.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use pinstate_core::format::ndjson::{NdjsonDecoder, NdjsonEncoder};
use pinstate_core::format::{Decoder, Encoder, Entry, Leniency};
use pinstate_core::pin::{
    self, Cid, ImportOverrides, Origin, PeerId, Pin, PinType, PinView, UnixSeconds, Zone,
};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

fn multihash() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        any::<[u8; 32]>().prop_map(|digest| [&[0x12, 0x20][..], &digest].concat()),
        vec(any::<u8>(), 0..120).prop_map(|digest| {
            let length = u8::try_from(digest.len()).unwrap();
            [&[0x00, length][..], &digest].concat()
        }),
    ]
}

fn cid() -> impl Strategy<Value = Cid> {
    prop_oneof![
        any::<[u8; 32]>().prop_map(|digest| [&[0x12, 0x20][..], &digest].concat()),
        (0u8..128, multihash()).prop_map(|(codec, hash)| [&[1, codec][..], &hash].concat()),
    ]
    .prop_map(|bytes| Cid::from_bytes(&bytes).unwrap())
}

fn origin() -> impl Strategy<Value = Origin> {
    prop_oneof![
        (any::<[u8; 4]>(), any::<u16>())
            .prop_map(|([a, b, c, d], port)| { format!("/ip4/{a}.{b}.{c}.{d}/tcp/{port}") }),
        any::<u128>().prop_map(|bits| format!("/ip6/{}", std::net::Ipv6Addr::from_bits(bits))),
        "[^/]{1,20}".prop_map(|name| format!("/dns4/{name}/tls/ws")),
        "[^/]{1,20}".prop_map(|path| format!("/unix/{path}")),
    ]
    .prop_filter_map("an address", |text| text.parse().ok())
}

/// Times that both storage and JSON have a form for.
fn time() -> impl Strategy<Value = Option<UnixSeconds>> {
    proptest::option::of(
        (-62_167_219_200..253_402_300_800i64)
            .prop_map(UnixSeconds)
            .prop_filter("stored as none", |time| time.0 != 0 && *time != UnixSeconds::GO_ZERO),
    )
}

prop_compose! {
    fn pin()(
        cid in cid(),
        pin_type in 0..5i32,
        allocations in vec(multihash(), 0..5),
        max_depth in prop_oneof![Just(-1), Just(0), any::<i32>()],
        reference in proptest::option::of(cid()),
        timestamp in time(),
        (min, max) in any::<(i32, i32)>(),
        name in any::<String>(),
        shard_size in prop_oneof![Just(0), any::<u64>()],
        expire_at in time(),
    )(
        metadata in btree_map(any::<String>(), any::<String>(), 0..4),
        pin_update in proptest::option::of(self::cid()),
        origins in vec(origin(), 0..3),
        cid in Just(cid),
        pin_type in Just(PinType::from_stored(pin_type)),
        allocations in Just(allocations),
        max_depth in Just(max_depth),
        reference in Just(reference),
        timestamp in Just(timestamp),
        replication_factor_min in Just(min),
        replication_factor_max in Just(max),
        name in Just(name),
        shard_size in Just(shard_size),
        expire_at in Just(expire_at),
    ) -> Pin {
        Pin {
            cid,
            pin_type,
            allocations: allocations.iter().map(|b| PeerId::from_bytes(b).unwrap()).collect(),
            max_depth,
            reference,
            timestamp,
            replication_factor_min,
            replication_factor_max,
            name,
            shard_size,
            user_allocations: Vec::new(),
            expire_at,
            metadata,
            pin_update,
            origins,
        }
    }
}

fn stored(pin: &Pin) -> Vec<u8> {
    let mut value = Vec::new();
    pin::encode(pin, &mut value);
    value
}

fn decode(input: &[u8], leniency: Leniency) -> Vec<Entry> {
    let mut entries = Vec::new();
    NdjsonDecoder::new(leniency, ImportOverrides::default()).decode(
        input,
        true,
        usize::MAX,
        &mut entries,
    );
    entries
}

/// Reads a record by every way there is; whatever it is, none may panic.
fn read_record(key: &[u8], value: &[u8]) {
    for zone in [Zone::Utc, Zone::named("America/New_York").unwrap()] {
        let mut line = Vec::new();
        if NdjsonEncoder::new(zone).encode(key, value, &mut line).is_err() {
            assert!(line.is_empty());
        }
    }
    if let Ok(view) = PinView::new(key, value) {
        let pin = view.to_pin();
        assert_eq!(view.allocations().count(), pin.allocations.len());
        assert_eq!(view.origins().count(), pin.origins.len());
        assert_eq!(view.metadata().count(), pin.metadata.len());
        // What is read is canonical, so it comes back.
        let pin = pin.canonical();
        let again = stored(&pin);
        assert_eq!(PinView::new(key, &again).unwrap().to_pin(), pin);
    }
}

/// Changes to some bytes: at a place, this many are replaced by those.
fn mutations() -> impl Strategy<Value = Vec<(prop::sample::Index, usize, Vec<u8>)>> {
    vec((any::<prop::sample::Index>(), 0..4usize, vec(any::<u8>(), 0..4)), 1..5)
}

fn mutate(bytes: &mut Vec<u8>, mutations: &[(prop::sample::Index, usize, Vec<u8>)]) {
    for (place, removed, added) in mutations {
        let at = place.index(bytes.len() + 1);
        let end = (at + removed).min(bytes.len());
        bytes.splice(at..end, added.iter().copied());
    }
}

proptest! {
    #[test]
    fn stored_pins_come_back(pin in pin()) {
        prop_assert_eq!(pin.validate(), Ok(()));
        let value = stored(&pin);
        let view = PinView::new(pin.cid.as_bytes(), &value).unwrap();
        prop_assert_eq!(view.to_pin(), pin);
    }

    #[test]
    fn exported_pins_come_back_strictly(pins in vec(pin(), 0..4)) {
        let mut export = Vec::new();
        let mut encoder = NdjsonEncoder::new(Zone::Utc);
        for pin in &pins {
            encoder.encode(pin.cid.as_bytes(), &stored(pin), &mut export).unwrap();
        }
        let entries = decode(&export, Leniency::Strict);
        prop_assert_eq!(entries.len(), pins.len());
        for (entry, pin) in entries.iter().zip(&pins) {
            let (key, value) = entry.body.as_ref().unwrap();
            prop_assert_eq!(&key[..], pin.cid.as_bytes());
            prop_assert_eq!(&value[..], stored(pin));
        }
    }

    #[test]
    fn no_record_makes_a_reader_panic(key in vec(any::<u8>(), 0..40), value in vec(any::<u8>(), 0..200)) {
        read_record(&key, &value);
        read_record(&[1, 0x55, 0, 0], &value);
    }

    #[test]
    fn no_mutated_record_makes_a_reader_panic(pin in pin(), mutations in mutations()) {
        let mut value = stored(&pin);
        mutate(&mut value, &mutations);
        read_record(pin.cid.as_bytes(), &value);
    }

    #[test]
    fn no_text_makes_a_reader_panic(text in vec(any::<u8>(), 0..200), json in r#"[ \n\[\]\{\}",:0-9a-f.\\truenl]{0,60}"#) {
        for leniency in [Leniency::Strict, Leniency::Compat] {
            decode(&text, leniency);
            decode(json.as_bytes(), leniency);
        }
    }

    #[test]
    fn a_mutated_export_reads_the_same_in_pieces(pins in vec(pin(), 1..3), mutations in mutations(), piece in 1..300usize) {
        let mut export = Vec::new();
        let mut encoder = NdjsonEncoder::new(Zone::Utc);
        for pin in &pins {
            encoder.encode(pin.cid.as_bytes(), &stored(pin), &mut export).unwrap();
        }
        mutate(&mut export, &mutations);
        for leniency in [Leniency::Strict, Leniency::Compat] {
            let whole = decode(&export, leniency);
            let mut decoder = NdjsonDecoder::new(leniency, ImportOverrides::default());
            let mut entries = Vec::new();
            let (mut used, mut end) = (0, 0);
            loop {
                used += decoder.decode(&export[used..end], end == export.len(), usize::MAX, &mut entries);
                if end == export.len() {
                    break;
                }
                end = (end + piece).min(export.len());
            }
            prop_assert_eq!(entries.len(), whole.len());
            for (entry, expected) in entries.iter().zip(&whole) {
                prop_assert_eq!(entry.at, expected.at);
                prop_assert_eq!(&entry.body, &expected.body);
                prop_assert_eq!(&entry.raw, &expected.raw);
                prop_assert_eq!(&entry.let_through, &expected.let_through);
                // Whatever an import lets in can be read again.
                if let Ok((key, value)) = &entry.body {
                    prop_assert!(PinView::new(key, value).is_ok());
                }
            }
        }
    }
}
