//! What the kernel sees: a write is on the device before it is acknowledged.
//!
//! A child under strace writes values with a mark in them and then says so. In the trace,
//! between the end of the engine's write that carries a mark and the acknowledgement, must
//! lie a successful `fdatasync` of the engine's log, and for a value in a file of its own
//! first the `fsync` of that file and of its folder.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

mod common;

use std::path::Path;
use std::process::{Command, Stdio};

use common::{child, namespace, orders, store_text};
use pinstate_core::{Store, config::ByteSize};
use pinstate_sled::{Safety, SledConfig, SledStore};

#[test]
#[ignore = "run by the other tests of this file, under strace"]
fn writer() {
    let Some((path, seed)) = orders() else { return };
    let safety = if seed == 0 { Safety::Process } else { Safety::Power };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(async move {
        let config = SledConfig::new(&path).create().with_durability(safety);
        let store = SledStore::open(&config.with_cache(ByteSize(8 << 20))).await.unwrap();
        let pins = namespace(&store, "pins").await;
        for i in 0..5 {
            store_text(&*pins, &format!("k{i}"), &format!("mark-{i}."), 1).await;
            println!("acknowledged-{i}.");
        }
        let large = format!("mark-5.{}", "x".repeat(300_000));
        store_text(&*pins, "large", &large, 1).await;
        println!("acknowledged-5.");
        store.close().await.unwrap();
    });
}

/// One system call that ended well.
#[derive(Debug)]
struct Call {
    name: String,
    text: String,
    began: usize,
    ended: usize,
}

impl Call {
    fn on(&self, file: &str) -> bool {
        self.text.contains(file)
    }
}

/// Reads a trace; a call that another thread interrupted takes two lines.
fn parse(trace: &str) -> Vec<Call> {
    let mut calls = Vec::new();
    let mut open: Vec<(&str, String, usize)> = Vec::new();
    for (at, line) in trace.lines().enumerate() {
        let Some((thread, line)) = line.trim_start().split_once(' ') else { continue };
        let line = line.trim_start();
        let (text, began) = if let Some(rest) = line.strip_prefix("<... ") {
            let Some(i) = open.iter().position(|(of, ..)| *of == thread) else { continue };
            let (_, text, began) = open.remove(i);
            (text + rest, began)
        } else if let Some(text) = line.strip_suffix("<unfinished ...>") {
            open.push((thread, text.to_owned(), at));
            continue;
        } else {
            (line.to_owned(), at)
        };
        if let (Some((name, _)), false) = (text.split_once('('), text.contains("= -1")) {
            calls.push(Call { name: name.to_owned(), text: text.clone(), began, ended: at });
        }
    }
    calls
}

fn traced(path: &Path, seed: u64) -> Option<Vec<Call>> {
    if Command::new("strace").arg("-V").stdout(Stdio::null()).status().is_err() {
        println!("SKIPPED: there is no strace here; install it to prove durability");
        return None;
    }
    let trace = path.with_extension("trace");
    let inner = child("writer", path, seed);
    let status = Command::new("strace")
        .args(["-f", "-y", "-s", "262144", "-o"])
        .arg(&trace)
        .args(["-e", "trace=write,pwrite64,fsync,fdatasync,sync_file_range,rename"])
        .arg(inner.get_program())
        .args(inner.get_args())
        .envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    Some(parse(&std::fs::read_to_string(trace).unwrap()))
}

/// The engine's write that carries a mark, and the acknowledgement.
fn write_and_ack(calls: &[Call], i: usize, into: &str) -> (usize, usize) {
    let mark = format!("mark-{i}.");
    let write = calls
        .iter()
        .find(|call| call.name.contains("write") && call.on(into) && call.on(&mark))
        .unwrap_or_else(|| panic!("no write of {mark} into {into}"));
    let said = format!("acknowledged-{i}.");
    let ack = calls
        .iter()
        .find(|call| call.name == "write" && call.on(&said))
        .unwrap_or_else(|| panic!("no acknowledgement {i}"));
    assert!(write.ended < ack.began, "{i} was acknowledged before it was written");
    (write.ended, ack.began)
}

fn between<'a>(
    calls: &'a [Call],
    (from, to): (usize, usize),
    name: &'a str,
    file: &'a str,
) -> Option<&'a Call> {
    calls.iter().find(|c| c.began > from && c.ended < to && c.name == name && c.on(file))
}

#[test]
fn power_means_synced_before_the_acknowledgement() {
    let folder = tempfile::tempdir().unwrap();
    let Some(calls) = traced(&folder.path().join("store"), 1) else { return };
    for i in 0..5 {
        let window = write_and_ack(&calls, i, "/db>");
        assert!(
            between(&calls, window, "fdatasync", "/store/db>").is_some(),
            "{i} was acknowledged without fdatasync"
        );
    }
    let window = write_and_ack(&calls, 5, "/blobs/");
    let blob = between(&calls, window, "fsync", "/store/blobs/").expect("the blob is not synced");
    let folder_sync =
        between(&calls, window, "fsync", "/store/blobs>").expect("its folder is not synced");
    let log =
        between(&calls, (blob.ended.max(folder_sync.ended), window.1), "fdatasync", "/store/db>");
    assert!(log.is_some(), "the log points to a blob that may not be there");
    // The store appears only once all that it begins with is durable.
    let appears = calls
        .iter()
        .find(|call| call.name == "rename" && call.on("pinstate.store"))
        .expect("the marker is put in place");
    for (name, file) in
        [("fdatasync", "/store/db>"), ("fsync", "/store/conf>"), ("fsync", "pinstate.store.new>")]
    {
        assert!(between(&calls, (0, appears.began), name, file).is_some(), "{name} of {file}");
    }
    let after = (appears.ended, usize::MAX);
    assert!(between(&calls, after, "fsync", "/store>").is_some(), "the folder is not synced");
}

#[test]
fn process_means_written_but_not_synced() {
    let folder = tempfile::tempdir().unwrap();
    let Some(calls) = traced(&folder.path().join("store"), 0) else { return };
    for i in 0..5 {
        let window = write_and_ack(&calls, i, "/db>");
        assert!(between(&calls, window, "fdatasync", "/store/db>").is_none(), "{i}");
    }
}
