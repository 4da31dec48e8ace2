//! A client that shares no code with pinstate reads off a cluster exactly the bytes that
//! ipfs-cluster's own code has written of the same pins.

#![cfg(all(feature = "scylla", feature = "sled"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;
#[path = "common/here.rs"]
mod here;

use std::path::{Path, PathBuf};
use std::process::Command;

use here::Here;

/// Pins that ipfs-cluster's code has written, in each of its formats.
fn testdata(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../interop/testdata").join(name);
    path.to_str().unwrap().to_owned()
}

/// Runs a program to its good end, and gives what it said.
fn done(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| {
        panic!(
            "{} cannot be run: {error}. This test reads by a client in Python 3 (Debian package \
             python3-venv); scripts/tools installs it where it may",
            command.get_program().display()
        )
    });
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed: {said}\n{errors}");
    said
}

/// A Python with the client in the versions of `requirements.txt`, made once.
fn python() -> PathBuf {
    let requirements =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/independent/requirements.txt");
    let wanted = std::fs::read(&requirements).unwrap();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("independent-client");
    let (python, stamp) = (folder.join("bin/python"), folder.join("installed"));
    if std::fs::read(&stamp).is_ok_and(|installed| installed == wanted) {
        return python;
    }
    let _ = std::fs::remove_dir_all(&folder);
    done(Command::new("python3").args(["-m", "venv"]).arg(&folder));
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"];
    done(Command::new(&python).args(pip).arg(&requirements));
    std::fs::write(stamp, wanted).unwrap();
    python
}

#[test]
fn another_client_finds_the_bytes_that_go_wrote() {
    let Some(here) = Here::start() else { return };
    let python = python();
    here.run(&["schema", "create", "--replication", "dc1=1"]).good();
    // Once decoded from JSON and encoded by us, twice as bytes that pass through.
    let (json, snapshot, raft) =
        (testdata("sample.ndjson"), testdata("sample.snapshot"), testdata("raft"));
    let names = ["from-json", "from-snapshot", "from-raft"];
    for (name, file) in names.iter().zip([&json, &snapshot, &raft]) {
        here.run(&["namespaces", "create", name]).good();
        here.run(&["--namespace", name, "import", file]).good();
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/independent/read.py");
    let address = here.cluster.nodes()[0].address;
    let said = done(
        Command::new(python)
            .arg(script)
            .args([address.ip().to_string(), address.port().to_string()])
            .args([&here.keyspace, &snapshot])
            .args(names),
    );
    let reports: Vec<serde_json::Value> =
        said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(reports.len(), names.len());
    for report in reports {
        assert_eq!((&report["expected"], &report["rows"]), (&300.into(), &300.into()), "{report}");
        assert_eq!(report["differences"], serde_json::json!([]), "{report}");
    }
}
