//! What the tests of this crate share.
#![allow(dead_code, reason = "each test file uses its own part of this")]

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use pinstate_core::{
    CheckedScan, Key, Namespace, NamespaceName, Put, ReadOptions, ScanItem, ScanOptions, Store,
    Version, WriteOptions,
};
use pinstate_sled::{SledConfig, SledStore};

pub(crate) fn name(name: &str) -> NamespaceName {
    name.parse().unwrap()
}

pub(crate) fn key(key: &str) -> Key {
    Key::copy_from(key.as_bytes())
}

pub(crate) fn put(k: &str, value: &str, version: i64) -> Put {
    Put::new(key(k), value.as_bytes().to_vec(), Version(version))
}

pub(crate) async fn create(path: &Path) -> SledStore {
    SledStore::open(&SledConfig::new(path).create()).await.unwrap()
}

pub(crate) async fn open(path: &Path) -> SledStore {
    SledStore::open(&SledConfig::new(path)).await.unwrap()
}

/// The namespace of that name, created where it is missing.
pub(crate) async fn namespace(store: &SledStore, of: &str) -> Arc<dyn Namespace> {
    if store.list_namespaces().await.unwrap().iter().all(|info| info.name != name(of)) {
        store.create_namespace(&name(of)).await.unwrap();
    }
    store.open_namespace(&name(of)).await.unwrap()
}

pub(crate) async fn store_text(pins: &dyn Namespace, k: &str, value: &str, version: i64) {
    pins.put(put(k, value, version), WriteOptions::new()).await.unwrap();
}

/// The text under a key.
pub(crate) async fn text(pins: &dyn Namespace, k: &str) -> Option<String> {
    let record = pins.get(&key(k), ReadOptions::new()).await.unwrap()?;
    Some(String::from_utf8(record.value.to_vec()).unwrap())
}

pub(crate) async fn all(pins: &dyn Namespace, options: ScanOptions) -> Vec<ScanItem> {
    CheckedScan::new(pins.scan(options).await.unwrap()).collect().await.unwrap()
}

/// Keys of live records, as text.
pub(crate) async fn keys(pins: &dyn Namespace) -> Vec<String> {
    let rows = all(pins, ScanOptions::new()).await;
    rows.into_iter()
        .map(|row| String::from_utf8(row.unwrap().key.as_bytes().to_vec()).unwrap())
        .collect()
}

/// Runs one (ignored) test of this test binary as a process of its own.
pub(crate) fn child(test: &str, path: &Path, seed: u64) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", test, "--ignored", "--nocapture", "--test-threads=1"])
        .env("PINSTATE_TEST_PATH", path)
        .env("PINSTATE_TEST_SEED", seed.to_string())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit());
    command
}

/// What the parent told this child, or `None` where there is no parent.
pub(crate) fn orders() -> Option<(std::path::PathBuf, u64)> {
    let path = std::env::var_os("PINSTATE_TEST_PATH")?;
    let seed = std::env::var("PINSTATE_TEST_SEED").ok()?.parse().ok()?;
    Some((path.into(), seed))
}
