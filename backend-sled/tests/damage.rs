//! Damaged files: one byte turned anywhere gives what was stored or an error, never another
//! value and never a panic; at the end of the log, where the engine cuts off what it cannot
//! read and goes on, never less than was acknowledged without a word.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod common;

use std::fs;
use std::path::Path;

use common::{create, key, name, namespace, put};
use pinstate_core::{BatchItem, BatchOptions, ErrorKind, ReadOptions, ScanOptions, Store};
use pinstate_sled::{SledConfig, SledStore};

const ROWS: usize = 4_000;
const BATCH: usize = 100;
/// Rows at the very end, each with a barrier of its own.
const LAST: usize = 3;

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

fn text(i: usize) -> String {
    format!("{i}{}", "v".repeat(100 + i % 200))
}

/// Opens and reads all: how many rows there are, each of them as it was stored.
async fn read(path: &Path) -> Result<usize, ErrorKind> {
    let kind = |e: pinstate_core::Error| e.kind();
    let store = SledStore::open(&SledConfig::new(path)).await.map_err(kind)?;
    let pins = store.open_namespace(&name("pins")).await.map_err(kind)?;
    let mut scan = pins.scan(ScanOptions::new()).await.map_err(kind)?;
    let mut rows = 0;
    loop {
        match scan.next().await.map_err(kind)? {
            pinstate_core::ScanStep::End(_) => break,
            pinstate_core::ScanStep::Page(page) => {
                for item in page.items {
                    let Ok(record) = item else { return Err(ErrorKind::Corrupt) };
                    let i: usize =
                        std::str::from_utf8(&record.key.as_bytes()[1..]).unwrap().parse().unwrap();
                    assert_eq!(record.value, text(i).as_bytes(), "another value than was stored");
                    rows += 1;
                }
            }
        }
    }
    for i in (0..ROWS).step_by(97) {
        pins.get(&key(&format!("k{i}")), ReadOptions::new()).await.map_err(kind)?;
    }
    Ok(rows)
}

#[tokio::test]
async fn a_turned_byte_gives_no_other_value_and_no_silent_loss_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let original = folder.path().join("original");
    let store = create(&original).await;
    let pins = namespace(&store, "pins").await;
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut order: Vec<usize> = (0..ROWS - LAST).collect();
    random.shuffle(&mut order);
    for batch in order.chunks(BATCH) {
        let items: Vec<BatchItem> =
            batch.iter().map(|i| put(&format!("k{i}"), &text(*i), 1).into()).collect();
        pins.apply(items, BatchOptions::new()).await.unwrap().into_result().unwrap();
    }
    for i in ROWS - LAST..ROWS {
        common::store_text(&*pins, &format!("k{i}"), &text(i), 1).await;
    }
    drop(pins);
    store.close().await.unwrap();
    drop(store);
    // Never the original itself: opening writes an index of the log, and the engine trusts
    // that instead of reading the log up to there again.
    let untouched = folder.path().join("untouched");
    copy(&original, &untouched);
    assert_eq!(read(&untouched).await, Ok(ROWS));

    let damaged = async |file: &str, at: usize, bit: u8| {
        let path = folder.path().join("damaged");
        copy(&original, &path);
        let mut bytes = fs::read(path.join(file)).unwrap();
        bytes[at] ^= 1 << bit;
        fs::write(path.join(file), bytes).unwrap();
        let result = read(&path).await;
        fs::remove_dir_all(&path).unwrap();
        match result {
            Ok(rows) => Some(rows),
            Err(ErrorKind::Corrupt | ErrorKind::Internal | ErrorKind::Incompatible) => None,
            Err(other) => panic!("byte {at} of {file}: {other:?}"),
        }
    };

    let log = fs::read(original.join("db")).unwrap();
    let mut unnoticed = 0;
    for i in ROWS - LAST..ROWS {
        let value = text(i).into_bytes();
        let at = log.windows(value.len()).rposition(|window| window == value).unwrap();
        let left = damaged("db", at + value.len() / 2, random.u8(..8)).await;
        unnoticed += usize::from(left.is_some_and(|rows| rows != ROWS));
    }
    // One of them may lie where a segment of the log ends, before its own barrier.
    assert!(unnoticed <= 1, "{unnoticed} of the last {LAST} rows were lost without an error");

    let mut refused = 0;
    for _ in 0..30 {
        refused +=
            usize::from(damaged("db", random.usize(..log.len()), random.u8(..8)).await.is_none());
    }
    for file in ["conf", "pinstate.store", "pinstate.barrier"] {
        let len = fs::metadata(original.join(file)).unwrap().len() as usize;
        damaged(file, random.usize(..len), random.u8(..8)).await;
    }
    assert!(refused > 0, "no damage was noticed");
}
