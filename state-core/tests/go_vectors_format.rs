//! The snapshot reader and the raft folder against what ipfs-cluster's own code made of the
//! same input.
//!
//! The vectors are written by the Go module in `interop/`.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // as in every test

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use data_encoding::{BASE64, HEXLOWER};
use pinstate_core::digest::{Digest, Kind, canonical};
use pinstate_core::format::raft::{RaftSnapshot, RaftSnapshotOptions, RaftSnapshotWriter};
use pinstate_core::format::snapshot::{CUT_SHORT, SnapshotDecoder, SnapshotEncoder};
use pinstate_core::format::{Decoder, Encoder, Entry, Leniency, key};
use pinstate_core::pin::PinView;
use proptest::prelude::*;
use serde::Deserialize;

/// One line of `snapshots.jsonl`: an input, whether Go's `Unmarshal` succeeds, and what it has
/// put into an empty store by then.
#[derive(Deserialize)]
struct Vector {
    name: String,
    input_b64: String,
    ok: bool,
    entries: Vec<GoEntry>,
}

#[derive(Deserialize)]
struct GoEntry {
    key_text_hex: String,
    value_hex: Option<String>,
}

/// The parts of a line of `pins.jsonl` that are used here.
#[derive(Deserialize)]
struct PinVector {
    name: String,
    key_hex: String,
    value_hex: String,
    reencoded_hex: Option<String>,
}

fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../interop/testdata").join(name)
}

fn lines<T: for<'de> Deserialize<'de>>(file: &str) -> Vec<T> {
    let path = testdata(file);
    let text =
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let vectors: Vec<_> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(vectors.len() > 100, "{file} has hardly any vectors");
    vectors
}

fn hex(text: &str) -> Vec<u8> {
    HEXLOWER.decode(text.as_bytes()).unwrap()
}

fn decode(leniency: Leniency, input: &[u8]) -> Vec<Entry> {
    let mut out = Vec::new();
    let used = SnapshotDecoder::new(leniency).decode(input, true, usize::MAX, &mut out);
    assert_eq!(used, input.len());
    out
}

/// The same in pieces of so many bytes.
fn decode_slowly(leniency: Leniency, input: &[u8], piece: usize) -> Vec<Entry> {
    let mut decoder = SnapshotDecoder::new(leniency);
    let (mut out, mut from, mut to) = (Vec::new(), 0, 0);
    while to < input.len() {
        to = (to + piece).min(input.len());
        from += decoder.decode(&input[from..to], to == input.len(), usize::MAX, &mut out);
    }
    assert_eq!(from, input.len());
    out
}

/// What Go has in its store in the end, without what is under keys that name no CID: those are
/// refused, as is documented.
fn stored_by_go(vector: &Vector) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut cid = Vec::new();
    let pins = vector.entries.iter().filter_map(|entry| {
        key::parse(&hex(&entry.key_text_hex), &mut cid).ok()?;
        Some((cid.clone(), entry.value_hex.as_deref().map(hex).unwrap_or_default()))
    });
    pins.collect()
}

fn check(vector: &Vector) -> Result<(), String> {
    let input = BASE64.decode(vector.input_b64.as_bytes()).unwrap();
    for leniency in [Leniency::Strict, Leniency::Compat] {
        let piece = if input.len() < 1000 { 1 } else { 1000 };
        let (whole, slow) = (decode(leniency, &input), decode_slowly(leniency, &input, piece));
        if format!("{whole:?}") != format!("{slow:?}") {
            return Err(format!("{leniency:?} in pieces: {slow:?}"));
        }
    }
    let entries = decode(Leniency::Compat, &input);
    let mut stored = BTreeMap::new();
    for (index, entry) in entries.iter().enumerate() {
        let last = index + 1 == entries.len();
        match &entry.body {
            Ok((key, value)) => drop(stored.insert(key.to_vec(), value.to_vec())),
            Err(fault) if fault.recoverable => {
                if fault.field != "key" || !entry.let_through.is_empty() {
                    return Err(format!("entry {index} is refused otherwise than Go: {entry:?}"));
                }
            }
            Err(_) if vector.ok && last && entry.let_through == [CUT_SHORT] => {}
            Err(_) if !vector.ok && last && entry.let_through.is_empty() => {}
            Err(_) => return Err(format!("Go ends with ok = {}, but: {entry:?}", vector.ok)),
        }
    }
    let gave_up = |entry: &Entry| {
        let fault = entry.body.as_ref().err();
        fault.is_some_and(|fault| !fault.recoverable) && entry.let_through.is_empty()
    };
    if entries.last().is_some_and(gave_up) == vector.ok {
        return Err(format!("Go ends with ok = {}, but: {entries:?}", vector.ok));
    }
    match stored == stored_by_go(vector) {
        true => Ok(()),
        false => Err(format!("stored {stored:?}")),
    }
}

#[test]
fn snapshots_agree_with_go() {
    let vectors: Vec<Vector> = lines("snapshots.jsonl");
    let failed: Vec<_> = vectors
        .iter()
        .filter_map(|vector| check(vector).err().map(|error| format!("{}: {error}", vector.name)))
        .collect();
    assert!(failed.is_empty(), "{} of {}:\n{}", failed.len(), vectors.len(), failed.join("\n"));
    // The vectors must show each end that there is.
    assert!(vectors.iter().any(|vector| !vector.ok));
    assert!(vectors.iter().any(|vector| vector.entries.len() > 1));
}

#[test]
fn strict_accepts_what_ipfs_cluster_would_have_written_alone() {
    for vector in lines::<Vector>("snapshots.jsonl") {
        let input = BASE64.decode(vector.input_b64.as_bytes()).unwrap();
        let strict = decode(Leniency::Strict, &input);
        let compat = decode(Leniency::Compat, &input);
        for (strict, compat) in strict.iter().zip(&compat) {
            let clean = compat.body.is_ok() && compat.let_through.is_empty();
            assert_eq!(strict.body.is_ok(), clean, "{}: {strict:?}", vector.name);
            if let Ok((key, value)) = &strict.body {
                let mut again = Vec::new();
                SnapshotEncoder::new().encode(key, value, &mut again).unwrap();
                let from = usize::try_from(strict.at.offset).unwrap();
                assert!(input[from..].starts_with(&again), "{}", vector.name);
            }
        }
    }
}

#[test]
fn a_snapshot_of_go_is_written_again_byte_for_byte() {
    let input = fs::read(testdata("sample.snapshot")).unwrap();
    let mut again = Vec::new();
    let mut entries = 0;
    for entry in decode(Leniency::Strict, &input) {
        let (key, value) = entry.body.unwrap();
        SnapshotEncoder::new().encode(&key, &value, &mut again).unwrap();
        entries += 1;
    }
    assert!(entries >= 100, "{entries}");
    assert!(again == input, "the bytes differ");
}

#[test]
fn a_raft_folder_of_go_is_read_and_written_again() {
    let snapshot = RaftSnapshot::open(&testdata("raft"), Leniency::Strict).unwrap();
    let mut state = Vec::new();
    snapshot.verify().unwrap().read_to_end(&mut state).unwrap();
    let records: BTreeMap<_, _> =
        decode(Leniency::Strict, &state).into_iter().map(|entry| entry.body.unwrap()).collect();
    let snapshot_file = fs::read(testdata("sample.snapshot")).unwrap();
    let same: BTreeMap<_, _> = decode(Leniency::Strict, &snapshot_file)
        .into_iter()
        .map(|entry| entry.body.unwrap())
        .collect();
    assert!(records == same, "the folder and the snapshot hold other records");

    let folder = tempfile::tempdir().unwrap();
    let mut options = RaftSnapshotOptions::for_peers(
        snapshot.meta().servers().iter().map(|server| server.id.clone()),
    );
    assert_eq!(options.servers, snapshot.meta().servers());
    (options.term, options.index) = (snapshot.meta().term, snapshot.meta().index);
    let mut writer = RaftSnapshotWriter::create(folder.path(), options).unwrap();
    writer.write_all(&state).unwrap();
    let written = writer.finish().unwrap();
    let text =
        |dir: &Path, id: &str| fs::read_to_string(dir.join("meta.json")).unwrap().replace(id, "ID");
    let written_id = written.file_name().unwrap().to_str().unwrap();
    assert_eq!(text(&written, written_id), text(snapshot.path(), &snapshot.meta().id));
}

#[test]
fn canonical_bytes_are_those_that_go_writes_again() {
    let (mut canonical_already, mut others) = (0, 0);
    for vector in lines::<PinVector>("pins.jsonl") {
        let (key, value) = (hex(&vector.key_hex), hex(&vector.value_hex));
        let Some(reencoded) = vector.reencoded_hex.as_deref().map(hex) else {
            let mut digest = Digest::new(Kind::Pin);
            assert!(digest.add_record(&key, &value).is_err(), "{}", vector.name);
            continue;
        };
        let view = PinView::new(&key, &value).unwrap();
        assert_eq!(canonical(&view), reencoded, "{}", vector.name);
        *if reencoded == value { &mut canonical_already } else { &mut others } += 1;

        let mut expected = Digest::new(Kind::Pin);
        expected.add(&key, &reencoded);
        let mut digest = Digest::new(Kind::Pin);
        digest.add_record(&key, &value).unwrap();
        assert_eq!(digest, expected, "{}", vector.name);
    }
    assert!(canonical_already > 100 && others > 10, "{canonical_already}, {others}");
}

proptest! {
    #[test]
    fn a_damaged_snapshot_of_go_never_panics(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut input = fs::read(testdata("sample.snapshot")).unwrap();
        input.truncate(cut.index(input.len()) + 1);
        for (at, byte) in changes {
            let at = at.index(input.len());
            input[at] = byte;
        }
        for leniency in [Leniency::Strict, Leniency::Compat] {
            let whole = decode(leniency, &input);
            prop_assert_eq!(format!("{whole:?}"), format!("{:?}", decode_slowly(leniency, &input, 4096)));
        }
    }
}
