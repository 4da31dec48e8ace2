//! Input that is larger, deeper or says that it is larger than anything real: it is refused with
//! what is wrong and where, nothing of it is stored, and memory stays bounded meanwhile.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

mod common;

use std::io::Write;
use std::process::{Command, Stdio};

use common::{CID, Place, Ran, run};

/// Address space that the program gets, in KiB: what it maps at its start and a few hundred MiB.
const SPACE: &str = "2000000";

/// The binary with a limit on its memory.
fn bounded(place: &Place, args: &[&str]) -> Command {
    let bare = place.bare();
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -v \"$0\" && exec \"$@\"", SPACE]).arg(bare.get_program());
    command.args(args).current_dir(place.path("")).env_clear();
    command.env("HOME", place.path("")).env("TMPDIR", place.temporary.path());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// An import of a file, which has to fail and to leave nothing.
fn refused(what: &str, content: &[u8], args: &[&str], said: &str) {
    let place = Place::new();
    let file = place.write("input", content);
    let store = place.sled();
    let ran: Ran = run(bounded(&place, &["--store", &store]).args(["import", &file]).args(args));
    assert_eq!(ran.code, Some(1), "{what}: {ran:?}");
    assert!(ran.stderr.contains(said), "{what}: '{said}' is not in {}", ran.stderr);
    let counted = run(place.bare().args(["--store", &store, "count"]));
    assert!(counted.code != Some(0) || counted.json()[0]["pins"] == 0, "{what}: {counted:?}");
}

fn pin(more: &str) -> Vec<u8> {
    format!("{{\"cid\":\"{CID}\",{more}}}\n").into_bytes()
}

#[test]
fn json_that_is_too_large_or_too_deep_is_refused() {
    let names = |n: usize| {
        let pairs: Vec<_> = (0..n).map(|at| format!("\"{at}\":\"x\"")).collect();
        format!("\"metadata\":{{{}}}", pairs.join(","))
    };
    let deep = format!("\"more\":{}{}", "[".repeat(1_000_000), "]".repeat(1_000_000));
    let cases = [
        ("a long CID", format!("{{\"cid\":\"{}\"}}", "a".repeat(20 << 20)).into_bytes(), "16 MiB"),
        ("much metadata", pin(&names(2_000_000)), "16 MiB"),
        ("deep arrays", pin(&deep), "10000 arrays and objects"),
        ("a list of lists", "[".repeat(1_000_000).into_bytes(), "one pin after another"),
    ];
    for (what, content, said) in cases {
        refused(what, &content, &[], said);
    }
}

#[test]
fn input_that_does_not_end_is_refused_at_its_first_entry() {
    let place = Place::new();
    let mut command = bounded(&place, &["--store", "memory:", "import", "--format", "ndjson", "-"]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || {
        let more = [b'a'; 1 << 16];
        let mut written = 0;
        if input.write_all(b"{\"cid\":\"").is_ok() {
            while input.write_all(&more).is_ok() {
                written += more.len();
            }
        }
        written
    });
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("longer than the 16 MiB"), "{said}");
    assert!(writer.join().unwrap() < 64 << 20, "it read on");
}

#[test]
fn msgpack_that_claims_more_than_there_is_is_refused() {
    let snapshot: &[&str] = &["--format", "snapshot"];
    let deep = [b"\x81\xa1x".to_vec(), vec![0x91; 2_000_000], vec![0xc0]].concat();
    let cases: [(&str, Vec<u8>, &str); 4] = [
        ("a map of 2^32 entries", b"\xdf\xff\xff\xff\xff".to_vec(), "cut short"),
        ("a text of 2^32 bytes", b"\x81\xdb\xff\xff\xff\xff".to_vec(), "entry 1, byte"),
        ("a value of 2^32 bytes", b"\x81\xa1x\xc6\xff\xff\xff\xff".to_vec(), "cut short"),
        ("arrays in arrays", deep, "entry 1, byte 0"),
    ];
    for (what, content, said) in cases {
        refused(what, &content, snapshot, said);
    }
}

#[test]
fn files_of_settings_that_are_too_deep_are_refused() {
    let place = Place::new();
    let cases = [
        ("arrays.toml", format!("x = {}", "[".repeat(200_000))),
        ("tables.toml", format!("x = {}", "{a=".repeat(200_000))),
        ("keys.toml", format!("{}b = 1", "a.".repeat(200_000))),
        ("arrays.json", format!("{{\"stores\":{}", "[".repeat(200_000))),
    ];
    for (name, content) in cases {
        let file = place.write(name, content);
        let ran = run(&mut bounded(&place, &["--config", &file, "config", "check"]));
        assert_eq!(ran.code, Some(2), "{name}: {ran:?}");
        assert!(format!("{}{}", ran.stdout, ran.stderr).contains(name), "{name}: {ran:?}");
    }
    let file = place.write("load.toml", format!("x = {}", "[".repeat(200_000)));
    let store = place.sled();
    let bench = ["--store", &store, "bench", "run", "--workload", &file];
    let ran = run(&mut bounded(&place, &bench)).fails_with(2, "load.toml");
    assert!(ran.stderr.contains("line 1, column") && ran.stderr.len() < 1_000, "{ran:?}");
}
