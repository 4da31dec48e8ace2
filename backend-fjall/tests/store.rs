//! What only this backend promises, beside the conformance suite.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::sync::Arc;

use pinstate_core::{
    CheckedScan, Delete, ErrorKind, Gauge, Key, Namespace, Put, ReadOptions, ScanOptions, Store,
    Version, WriteOptions,
};
use pinstate_fjall::{FjallConfig, FjallStore};

async fn create(path: &Path) -> FjallStore {
    let mut config = FjallConfig::new(path);
    config.create = true;
    FjallStore::open(&config).await.unwrap()
}

async fn refused(path: &Path, create: bool) -> pinstate_core::Error {
    let mut config = FjallConfig::new(path);
    config.create = create;
    FjallStore::open(&config).await.unwrap_err()
}

async fn pins(store: &FjallStore) -> Arc<dyn Namespace> {
    let name = "pins".parse().unwrap();
    if store.list_namespaces().await.unwrap().is_empty() {
        store.create_namespace(&name).await.unwrap();
    }
    store.open_namespace(&name).await.unwrap()
}

fn key(n: u8) -> Key {
    Key::copy_from(&[n; 32])
}

async fn put(pins: &dyn Namespace, n: u8, value: Vec<u8>) {
    pins.put(Put::new(key(n), value, Version(1)), WriteOptions::new()).await.unwrap();
}

/// The lengths of the values from the first key on.
async fn lengths(pins: &dyn Namespace, options: ScanOptions) -> Vec<usize> {
    let rows = CheckedScan::new(pins.scan(options).await.unwrap()).collect().await.unwrap();
    rows.into_iter().map(|row| row.unwrap().value.len()).collect()
}

#[tokio::test]
async fn damage_in_the_journal_is_refused_unless_nothing_good_comes_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let store = create(&path).await;
    let rows = pins(&store).await;
    for n in 0..10 {
        put(&*rows, n, vec![n; 500]).await;
    }
    store.close().await.unwrap();
    let journal = path.join("db/0.jnl");
    let whole = std::fs::read(&journal).unwrap();
    let turned = |n: u8| {
        let mut bytes = whole.clone();
        let at = bytes.windows(500).position(|window| window == [n; 500]).unwrap();
        *bytes.get_mut(at + 250).unwrap() ^= 1;
        bytes
    };

    // Five acknowledged writes lie behind it.
    std::fs::write(&journal, turned(4)).unwrap();
    let error = refused(&path, false).await;
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("0.jnl, byte "), "{error}");
    assert_eq!(std::fs::read(&journal).unwrap(), turned(4), "it was left as it is");

    // The last one may never have been finished, whether it looks whole or not.
    for bytes in [turned(9), whole.get(..whole.len() - 7).unwrap().to_vec()] {
        std::fs::write(&journal, bytes).unwrap();
        let store = create(&path).await;
        let rows = pins(&store).await;
        assert_eq!(lengths(&*rows, ScanOptions::new()).await, [500; 9]);
        store.close().await.unwrap();
    }
}

#[tokio::test]
async fn records_do_not_go_because_a_file_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let store = create(&path).await;
    put(&*pins(&store).await, 1, vec![1]).await;
    store.close().await.unwrap();

    let format = std::fs::read(path.join("format")).unwrap();
    std::fs::remove_file(path.join("format")).unwrap();
    assert_eq!(refused(&path, true).await.kind(), ErrorKind::Corrupt);
    assert_eq!(refused(&path, false).await.kind(), ErrorKind::NoStore);
    std::fs::write(path.join("format"), format).unwrap();

    // The engine would make the folder of a keyspace anew.
    for keyspace in ["1", "2"] {
        let (there, aside) = (path.join("db/keyspaces").join(keyspace), path.join("aside"));
        std::fs::rename(&there, &aside).unwrap();
        assert_eq!(refused(&path, true).await.kind(), ErrorKind::Corrupt, "{keyspace}");
        std::fs::rename(&aside, &there).unwrap();
    }
    let store = create(&path).await;
    assert!(pins(&store).await.has(&key(1), ReadOptions::new()).await.unwrap());
}

#[tokio::test]
async fn a_folder_of_other_files_does_not_become_a_store() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("letter"), "to somebody").unwrap();
    let error = refused(folder.path(), true).await;
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("letter"), "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn long_values_come_and_go_with_their_rows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let store = create(&path).await;
    let rows = pins(&store).await;
    for (n, len) in [(1, 100_000), (2, 100_000), (3, 100_000), (4, 10)] {
        put(&*rows, n, vec![n; len]).await;
    }
    put(&*rows, 1, vec![1; 10]).await;
    put(&*rows, 4, vec![4; 20_000]).await;
    rows.delete(Delete::new(key(2), Version(1)), WriteOptions::new()).await.unwrap();
    store.close().await.unwrap();

    let store = create(&path).await;
    let rows = pins(&store).await;
    assert_eq!(lengths(&*rows, ScanOptions::new()).await, [10, 100_000, 20_000]);
    assert_eq!(lengths(&*rows, ScanOptions::new().keys_only()).await, [0; 3]);
    let record = rows.get(&key(4), ReadOptions::new()).await.unwrap().unwrap();
    assert_eq!(record.value, vec![4; 20_000]);
    // Equal versions are decided by the value, wherever it is.
    for (byte, applied) in [(3, false), (5, true)] {
        let put = Put::new(key(4), vec![byte; 20_000], Version(1));
        let written = rows.put(put, WriteOptions::if_newer()).await.unwrap();
        assert_eq!(!written.was_refused(), applied, "{byte}");
    }
}

/// Barriers, calls answered by them, and calls that wait.
fn told(store: &dyn Store) -> [f64; 3] {
    let told = store.gauges();
    assert!(told.iter().any(|(gauge, took)| *gauge == Gauge::BarrierSeconds && *took > 0.0));
    [Gauge::Barriers, Gauge::BarrierCalls, Gauge::CallsWaiting]
        .map(|wanted| told.iter().find(|(gauge, _)| *gauge == wanted).unwrap().1)
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_share_a_barrier_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let store = create(&folder.path().join("store")).await;
    let pins = pins(&store).await;
    let [barriers, calls, _] = told(&store);
    put(&*pins, 100, vec![1; 100]).await;
    assert_eq!(told(&store), [barriers + 1.0, calls + 1.0, 0.0]);
    let calls_at_once = (0..64).map(|n| {
        let pins = Arc::clone(&pins);
        tokio::spawn(async move {
            put(&*pins, n, vec![2; 100]).await;
        })
    });
    for call in calls_at_once.collect::<Vec<_>>() {
        call.await.unwrap();
    }
    let [more, answered, waiting] = told(&store);
    assert_eq!((answered, waiting), (calls + 65.0, 0.0));
    assert!(more > barriers + 1.0 && more < barriers + 65.0, "64 calls in {}", more - barriers);
    store.close().await.unwrap();
    assert_eq!(store.gauges(), []);
}
