//! Frames that are lost, late or forged on their way between a store and real nodes.
//!
//! One cluster for all tests. Each has relays and a store of its own, so that they can run
//! beside each other; keys tell apart whose frame it is.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "../common/mod.rs"]
mod common;
mod errors;
mod limits;
#[path = "../common/proxied.rs"]
mod proxied;
mod scans;
mod writes;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::Bed;
use futures::future::join_all;
use pinstate_core::{
    BatchOptions, Error, ErrorKind, Key, Namespace, Outcome, Put, ReadOptions, RetryClass,
    ScanOptions, ScanStep, Store, Version, WriteOptions,
};
use pinstate_scylla::{GoDuration, ScyllaConfig, ScyllaStore};
use proxied::{Proxied, about, answers, executes, once_after, results};
use scylla::errors::{DbError, WriteType};
use scylla::statement::Consistency;
use scylla_proxy::{
    Action, Condition, Reaction, RequestOpcode, RequestReaction, RequestRule, ResponseReaction,
    ResponseRule,
};
use tokio::sync::OnceCell;

/// Rows of the namespace that is scanned.
const ROWS: usize = 1_500;

/// Rows of a page: every node has to give several pages for a scan.
const PAGE: u32 = 50;

struct Site {
    bed: Bed,
    /// Of a store that goes to the nodes themselves.
    config: ScyllaConfig,
}

fn millis(millis: u64) -> GoDuration {
    GoDuration(Duration::from_millis(millis))
}

fn row(i: usize) -> Key {
    Key::copy_from(format!("row {i:05}").as_bytes())
}

async fn site() -> Option<&'static Site> {
    static SITE: OnceCell<Option<Site>> = OnceCell::const_new();
    let make = async || {
        let bed = testbed::for_tests::or_skip(Bed::start(3))?;
        let access = bed.cluster.access();
        if access.tls.is_some() || access.login.is_some() {
            testbed::for_tests::skip("the relays speak plain text");
            return None;
        }
        let mut config = bed.config();
        config.page_size = PAGE;
        // Patience for a slow machine; whoever needs less says so.
        config.demote_after = millis(60_000);
        let store = ScyllaStore::open(&config).await.unwrap();
        for name in ["pins", "rows"] {
            store.create_namespace(&name.parse().unwrap()).await.unwrap();
        }
        let rows = store.open_namespace(&"rows".parse().unwrap()).await.unwrap();
        let puts = (0..ROWS).map(|i| Put::new(row(i), "1", Version(1)).into()).collect();
        rows.apply(puts, BatchOptions::if_newer()).await.unwrap().into_result().unwrap();
        store.close().await.unwrap();
        Some(Site { bed, config })
    };
    SITE.get_or_init(make).await.as_ref()
}

/// What a test works with: a store behind relays, and one that goes to the nodes.
struct Ground {
    proxied: Proxied,
    store: Arc<ScyllaStore>,
    pins: Arc<dyn Namespace>,
    /// The same with the layers of the configuration.
    layered: Arc<dyn Namespace>,
    direct: ScyllaStore,
    truth: Arc<dyn Namespace>,
}

impl Ground {
    async fn new(namespace: &str, change: impl FnOnce(&mut ScyllaConfig)) -> Option<Self> {
        let site = site().await?;
        let name = namespace.parse().unwrap();
        let mut proxied = Proxied::start(&site.bed.cluster, &site.config).await;
        change(&mut proxied.config);
        let store = Arc::new(ScyllaStore::open(&proxied.config).await.unwrap());
        let pins = store.open_namespace(&name).await.unwrap();
        let layers = proxied.config.layers();
        let layered = layers.apply(Arc::clone(&store) as Arc<dyn Store>);
        let layered = layered.open_namespace(&name).await.unwrap();
        let direct = ScyllaStore::open(&site.config).await.unwrap();
        let truth = direct.open_namespace(&name).await.unwrap();
        Some(Self { proxied, store, pins, layered, direct, truth })
    }

    /// The version that the nodes have, as the write time of the value.
    async fn stored(&self, key: &Key) -> Option<i64> {
        let found = self.truth.get(key, ReadOptions::new()).await.unwrap();
        found.map(|record| record.version.micros())
    }

    async fn end(mut self) {
        self.proxied.heal();
        self.store.close().await.unwrap();
        self.direct.close().await.unwrap();
    }
}

fn key(name: &str) -> Key {
    Key::copy_from(name.as_bytes())
}

async fn put(pins: &dyn Namespace, key: &Key, version: i64) -> Result<(), Error> {
    let put = Put::new(key.clone(), format!("{version}"), Version(version));
    pins.put(put, WriteOptions::if_newer()).await.map(drop)
}

/// Each node one time: no request goes to one twice.
fn nodes(seen: &[proxied::Seen]) -> BTreeSet<usize> {
    seen.iter().map(|seen| seen.node).collect()
}
