//! Scans copy nothing: measured on the process itself, so this file has one test.

use pinstate_core::{
    BatchItem, BatchOptions, Key, Put, ScanOptions, ScanStep, Store, Version, WriteOptions,
};
use pinstate_memory::{MemoryConfig, MemoryStore};

/// Resident memory in pages, where the system tells.
fn resident() -> Option<u64> {
    std::fs::read_to_string("/proc/self/statm").ok()?.split(' ').nth(1)?.parse().ok()
}

#[tokio::test]
async fn a_hundred_open_scans_add_no_tenth_of_the_memory() {
    let store = MemoryStore::open(&MemoryConfig::default()).unwrap();
    let name = "pins".parse().unwrap();
    store.create_namespace(&name).await.unwrap();
    let pins = store.open_namespace(&name).await.unwrap();
    let empty = resident();
    let key = |i: u64| Key::new(i.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes().repeat(4));
    for piece in 0..100 {
        let put = |i| Put::new(key(i), vec![7; 230], Version(1)).into();
        let batch: Vec<BatchItem> = (piece * 1_000..(piece + 1) * 1_000).map(put).collect();
        pins.apply(batch, BatchOptions::new()).await.unwrap().into_result().unwrap();
    }
    let full = resident();
    let mut scans = Vec::new();
    for _ in 0..100 {
        let mut scan = pins.scan(ScanOptions::new().with_page_rows(100)).await.unwrap();
        assert!(
            matches!(scan.next().await.unwrap(), ScanStep::Page(page) if page.items.len() == 100)
        );
        scans.push(scan);
    }
    // A write finds the tree shared, and copies the way to its row only.
    pins.put(Put::new(key(5), "new", Version(2)), WriteOptions::new()).await.unwrap();
    if let (Some(empty), Some(full), Some(open)) = (empty, full, resident()) {
        let (stored, added) = (full - empty, open.saturating_sub(full));
        assert!(added * 10 <= stored, "100 scans over {stored} pages added {added} pages");
    }
    // All of them are of the moment when they began, and complete.
    for mut scan in scans.into_iter().step_by(33) {
        let mut rows = 100;
        while let ScanStep::Page(page) = scan.next().await.unwrap() {
            rows += page.items.len();
            assert!(page.items.iter().flatten().all(|record| record.version == Version(1)));
        }
        assert_eq!(rows, 100_000);
    }
}
