//! `import` and `export`: formats, modes, manifests, and inputs that are not what they
//! should be.

#![cfg(all(feature = "fjall", feature = "memory", feature = "sled"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use common::{CID, PEER, Place, cid, example, line, lines, run, sorted};

/// A place whose store has ten pins.
fn ten() -> Place {
    let place = Place::new();
    place.run_with_input(&["import"], lines(0, 10, "old").as_bytes()).good();
    place
}

#[test]
fn ipfs_clusters_own_export_comes_back_the_same() {
    let place = Place::new();
    let example = std::fs::read_to_string(example()).unwrap();
    place.write("in", &example);
    let ran = place.text_run(&["import", "in"]).good();
    assert!(
        ran.stdout.ends_with("imported 22 pins into 'default'; durability: power\n"),
        "{ran:?}"
    );
    assert_eq!(place.pinset(), sorted(&example));
    let digest = place.text_run(&["digest"]).good().stdout;
    for format in ["ndjson", "json", "snapshot", "raft"] {
        let file = format!("out.{format}");
        let store = match format {
            "snapshot" => format!("fjall:{}", place.path(format).display()),
            _ => place.sled_named(format),
        };
        place.run(&["export", &file, "--format", format]).good();
        assert_eq!(place.text_run(&["digest", &file]).good().stdout, digest, "{format}");
        run(place.bare().args(["--store", &store, "import", &file])).good().says("manifest");
        let there = run(place.bare().args(["--store", &store, "export"])).good().stdout;
        assert_eq!(sorted(&there), sorted(&example), "{format}");
        let there = run(place.bare().args(["--store", &store, "--output", "text", "digest"]));
        assert_eq!(there.good().stdout, digest, "{format}");
    }
}

#[test]
fn a_digest_can_be_taken_of_a_file() {
    let place = Place::new();
    let example = std::fs::read_to_string(example()).unwrap();
    place.write("pins.ndjson", &example);
    let digest = |args: &[&str]| place.run(args).good().json()[0].clone();
    let whole = digest(&["digest", "pins.ndjson"]);
    assert_eq!((&whole["pins"], &whole["unreadable"]), (&22.into(), &0.into()));
    // One entry twice, one gone, one that is no pin: none of them is taken for the whole.
    let (first, rest) = example.split_once('\n').unwrap();
    place.write("twice", format!("{example}{first}\n"));
    assert_eq!(digest(&["digest", "twice"])["pins"], 23);
    place.write("less", rest);
    assert_ne!(digest(&["digest", "less"])["digest"], whole["digest"]);
    place.write("torn", format!("{rest}{}", &first[..first.len() / 2]));
    place.run(&["digest", "torn"]).fails_with(1, "entry");
    place.run(&["digest", "nothing-there"]).fails_with(2, "neither a file nor a store");
    place.run(&["digest", &place.sled_named("none")]).fails_with(1, "no such store");
    assert!(!place.path("none").exists());
}

#[test]
fn the_other_names_of_import_and_export_work() {
    let place = Place::new();
    let example = example();
    let example = example.to_str().unwrap();
    let bare = |args: &[&str]| run(place.bare().args(args)).good();
    bare(&["state", "import", "--backend", "sled", example]);
    assert!(place.path(".local/share/pinstate/sled").is_dir());
    let out = bare(&["state", "export", "--backend", "sled"]).stdout;
    assert_eq!(sorted(&out), sorted(&std::fs::read_to_string(example).unwrap()));
    bare(&["state", "import", "--backend", "memory", example]);
    bare(&["state", "import", "--backend", &place.sled(), example]);
    assert_eq!(place.count(), 22);
    place.run(&["state", "export", "--backend", "sled"]).fails_with(2, "leave one out");
    run(place.bare().args(["state", "export", "--backend", "sledd"])).fails_with(2, "nearest");
}

#[test]
fn times_are_written_in_the_zone_that_is_asked_for() {
    let place = ten();
    let berlin = place.run(&["export", "--tz", "Europe/Berlin"]).good().stdout;
    assert!(berlin.contains("\"timestamp\":\"2024-05-06T09:08:09+02:00\""), "{berlin}");
    place.run(&["export", "o", "--tz", "Europe/Berlin"]).good();
    assert!(place.text("o.manifest").contains("Europe/Berlin"));
    place.run(&["export", "--tz", "Europe/Nowhere"]).fails_with(2, "Europe/Nowhere");
    place.run(&["export", "--tz", "Europe/Berlin", "--format", "snapshot"]).exits(2);
}

#[test]
fn by_default_an_import_wants_an_empty_namespace() {
    let place = ten();
    place.write("in", lines(5, 15, "new"));
    let ran = place.text_run(&["import", "in"]).fails_with(1, "has pins already");
    ran.says("--mode merge").says("--mode replace").says("ipfs-cluster's own 'state import'");
    assert_eq!(place.pinset(), sorted(&lines(0, 10, "old")));
}

#[test]
fn a_merge_keeps_what_the_input_does_not_have() {
    let place = ten();
    place.write("in", lines(5, 15, "new"));
    let ran = place.json_run(&["import", "in", "--mode", "merge"]).good();
    assert_eq!(ran.json()[0]["pins"], 10);
    assert_eq!(ran.json()[0]["durability"], "power");
    assert_eq!(place.pinset(), sorted(&(lines(0, 5, "old") + &lines(5, 15, "new"))));
}

#[test]
fn a_replacement_leaves_the_input_alone() {
    let place = ten();
    let new = lines(5, 15, "new");
    place.write("in", &new);
    place.run(&["import", "in", "--mode", "replace"]).good();
    assert_eq!(place.pinset(), sorted(&new));
    assert_eq!(place.namespaces(), ["default"]);
    // From a stream, which is put aside first.
    let old = lines(0, 3, "old");
    let spool = place.path("spool");
    std::fs::create_dir(&spool).unwrap();
    let args = ["import", "--mode", "replace", "--spool", spool.to_str().unwrap()];
    place.run_with_input(&args, old.as_bytes()).good();
    assert_eq!(place.pinset(), sorted(&old));
    assert_eq!(std::fs::read_dir(spool).unwrap().count(), 0);
    let args = ["import", "--mode", "replace", "--spool", "/nowhere/at/all"];
    place.run_with_input(&args, new.as_bytes()).fails_with(1, "/nowhere").says("--spool DIR");
    assert_eq!(place.pinset(), sorted(&old));
}

#[test]
fn a_replacement_by_a_bad_input_changes_nothing() {
    let place = ten();
    let old = lines(0, 10, "old");
    for bad in ["{\"cid\":\"x\"}\n", "{", "[]", "nonsense", "\u{feff}{}", "{\"cid\":"] {
        let input = lines(5, 15, "new") + bad;
        place.write("in", &input);
        let ran = place.text_run(&["import", "in", "--mode", "replace"]);
        let ran = ran.fails_with(1, "entry 11, line 11, byte ").says("nothing was stored");
        assert!(ran.stdout.is_empty(), "{ran:?}");
        let ran = place.run_with_input(&["import", "--mode", "replace"], input.as_bytes());
        ran.fails_with(1, "entry 11, line 11");
        assert_eq!(place.pinset(), sorted(&old), "{bad}");
        assert_eq!(place.namespaces(), ["default"]);
    }
}

#[test]
fn a_replacement_by_nothing_must_be_meant() {
    let place = ten();
    let replace = ["import", "--mode", "replace"];
    place.run_with_input(&replace, b"").fails_with(1, "has no pins").says("--allow-empty");
    assert_eq!(place.count(), 10);
    place.run_with_input(&["import", "--mode", "replace", "--allow-empty"], b" \n").good();
    assert_eq!(place.count(), 0);
    let nothing = place.run_with_input(&["import"], b"").good();
    assert_eq!(nothing.json()[0]["pins"], 0);
}

#[test]
fn a_merge_stops_at_the_first_bad_entry_and_says_where() {
    let place = Place::new();
    let good = lines(0, 5, "a");
    let bad = line(5, "b").replace("\"type\":\"pin\"", "\"type\":\"pim\"");
    let input = good.clone() + &bad + &lines(6, 9, "c");
    let ran = place.run_with_input(&["import", "--mode", "merge"], input.as_bytes());
    let byte = good.len() + bad.find("\"pim\"").unwrap();
    let at = format!("entry 6, line 6, byte {byte}: type: ");
    ran.fails_with(1, &at).says("5 pins before it are stored").says("--rejects FILE");
    assert_eq!(place.pinset(), sorted(&good));

    // A file is looked through first where nothing is there yet.
    let place = Place::new();
    place.write("in", &input);
    let ran = place.run(&["import", "in"]).fails_with(1, &at).says("nothing is stored");
    ran.says("nothing was stored: correct");
    place.run(&["count"]).fails_with(1, "no such namespace");
}

#[test]
fn rejected_entries_go_to_a_file_and_the_rest_is_stored() {
    for mode in ["fail-if-not-empty", "merge", "replace"] {
        let place = Place::new();
        let bad = line(5, "b").replace("\"type\":\"pin\"", "\"type\":\"pim\"");
        let broken = "{\"cid\": ?}\n";
        let input = lines(0, 5, "a") + &bad + broken + &lines(6, 9, "c");
        place.write("in", &input);
        let args = ["import", "in", "--rejects", "no", "--mode", mode];
        let ran = place.text_run(&args).exits(3).says("2 entries were not stored");
        assert_eq!(ran.stderr.matches("rejected: entry").count(), 2, "{ran:?}");
        assert_eq!(place.pinset(), sorted(&(lines(0, 5, "a") + &lines(6, 9, "c"))));
        let rejects = place.text("no");
        let rejects: Vec<serde_json::Value> =
            rejects.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(rejects.len(), 2, "{mode}");
        assert_eq!(rejects[0]["entry"], 6);
        assert_eq!(rejects[0]["line"], 6);
        assert_eq!(rejects[0]["field"], "type");
        assert_eq!(rejects[0]["raw"].as_str().unwrap().trim_end(), bad.trim_end());
        // The file of another run is not written over.
        place.text_run(&args).exits(1);
        assert_eq!(place.text("no").lines().count(), 2);
    }
    // And nothing is left of a file that nothing was written to.
    let place = Place::new();
    place.run_with_input(&["import", "--rejects", "no"], lines(0, 2, "a").as_bytes()).good();
    assert!(!place.path("no").exists());
}

#[test]
fn the_compatible_reader_counts_what_it_lets_through() {
    let place = Place::new();
    let odd = line(1, "a").replace("\"type\":\"pin\",", "");
    let unknown = line(2, "b").replace("\"name\"", "\"who\":1,\"name\"");
    let input = line(0, "a") + &odd + &unknown;
    place.write("in", &input);
    place.run(&["import", "in"]).fails_with(1, "entry 2");
    let ran = place.json_run(&["import", "in", "--compat"]).good();
    let result = &ran.json()[0];
    assert_eq!(result["pins"], 3);
    assert_eq!(result["let_through"], serde_json::json!({"no type": 1, "unknown key": 1}));
    assert_eq!(place.run(&["pin", "get", &cid(1)]).good().json()[0]["type"], "bad-type");
}

#[test]
fn keys_that_are_no_cids_are_reported_and_not_stored() {
    let place = ten();
    place.run(&["export", "s", "--format", "snapshot"]).good();
    std::fs::remove_file(place.path("s.manifest")).unwrap();
    let mut snapshot = std::fs::read(place.path("s")).unwrap();
    snapshot.extend(b"\x82\xa1k\xa3NOT\xa1v\xa0");
    place.write("s", &snapshot);
    let other = place.sled_named("other");
    let import = |args: &[&str]| {
        run(place.bare().args(["--store", &other, "--output", "text", "import", "s"]).args(args))
    };
    import(&[]).fails_with(1, "entry 11, byte ");
    let ran = import(&["--compat"]).exits(3).says("1 entries were not stored");
    assert_eq!(ran.stderr.matches("rejected: entry 11").count(), 1, "{ran:?}");
    let ran = import(&["--compat", "--mode", "replace"]).exits(3);
    assert_eq!(ran.stderr.matches("rejected: entry 11").count(), 1, "{ran:?}");
    let ran = run(place.bare().args(["--store", &other, "count"])).good();
    assert_eq!(ran.json()[0]["pins"], 10);
}

#[test]
fn a_cut_input_is_refused_before_anything_changes() {
    let place = ten();
    place.run(&["export", "s", "--format", "snapshot"]).good();
    let whole = std::fs::read(place.path("s")).unwrap();
    let other = place.sled_named("other");
    // Between two entries nobody could tell without a manifest.
    for cut in [whole.len() - 1, whole.len() / 2 + 3, 7] {
        place.write("cut", &whole[..cut]);
        run(place.bare().args(["--store", &other, "import", "cut"])).exits(1).says("nothing");
        run(place.bare().args(["--store", &other, "count"])).exits(1);
        place.run(&["import", "cut", "--mode", "replace"]).exits(1).says("nothing");
        assert_eq!(place.count(), 10);
    }
}

#[test]
fn a_file_that_is_not_what_its_manifest_says_is_refused() {
    let place = ten();
    place.run(&["export", "out"]).good();
    let export = place.text("out");
    let other = place.sled_named("other");
    let import = |file: &str, args: &[&str]| {
        run(place.bare().args(["--store", &other, "import", file]).args(args))
    };
    // Whole lines are missing: no reader could tell.
    place.write("out", lines(0, 9, "old"));
    let ran = import("out", &["--mode", "merge"]).fails_with(1, "bytes: the manifest says");
    assert!(ran.stderr.contains("blake3: ") && ran.stderr.contains("out.manifest"), "{ran:?}");
    place.write("out", export.replace("old", "odd"));
    import("out", &[]).fails_with(1, "blake3: ");
    assert!(!place.path("other").exists());
    place.write("out", &export);
    import("out", &["--format", "snapshot"]).fails_with(1, "format: the manifest says ndjson");
    let manifest = place.text("out.manifest");
    place.write("out.manifest", manifest.replace("\"count\": 10", "\"count\": 11"));
    import("out", &[]).fails_with(1, "has 10 pins, and its manifest says 11");
    place.write("out.manifest", manifest.replace("\"version\": 1", "\"version\": 2"));
    import("out", &[]).fails_with(1, "version 2");
    place.write("out.manifest", "{");
    import("out", &[]).fails_with(1, "out.manifest");
    place.write("out.manifest", manifest);
    import("out", &[]).good().says("out is what its manifest says: 10 pins");

    // The same for a raft folder, whose manifest stands beside it.
    place.run(&["export", "raft", "--format", "raft"]).good();
    let state = find(&place.path("raft"), "state.bin");
    let mut bytes = std::fs::read(&state).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&state, bytes).unwrap();
    import("raft", &["--mode", "replace"]).fails_with(1, "CRC");
    std::fs::remove_file(place.path("raft.manifest")).unwrap();
    import("raft", &["--mode", "replace"]).fails_with(1, "CRC");
}

fn find(dir: &std::path::Path, name: &str) -> std::path::PathBuf {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return find(&path, name);
        } else if path.ends_with(name) {
            return path;
        }
    }
    panic!("no {name} in {}", dir.display());
}

#[test]
fn an_export_overwrites_as_a_whole_or_not_at_all() {
    let place = ten();
    place.run(&["export", "out"]).good();
    place.run(&["pin", "add", CID]).good();
    place.run(&["export", "out"]).good();
    assert_eq!(place.text("out").lines().count(), 11);
    assert!(place.text("out.manifest").contains("\"count\": 11"));
    place.run(&["export", "nowhere/out"]).fails_with(1, "nowhere/out");
    place.run(&["export", "."]).fails_with(2, "is a folder");
    place.run(&["export", "out", "--format", "raft"]).exits(1);
    place.run(&["export", "--format", "raft"]).fails_with(2, "is a folder: name it");
    place.run(&["export", "raft", "--format", "raft", "--peers", PEER]).good();
    place
        .run(&["export", "raft", "--format", "raft"])
        .fails_with(1, "is there already")
        .says("new folder");
    // A device is written to, not replaced, and has no manifest.
    place.run(&["export", "/dev/null"]).good();
    assert!(!std::path::Path::new("/dev/null.manifest").exists());
    place.run(&["export", "/dev/full"]).fails_with(1, "/dev/full");
    let names: Vec<_> =
        std::fs::read_dir(place.path(".")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(names.iter().all(|name| !name.to_str().unwrap().contains("tmp")), "{names:?}");
}

#[test]
fn what_is_no_export_is_told_apart() {
    let place = Place::new();
    place.write("gz", b"\x1f\x8b\x08\x00");
    place.run(&["import", "gz"]).fails_with(1, "compressed with gzip");
    place.write("txt", "hello");
    place.run(&["import", "txt"]).fails_with(1, "begins with 68656c6c6f").says("--format");
    place.write("array", "[{}]");
    place.run(&["import", "array"]).fails_with(1, "entry 1, line 1, byte 0");
    place.run(&["import", "gone"]).fails_with(1, "cannot read gone");
    place.run(&["import", "."]).fails_with(1, "no raft folder");
    place.run(&["import", ".", "--format", "ndjson"]).fails_with(2, "is a folder");
    place.run(&["import", "--format", "raft"]).fails_with(2, "is a folder: name it");
    place.write("s", b"\x82\xa1k");
    place.run(&["import", "s", "--rmin", "2"]).fails_with(2, "work for JSON only");
    place.run(&["import", "s", "--rmin", "0"]).exits(2);
    // No input was one, so no store was made either.
    assert!(!place.path("store").exists() || place.run(&["count"]).code == Some(1));
    let args = ["--namespace", "typo", "import", "--mode", "replace"];
    let ran = place.run_with_input(&args, lines(0, 1, "a").as_bytes());
    ran.fails_with(1, "no such namespace").says("namespaces create typo");
}

#[test]
fn an_import_can_set_replication_and_allocations() {
    let place = Place::new();
    let other = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";
    let args = [
        "import",
        "--replication-min",
        "4",
        "--rmax",
        "5",
        "--allocations",
        &format!("{other},{PEER}"),
    ];
    place.run_with_input(&args, lines(0, 2, "a").as_bytes()).good();
    let pin = &place.run(&["pin", "get", &cid(1)]).good().json()[0];
    assert_eq!(pin["replication_factor_min"], 4);
    assert_eq!(pin["replication_factor_max"], 5);
    assert_eq!(pin["allocations"], serde_json::json!([other, PEER]));
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let place = Place::new();
    let export = lines(0, 5_000, &"x".repeat(100));
    place.run_with_input(&["import"], export.as_bytes()).good();
    for args in [&["export"][..], &["pin", "ls"]] {
        let mut child = place.command(args).stdout(Stdio::piped()).spawn().unwrap();
        let mut first = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        assert!(first.starts_with('{'), "{first}");
        let ran = common::Ran::from(common::finish(child)).good();
        assert_eq!(ran.stderr, "", "{args:?}");
    }
}
