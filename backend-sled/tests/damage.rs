//! Damaged files: one byte turned anywhere gives what was stored or an error, never less
//! than was acknowledged without a word.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod common;

use std::fs;
use std::path::Path;

use common::{create, key, name, namespace, put};
use pinstate_core::{BatchItem, BatchOptions, ErrorKind, ReadOptions, ScanOptions, Store};
use pinstate_sled::{SledConfig, SledStore};

const ROWS: usize = 4_000;
const BATCH: usize = 100;

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

/// Opens and reads all; `Ok` where every row is as it was stored.
async fn read(path: &Path) -> Result<(), ErrorKind> {
    let kind = |e: pinstate_core::Error| e.kind();
    let store = SledStore::open(SledConfig::new(path)).await.map_err(kind)?;
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
    assert_eq!(rows, ROWS, "rows are missing without an error");
    for i in (0..ROWS).step_by(97) {
        let record = pins.get(&key(&format!("k{i}")), ReadOptions::new()).await.map_err(kind)?;
        assert!(record.is_some(), "a row is missing without an error");
    }
    Ok(())
}

#[tokio::test]
async fn a_turned_byte_is_never_a_silent_loss() {
    let folder = tempfile::tempdir().unwrap();
    let original = folder.path().join("original");
    let store = create(&original).await;
    let pins = namespace(&store, "pins").await;
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut order: Vec<usize> = (0..ROWS).collect();
    random.shuffle(&mut order);
    for batch in order.chunks(BATCH) {
        let items: Vec<BatchItem> =
            batch.iter().map(|i| put(&format!("k{i}"), &text(*i), 1).into()).collect();
        pins.apply(items, BatchOptions::new()).await.unwrap().into_result().unwrap();
    }
    drop(pins);
    store.close().await.unwrap();
    drop(store);
    assert_eq!(read(&original).await, Ok(()));

    let log = original.join("db");
    let used = {
        // The last byte that was written: the rest of the last segment is zeros.
        let bytes = fs::read(&log).unwrap();
        bytes.iter().rposition(|&byte| byte != 0).unwrap() + 1
    };
    let mut refused = 0;
    let mut damages: Vec<(&str, usize)> = Vec::new();
    // Most of them where the engine would cut its log off and go on.
    for _ in 0..20 {
        damages.push(("db", used - 1 - random.usize(..used / 10)));
        damages.push(("db", random.usize(..used)));
    }
    for file in ["conf", "pinstate.store", "pinstate.barrier"] {
        damages.push((
            file,
            random.usize(..fs::metadata(original.join(file)).unwrap().len() as usize),
        ));
    }
    for (i, (file, at)) in damages.into_iter().enumerate() {
        let path = folder.path().join(i.to_string());
        copy(&original, &path);
        let mut bytes = fs::read(path.join(file)).unwrap();
        bytes[at] ^= 1 << random.u8(..8);
        fs::write(path.join(file), bytes).unwrap();
        match read(&path).await {
            Ok(()) => {}
            Err(ErrorKind::Corrupt | ErrorKind::Internal | ErrorKind::Incompatible) => refused += 1,
            Err(other) => panic!("byte {at} of {file}: {other:?}"),
        }
        fs::remove_dir_all(&path).unwrap();
    }
    assert!(refused > 0, "no damage was noticed");
}
