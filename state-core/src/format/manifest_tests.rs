use proptest::prelude::*;

use super::*;
use crate::digest::Kind;

fn sample() -> Manifest {
    let mut hasher = FileHasher::new();
    hasher.update(b"one line\n");
    hasher.update(b"another\n");
    let mut digest = Digest::new(Kind::Pin);
    digest.add(b"key", b"value");
    Manifest::new(Format::Ndjson, 1, hasher.finish(), digest).in_zone("Europe/Vienna")
}

#[test]
fn text_is_pinned() {
    let text = r#"{
  "version": 1,
  "format": "ndjson",
  "zone": "Europe/Vienna",
  "count": 1,
  "bytes": 17,
  "blake3": "HASH",
  "digest": "pin:1:5801e7c67c0f8c901f571f26c39151a2"
}
"#;
    let hash = blake3::hash(b"one line\nanother\n").to_hex();
    assert_eq!(sample().to_json(), text.replace("HASH", &hash));
}

#[test]
fn reads_what_it_writes() {
    assert_eq!(Manifest::parse(sample().to_json().as_bytes()), Ok(sample()));
    let without_zone = Manifest { zone: None, format: Format::Raft, ..sample() };
    assert!(!without_zone.to_json().contains("zone"));
    assert_eq!(Manifest::parse(without_zone.to_json().as_bytes()), Ok(without_zone));
}

#[test]
fn refuses_another_version_before_anything_else() {
    for version in ["2", "0", "\"1\"", "1.5", "-1"] {
        let text = format!(r#"{{"version": {version}, "of": "other fields"}}"#);
        assert_eq!(Manifest::parse(text.as_bytes()), Err(ManifestError::Version(version.into())));
    }
    assert_eq!(
        ManifestError::Version("2".into()).to_string(),
        "the manifest is of version 2, and this program knows version 1; \
         import with the program that wrote it, or remove the manifest to import unchecked"
    );
}

#[test]
fn names_what_is_wrong() {
    let good = sample().to_json();
    let refused = |from: &str, to: &str| {
        let text = good.replacen(from, to, 1);
        assert_ne!(text, good, "{from} is not in the manifest");
        match Manifest::parse(text.as_bytes()) {
            Err(ManifestError::Broken(reason)) => reason,
            other => panic!("{from} -> {to}: {other:?}"),
        }
    };
    assert!(refused("\"count\": 1,", "").contains("missing field `count`"));
    assert!(
        refused("\"count\": 1", "\"count\": 1, \"count\": 1").contains("duplicate field `count`")
    );
    assert!(refused("\"count\": 1", "\"count\": -1").contains("line 5"));
    assert!(refused("\"ndjson\"", "\"csv\"").contains("unknown variant `csv`"));
    assert!(
        refused("\"bytes\": 17", "\"bytes\": 17, \"extra\": 0").contains("unknown field `extra`")
    );
    assert!(
        refused("pin:1:", "pin:1").contains("'pin:15801e7c67c0f8c901f571f26c39151a2' is no digest")
    );
    assert!(
        refused("\"blake3\": \"", "\"blake3\": \"0").contains("64 lower-case hexadecimal digits")
    );
    assert!(refused("{", "").contains("line 1") || !refused("{", "").is_empty());
    assert_eq!(
        Manifest::parse(b"[]"),
        Err(ManifestError::Broken("it has no field `version`".into()))
    );
    assert!(Manifest::parse(b"").is_err());
}

#[test]
fn differences_name_the_field_and_both_sides() {
    let expected = sample();
    assert_eq!(expected.differences(&expected), []);
    assert_eq!(expected.differences(&Manifest { zone: None, ..sample() }), []);
    let mut digest = Digest::new(Kind::Pin);
    digest.add(b"key", b"other value");
    let (bytes, blake3) = FileHasher::new().finish();
    let found = Manifest { format: Format::Snapshot, count: 7, bytes, blake3, digest, ..sample() };
    let differences = expected.differences(&found);
    let fields: Vec<_> = differences.iter().map(|difference| difference.field).collect();
    assert_eq!(fields, ["format", "count", "bytes", "blake3", "digest"]);
    assert_eq!(differences[1].to_string(), "count: the manifest says 1, found 7");
}

#[test]
fn stands_beside_the_export() {
    assert_eq!(Manifest::path_for(Path::new("a/b.ndjson")), Path::new("a/b.ndjson.manifest"));
    assert_eq!(Manifest::path_for(Path::new("backup/raft/")), Path::new("backup/raft.manifest"));
}

proptest! {
    #[test]
    fn no_document_panics(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6), cut in any::<prop::sample::Index>()) {
        let mut text = sample().to_json().into_bytes();
        for (at, byte) in changes {
            let at = at.index(text.len());
            text[at] = byte;
        }
        let _ = Manifest::parse(&text);
        let _ = Manifest::parse(&text[..cut.index(text.len())]);
    }
}
