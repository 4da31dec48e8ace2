//! Imports that are interrupted: by Ctrl-C, and by a SIGKILL at any moment.

#![cfg(all(feature = "memory", feature = "sled"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{PATIENCE, Place, Ran, finish, lines, sorted};

/// Between two looks at something that will come.
fn pause() {
    std::thread::park_timeout(Duration::from_millis(1));
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args([name, &child.id().to_string()]).status().unwrap();
    assert!(status.success());
}

#[test]
fn a_kill_during_a_replacement_leaves_the_old_pinset_or_the_new_one() {
    let place = Place::new();
    let (old, new) = (lines(0, 300, "old"), lines(100, 3_000, "new"));
    place.write("new", &new);
    place.run_with_input(&["import"], old.as_bytes()).good();
    let replace = ["import", "--mode", "replace", "new"];
    let begun = Instant::now();
    place.run(&replace).good();
    let mut whole = begun.elapsed();
    let (old, new) = (sorted(&old), sorted(&new));
    assert_eq!(place.pinset(), new);
    place.write("old", old.join("\n"));

    let moments = 12;
    let (mut moment, mut tries, mut with_leftovers) = (1, 0, 0);
    while moment <= moments {
        tries += 1;
        assert!(tries <= 5 * moments, "{moment} of {moments} were killed while they ran");
        place.run(&["import", "--mode", "replace", "old"]).good();
        assert_eq!(place.pinset(), old);
        let mut child = place.command(&replace).spawn().unwrap();
        let begun = Instant::now();
        while begun.elapsed() < whole * moment / (moments + 1)
            && child.try_wait().unwrap().is_none()
        {
            pause();
        }
        child.kill().unwrap();
        if child.wait().unwrap().code().is_none() {
            moment += 1;
        } else {
            // The first one was slower than they are now.
            whole = whole.min(begun.elapsed());
        }

        let found = place.pinset();
        assert!(found == old || found == new, "{} pins, try {tries}", found.len());
        let left = place.namespaces().len() > 1;
        with_leftovers += u32::from(left);
        // Whatever was left goes with the next opening for writing, which says so.
        let ran = place.run(&["pin", "rm", common::CID]).good();
        assert!(!left || ran.stderr.contains("an interrupted import"), "{ran:?}");
        assert_eq!(place.namespaces(), ["default"], "try {tries}");
        assert_eq!(place.pinset(), found);
        let ran = place.run(&["pin", "rm", common::CID]).good();
        assert!(!ran.stderr.contains("interrupted"), "{ran:?}");
    }
    assert!(with_leftovers > 0, "no kill came while the new pinset was loaded");
}

/// Whether a process has its own way to deal with SIGINT, as Linux tells.
fn catches_interrupts(child: &Child) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
    let caught = u64::from_str_radix(caught.trim(), 16).unwrap();
    caught & (1 << (2 - 1)) != 0
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain until {what}");
        pause();
    }
}

#[test]
fn an_interrupt_while_nothing_has_come_yet_stores_nothing() {
    let place = Place::new();
    let mut child = place.command(&["import"]).stdin(Stdio::piped()).spawn().unwrap();
    let stdin = child.stdin.take();
    wait_until("SIGINT is caught", || catches_interrupts(&child));
    signal(&child, "-INT");
    let ran = Ran::from(finish(child));
    drop(stdin);
    ran.fails_with(5, "stopped before anything was stored");
    assert!(!place.path("store").exists());
}

#[test]
fn an_interrupt_stops_at_a_record_and_says_what_is_stored() {
    for mode in ["merge", "replace"] {
        let place = Place::new();
        place.run_with_input(&["import"], lines(0, 3, "old").as_bytes()).good();
        let args = ["--output", "json", "import", "--mode", mode, "--rejects", "no"];
        let mut child = place.command(&args).stdin(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        // The bad entry is told when the first of the pins are on their way.
        stdin.write_all(b"{\"cid\":1}\n").unwrap();
        stdin.write_all(lines(10, 5_000, "new").as_bytes()).unwrap();
        stdin.flush().unwrap();
        if mode == "merge" {
            let mut told = String::new();
            stderr.read_line(&mut told).unwrap();
            assert!(told.contains("rejected"), "{told}");
        } else {
            wait_until("SIGINT is caught", || catches_interrupts(&child));
        }
        signal(&child, "-INT");
        let output = finish(child);
        drop(stdin);
        assert_eq!(output.status.code(), Some(5), "{mode}: {output:?}");
        if mode == "merge" {
            let result: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
            assert_eq!(result["complete"], false);
            // Three of the old ones, which the input does not have.
            assert_eq!(place.count(), 3 + result["pins"].as_u64().unwrap());
        } else {
            assert_eq!(place.pinset(), sorted(&lines(0, 3, "old")));
            assert_eq!(place.namespaces(), ["default"]);
        }
    }
}

#[test]
fn a_second_interrupt_ends_at_once() {
    let place = Place::new();
    // A reader that does not read: the export waits for it, and cannot stop by itself.
    let export = lines(0, 3_000, &"x".repeat(200));
    place.run_with_input(&["import"], export.as_bytes()).good();
    let mut child = place.command(&["export"]).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut String::new()).unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    signal(&child, "-INT");
    let mut told = String::new();
    stderr.read_line(&mut told).unwrap();
    assert!(told.contains("again to end at once"), "{told}");
    signal(&child, "-INT");
    assert_eq!(finish(child).status.code(), Some(5));
}
