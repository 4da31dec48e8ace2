//! The reader of exports as a stream: pieces, faults, and what strict reading refuses.

#![expect(clippy::indexing_slicing, reason = "a test may panic")]

use pinstate_core::format::ndjson::{LONGEST, NdjsonDecoder, NdjsonEncoder, WINDOW};
use pinstate_core::format::{Decoder, Encoder, Entry, Leniency};
use pinstate_core::pin::{ImportOverrides, PinMode, PinView, UnixSeconds, Zone};

const CID: &str = "bafkreigks6arfsq3xxfpvqrrwonchxcnu6do76auprhhfomao6c273sixm";
const PEER: &str = "12D3KooWGzxzKZYveHXtpG6AsrUJBcWxHBFS2HsEoGTxrMLvKXtf";

/// The smallest document that a strict reader takes.
fn minimal(more: &str) -> String {
    format!(r#"{{"cid":"{CID}","type":"pin","max_depth":-1{more}}}"#)
}

fn decode_with(
    decoder: &mut NdjsonDecoder,
    input: &[u8],
    piece: usize,
    limit: usize,
) -> (Vec<Entry>, usize) {
    let mut entries = Vec::new();
    let (mut used, mut end) = (0, 0);
    loop {
        let at_end = end == input.len();
        let before = entries.len();
        let mut some = Vec::new();
        used += decoder.decode(&input[used..end], at_end, limit, &mut some);
        entries.append(&mut some);
        if at_end && entries.len() == before {
            return (entries, used);
        }
        end = (end + piece).min(input.len());
    }
}

fn decode(input: &[u8], leniency: Leniency) -> Vec<Entry> {
    let mut decoder = NdjsonDecoder::new(leniency, ImportOverrides::default());
    decode_with(&mut decoder, input, input.len().max(1), usize::MAX).0
}

/// The one entry of a document, read strictly and compatibly.
fn both(document: &str) -> (Entry, Entry) {
    let one = |leniency| {
        let mut entries = decode(document.as_bytes(), leniency);
        assert_eq!(entries.len(), 1, "{document}");
        entries.remove(0)
    };
    (one(Leniency::Strict), one(Leniency::Compat))
}

fn show(entry: &Entry) -> String {
    match &entry.body {
        Ok((key, value)) => format!("{key:02x?} {value:02x?}"),
        Err(fault) => format!("{fault} at {:?}, recoverable: {}", fault.offset, fault.recoverable),
    }
}

#[test]
fn pieces_of_any_size_give_the_same_entries() {
    let mut input = Vec::new();
    for text in [
        minimal(r#","name":"a \"quoted\" {name}\\","origins":["/ip4/1.2.3.4/tcp/1"]"#),
        "\n".to_owned(),
        minimal(&format!(r#","allocations":["{PEER}","{PEER}"]"#)),
        minimal(""),
        " \r\n\t".to_owned(),
        minimal(r#","metadata":5"#),
        "\n{\n  \"type\": \"pin\",\n  \"max_depth\": -1\n}\n".to_owned(),
        "{\"cid\":5 6\n".to_owned(),
        minimal(r#","name":"after a syntax error""#),
        "\nnull 7 ".to_owned(),
        minimal("")[..40].to_owned(),
    ] {
        input.extend_from_slice(text.as_bytes());
    }
    let whole: Vec<_> = decode(&input, Leniency::Strict);
    let results: String =
        whole.iter().map(|entry| if entry.body.is_ok() { '+' } else { '-' }).collect();
    assert_eq!(results, "+++---+---");
    for piece in [1, 2, 3, 7, 64, 100, 1000] {
        for limit in [1, 2, usize::MAX] {
            let mut decoder = NdjsonDecoder::new(Leniency::Strict, ImportOverrides::default());
            let (entries, used) = decode_with(&mut decoder, &input, piece, limit);
            assert_eq!(used, input.len());
            assert_eq!(entries.len(), whole.len());
            for (entry, expected) in entries.iter().zip(&whole) {
                assert_eq!(entry.at, expected.at);
                assert_eq!(entry.raw, expected.raw);
                assert_eq!(show(entry), show(expected));
            }
        }
    }
}

#[test]
fn positions_are_those_of_the_input() {
    let first = minimal("");
    let input = format!("\n{first}\n\n  {{\"cid\":\n5}}{first}\n{{\"cid\":\"{CID}\",}}\n{first}\n");
    let entries = decode(input.as_bytes(), Leniency::Strict);
    let places: Vec<_> = entries
        .iter()
        .map(|entry| (entry.at.ordinal, entry.at.line, entry.at.offset as usize))
        .collect();
    let second = 1 + first.len() + 4;
    let third = second + "{\"cid\":\n5}".len();
    let fourth = third + first.len() + 1;
    let fifth = fourth + input[fourth..].find('\n').unwrap() + 1;
    assert_eq!(places, [(1, 2, 1), (2, 4, second), (3, 5, third), (4, 6, fourth), (5, 7, fifth)]);
    let fault = |at: usize| entries[at].body.as_ref().unwrap_err();
    assert_eq!(fault(1).to_string(), "cid: is no string");
    assert_eq!(fault(1).offset, Some(second as u64 + 8));
    assert!(fault(1).recoverable);
    assert_eq!(entries[1].raw, "{\"cid\":\n5}");
    assert_eq!(fault(3).to_string(), "this is no JSON: expected a string");
    assert_eq!(fault(3).offset, Some((fifth - 2) as u64));
    assert!(fault(3).recoverable);
    assert_eq!(entries[3].raw, input[fourth..fifth]);
    assert!(entries[4].body.is_ok());
}

#[test]
fn a_cut_input_is_a_fault_at_every_length() {
    let document = minimal(r#","name":"\u00e9","metadata":{"k":null},"origins":[]"#);
    for cut in 1..document.len() {
        let entries = decode(&document.as_bytes()[..cut], Leniency::Compat);
        assert_eq!(entries.len(), 1, "cut to {cut}");
        let fault = entries[0].body.as_ref().unwrap_err();
        assert_eq!(fault.to_string(), "the input ends within this pin; it was cut short");
        assert!(!fault.recoverable);
    }
    assert!(decode(b"", Leniency::Strict).is_empty());
    assert!(decode(b" \n", Leniency::Strict).is_empty());
}

#[test]
fn lines_after_a_cut_one_are_still_read() {
    let whole = minimal("");
    for cut in 1..whole.len() {
        let input = format!("{}\n{whole}\n", &whole[..cut]);
        let entries = decode(input.as_bytes(), Leniency::Strict);
        let results: Vec<_> = entries.iter().map(|entry| entry.body.is_ok()).collect();
        assert_eq!(results, [false, true], "cut to {cut}: {:?}", entries[0].body);
        assert_eq!(entries[0].raw, input[..cut + 1]);
    }
}

#[test]
fn no_json_ends_the_search_within_the_window() {
    let junk = vec![b'x'; WINDOW + 10];
    let mut decoder = NdjsonDecoder::new(Leniency::Strict, ImportOverrides::default());
    let mut entries = Vec::new();
    assert_eq!(decoder.decode(&junk[..100], false, 10, &mut entries), 0);
    assert!(entries.is_empty());
    assert!(decoder.decode(&junk, false, 10, &mut entries) > WINDOW);
    assert!(!entries[0].body.as_ref().unwrap_err().recoverable);
    // Nothing more is looked for.
    let after = minimal("");
    assert_eq!(decoder.decode(after.as_bytes(), true, 10, &mut entries), 0);
    assert_eq!(entries.len(), 1);
}

#[test]
fn what_is_no_export_is_refused_before_it_fills_the_memory() {
    let list = format!("[{},\n{}]", minimal(""), minimal(""));
    let mut decoder = NdjsonDecoder::new(Leniency::Strict, ImportOverrides::default());
    let mut entries = Vec::new();
    decoder.decode(&list.as_bytes()[..150], false, 1, &mut entries);
    assert_eq!(
        entries[0].body.as_ref().unwrap_err().to_string(),
        "this is no JSON: expected one pin after another and not a list of them"
    );

    let mut wrapped = "{\"pins\":[".to_owned();
    while wrapped.len() < LONGEST {
        wrapped.push_str(&minimal(""));
        wrapped.push(',');
    }
    let mut entries = Vec::new();
    let mut decoder = NdjsonDecoder::new(Leniency::Strict, ImportOverrides::default());
    let part = &wrapped.as_bytes()[..LONGEST - 1];
    assert_eq!(decoder.decode(part, false, 1, &mut entries), 0);
    assert!(entries.is_empty());
    let part = &wrapped.as_bytes()[..LONGEST];
    assert_eq!(decoder.decode(part, false, 1, &mut entries), LONGEST);
    let fault = entries[0].body.as_ref().unwrap_err();
    assert_eq!(fault.to_string(), "this is longer than the 16 MiB that a pin may take");
    assert!(!fault.recoverable);
}

#[test]
fn a_byte_order_mark_is_named() {
    let entries = decode(format!("\u{feff}{}", minimal("")).as_bytes(), Leniency::Strict);
    assert_eq!(
        entries[0].body.as_ref().unwrap_err().to_string(),
        "a byte order mark, which is no JSON; remove the first three bytes"
    );
}

/// Each row of the table in the documentation: what strict refuses, and the count of what
/// is let through.
#[test]
fn strict_refuses_what_storage_would_lose() {
    let cid = format!(r#""cid":"{CID}""#);
    for (document, kind, refusal) in [
        (
            format!(r#"{{{cid},"max_depth":-1}}"#),
            "no type",
            "type: is missing; ipfs-cluster would store a bad-type pin",
        ),
        (
            format!(r#"{{{cid},"type":"Pin","max_depth":-1}}"#),
            "unknown type",
            "type: is no type of pin; ipfs-cluster would store another",
        ),
        (
            format!(r#"{{{cid},"type":32,"max_depth":-1}}"#),
            "unknown type",
            "type: is no type of pin; ipfs-cluster would store another",
        ),
        (
            format!(r#"{{{cid},"type":null,"max_depth":-1}}"#),
            "type all",
            "type: means every type; ipfs-cluster would store a shard-pin",
        ),
        (
            format!(r#"{{{cid},"type":"","max_depth":-1}}"#),
            "type all",
            "type: means every type; ipfs-cluster would store a shard-pin",
        ),
        (
            format!(r#"{{{cid},"type":"all","max_depth":-1}}"#),
            "type all",
            "type: means every type; ipfs-cluster would store a shard-pin",
        ),
        (
            format!(r#"{{{cid},"type":"pin"}}"#),
            "no max_depth",
            "max_depth: is missing; ipfs-cluster would store a direct pin",
        ),
        (
            format!(r#"{{{cid},"type":"pin","max_depth":null}}"#),
            "no max_depth",
            "max_depth: is missing; ipfs-cluster would store a direct pin",
        ),
        (minimal(r#","mode":"shallow""#), "unknown mode", "mode: is neither recursive nor direct"),
        (
            minimal(r#","mode":"direct""#),
            "mode against max_depth",
            "mode: contradicts max_depth, which is 0 for direct and -1 for recursive",
        ),
        (
            minimal(r#","replication_factor_min":2147483648"#),
            "number above 32 bits",
            "replication_factor_min: is above 32 bits; ipfs-cluster would cut it",
        ),
        (
            minimal(r#","name":"\ud800""#),
            "broken text",
            "name: is no Unicode text; ipfs-cluster would replace a part of it",
        ),
        (
            minimal(r#","metadata":{"\udc00":""}"#),
            "broken text",
            "metadata: is no Unicode text; ipfs-cluster would replace a part of it",
        ),
        (
            minimal(r#","metadata":{"k":null}"#),
            "metadata value null",
            "metadata: has a value of null; ipfs-cluster would store an empty one",
        ),
        (
            minimal(r#","metadata":{"k":"1","k":"2"}"#),
            "key twice",
            "metadata: has a key twice; ipfs-cluster would keep the last",
        ),
        (
            minimal(&format!(r#","user_allocations":["{PEER}"]"#)),
            "user_allocations",
            "user_allocations: are not stored; put the peers into allocations",
        ),
        (
            minimal(r#","expire_at":"2030-01-02T3:04:05Z""#),
            "improper time",
            "expire_at: is no RFC 3339 time, though ipfs-cluster takes it for one",
        ),
        (
            minimal(r#","expire_at":"2030-01-02T03:04:05,5Z""#),
            "improper time",
            "expire_at: is no RFC 3339 time, though ipfs-cluster takes it for one",
        ),
        (
            minimal(r#","expire_at":"1970-01-01T00:00:00.5Z""#),
            "time that is stored as none",
            "expire_at: is stored as no time at all",
        ),
        (
            minimal(r#","timestamp":"0001-01-01T00:00:00.5Z""#),
            "time that is stored as none",
            "timestamp: is stored as no time at all",
        ),
        (
            minimal(r#","more":[{}]"#),
            "unknown key",
            "\"more\": is no key of a pin; ipfs-cluster would drop it",
        ),
        (
            minimal(r#","\u017fhard_size":1"#),
            "key in another case",
            "shard_size: is to be written exactly so, in lower case",
        ),
        (
            minimal(r#","max_depth":-1"#),
            "key twice",
            "max_depth: has a key twice; ipfs-cluster would keep the last",
        ),
    ] {
        let (strict, compat) = both(&document);
        assert_eq!(strict.body.unwrap_err().to_string(), refusal, "{document}");
        assert!(strict.let_through.is_empty());
        assert!(compat.body.is_ok(), "{document}: {:?}", compat.body);
        assert_eq!(compat.let_through, [kind], "{document}");
    }
}

#[test]
fn strict_takes_what_is_only_written_otherwise() {
    let (_, plain) = both(&minimal(""));
    let record = plain.body.unwrap();
    for more in [
        "",
        r#","mode":"recursive""#,
        r#","name":"","user_allocations":[],"allocations":null,"origins":[],"metadata":{}"#,
        r#","reference":null,"pin_update":null,"expire_at":"0001-01-01T00:00:00Z""#,
        r#","timestamp":null,"expire_at":null,"name":null,"shard_size":null,"mode":null"#,
    ] {
        let (strict, compat) = both(&minimal(more));
        assert_eq!(strict.body.unwrap(), record, "{more}");
        assert_eq!(compat.body.unwrap(), record, "{more}");
        assert!(compat.let_through.is_empty());
    }
}

#[test]
fn times_of_the_rest_interface_lose_their_fraction_and_zone() {
    let (strict, _) = both(&minimal(
        r#","timestamp":"2024-06-15T14:00:00.123456789+02:00","expire_at":"1969-12-31T23:59:59.5Z""#,
    ));
    let (key, value) = strict.body.unwrap();
    let pin = PinView::new(&key, &value).unwrap().to_pin();
    assert_eq!(pin.timestamp, Some(UnixSeconds(1_718_452_800)));
    assert_eq!(pin.expire_at, Some(UnixSeconds(-1)));
}

#[test]
fn older_dialects_are_read_by_both() {
    let document = r#"{"replication_factor_min":-1,"replication_factor_max":-1,"name":"old",
        "mode":"direct","shard_size":0,"user_allocations":null,"expire_at":"0001-01-01T00:00:00Z",
        "metadata":null,"pin_update":{ "/" : "QmUaFyXjZUNaUwYF8rBtbJc7fEJ46aJXvgV8z2HHs6jvmJ" },
        "cid":{"/":"QmUaFyXjZUNaUwYF8rBtbJc7fEJ46aJXvgV8z2HHs6jvmJ"},"type":2,
        "allocations":[],"max_depth":0,"reference":null}"#;
    let (strict, compat) = both(document);
    let (key, value) = strict.body.unwrap();
    assert_eq!(compat.body.unwrap(), (key.clone(), value.clone()));
    assert!(compat.let_through.is_empty());
    let pin = PinView::new(&key, &value).unwrap().to_pin();
    assert_eq!(pin.cid.to_string(), "QmUaFyXjZUNaUwYF8rBtbJc7fEJ46aJXvgV8z2HHs6jvmJ");
    assert_eq!(pin.pin_update.as_ref(), Some(&pin.cid));
    assert_eq!(pin.pin_type.name(), "pin");
    assert_eq!(pin.mode(), PinMode::Direct);
    for broken in [r#"{}"#, r#"{"/":5}"#, r#"{"/":"x","y":1}"#, r#"{"x":"y"}"#, "5", "[]"] {
        let document = format!(r#"{{"type":"pin","max_depth":-1,"cid":{broken}}}"#);
        let (strict, compat) = both(&document);
        assert!(strict.body.is_err(), "{document}");
        assert!(compat.body.is_err(), "{document}");
    }
}

#[test]
fn a_pin_without_a_cid_is_refused_by_both() {
    for document in [
        r#"{"type":"pin","max_depth":-1}"#,
        r#"{"cid":null,"type":"pin","max_depth":-1}"#,
        "{}",
        "null",
    ] {
        let (strict, compat) = both(document);
        for entry in [strict, compat] {
            assert_eq!(
                entry.body.unwrap_err().to_string(),
                "cid: is missing, and without it there is no pin",
                "{document}"
            );
        }
    }
}

#[test]
fn an_import_can_set_replication_and_allocations() {
    let overrides = ImportOverrides {
        replication_factor_min: 2,
        replication_factor_max: 0,
        allocations: vec![PEER.parse().unwrap()],
    };
    let mut decoder = NdjsonDecoder::new(Leniency::Strict, overrides);
    let document = minimal(r#","replication_factor_min":7,"replication_factor_max":9"#);
    let mut entries = Vec::new();
    decoder.decode(document.as_bytes(), true, 1, &mut entries);
    let (key, value) = entries.remove(0).body.unwrap();
    let pin = PinView::new(&key, &value).unwrap().to_pin();
    assert_eq!((pin.replication_factor_min, pin.replication_factor_max), (2, 9));
    assert_eq!(pin.allocations, [PEER.parse().unwrap()]);
}

#[test]
fn the_encoder_leaves_nothing_of_what_it_refuses() {
    let mut out = b"before".to_vec();
    let mut encoder = NdjsonEncoder::new(Zone::Utc);
    // A timestamp of the year 10000.
    let cid: pinstate_core::pin::Cid = CID.parse().unwrap();
    let mut pin = pinstate_core::pin::Pin::new(cid);
    pin.timestamp = Some(UnixSeconds(253_402_300_800));
    let mut value = Vec::new();
    pinstate_core::pin::encode(&pin, &mut value);
    let fault = encoder.encode(pin.cid.as_bytes(), &value, &mut out).unwrap_err();
    assert_eq!(fault.field, "timestamp");
    assert_eq!(out, b"before");
    let fault = encoder.encode(b"no cid", &value, &mut out).unwrap_err();
    assert_eq!(fault.to_string(), "key: these bytes are no CID");
    let fault = encoder.encode(pin.cid.as_bytes(), &[0x0a], &mut out).unwrap_err();
    assert_eq!(fault.field, "value");
    assert_eq!(out, b"before");
}
