use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::format::Leniency;

/// Two `meta.json` files of ipfs-cluster v1.1.6 (`raft.SnapshotSave`), for two peers and for
/// none, over the same state of 373 bytes.
const GO_TWO_PEERS: &str = concat!(
    r#"{"Version":1,"ID":"1-2-1795458310598","Index":2,"Term":1,"#,
    r#""Peers":"ktoANDEyRDNLb29XS0ZGVEN5VjhOZDN1UldnYmhDYWVWZDNUZ1FzcVRBSndFdE50UkR2RllDVFDaAC5RbVhacnRFNWpRd1hOcUNKTWZIVVRRa3ZoUTRaQW5xTW5tekZNSmZMZXd1YWJj","#,
    r#""Configuration":{"Servers":[{"Suffrage":0,"ID":"12D3KooWKFFTCyV8Nd3uRWgbhCaeVd3TgQsqTAJwEtNtRDvFYCTP","Address":"12D3KooWKFFTCyV8Nd3uRWgbhCaeVd3TgQsqTAJwEtNtRDvFYCTP"},"#,
    r#"{"Suffrage":0,"ID":"QmXZrtE5jQwXNqCJMfHUTQkvhQ4ZAnqMnmzFMJfLewuabc","Address":"QmXZrtE5jQwXNqCJMfHUTQkvhQ4ZAnqMnmzFMJfLewuabc"}]},"#,
    r#""ConfigurationIndex":1,"Size":373,"CRC":"9V/h+3aA8rk="}"#,
);
const GO_NO_PEERS: &str = concat!(
    r#"{"Version":1,"ID":"1-2-1795458310609","Index":2,"Term":1,"Peers":"wA==","#,
    r#""Configuration":{"Servers":[]},"ConfigurationIndex":1,"Size":373,"CRC":"9V/h+3aA8rk="}"#,
);
const PEERS: [&str; 2] = [
    "12D3KooWKFFTCyV8Nd3uRWgbhCaeVd3TgQsqTAJwEtNtRDvFYCTP",
    "QmXZrtE5jQwXNqCJMfHUTQkvhQ4ZAnqMnmzFMJfLewuabc",
];

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// Places a snapshot by hand, as Go would.
fn place(raft: &Path, id: &str, term: u64, index: u64, state: &[u8]) -> PathBuf {
    let dir = raft.join("snapshots").join(id);
    fs::create_dir_all(&dir).unwrap();
    let mut crc = crc64fast::Digest::new();
    crc.write(state);
    let crc = data_encoding::BASE64.encode(&crc.sum64().to_be_bytes());
    let meta = format!(
        r#"{{"Version":1,"ID":"{id}","Index":{index},"Term":{term},"Peers":null,"Configuration":{{"Servers":null}},"ConfigurationIndex":0,"Size":{},"CRC":"{crc}"}}"#,
        state.len()
    );
    fs::write(dir.join("meta.json"), meta).unwrap();
    fs::write(dir.join("state.bin"), state).unwrap();
    dir
}

fn state_of(snapshot: &RaftSnapshot) -> Vec<u8> {
    let mut state = Vec::new();
    snapshot.verify().unwrap().read_to_end(&mut state).unwrap();
    state
}

fn open(path: &Path) -> Result<RaftSnapshot, RaftError> {
    RaftSnapshot::open(path, Leniency::Strict)
}

fn edit_meta(dir: &Path, from: &str, to: &str) {
    let path = dir.join("meta.json");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{from} is not in {text}");
    fs::write(path, text.replace(from, to)).unwrap();
}

#[test]
fn checksum_is_the_one_of_go() {
    // The check value of CRC-64/XZ, which Go's crc64.Checksum gives for its table ECMA.
    let mut crc = crc64fast::Digest::new();
    crc.write(b"123456789");
    assert_eq!(crc.sum64(), 0x995d_c9bb_df19_39fa);
}

#[test]
fn meta_is_read_and_written_as_go_does() {
    for (text, peers) in [(GO_TWO_PEERS, &PEERS[..]), (GO_NO_PEERS, &[])] {
        let read: RaftMeta = serde_json::from_str(text).unwrap();
        let ids: Vec<_> = read.servers().iter().map(|server| server.id.as_str()).collect();
        assert_eq!(ids, peers);
        assert_eq!(serde_json::to_string(&read).unwrap(), text);

        let RaftSnapshotOptions { term, index, configuration_index, servers } =
            RaftSnapshotOptions::for_peers(peers.iter().copied().chain(peers.iter().copied()));
        let mut made = RaftMeta::new(read.id.clone(), term, index, configuration_index, servers);
        made.size = read.size;
        made.crc = Some(vec![0xf5, 0x5f, 0xe1, 0xfb, 0x76, 0x80, 0xf2, 0xb9]);
        assert_eq!(made, read);
    }
}

#[test]
fn peers_in_every_width_of_header() {
    let long = "p".repeat(70_000);
    let options = RaftSnapshotOptions::for_peers(
        (0..15).map(|peer| format!("peer {peer}")).chain([long.clone()]),
    );
    let meta = RaftMeta::new("id".into(), 1, 2, 1, options.servers);
    let peers = meta.peers.unwrap();
    assert_eq!(&peers[..11], b"\xdc\x00\x10\xa6peer 0\xa6");
    assert!(peers.ends_with(&[&b"\xdb\x00\x01\x11\x70"[..], long.as_bytes()].concat()));
}

#[test]
fn takes_each_of_the_three_folders() {
    let base = folder();
    let dir = place(&base.path().join("raft"), "1-2-3", 1, 2, b"state");
    for path in [base.path().to_path_buf(), base.path().join("raft"), dir.clone()] {
        let snapshot = open(&path).unwrap();
        assert_eq!(fs::canonicalize(snapshot.path()).unwrap(), fs::canonicalize(&dir).unwrap());
        assert_eq!((snapshot.meta().term, snapshot.meta().index), (1, 2));
        assert_eq!(state_of(&snapshot), b"state");
    }
}

#[test]
fn newest_is_by_term_then_index_then_id() {
    let base = folder();
    let raft = base.path().join("raft");
    place(&raft, "1-900-9", 1, 900, b"old term");
    place(&raft, "2-10-5", 2, 10, b"low index");
    place(&raft, "2-20-5", 2, 20, b"low id");
    place(&raft, "2-20-7", 2, 20, b"newest");
    place(&raft, "9-99-9.tmp", 9, 99, b"unfinished");
    fs::write(raft.join("snapshots/permTest"), "a file").unwrap();
    assert_eq!(state_of(&open(base.path()).unwrap()), b"newest");
    // The IDs are compared as text, as Go does.
    place(&raft, "2-20-11", 2, 20, b"lower text");
    assert_eq!(state_of(&open(base.path()).unwrap()), b"newest");
}

#[test]
fn says_what_is_not_there() {
    let base = folder();
    let text = |path: &Path| {
        let error = open(path).unwrap_err().to_string();
        assert!(!error.contains('\n'));
        error.replace(base.path().to_str().unwrap(), "BASE")
    };
    let missing = text(&base.path().join("missing"));
    assert!(missing.starts_with("cannot read BASE/missing: "), "{missing}");
    assert_eq!(
        text(base.path()),
        "BASE is no raft folder: it holds neither meta.json nor snapshots/ nor raft/snapshots/; \
         give ipfs-cluster's folder, its raft folder or one snapshot's folder"
    );
    let dir = place(&base.path().join("raft"), "1-2-3.tmp", 1, 2, b"state");
    assert_eq!(
        text(base.path()),
        "BASE/raft/snapshots holds no finished snapshot: the peer has never made one"
    );
    assert_eq!(
        text(&dir),
        "BASE/raft/snapshots/1-2-3.tmp is a snapshot that was never finished; take another one"
    );
}

#[test]
fn a_damaged_meta_is_refused_or_passed_over() {
    let base = folder();
    let raft = base.path().join("raft");
    place(&raft, "1-2-3", 1, 2, b"older");
    for (from, to, says) in [
        ("\"}", "\"", "EOF while parsing"),
        ("\"Version\":1", "\"Version\":2", "version 2 is not known, only 0 and 1 are"),
        ("\"Version\":1", "\"Version\":-1", "version -1 is not known"),
        ("\"CRC\":\"", "\"CRC\":\"*", "no base64"),
        ("\"Index\":9", "\"Index\":-9", "invalid value"),
    ] {
        let damaged = place(&raft, "9-9-9", 9, 9, b"newer");
        edit_meta(&damaged, from, to);
        let error = open(base.path()).unwrap_err().to_string();
        assert!(error.contains("9-9-9/meta.json: ") && error.contains(says), "{error}");
        let lenient = RaftSnapshot::open(base.path(), Leniency::Compat).unwrap();
        assert_eq!(state_of(&lenient), b"older");
        assert_eq!(lenient.skipped().len(), 1);
        assert_eq!(lenient.skipped()[0].path, damaged);
        assert!(lenient.skipped()[0].reason.contains(says));
    }
    fs::remove_file(raft.join("snapshots/9-9-9/meta.json")).unwrap();
    let error = open(base.path()).unwrap_err();
    assert!(matches!(error, RaftError::Io { action: "open", .. }), "{error}");
}

#[test]
fn a_damaged_state_is_refused_whole() {
    let base = folder();
    let dir = place(&base.path().join("raft"), "1-2-3", 1, 2, b"the whole state");
    let snapshot = open(base.path()).unwrap();
    let state = dir.join("state.bin");

    fs::write(&state, "the whole stat").unwrap();
    let error = snapshot.verify().unwrap_err().to_string();
    assert!(
        error.contains("state.bin has 14 bytes, but its meta.json says 15: it is damaged"),
        "{error}"
    );
    // ipfs-cluster looks at the checksum alone; it finds the same damage.
    let lenient = RaftSnapshot::open(base.path(), Leniency::Compat).unwrap();
    assert!(matches!(lenient.verify(), Err(RaftError::Checksum { .. })));

    fs::write(&state, "the Whole state").unwrap();
    let error = snapshot.verify().unwrap_err().to_string();
    assert!(error.contains("state.bin has the CRC-64 "), "{error}");

    fs::write(&state, "the whole state").unwrap();
    edit_meta(&dir, "\"Size\":15", "\"Size\":16");
    assert!(matches!(open(&dir).unwrap().verify(), Err(RaftError::Size { .. })));
    assert_eq!(state_of(&RaftSnapshot::open(&dir, Leniency::Compat).unwrap()), b"the whole state");

    fs::remove_file(&state).unwrap();
    assert!(matches!(snapshot.verify(), Err(RaftError::Io { .. })));
    fs::create_dir(&state).unwrap();
    assert!(matches!(snapshot.verify(), Err(RaftError::Io { .. })));
}

#[test]
fn a_state_without_checksum_is_refused() {
    let base = folder();
    let dir = place(base.path(), "1-2-3", 1, 2, b"");
    let text = fs::read_to_string(dir.join("meta.json")).unwrap();
    let (before, _) = text.split_once(",\"CRC\"").unwrap();
    for meta in [format!("{before}}}"), format!("{before},\"CRC\":null}}")] {
        fs::write(dir.join("meta.json"), meta).unwrap();
        let error = open(base.path()).unwrap().verify().unwrap_err().to_string();
        assert!(error.contains("but its meta.json says nothing: it is damaged"), "{error}");
    }
}

#[test]
fn what_is_written_is_read() {
    let base = folder();
    let raft = base.path().join("deep/down/raft");
    let mut writer =
        RaftSnapshotWriter::create(&raft, RaftSnapshotOptions::for_peers(PEERS)).unwrap();
    let mut state = Vec::new();
    for block in 0..100_u8 {
        let bytes = vec![block; 1000];
        writer.write_all(&bytes).unwrap();
        state.extend(bytes);
    }
    let dir = writer.finish().unwrap();
    let snapshot = open(&base.path().join("deep/down")).unwrap();
    assert_eq!(snapshot.path(), dir);
    assert_eq!(state_of(&snapshot), state);
    let meta = snapshot.meta();
    assert_eq!((meta.version, meta.term, meta.index, meta.configuration_index), (1, 1, 2, 1));
    assert_eq!(Path::new(&meta.id), dir.file_name().unwrap());
    assert_eq!(meta.size, 100_000);
    assert_eq!(meta.servers().len(), 2);
    let names: Vec<_> = fs::read_dir(raft.join("snapshots")).unwrap().collect();
    assert_eq!(names.len(), 1);
}

#[test]
fn an_unfinished_one_is_never_seen() {
    let base = folder();
    let create = || {
        let mut writer =
            RaftSnapshotWriter::create(base.path(), RaftSnapshotOptions::for_peers(PEERS)).unwrap();
        writer.write_all(b"half a state").unwrap();
        writer
    };
    let there = || fs::read_dir(base.path().join("snapshots")).unwrap().count();
    drop(create());
    assert_eq!(there(), 0);
    std::mem::forget(create()); // what a crash leaves
    std::mem::forget(create());
    assert_eq!(there(), 2);
    assert!(matches!(open(base.path()), Err(RaftError::Empty { .. })));
    create().finish().unwrap();
    assert_eq!(state_of(&open(base.path()).unwrap()), b"half a state");
}

#[test]
fn never_beside_other_raft_data() {
    let options = || RaftSnapshotOptions::for_peers(PEERS);
    let base = folder();
    let dir = place(base.path(), "1-2-3", 1, 2, b"state");
    let error = RaftSnapshotWriter::create(base.path(), options()).unwrap_err();
    assert!(matches!(&error, RaftError::Occupied { path } if *path == dir), "{error}");

    let base = folder();
    fs::write(base.path().join("raft.db"), "log").unwrap();
    let error = RaftSnapshotWriter::create(base.path(), options()).unwrap_err();
    assert!(matches!(&error, RaftError::Occupied { path } if path.ends_with("raft.db")), "{error}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_failed_write_is_never_finished() {
    let base = folder();
    let mut writer =
        RaftSnapshotWriter::create(base.path(), RaftSnapshotOptions::for_peers(PEERS)).unwrap();
    writer.refuse_writes();
    assert!(writer.write_all(&[7; 100_000]).is_err());
    assert!(matches!(writer.finish(), Err(RaftError::Broken { .. })));
    assert_eq!(fs::read_dir(base.path().join("snapshots")).unwrap().count(), 0);
}

proptest! {
    #[test]
    fn no_meta_panics(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6), cut in any::<prop::sample::Index>()) {
        let mut text = GO_TWO_PEERS.as_bytes().to_vec();
        for (at, byte) in changes {
            let at = at.index(text.len());
            text[at] = byte;
        }
        let _ = serde_json::from_slice::<RaftMeta>(&text);
        let _ = serde_json::from_slice::<RaftMeta>(&text[..cut.index(text.len())]);
    }
}
