//! A disk that is full: the write says so, nothing acknowledged is lost, and the store works
//! again once there is room. Needs the right to mount a small file system; without it the
//! test says that it was skipped.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

mod common;

use std::path::Path;
use std::process::{Command, Stdio};

use common::{child, create, key, namespace, open, orders, put};
use pinstate_core::{ErrorKind, Outcome, ReadOptions, Store, WriteOptions};

struct Mount<'a>(&'a Path);

impl<'a> Mount<'a> {
    fn new(path: &'a Path, size: &str) -> Option<Self> {
        mount(path, &["-t", "tmpfs", "-o", &format!("size={size}"), "none"]).then_some(Self(path))
    }

    fn grow(&self, size: &str) {
        assert!(mount(self.0, &["-o", &format!("remount,size={size}")]));
    }
}

fn mount(path: &Path, options: &[&str]) -> bool {
    let mut command = Command::new("mount");
    command.args(options).arg(path).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

impl Drop for Mount<'_> {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(self.0).status());
    }
}

fn value(i: usize, size: usize) -> String {
    format!("{i}{}", "x".repeat(size))
}

fn name_of(i: usize) -> String {
    format!("k{i:05}")
}

#[test]
#[ignore = "run by the other test of this file, as a process of its own"]
fn writer() {
    let Some((path, size)) = orders() else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(async move {
        let store = create(&path).await;
        let pins = namespace(&store, "pins").await;
        let mut stored = 0;
        let failure = loop {
            let write = put(&name_of(stored), &value(stored, size as usize), 1);
            match pins.put(write, WriteOptions::new()).await {
                Ok(_) => stored += 1,
                Err(failure) => break failure,
            }
        };
        assert_eq!(failure.kind(), ErrorKind::Full, "{failure}");
        assert_eq!(failure.outcome(), Outcome::Unknown);
        let later = pins.put(put("later", "v", 1), WriteOptions::new()).await.unwrap_err();
        assert_eq!(later.kind(), ErrorKind::Closed, "{later}");
        assert_eq!(later.outcome(), Outcome::NotApplied);
        assert!(!store.health().await.unwrap().ready);
        assert_eq!(store.sync().await.unwrap_err().kind(), ErrorKind::Closed);
        let first = pins.get(&key(&name_of(0)), ReadOptions::new()).await.unwrap().unwrap();
        assert!(first.value.starts_with(b"0x"));
        drop(pins);
        assert!(store.close().await.is_err());
        println!("\n@{stored}");
    });
}

#[test]
fn a_full_disk_is_reported_and_loses_nothing() {
    // Values that go into the engine's log, and such that get files of their own.
    for size in [300, 20_000] {
        let folder = tempfile::tempdir().unwrap();
        let Some(mounted) = Mount::new(folder.path(), "12m") else {
            println!("SKIPPED: mounting a small file system is not allowed here; run it as root");
            return;
        };
        let path = folder.path().join("store");
        let output = child("writer", &path, size).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{said}");
        let stored = said.lines().find_map(|line| line.strip_prefix('@')?.parse().ok());
        let stored: usize = stored.expect("the child says how many it stored");
        assert!(stored > 100, "{stored}");

        mounted.grow("64m");
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let store = open(&path).await;
            let pins = namespace(&store, "pins").await;
            for i in 0..stored {
                let record = pins.get(&key(&name_of(i)), ReadOptions::new()).await.unwrap();
                let record = record.unwrap_or_else(|| panic!("{i} of {stored} is lost"));
                assert_eq!(record.value, value(i, size as usize).as_bytes());
            }
            pins.put(put("later", "v", 1), WriteOptions::new()).await.unwrap();
            store.close().await.unwrap();
        });
    }
}
