//! Two datacenters: requests stay in the local one, go on without the other, and leave it
//! only where failover is configured.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use common::Bed;
use pinstate_core::{
    BatchOptions, CheckedScan, CountOptions, Delete, ErrorKind, Key, Namespace, NamespaceName,
    Outcome, Put, ReadOptions, Result, ScanOptions, Store, Version, WriteOptions,
};
use pinstate_scylla::{GoDuration, ScyllaStore, doctor};
use testbed::Options;
use tokio::task::block_in_place;

const ROWS: usize = 2_000;

fn key(i: usize) -> Key {
    Key::copy_from(format!("key {i}").as_bytes())
}

async fn put(pins: &dyn Namespace, i: usize, version: i64) -> Result<()> {
    let put = Put::new(key(i), format!("{version}"), Version(version));
    pins.put(put, WriteOptions::if_newer()).await.map(drop)
}

/// Writes, deletes, reads, scans and counts.
async fn work(pins: &dyn Namespace, version: i64) {
    for i in 0..50 {
        put(pins, i, version).await.unwrap();
        let found = pins.get(&key(i), ReadOptions::new()).await.unwrap().unwrap();
        assert_eq!(found.version, Version(version));
    }
    let gone = Put::new(Key::copy_from(b"gone"), "x", Version(version));
    pins.put(gone.clone(), WriteOptions::if_newer()).await.unwrap();
    pins.delete(Delete::new(gone.key, Version(version)), WriteOptions::if_newer()).await.unwrap();
    let scan = CheckedScan::new(pins.scan(ScanOptions::new()).await.unwrap());
    assert_eq!(scan.collect().await.unwrap().len(), ROWS);
    assert_eq!(pins.count(CountOptions::new()).await.unwrap().value(), ROWS as u64);
}

/// Tries until it goes well; not for ever.
async fn in_the_end<T>(what: &str, mut attempt: impl AsyncFnMut() -> Result<T>) -> T {
    let began = Instant::now();
    loop {
        match attempt().await {
            Ok(value) => return value,
            Err(error) if began.elapsed() > Duration::from_secs(120) => panic!("{what}: {error}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

/// How many answers came from each datacenter.
fn by_datacenter(
    store: &ScyllaStore,
    place: &HashMap<uuid::Uuid, String>,
) -> BTreeMap<String, u64> {
    let mut answers = BTreeMap::new();
    for (node, count) in store.stats().answers {
        *answers.entry(place[&node].clone()).or_default() += count;
    }
    answers
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_stay_in_the_local_datacenter_unless_failover_is_configured() {
    let bed = match Bed::start_with(&Options::topology("dc1:2,dc2:1".parse().unwrap())) {
        Ok(bed) => bed,
        Err(testbed::Error::Skipped(why)) => return testbed::for_tests::skip(&why),
        Err(error) => panic!("{error}"),
    };
    if testbed::for_tests::or_skip(bed.cluster.can_break()).is_none() {
        return;
    }
    let mut config = bed.config().create("dc1=2,dc2=1");
    config.attempt_timeout = Some(GoDuration(Duration::from_secs(5)));
    config.page_timeout = Some(GoDuration(Duration::from_secs(5)));
    config.demote_after = GoDuration(Duration::from_secs(2));
    let store = ScyllaStore::open(&config).await.unwrap();
    let name = NamespaceName::default();
    store.create_namespace(&name).await.unwrap();
    let pins = store.open_namespace(&name).await.unwrap();
    let mut roams = config.clone();
    roams.dc_failover = true;
    let roaming = ScyllaStore::open(&roams).await.unwrap();
    let roaming_pins = roaming.open_namespace(&name).await.unwrap();
    let rows = (0..ROWS).map(|i| Put::new(key(i), "1", Version(1)).into()).collect();
    pins.apply(rows, BatchOptions::if_newer()).await.unwrap().into_result().unwrap();

    // Whoever answers is in the local datacenter, for every kind of request.
    let peers = doctor(&config).await.unwrap().peers.into_iter();
    let place: HashMap<_, _> =
        peers.filter_map(|peer| Some((peer.host_id?, peer.datacenter?))).collect();
    work(&*pins, 2).await;
    let answers = by_datacenter(&store, &place);
    assert_eq!(answers.keys().collect::<Vec<_>>(), ["dc1"], "{answers:?}");
    assert!(answers["dc1"] > ROWS as u64, "{answers:?}");

    // The other one falls silent, and is gone: nothing changes.
    block_in_place(|| bed.cluster.pause(3)).unwrap();
    work(&*pins, 3).await;
    block_in_place(|| {
        bed.cluster.resume(3).unwrap();
        bed.cluster.kill(3).unwrap();
    });
    work(&*pins, 4).await;
    let answers = by_datacenter(&store, &place);
    assert!(!answers.contains_key("dc2"), "{answers:?}");
    block_in_place(|| bed.cluster.start_node(3).and_then(|()| bed.cluster.wait_ready())).unwrap();

    // The local one is gone: that is said, and only whoever may goes to the other one.
    in_the_end("a write that may roam", async || put(&*roaming_pins, 0, 5).await).await;
    block_in_place(|| {
        bed.cluster.kill(1).unwrap();
        bed.cluster.kill(2).unwrap();
    });
    in_the_end("a write to the other datacenter", async || put(&*roaming_pins, 0, 6).await).await;
    let found = in_the_end("a read", async || roaming_pins.get(&key(0), ReadOptions::new()).await);
    assert_eq!(found.await.unwrap().version, Version(6));
    let all = in_the_end("a scan", async || {
        CheckedScan::new(roaming_pins.scan(ScanOptions::new()).await?).collect().await
    });
    assert_eq!(all.await.len(), ROWS);
    let refused = CheckedScan::new(pins.scan(ScanOptions::new()).await.unwrap()).collect().await;
    let refused = refused.unwrap_err();
    assert!(matches!(refused.kind(), ErrorKind::Unavailable | ErrorKind::Timeout), "{refused}");
    let refused = put(&*pins, 0, 7).await.unwrap_err();
    assert!(matches!(refused.kind(), ErrorKind::Unavailable | ErrorKind::Timeout), "{refused}");
    if refused.outcome() == Outcome::NotApplied {
        let found = roaming_pins.get(&key(0), ReadOptions::new()).await.unwrap().unwrap();
        assert_eq!(found.version, Version(6), "it was said not to be applied");
    }
    assert!(by_datacenter(&roaming, &place).contains_key("dc2"));
    drop((roaming_pins, pins));
    roaming.close().await.unwrap();
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_datacenter_without_replicas_is_refused_at_open() {
    let bed = match Bed::start_with(&Options::topology("dc1:1,dc2:1".parse().unwrap())) {
        Ok(bed) => bed,
        Err(testbed::Error::Skipped(why)) => return testbed::for_tests::skip(&why),
        Err(error) => panic!("{error}"),
    };
    let config = bed.config();
    let store = ScyllaStore::open(&config).await.unwrap();
    store.close().await.unwrap();
    for (local_dc, told) in [(Some("dc2"), "no replica"), (None, "local_dc"), (Some("dc9"), "dc1")]
    {
        let mut elsewhere = config.clone();
        elsewhere.local_dc = local_dc.map(str::to_owned);
        let refused = ScyllaStore::open(&elsewhere).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Config, "{refused}");
        assert!(refused.to_string().contains(told), "{local_dc:?}: {refused}");
    }
}
