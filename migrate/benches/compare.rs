//! What a comparison costs over reading both sides, and whether it finds each of 1,000
//! differences among 1,000,000 pins.
//!
//! For each kind of store there are two of 1,000,000 pins (`PINSTATE_BENCH_ROWS`), which differ
//! in 1,000: a third each is missing, extra and different. A round reads both stores from end to
//! end, one after the other, and then compares them; rounds take turns, and the ratio is the
//! median of the rounds' ratios. The list is held against what was changed.
//!
//! `cargo bench -p pinstate-migrate`

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::indexing_slicing, reason = "a bench")]

mod shared;

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pinstate_core::{CheckedScan, Namespace, ScanOptions, Store};
use pinstate_memory::{MemoryConfig, MemoryStore};
use pinstate_migrate::{CompareOptions, Pinset, StoredPins, compare};
use pinstate_sled::{SledConfig, SledStore};
use shared::{DIFFERENCES, Differing, ROUNDS, median};

/// Reads everything and looks at every byte.
async fn scan(namespace: &dyn Namespace) -> u64 {
    let mut scan = CheckedScan::new(namespace.scan(ScanOptions::new()).await.unwrap());
    while let Some(page) = scan.next_page().await.unwrap() {
        for record in page.items {
            let record = record.unwrap();
            black_box(record.value.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte)));
        }
    }
    scan.seen()
}

async fn side_by_side(kind: &str, left: &dyn Store, right: &dyn Store, rows: u32) {
    let both = Differing::fill(left, right, rows).await;
    let sides: [Arc<dyn Pinset>; 2] = [
        Arc::new(StoredPins::new("left", Arc::clone(&both.left))),
        Arc::new(StoredPins::new("right", Arc::clone(&both.right))),
    ];
    let (mut scans, mut compares, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let seconds = |time: Duration| time.as_secs_f64();
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let seen = scan(&*both.left).await + scan(&*both.right).await;
        assert_eq!(seen, u64::from(rows) * 2);
        let bare = seconds(begun.elapsed());
        let begun = Instant::now();
        let [left, right] = sides.clone();
        let comparison = compare(left, right, &CompareOptions::new()).await.unwrap();
        let ours = seconds(begun.elapsed());
        both.check(comparison);
        scans.push(bare);
        compares.push(ours);
        ratios.push(ours / bare);
    }
    println!(
        "{kind}: {rows} pins a side, {DIFFERENCES} of {DIFFERENCES} differences and no other; \
         both scans {:.2} s, comparison {:.2} s, ratio {:.2}",
        median(scans),
        median(compares),
        median(ratios)
    );
}

#[tokio::main(flavor = "multi_thread")]
async fn main() {
    let rows = std::env::var("PINSTATE_BENCH_ROWS").map_or(1_000_000, |n| n.parse().unwrap());
    let memory = || MemoryStore::open(&MemoryConfig::default()).unwrap();
    side_by_side("memory", &memory(), &memory(), rows).await;
    let folder = tempfile::tempdir().unwrap();
    let sled = async |name: &str| {
        SledStore::open(&SledConfig::new(folder.path().join(name)).create()).await.unwrap()
    };
    let (left, right) = (sled("left").await, sled("right").await);
    side_by_side("sled", &left, &right, rows).await;
    left.close().await.unwrap();
    right.close().await.unwrap();
}
