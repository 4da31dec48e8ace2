//! SIGKILL at any moment: nothing acknowledged is lost, nothing is torn.
//!
//! A child process writes and tells, through its standard output, what it is about to do
//! and what was acknowledged. The parent kills it after a number of acknowledgements drawn
//! at random (and each few cycles while it opens the store), opens the store itself and
//! compares. What may be there for a key: what was acknowledged last, or anything that was
//! begun after it. The pipe outlives the kill, so the judgement does not depend on the store.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use common::{child, create, key, name, namespace, open, orders, put};
use pinstate_core::{
    BatchItem, BatchOptions, Delete, ErrorKind, Expect, Namespace, ReadOptions, ScanOptions, Store,
    Version, WriteOptions,
};

/// More with `PINSTATE_KILL_CYCLES`, for nightly runs.
const CYCLES: u64 = 12;
/// Keys that are always written together, atomically.
const TOGETHER: [&str; 4] = ["t0", "t1", "t2", "t3"];

fn tell(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "@{line}").unwrap();
    out.flush().unwrap();
}

/// One write of the child: key and value, or no value for a delete.
type Write1 = (String, Option<String>);

async fn write(pins: &dyn Namespace, writes: &[Write1], version: i64, atomic: bool) {
    let intents: Vec<String> =
        writes.iter().map(|(k, v)| format!("{k}={}", v.as_deref().unwrap_or("-"))).collect();
    tell(&format!("intent {}", intents.join(" ")));
    let items: Vec<BatchItem> = writes
        .iter()
        .map(|(k, v)| match v {
            Some(v) => put(k, v, version).into(),
            None => Delete::new(key(k), Version(version)).into(),
        })
        .collect();
    match (items.as_slice(), atomic) {
        ([BatchItem::Put(put)], false) => {
            pins.put(put.clone(), WriteOptions::new()).await.unwrap();
        }
        ([BatchItem::Delete(delete)], false) => {
            pins.delete(delete.clone(), WriteOptions::new()).await.unwrap();
        }
        _ => {
            let options = if atomic { BatchOptions::atomic() } else { BatchOptions::new() };
            pins.apply(items, options).await.unwrap().into_result().unwrap();
        }
    }
    tell(&format!("ack {}", intents.join(" ")));
}

#[test]
#[ignore = "run by the other test of this file, as a process of its own"]
fn writer() {
    let Some((path, seed)) = orders() else { return };
    // The harness has begun a line of its own.
    println!();
    tell("opening");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).build().unwrap();
    runtime.block_on(async move {
        let store = Arc::new(create(&path).await);
        let pins = namespace(&store, "pins").await;
        let clock = Arc::new(AtomicI64::new(1));
        let mut tasks = tokio::task::JoinSet::new();
        for task in 0..6u64 {
            let (pins, clock, store) = (Arc::clone(&pins), Arc::clone(&clock), Arc::clone(&store));
            tasks.spawn(async move {
                let mut random = fastrand::Rng::with_seed(seed ^ (task << 32));
                loop {
                    let n = clock.fetch_add(1, Ordering::Relaxed);
                    let value = |size: usize| Some(format!("{seed}.{n}.{}", "x".repeat(size)));
                    match (task, random.u8(..)) {
                        (0, _) => {
                            let token = value(0);
                            let writes = TOGETHER.map(|k| (k.to_owned(), token.clone()));
                            write(&*pins, &writes, n, true).await;
                        }
                        (1, _) => {
                            // A namespace is built and put in the place of another.
                            let staged = namespace(&store, "staged").await;
                            let text = value(0).unwrap();
                            for i in 0..20 {
                                common::store_text(&*staged, &format!("r{i}"), &text, n).await;
                            }
                            let (main, staged) = (name("replaced"), name("staged"));
                            tell(&format!("intent replaced={text}"));
                            store.replace_namespace(&main, &staged).await.unwrap();
                            tell(&format!("ack replaced={text}"));
                        }
                        (2, _) => {
                            let before = store.control_get("job").await.unwrap();
                            let expect =
                                before.map_or(Expect::Absent, |r| Expect::Revision(r.revision));
                            let text = value(0).unwrap();
                            tell(&format!("intent control={text}"));
                            let set = store.control_set("job", expect, text.as_bytes()).await;
                            assert!(set.unwrap().is_applied());
                            tell(&format!("ack control={text}"));
                        }
                        (_, 0..80) => {
                            let writes: Vec<Write1> = (0..30)
                                .map(|_| (format!("k{task}.{}", random.u16(..400)), value(200)))
                                .collect::<BTreeMap<_, _>>()
                                .into_iter()
                                .collect();
                            write(&*pins, &writes, n, false).await;
                        }
                        (_, 80..110) => {
                            let k = format!("k{task}.{}", random.u16(..400));
                            write(&*pins, &[(k, None)], n, false).await;
                        }
                        (_, choice) => {
                            let k = format!("k{task}.{}", random.u16(..400));
                            // Now and then one that the engine keeps in a file of its own.
                            let size = if choice == 255 { 200_000 } else { 300 };
                            write(&*pins, &[(k, value(size))], n, false).await;
                        }
                    }
                }
            });
        }
        let ended = tasks.join_next().await;
        panic!("a writer ended by itself: {ended:?}");
    });
}

/// What the parent knows: for each key the values that may be there.
#[derive(Default)]
struct Ledger(BTreeMap<String, BTreeSet<String>>);

impl Ledger {
    /// Takes in one line of the child.
    fn hear(&mut self, line: &str) {
        let (what, writes) = line.split_once(' ').unwrap_or((line, ""));
        for write in writes.split_whitespace() {
            let (key, value) = write.split_once('=').unwrap();
            let legal =
                self.0.entry(key.to_owned()).or_insert_with(|| BTreeSet::from(["-".to_owned()]));
            match what {
                "intent" => drop(legal.insert(value.to_owned())),
                // Each key has one writer, so nothing can have been begun since.
                "ack" => *legal = BTreeSet::from([value.to_owned()]),
                _ => panic!("the child said {line}"),
            }
        }
    }

    /// Compares, and from here on only what is there is legal.
    fn check(&mut self, key: &str, found: Option<String>) {
        let found = found.unwrap_or_else(|| "-".to_owned());
        let legal = self.0.entry(key.to_owned()).or_insert_with(|| BTreeSet::from(["-".into()]));
        let short = |text: &String| text.chars().take(24).collect::<String>();
        assert!(
            legal.contains(&found),
            "{key} is {} and may be {:?}",
            short(&found),
            legal.iter().map(short).collect::<Vec<_>>()
        );
        *legal = BTreeSet::from([found]);
    }
}

async fn check(ledger: &mut Ledger, store: &dyn Store) {
    let control = store.control_get("job").await.unwrap();
    ledger.check("control", control.map(|r| String::from_utf8(r.value.to_vec()).unwrap()));
    match store.open_namespace(&name("replaced")).await {
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::NoNamespace);
            ledger.check("replaced", None);
        }
        Ok(replaced) => {
            let rows = common::all(&*replaced, ScanOptions::new()).await;
            assert_eq!(rows.len(), 20);
            let texts: BTreeSet<_> = rows.into_iter().map(|row| row.unwrap().value).collect();
            assert_eq!(texts.len(), 1, "two pinsets are mixed");
            let text = texts.into_iter().next().unwrap();
            ledger.check("replaced", Some(String::from_utf8(text.to_vec()).unwrap()));
        }
    }
    let pins = match store.open_namespace(&name("pins")).await {
        Ok(pins) => pins,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::NoNamespace);
            assert!(ledger.0.values().all(|legal| legal.contains("-")));
            return;
        }
    };
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    for row in common::all(&*pins, ScanOptions::new()).await {
        let row = row.unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        found.insert(text(row.key.as_bytes()), text(&row.value));
    }
    let together: BTreeSet<_> = TOGETHER.map(|k| found.get(k).cloned()).into();
    assert_eq!(together.len(), 1, "half of an atomic batch: {together:?}");
    let keys: Vec<String> = ledger.0.keys().chain(found.keys()).cloned().collect();
    for k in keys {
        if k != "control" && k != "replaced" {
            ledger.check(&k, found.get(&k).cloned());
        }
    }
    // Point reads agree with the scan.
    for (k, v) in found.iter().take(50) {
        let record = pins.get(&key(k), ReadOptions::new()).await.unwrap().unwrap();
        assert_eq!(record.value, v.as_bytes());
    }
}

#[test]
fn no_kill_loses_what_was_acknowledged() {
    let cycles = std::env::var("PINSTATE_KILL_CYCLES").map_or(CYCLES, |n| n.parse().unwrap());
    let seed = std::env::var("PINSTATE_KILL_SEED")
        .map_or_else(|_| fastrand::u64(..), |s| s.parse().unwrap());
    println!("PINSTATE_KILL_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let mut ledger = Ledger::default();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut acknowledged = 0;
    for cycle in 0..cycles {
        let mut child = child("writer", &path, cycle + 1).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // 0: as soon as it begins to open the store.
        let patience = if cycle % 4 == 0 { 0 } else { random.u32(1..900) };
        let mut acks = 0;
        for line in lines.by_ref() {
            let line = line.unwrap();
            let Some(said) = line.strip_prefix('@') else { continue };
            if said != "opening" {
                ledger.hear(said);
                acks += u32::from(said.starts_with("ack"));
            }
            if acks >= patience {
                break;
            }
        }
        child.kill().unwrap();
        // What it still said before it died.
        for line in lines {
            let Ok(line) = line else { break };
            if let Some(said) = line.strip_prefix('@').filter(|said| *said != "opening") {
                ledger.hear(said);
            }
        }
        child.wait().unwrap();
        acknowledged += acks;
        if path.join("pinstate.store").exists() {
            runtime.block_on(async {
                let store = open(&path).await;
                check(&mut ledger, &store).await;
                store.close().await.unwrap();
            });
        } else {
            assert!(ledger.0.is_empty());
        }
    }
    assert!(acknowledged > 0, "no cycle wrote anything");
    println!("{cycles} kills, {acknowledged} acknowledgements");
}
