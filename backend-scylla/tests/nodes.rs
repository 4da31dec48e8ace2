//! Nodes that fall silent and die under a store, and come back.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use common::Bed;
use futures::future::join_all;
use pinstate_core::{
    BatchOptions, CheckedScan, ErrorKind, Key, Namespace, NamespaceName, Outcome, Put, ReadOptions,
    ScanOptions, Store, Version, WriteOptions,
};
use pinstate_scylla::{GoDuration, Level, ScyllaConfig, ScyllaStore};

const ROWS: usize = 3_000;

fn key(i: usize) -> Key {
    Key::copy_from(format!("key {i}").as_bytes())
}

async fn put(pins: &dyn Namespace, i: usize, version: i64) -> pinstate_core::Result<()> {
    let put = Put::new(key(i), format!("{version}"), Version(version));
    pins.put(put, WriteOptions::if_newer()).await.map(drop)
}

async fn scanned(pins: &dyn Namespace) -> pinstate_core::Result<usize> {
    let scan = pins.scan(ScanOptions::new()).await?;
    Ok(CheckedScan::new(scan).collect().await?.len())
}

/// Tries until it goes well, as a caller with a retry layer does; not for ever.
async fn in_the_end<T>(what: &str, mut attempt: impl AsyncFnMut() -> Result<T, String>) -> T {
    let began = Instant::now();
    loop {
        match attempt().await {
            Ok(value) => return value,
            Err(error) if began.elapsed() > Duration::from_secs(180) => panic!("{what}: {error}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn open(config: &ScyllaConfig, name: &NamespaceName) -> (ScyllaStore, Arc<dyn Namespace>) {
    let store = ScyllaStore::open(config).await.unwrap();
    if store.list_namespaces().await.unwrap().is_empty() {
        store.create_namespace(name).await.unwrap();
    }
    let pins = store.open_namespace(name).await.unwrap();
    (store, pins)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_node_is_gone_around_and_two_dead_ones_are_told() {
    let bed = match Bed::start(3) {
        Ok(bed) => bed,
        Err(testbed::Error::Skipped(why)) => {
            eprintln!("skipped: {why}");
            return;
        }
        Err(error) => panic!("{error}"),
    };
    if let Err(why) = bed.cluster.can_break() {
        panic!("{why}");
    }
    let name: NamespaceName = "pins".parse().unwrap();
    let mut config = bed.config();
    config.timeout = GoDuration(Duration::from_secs(20));
    config.attempt_timeout = Some(GoDuration(Duration::from_secs(3)));
    config.page_timeout = Some(GoDuration(Duration::from_secs(3)));
    config.demote_after = GoDuration(Duration::from_secs(1));
    let (store, pins) = open(&config, &name).await;
    config.degraded_reads = Some(Level::LocalOne);
    let (lower, lower_pins) = open(&config, &name).await;
    let rows = (0..ROWS).map(|i| Put::new(key(i), "1", Version(1)).into()).collect();
    pins.apply(rows, BatchOptions::if_newer()).await.unwrap().into_result().unwrap();

    // One node falls silent: nobody is told, and it is asked last before long.
    bed.cluster.pause(3).unwrap();
    for round in 2..12 {
        let puts = join_all((0..60).map(|i| put(&*pins, i, round))).await;
        for result in puts {
            result.unwrap();
        }
        let gets = join_all((0..60).map(|i| {
            let pins = Arc::clone(&pins);
            async move { pins.get(&key(i), ReadOptions::new()).await }
        }))
        .await;
        for got in gets {
            assert_eq!(got.unwrap().unwrap().version, Version(round));
        }
    }
    let stats = store.stats();
    assert!(stats.demotions > 0, "{stats:?}");
    let count = in_the_end("a scan past a silent node", async || {
        scanned(&*pins).await.map_err(|e| e.to_string())
    });
    assert_eq!(count.await, ROWS);
    bed.cluster.resume(3).unwrap();

    // Two nodes die: there is no quorum, and that is said; what is there can be read with
    // less, and what is not found then is not taken for missing.
    bed.cluster.kill(2).unwrap();
    bed.cluster.kill(3).unwrap();
    let refused =
        in_the_end("a write without a quorum", async || match put(&*pins, 0, 100).await {
            Err(error) if error.kind() == ErrorKind::Unavailable => Ok(error),
            other => Err(format!("{other:?}")),
        })
        .await;
    assert_eq!(refused.outcome(), Outcome::NotApplied, "{refused}");
    let get = pins.get(&key(1), ReadOptions::new()).await.unwrap_err();
    assert_eq!(get.kind(), ErrorKind::Unavailable, "{get}");
    let found = lower_pins.get(&key(1), ReadOptions::new()).await.unwrap().unwrap();
    assert!(found.degraded && found.version == Version(11), "{found:?}");
    assert!(lower_pins.has(&key(1), ReadOptions::new()).await.unwrap());
    let absent = lower_pins.get(&key(ROWS), ReadOptions::new()).await.unwrap_err();
    assert_eq!(absent.kind(), ErrorKind::Unavailable, "{absent}");
    lower_pins.has(&key(ROWS), ReadOptions::new()).await.unwrap_err();
    scanned(&*lower_pins).await.unwrap_err();
    assert!(lower.stats().degraded_reads >= 4, "{:?}", lower.stats());
    assert!(
        !in_the_end("health", async || {
            store.health().await.map(|health| health.ready).map_err(|e| e.to_string())
        })
        .await
    );

    // They come back, and all is well without opening anything anew.
    bed.cluster.launch(2).unwrap();
    bed.cluster.launch(3).unwrap();
    bed.cluster.wait_ready().unwrap();
    in_the_end("a write", async || put(&*pins, 0, 200).await.map_err(|e| e.to_string())).await;
    let count = in_the_end("a scan", async || scanned(&*pins).await.map_err(|e| e.to_string()));
    assert_eq!(count.await, ROWS);
    for i in 0..60 {
        let got = in_the_end("a read", async || {
            let got = pins.get(&key(i), ReadOptions::new()).await;
            got.map_err(|e| e.to_string())
        });
        let version = got.await.unwrap().version;
        assert_eq!(
            version,
            Version(if i == 0 { 200 } else { 11 }),
            "an acknowledged write is lost"
        );
    }
    lower.close().await.unwrap();
    store.close().await.unwrap();
}
