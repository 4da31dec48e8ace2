//! The examples do what they say. `cargo test` has built them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::{Command, Output};

fn run(example: &str) -> Output {
    let here = std::env::current_exe().unwrap();
    let program = here.parent().unwrap().parent().unwrap().join("examples").join(example);
    let output = Command::new(&program).output();
    output.unwrap_or_else(|error| {
        panic!("{}: {error}: build it with 'cargo test -p pinstate-docs'", program.display())
    })
}

#[track_caller]
fn says(example: &str, what: &str) {
    let output = run(example);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains(what), "{example}: {output:?}");
}

#[test]
fn basic() {
    says("basic", "removed");
}

#[test]
fn batch() {
    says("batch", "1001 writes");
}

#[test]
fn layers() {
    says("layers", "memory: has Exact(0)");
}

#[test]
fn mirror() {
    says("mirror", "the new store answers");
}

/// On real datacenters it is run by `scripts/nightly`.
#[test]
fn multi_datacenter_wants_a_cluster() {
    let output = run("multi-datacenter");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}
