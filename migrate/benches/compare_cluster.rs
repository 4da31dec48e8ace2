//! How fast a comparison with a cluster is, beside a bare scan of the cluster alone.
//!
//! An embedded store and three real nodes (RF 3) hold 100,000 pins (`PINSTATE_BENCH_ROWS`) that
//! differ in 1,000. A round reads all of the cluster, in as many parts and by as many tasks as
//! the comparison does, and then compares the two, which reads the embedded store as well;
//! rounds take turns, and the ratio is the median of the rounds' ratios. Wanted: 0.8. The list
//! is held against what was changed.
//!
//! `cargo bench -p pinstate-migrate --bench compare_cluster` (starts the cluster)

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::indexing_slicing, reason = "a bench")]

mod shared;

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use futures::{StreamExt, TryStreamExt, stream};
use pinstate_migrate::{CompareOptions, Pinset, Rows, StoredPins, compare};
use pinstate_scylla::{GoDuration, ScyllaConfig, ScyllaStore};
use pinstate_sled::{SledConfig, SledStore};
use shared::{DIFFERENCES, Differing, ROUNDS, median};
use testbed::{Cluster, Options};

/// Parts of a side for each task, as the comparison has them.
const PARTS: usize = 4;

/// Reads all parts, so many at the same time, and looks at every byte.
async fn scan(pins: &StoredPins, workers: usize) -> u64 {
    let parts = pins.parts(workers * PARTS).await.unwrap();
    let part = async |mut rows: Box<dyn Rows>| {
        let mut seen = 0;
        while let Some(rows) = rows.next().await.unwrap() {
            seen += rows.len() as u64;
            for row in rows {
                black_box(row.value.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte)));
            }
        }
        seen
    };
    let parts = parts.into_iter().map(|rows| tokio::spawn(async move { part(rows).await }));
    let seen = stream::iter(parts).buffer_unordered(workers);
    seen.try_fold(0, async |sum, seen| Ok(sum + seen)).await.unwrap()
}

#[tokio::main(flavor = "multi_thread")]
async fn main() {
    let rows = std::env::var("PINSTATE_BENCH_ROWS").map_or(100_000, |n| n.parse().unwrap());
    let start = || Cluster::start(&Options::nodes(3).unwrap());
    let cluster = tokio::task::spawn_blocking(move || testbed::for_tests::or_skip(start()));
    let Some(cluster) = cluster.await.unwrap() else { return };
    let hosts = cluster.access().contact_points.iter().map(ToString::to_string);
    let mut config = ScyllaConfig::new(hosts, "compared").with_local_dc("dc1").create("dc1=3");
    config.timeout = GoDuration(std::time::Duration::from_secs(60));
    let remote = ScyllaStore::open(&config).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let config = SledConfig::new(folder.path().join("left")).create();
    let local = SledStore::open(&config).await.unwrap();
    let both = Differing::fill(&local, &remote, rows).await;
    let (left, right) = (
        Arc::new(StoredPins::new("left", Arc::clone(&both.left))),
        Arc::new(StoredPins::new("right", Arc::clone(&both.right))),
    );
    let options = CompareOptions::new();
    let (mut scans, mut compares, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        assert_eq!(scan(&right, options.workers).await, u64::from(rows));
        let bare = begun.elapsed().as_secs_f64();
        let begun = Instant::now();
        let sides: [Arc<dyn Pinset>; 2] = [Arc::clone(&left) as _, Arc::clone(&right) as _];
        let [one, other] = sides;
        let comparison = compare(one, other, &options).await.unwrap();
        let ours = begun.elapsed().as_secs_f64();
        both.check(comparison);
        scans.push(bare);
        compares.push(ours);
        ratios.push(bare / ours);
    }
    println!(
        "cluster: {rows} pins a side, {DIFFERENCES} of {DIFFERENCES} differences and no other; \
         bare scan {:.2} s, comparison {:.2} s, {:.2} of its speed",
        median(scans),
        median(compares),
        median(ratios)
    );
}
