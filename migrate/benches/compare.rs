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

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pinstate_core::pin::{Cid, PeerId, Pin, encode};
use pinstate_core::{
    BatchItem, BatchOptions, CheckedScan, Clock, Key, Namespace, NamespaceName, Put, ScanOptions,
    Store, Version,
};
use pinstate_memory::{MemoryConfig, MemoryStore};
use pinstate_migrate::{CompareOptions, Pinset, StoredPins, What, compare};
use pinstate_sled::{SledConfig, SledStore};

const ROUNDS: usize = 7;
const BATCH: u32 = 1_000;
const DIFFERENCES: u32 = 1_000;

fn cid(n: u32) -> Cid {
    let mut bytes = vec![1, 0x70, 0x12, 32];
    let mut random = fastrand::Rng::with_seed(u64::from(n) + 1);
    bytes.extend(std::iter::repeat_with(|| random.u8(..)).take(32));
    Cid::from_bytes(&bytes).unwrap()
}

/// As pins in the field are: three allocations, a name, an entry of metadata.
fn pin(n: u32, name: &str, peers: &[PeerId]) -> Pin {
    let mut pin = Pin::new(cid(n));
    pin.allocations = (0..3).map(|k| peers[(n as usize + k) % peers.len()].clone()).collect();
    pin.name = format!("{name} {n}");
    pin.metadata.insert("owner".into(), format!("team {}", n % 17));
    pin
}

fn peers() -> Vec<PeerId> {
    let peer = |n: u8| {
        let mut bytes = vec![0, 36, 8, 1, 18, 32];
        bytes.extend([n; 32]);
        PeerId::from_bytes(&bytes).unwrap()
    };
    (0..12).map(peer).collect()
}

/// Fills a store with the pins `from..to`; what is `changed` has another name.
async fn filled(
    store: &dyn Store,
    range: std::ops::Range<u32>,
    changed: impl Fn(u32) -> bool,
) -> Arc<dyn Namespace> {
    let name = NamespaceName::default();
    store.create_namespace(&name).await.unwrap();
    let namespace = store.open_namespace(&name).await.unwrap();
    let clock = Clock::volatile();
    let peers = peers();
    let mut from = range.start;
    while from < range.end {
        let to = (from + BATCH).min(range.end);
        let first = clock.draw_many(BATCH as usize).await.unwrap();
        let put = |n: u32| {
            let name = if changed(n) { "changed" } else { "dataset" };
            let pin = pin(n, name, &peers);
            let mut value = Vec::new();
            encode(&pin, &mut value);
            let version = Version(first.micros() + i64::from(n - from));
            BatchItem::Put(Put::new(Key::copy_from(pin.cid.as_bytes()), value, version))
        };
        let batch = (from..to).map(put).collect();
        namespace.apply(batch, BatchOptions::new()).await.unwrap().into_result().unwrap();
        from = to;
    }
    store.sync().await.unwrap();
    namespace
}

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

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

async fn side_by_side(kind: &str, left: &dyn Store, right: &dyn Store, rows: u32) {
    let third = DIFFERENCES / 3;
    // The right side lacks the first third, has one more third, and others of another name.
    let step = (rows - third) / (DIFFERENCES - 2 * third);
    let changed = |n: u32| {
        n < rows && (n - third).is_multiple_of(step) && (n - third) / step < DIFFERENCES - 2 * third
    };
    let left = filled(left, 0..rows, |_| false).await;
    let right = filled(right, third..rows + third, &changed).await;
    let mut expected = BTreeMap::new();
    for n in 0..rows + third {
        let what = match n {
            n if n < third => What::Missing,
            n if n >= rows => What::Extra,
            n if changed(n) => What::Different,
            _ => continue,
        };
        expected.insert(cid(n).as_bytes().to_vec(), what);
    }
    assert_eq!(expected.len(), DIFFERENCES as usize);
    let sides: [Arc<dyn Pinset>; 2] = [
        Arc::new(StoredPins::new("left", Arc::clone(&left))),
        Arc::new(StoredPins::new("right", Arc::clone(&right))),
    ];
    let (mut scans, mut compares, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let seconds = |time: Duration| time.as_secs_f64();
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        assert_eq!(scan(&*left).await + scan(&*right).await, u64::from(rows) * 2);
        let bare = seconds(begun.elapsed());
        let begun = Instant::now();
        let [left, right] = sides.clone();
        let comparison = compare(left, right, &CompareOptions::new()).await.unwrap();
        let ours = seconds(begun.elapsed());
        let found = comparison.differences.unwrap();
        let found: BTreeMap<_, _> =
            found.into_iter().map(|one| (one.key.as_bytes().to_vec(), one.what)).collect();
        assert_eq!(found, expected, "not just what was changed");
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
        SledStore::open(SledConfig::new(folder.path().join(name)).create()).await.unwrap()
    };
    let (left, right) = (sled("left").await, sled("right").await);
    side_by_side("sled", &left, &right, rows).await;
    left.close().await.unwrap();
    right.close().await.unwrap();
}
