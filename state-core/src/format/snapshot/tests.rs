use proptest::prelude::*;

use super::*;

/// A CIDv1 of 36 bytes.
fn cid(seed: u8) -> Vec<u8> {
    let mut cid = vec![1, 0x55, 0x12, 32];
    cid.extend((0..32).map(|byte| seed ^ (byte * 7)));
    cid
}

/// A stored pin with a name and nothing else.
fn pin(name: &str) -> Vec<u8> {
    let len = u8::try_from(name.len()).unwrap();
    [&[0x32, len + 2, 0x1a, len][..], name.as_bytes()].concat()
}

fn written(cid: &[u8], value: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    SnapshotEncoder::new().encode(cid, value, &mut out).unwrap();
    out
}

/// An entry with this key text, in the layout of ipfs-cluster.
fn entry_with(key: &[u8], value: &[u8]) -> Vec<u8> {
    let mut out = b"\x82\xa1k".to_vec();
    write_raw_head(key.len(), &mut out);
    out.extend(key);
    out.extend(b"\xa1v");
    write_raw_head(value.len(), &mut out);
    out.extend(value);
    out
}

fn decode(leniency: Leniency, input: &[u8]) -> Vec<Entry> {
    let mut out = Vec::new();
    let used = SnapshotDecoder::new(leniency).decode(input, true, usize::MAX, &mut out);
    assert_eq!(used, input.len());
    out
}

/// Decodes in pieces that end at these offsets, a few entries at a time.
fn decode_in_pieces(leniency: Leniency, input: &[u8], cuts: &[usize], limit: usize) -> Vec<Entry> {
    let mut decoder = SnapshotDecoder::new(leniency);
    let (mut out, mut from) = (Vec::new(), 0);
    let mut cuts: Vec<_> = cuts.iter().map(|cut| cut % (input.len() + 1)).collect();
    cuts.sort_unstable();
    cuts.push(input.len());
    let last = cuts.len() - 1;
    for (index, cut) in cuts.into_iter().enumerate() {
        loop {
            let (had, mut some) = (out.len(), Vec::new());
            let used = decoder.decode(&input[from.min(cut)..cut], index == last, limit, &mut some);
            from += used;
            out.append(&mut some);
            if out.len() == had {
                break;
            }
        }
    }
    assert_eq!(from, input.len());
    out
}

/// What can be compared of an entry.
fn shown(entries: &[Entry]) -> String {
    format!("{entries:#?}")
}

fn fault(entry: &Entry) -> (&str, &str, Option<u64>, bool) {
    let fault = entry.body.as_ref().unwrap_err();
    (&fault.field, &fault.reason, fault.offset, fault.recoverable)
}

#[test]
fn writes_the_bytes_of_go() {
    let cid = cid(0);
    let text = key::text(&cid);
    assert_eq!(text.len(), 58);
    let entry = written(&cid, b"");
    assert_eq!(entry, [&b"\x82\xa1k\xda\x00\x3a"[..], text.as_bytes(), b"\xa1v\xa0"].concat());
    for (len, head) in [
        (1, &b"\xa1"[..]),
        (31, b"\xbf"),
        (32, b"\xda\x00\x20"),
        (255, b"\xda\x00\xff"),
        (65_535, b"\xda\xff\xff"),
        (65_536, b"\xdb\x00\x01\x00\x00"),
        (70_000, b"\xdb\x00\x01\x11\x70"),
    ] {
        let value = vec![9; len];
        assert!(written(&cid, &value).ends_with(&[&b"\xa1v"[..], head, &value].concat()), "{len}");
    }
    // A short CID has a key of the shortest header.
    assert!(written(&[1, 0x55, 0, 1, 7], b"v").starts_with(b"\x82\xa1k\xa8"));
}

#[test]
fn refuses_to_write_what_it_would_not_read() {
    let mut out = b"before".to_vec();
    let fault = SnapshotEncoder::new().encode(&[], b"v", &mut out).unwrap_err();
    assert_eq!(fault.to_string(), "key: empty, so it names no CID");
    let fault = SnapshotEncoder::new().encode(&cid(0), &vec![0; MAX_ENTRY], &mut out).unwrap_err();
    assert_eq!(fault.to_string(), "value: is too long for a snapshot: entries end at 64 MiB");
    assert_eq!(out, b"before");
}

#[test]
fn strict_reads_what_is_written_and_says_where() {
    let (first, second) = (written(&cid(1), &pin("one")), written(&cid(2), &pin("two")));
    let entries = decode(Leniency::Strict, &[&first[..], &second].concat());
    assert_eq!(entries.len(), 2);
    for (entry, (seed, name)) in entries.iter().zip([(1, "one"), (2, "two")]) {
        let (key, value) = entry.body.as_ref().unwrap();
        assert_eq!((&key[..], &value[..]), (&cid(seed)[..], &pin(name)[..]));
        assert!(entry.raw.is_empty() && entry.let_through.is_empty());
    }
    assert_eq!(entries[0].at, Position { ordinal: 1, line: 0, offset: 0 });
    assert_eq!(entries[1].at, Position { ordinal: 2, line: 0, offset: first.len() as u64 });
    assert!(decode(Leniency::Strict, b"").is_empty());
}

#[test]
fn every_cut_is_found() {
    let whole = written(&cid(1), &pin("one"));
    let second = written(&cid(2), &pin("two"));
    for cut in 1..second.len() {
        let input = [&whole[..], &second[..cut]].concat();
        for leniency in [Leniency::Strict, Leniency::Compat] {
            let entries = decode(leniency, &input);
            assert_eq!(entries.len(), 2, "{cut}");
            assert!(entries[0].body.is_ok());
            let reason = format!("is cut short: the input ends after {cut} bytes of it");
            assert_eq!(fault(&entries[1]), ("entry", &reason[..], Some(input.len() as u64), false));
            assert_eq!(entries[1].raw, second[..cut]);
            let counted = leniency == Leniency::Compat;
            assert_eq!(entries[1].let_through, if counted { vec![CUT_SHORT] } else { vec![] });
        }
    }
}

#[test]
fn keys_that_are_not_canonical_are_stored_in_neither_mode() {
    let text = key::text(&cid(1));
    let other = format!("not the canonical base32 of its CID, which is {text}");
    for (key, reason) in [
        (&text.to_lowercase()[..], &other[..]),
        ("", "empty, so it names no CID"),
        ("AAAA", "base32 of bytes that are no CID"),
        ("no key", "byte 0x20 at index 2 is no base32 digit"),
    ] {
        let input = [entry_with(key.as_bytes(), &pin("x")), written(&cid(2), &pin("y"))].concat();
        for leniency in [Leniency::Strict, Leniency::Compat] {
            let entries = decode(leniency, &input);
            assert_eq!(fault(&entries[0]), ("key", reason, None, true), "{key}");
            assert_eq!(entries[0].raw, input[..input.len() - written(&cid(2), &pin("y")).len()]);
            assert!(entries[0].let_through.is_empty());
            assert!(entries[1].body.is_ok(), "the next entry is read");
        }
    }
}

#[test]
fn a_value_that_is_no_pin() {
    let input = [written(&cid(1), b"\xff"), written(&cid(2), &pin("y"))].concat();
    let entries = decode(Leniency::Strict, &input);
    assert!(fault(&entries[0]).3, "recoverable");
    assert!(entries[1].body.is_ok());
    let entries = decode(Leniency::Compat, &input);
    assert_eq!(entries[0].body, Ok((cid(1).into(), b"\xff"[..].into())));
    assert_eq!(entries[0].let_through, [UNDECODABLE]);
}

/// An entry, its value, the field at fault in strict, and what is noted in compat.
type Case<'a> = (Vec<u8>, &'a [u8], &'a str, &'a [&'a str]);

/// Layouts of other writers for key and value.
#[test]
fn other_layouts() {
    let text = key::text(&cid(1));
    let (k, v) = (text.as_bytes(), pin("x"));
    let raw = |bytes: &[u8]| {
        let mut out = Vec::new();
        write_raw_head(bytes.len(), &mut out);
        out.extend(bytes);
        out
    };
    let map = |head: &[u8], parts: &[&[u8]]| [head, &parts.concat()].concat();
    let (key, value) = ([&b"\xa1k"[..], &raw(k)].concat(), [&b"\xa1v"[..], &raw(&v)].concat());
    let str8 = |bytes: &[u8]| [&[0xd9, bytes.len() as u8][..], bytes].concat();
    let bin8 = |bytes: &[u8]| [&[0xc4, bytes.len() as u8][..], bytes].concat();
    let raw32 = |bytes: &[u8]| [&[0xdb, 0, 0, 0, bytes.len() as u8][..], bytes].concat();
    let numbers = |bytes: &[u8]| {
        let numbers = bytes.iter().flat_map(|byte| [0xcc, *byte]);
        [0xdc, 0, bytes.len() as u8].into_iter().chain(numbers).collect::<Vec<u8>>()
    };
    let pairs = |bytes: &[u8]| {
        let numbers = bytes.iter().flat_map(|byte| [0xd1, 0, *byte]);
        [0x80 | (bytes.len() / 2) as u8].into_iter().chain(numbers).collect::<Vec<u8>>()
    };
    let even = pin("xy");
    let deep = [vec![0x91; 100_000], vec![0xc0]].concat();
    let cases: Vec<Case<'_>> = vec![
        (map(b"\xde\x00\x02", &[&key, &value]), &v, "entry", &[OTHER_LAYOUT]),
        (map(b"\xdf\x00\x00\x00\x02", &[&key, &value]), &v, "entry", &[OTHER_LAYOUT]),
        (map(b"\x82", &[&value, &key]), &v, "entry", &[OTHER_LAYOUT]),
        (map(b"\x92", &[&raw(k), &raw(&v)]), &v, "entry", &[OTHER_LAYOUT]),
        (map(b"\x82", &[b"\xa1k", &str8(k), &value]), &v, "entry", &[OTHER_LAYOUT]),
        (map(b"\x82", &[&key, b"\xa1v", &bin8(&v)]), &v, "entry", &[OTHER_LAYOUT]),
        (map(b"\x82", &[&key, b"\xa1v", &raw32(&v)]), &v, "entry", &[OTHER_LAYOUT]),
        (map(b"\x82", &[b"\xd9\x01k", &raw(k), &value]), &v, "entry", &[OTHER_LAYOUT]),
        (map(b"\x82", &[b"\xa1k", &numbers(k), &value]), &v, "entry", &[OTHER_LAYOUT]),
        (map(b"\x82", &[&key, b"\xa1v", &numbers(&v)]), &v, "entry", &[OTHER_LAYOUT]),
        (map(b"\x82", &[&key, b"\xa1v", &pairs(&even)]), &even, "entry", &[OTHER_LAYOUT]),
        (
            map(b"\x83", &[&key, &value, b"\xa1x", &deep]),
            &v,
            "entry",
            &[OTHER_LAYOUT, UNKNOWN_FIELD],
        ),
        (map(b"\x93", &[&raw(k), &raw(&v), b"\xc3"]), &v, "entry", &[OTHER_LAYOUT, UNKNOWN_FIELD]),
        (
            map(b"\x83", &[&key, b"\xa1v\xa1z", &value]),
            &v,
            "entry",
            &[OTHER_LAYOUT, REPEATED_FIELD],
        ),
        (map(b"\x81", &[&key]), b"", "entry", &[OTHER_LAYOUT, NO_VALUE]),
        (map(b"\x82", &[&key, b"\xa1v\xc0"]), b"", "value", &[NO_VALUE]),
    ];
    for (input, value, field, notes) in cases {
        let compat = decode(Leniency::Compat, &[&input[..], &written(&cid(2), &v)].concat());
        assert_eq!(compat[0].body, Ok((cid(1).into(), value.to_vec().into())), "{input:02x?}");
        assert_eq!(compat[0].let_through, notes, "{input:02x?}");
        assert!(compat[1].body.is_ok());
        let strict = decode(Leniency::Strict, &[&input[..], &written(&cid(2), &v)].concat());
        let (found, _, offset, recoverable) = fault(&strict[0]);
        assert_eq!((found, recoverable), (field, true), "{input:02x?}");
        assert_eq!(offset.is_some(), field != "key");
        assert_eq!(strict[0].raw, input);
        assert!(strict[1].body.is_ok(), "the next entry is read");
    }
    for nothing in [&b"\xc0"[..], b"\x80", b"\x90", b"\xde\x00\x00", b"\x81\xa1v\xa0"] {
        let entries = decode(Leniency::Compat, nothing);
        assert_eq!(fault(&entries[0]), ("key", "empty, so it names no CID", None, true));
        assert!(entries[0].let_through.is_empty());
    }
}

#[test]
fn strict_takes_the_shortest_headers_alone() {
    let text = key::text(&cid(1));
    let before = [b"\x82\xa1k\xda\x00\x3a", text.as_bytes(), b"\xa1v"].concat();
    for (len, shorter, longer) in [
        (31_usize, &b"\xbf"[..], &b"\xda\x00\x1f"[..]),
        (65_535, b"\xda\xff\xff", b"\xdb\x00\x00\xff\xff"),
    ] {
        // A field that nobody knows, as long as it takes.
        let head = if len == 31 { vec![0x7a, 29] } else { vec![0x7a, 0xfb, 0xff, 0x03] };
        let value = [&head[..], &vec![0; len - head.len()]].concat();
        let with = |header| [&before[..], header, &value].concat();
        assert!(decode(Leniency::Strict, &with(shorter))[0].body.is_ok());
        let longer = with(longer);
        assert_eq!(fault(&decode(Leniency::Strict, &longer)[0]).0, "entry");
        assert_eq!(decode(Leniency::Compat, &longer)[0].let_through, [OTHER_LAYOUT]);
    }
}

#[test]
fn what_go_gives_up_on_ends_the_reading() {
    let before = written(&cid(1), &pin("x"));
    let after = written(&cid(2), &pin("y"));
    for (broken, field, at) in [
        (&b"\x07"[..], "entry", 0),
        (b"\xa3abc", "entry", 0),
        (b"\xc1", "entry", 0),
        (b"\x81\x07", "entry", 1),
        (b"\x81\xa1k\x07", "key", 3),
        (b"\x81\xa1k\x81\x00\x00", "key", 3),
        (b"\x81\xa1v\x07", "value", 3),
        (b"\x81\xa1v\x92\x07\xcd\x01\x00", "value", 5),
        (b"\x81\xa1v\x91\xff", "value", 4),
        (b"\x81\xa1v\x91\xca\x3f\x00\x00\x00", "value", 4), // 0.5
        (b"\x81\xa1v\x91\xa1a", "value", 4),
        (b"\x81\xa1x\x92\x07\xc1", "entry", 5),
    ] {
        for leniency in [Leniency::Strict, Leniency::Compat] {
            let input = [&before[..], broken, &after].concat();
            let entries = decode(leniency, &input);
            assert_eq!(entries.len(), 2, "{broken:02x?}");
            assert!(entries[0].body.is_ok());
            let (found, _, offset, recoverable) = fault(&entries[1]);
            let offset = offset.map(|offset| offset as usize - before.len());
            assert_eq!((found, offset, recoverable), (field, Some(at), false), "{broken:02x?}");
            assert_eq!(entries[1].raw, broken[..=at]);
            assert!(entries[1].let_through.is_empty());
        }
    }
}

/// Feeds `len` bytes of nothing after `head`, a mebibyte at a time.
fn feed(leniency: Leniency, head: &[u8], mut len: usize) -> (Vec<Entry>, usize) {
    let mut decoder = SnapshotDecoder::new(leniency);
    let (mut out, mut kept, mut most) = (Vec::new(), head.to_vec(), 0);
    loop {
        most = most.max(kept.len());
        let used = decoder.decode(&kept, len == 0, 100, &mut out);
        kept.drain(..used);
        if len == 0 {
            return (out, most);
        }
        let next = len.min(1 << 20);
        kept.resize(kept.len() + next, 0);
        len -= next;
    }
}

#[test]
fn a_length_that_cannot_be_true_keeps_nothing_in_memory() {
    let mut head = b"\x82\xa1k".to_vec();
    head.extend(b"\xdb\xff\xff\xff\xff");
    for leniency in [Leniency::Strict, Leniency::Compat] {
        let (entries, most) = feed(leniency, &head, 9 << 20);
        let reason = format!("is cut short: the input ends after {} bytes of it", (9 << 20) + 8);
        assert_eq!((entries.len(), fault(&entries[0]).1), (1, &reason[..]));
        assert_eq!(entries[0].let_through.is_empty(), leniency == Leniency::Strict);
        assert!(most <= 2 << 20, "{most} bytes had to be kept");
    }
    let len = u32::try_from(MAX_ENTRY + 1).unwrap().to_be_bytes();
    let head = [&b"\x81\xa1v\xdb"[..], &len].concat();
    let (entries, most) = feed(Leniency::Compat, &head, MAX_ENTRY + 100);
    assert_eq!(entries.len(), 1);
    assert_eq!(
        fault(&entries[0]),
        ("entry", "is longer than 64 MiB, the most that is read", None, false)
    );
    assert!(entries[0].let_through.is_empty());
    assert!(most <= 2 << 20, "{most} bytes had to be kept");
}

#[test]
fn an_entry_that_is_too_long_is_so_in_one_piece_too() {
    let value = vec![0; MAX_ENTRY];
    let input = entry_with(key::text(&cid(1)).as_bytes(), &value);
    let entries = decode(Leniency::Compat, &input);
    assert_eq!(entries.len(), 1);
    assert_eq!(fault(&entries[0]).1, "is longer than 64 MiB, the most that is read");
}

#[test]
fn stops_at_the_limit_and_goes_on() {
    let input: Vec<u8> = (0..5).flat_map(|seed| written(&cid(seed), &pin("x"))).collect();
    let mut decoder = SnapshotDecoder::new(Leniency::Strict);
    let mut out = Vec::new();
    let used = decoder.decode(&input, true, 2, &mut out);
    assert_eq!((out.len(), used), (2, input.len() / 5 * 2));
    assert_eq!(decoder.decode(&input[used..], true, 2, &mut out), 0);
    assert_eq!(decoder.decode(&input[used..], true, 10, &mut out), input.len() - used);
    assert_eq!(out.len(), 5);
}

/// Entries of many kinds, good and bad.
fn entries() -> impl Strategy<Value = Vec<u8>> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..50);
    let any_cid = any::<u8>().prop_map(cid);
    let one = prop_oneof![
        8 => (any_cid.clone(), "[a-z]{0,40}").prop_map(|(cid, name)| written(&cid, &pin(&name))),
        2 => (any_cid, bytes()).prop_map(|(cid, value)| written(&cid, &value)),
        2 => (bytes(), bytes()).prop_map(|(key, value)| entry_with(&key, &value)),
        1 => Just(b"\xc0".to_vec()),
        1 => (any::<u8>(), bytes()).prop_map(|(seed, value)| {
            let text = key::text(&cid(seed));
            [&b"\x93\xd9"[..], &[text.len() as u8], text.as_bytes(), &[0xc4, value.len() as u8], &value, b"\x82\x01\x92\x02\x03\xa1z\xc0"].concat()
        }),
        1 => bytes(),
    ];
    prop::collection::vec(one, 0..6).prop_map(|entries| entries.concat())
}

proptest! {
    #[test]
    fn round_trip(records in prop::collection::vec((any::<u8>(), "[a-z ]{0,60}"), 0..8), limit in 1..5_usize, cuts in prop::collection::vec(any::<usize>(), 0..8)) {
        let records: Vec<_> = records.into_iter().map(|(seed, name)| (cid(seed), pin(&name))).collect();
        let input: Vec<u8> = records.iter().flat_map(|(cid, value)| written(cid, value)).collect();
        let entries = decode_in_pieces(Leniency::Strict, &input, &cuts, limit);
        let found: Vec<_> = entries.into_iter().map(|entry| entry.body.unwrap()).collect();
        prop_assert_eq!(found, records.into_iter().map(|(key, value)| (key.into(), value.into())).collect::<Vec<_>>());
    }

    #[test]
    fn any_cuts_give_the_same_entries(
        input in entries(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        cuts in prop::collection::vec(any::<usize>(), 0..8),
        limit in 1..4_usize,
    ) {
        let mut input = input;
        for (at, byte) in changes {
            if !input.is_empty() {
                let at = at.index(input.len());
                input[at] = byte;
            }
        }
        for leniency in [Leniency::Strict, Leniency::Compat] {
            let whole = decode(leniency, &input);
            prop_assert_eq!(shown(&whole), shown(&decode_in_pieces(leniency, &input, &cuts, limit)));
        }
    }

    #[test]
    fn what_strict_accepts_would_be_written_again(input in entries(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut input = input;
        if !input.is_empty() {
            let at = at.index(input.len());
            input[at] = byte;
        }
        for entry in decode(Leniency::Strict, &input) {
            if let Ok((key, value)) = entry.body {
                let from = usize::try_from(entry.at.offset).unwrap();
                prop_assert!(input[from..].starts_with(&written(&key, &value)));
            }
        }
    }

    #[test]
    fn strict_and_compat_differ_in_what_is_noted_alone(input in entries()) {
        let compat = decode(Leniency::Compat, &input);
        for (index, strict) in decode(Leniency::Strict, &input).iter().enumerate() {
            match &strict.body {
                Ok(record) => {
                    prop_assert_eq!(compat[index].body.as_ref(), Ok(record));
                    prop_assert!(compat[index].let_through.is_empty());
                }
                Err(_) => prop_assert!(!compat[index].let_through.is_empty() || compat[index].body.is_err()),
            }
        }
    }
}
