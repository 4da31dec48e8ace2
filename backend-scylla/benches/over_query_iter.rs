//! A full scan through this backend over the driver's own `query_iter` as it is: same table,
//! same consistency, same connections, every row with its key, value and both versions, and
//! every byte of them touched.
//!
//! `cargo bench -p pinstate-scylla --bench over_query_iter [-- PINS ROUNDS]`. Three real
//! nodes share the machine with the client, so what one scan can save is what the other one
//! leaves idle: how many processors were at work meanwhile stands beside each figure. The two
//! sides take turns, in an order that changes from round to round; each figure is the median
//! over the rounds, each ratio that of the rounds' ratios.
//!
//! * **plain**: three replicas of everything, LOCAL_QUORUM. Wanted: 1.2 times as fast.
//! * **5 ms a frame** (wanted: 3 times): the same table, but each node behind a relay that
//!   hands on, in either direction, every byte 5 ms after it came and in order, however many
//!   are under way. So
//!   each request and each answer takes 5 ms longer, a page 10 ms, and the rate at which
//!   bytes flow stays what it was. A scan by `query_iter` has some twenty pages, so this adds
//!   a fifth of a second to it, and decides only where servers answer in less.
//! * **one replica**: pages that a replica of their range answered (wanted: 95 %), where
//!   only one node in three is one. With three replicas on three nodes every node is.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark speaks to people and fails by panicking"
)]

#[path = "../tests/common/mod.rs"]
mod common;
#[path = "shared/relay.rs"]
mod relay;
mod shared;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use common::Bed;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use pinstate_core::{
    Key, Namespace, NamespaceName, Put, ScanOptions, ScanStep, Store, Version, WriteOptions,
};
use pinstate_scylla::{ScyllaConfig, ScyllaStore};
use relay::Relays;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use shared::{CONNECTIONS, median, pin, session, spread, stored};

/// What the relay adds to each frame.
const DELAY: Duration = Duration::from_millis(5);

/// What a scan saw: sums that do not depend on the order.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
struct Seen {
    rows: usize,
    bytes: usize,
    sum: u64,
}

impl Seen {
    fn row(&mut self, key: &[u8], value: &[u8], version: i64) {
        let sum = |bytes: &[u8]| bytes.iter().map(|byte| u64::from(*byte)).sum::<u64>();
        self.rows += 1;
        self.bytes += key.len() + value.len();
        self.sum += sum(key) + sum(value) + version.cast_unsigned();
    }
}

/// Processor seconds that were spent on this machine, by whom ever: those of the nodes above
/// all, and the client's.
fn spent() -> f64 {
    let text = std::fs::read_to_string("/proc/stat").unwrap();
    let fields = text.lines().next().unwrap().split_whitespace().skip(1);
    // user, nice, system, idle, iowait, irq, softirq: all but idle and iowait.
    let fields: Vec<f64> = fields.map(|field| field.parse().unwrap()).collect();
    let busy = fields[..3].iter().chain(&fields[5..7]).sum::<f64>();
    busy / rustix::param::clock_ticks_per_second() as f64
}

/// What the scans of one side took.
#[derive(Default)]
struct Took {
    seconds: Vec<f64>,
    /// Processor seconds of all that ran.
    spent: Vec<f64>,
}

impl Took {
    fn told(&self) -> String {
        let (seconds, spent) = (median(self.seconds.clone()), median(self.spent.clone()));
        format!("{seconds:.3} s with {:.1} processors at work", spent / seconds)
    }
}

/// Both sides, on one table.
struct Sides {
    session: Session,
    text: String,
    store: ScyllaStore,
    namespace: Arc<dyn Namespace>,
}

impl Sides {
    async fn of(config: &ScyllaConfig, builder: SessionBuilder) -> Self {
        let mut config = config.clone();
        config.num_conns = Some(CONNECTIONS);
        let store = ScyllaStore::open(&config).await.unwrap();
        let name = NamespaceName::default();
        let namespace = store.open_namespace(&name).await.unwrap();
        let table = shared::table(&config).await;
        let text = format!("SELECT cid, v, writetime(v), writetime(d) FROM {table}");
        Self { session: session(builder, &config).await, text, store, namespace }
    }

    async fn query_iter(&self) -> Seen {
        type Row = (Bytes, Option<Bytes>, Option<i64>, Option<i64>);
        let mut seen = Seen::default();
        let pager = self.session.query_iter(self.text.as_str(), ()).await.unwrap();
        let mut rows = pager.rows_stream::<Row>().unwrap();
        while let Some(row) = rows.next().await {
            let (key, value, version, marker) = row.unwrap();
            assert_eq!(marker, None);
            seen.row(&key, &value.unwrap(), version.unwrap());
        }
        seen
    }

    async fn scan(&self) -> Seen {
        let mut seen = Seen::default();
        let mut scan = self.namespace.scan(ScanOptions::new()).await.unwrap();
        loop {
            match scan.next().await.unwrap() {
                ScanStep::Page(page) => {
                    for record in page.items {
                        let record = record.unwrap();
                        seen.row(record.key.as_bytes(), &record.value, record.version.0);
                    }
                }
                ScanStep::End(_) => return seen,
            }
        }
    }

    /// Rounds of both sides in turn, and what is to be said of them.
    async fn compare(&self, what: &str, rounds: usize, expected: Seen) {
        let timed = async |ours: bool, took: &mut Took| {
            let (began, before) = (Instant::now(), spent());
            let seen = if ours { self.scan().await } else { self.query_iter().await };
            assert_eq!(seen, expected, "ours: {ours}");
            took.seconds.push(began.elapsed().as_secs_f64());
            took.spent.push(spent() - before);
        };
        // The server compiles its own code while it is warming up.
        for ours in [false, true, false, true] {
            timed(ours, &mut Took::default()).await;
        }
        let before = self.store.stats();
        let (mut driver, mut ours) = (Took::default(), Took::default());
        for round in 0..rounds {
            if round % 2 == 0 {
                timed(false, &mut driver).await;
                timed(true, &mut ours).await;
            } else {
                timed(true, &mut ours).await;
                timed(false, &mut driver).await;
            }
        }
        let both = driver.seconds.iter().zip(&ours.seconds);
        println!(
            "{what}: query_iter {}, ours {}: {} times as fast; {}",
            driver.told(),
            ours.told(),
            spread(both.map(|(driver, ours)| driver / ours)),
            pages(&before, &self.store.stats(), rounds),
        );
    }
}

/// How many pages a scan took, and who answered them.
fn pages(before: &pinstate_scylla::Stats, after: &pinstate_scylla::Stats, scans: usize) -> String {
    let pages = after.pages - before.pages;
    let share = (after.pages_by_replica - before.pages_by_replica) as f64 / pages as f64;
    format!(
        "{:.1} pages a scan, {:.2} % by a replica, {} failed",
        pages as f64 / scans as f64,
        share * 100.0,
        after.page_failures - before.page_failures
    )
}

fn main() {
    let mut numbers = std::env::args().filter_map(|arg| arg.parse::<usize>().ok());
    let (count, rounds) = (numbers.next().unwrap_or(100_000), numbers.next().unwrap_or(9));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let bed = Bed::start(3).unwrap();
    runtime.block_on(run(&bed, count, rounds));
}

/// Fills a new namespace; what a scan of it has to see.
async fn fill(config: &ScyllaConfig, count: usize) -> Seen {
    let store = ScyllaStore::open(config).await.unwrap();
    let name = NamespaceName::default();
    store.create_namespace(&name).await.unwrap();
    let namespace = store.open_namespace(&name).await.unwrap();
    let mut expected = Seen::default();
    let puts = (0..count).map(|i| {
        let pin = pin(i);
        let (value, version) = (stored(&pin), i as i64 + 1);
        expected.row(pin.cid.as_bytes(), &value, version);
        Put::new(Key::copy_from(pin.cid.as_bytes()), value, Version(version))
    });
    let puts: Vec<Put> = puts.collect();
    stream::iter(puts)
        .map(|put| namespace.put(put, WriteOptions::new()))
        .buffer_unordered(64)
        .try_for_each(async |_| Ok(()))
        .await
        .unwrap();
    store.close().await.unwrap();
    expected
}

async fn run(bed: &Bed, count: usize, rounds: usize) {
    let config = bed.config();
    let expected = fill(&config, count).await;
    println!(
        "{count} pins of {} bytes with their keys, {rounds} rounds in turn; medians (and range)",
        expected.bytes / count
    );
    let sides = Sides::of(&config, bed.cluster.session_builder().unwrap()).await;
    sides.compare("plain", rounds, expected).await;
    sides.store.close().await.unwrap();

    let relays = Relays::start(&bed.cluster, DELAY);
    let builder = SessionBuilder::new()
        .known_nodes_addr(relays.own())
        .address_translator(Arc::new(relays.table()));
    let sides = Sides::of(&relays.config(&config), builder).await;
    sides.compare("5 ms a frame", rounds, expected).await;
    sides.store.close().await.unwrap();

    let mut config = bed.config();
    config.replication = Some(format!("{}=1", bed.cluster.datacenters()[0]));
    let expected = fill(&config, count).await;
    let sides = Sides::of(&config, bed.cluster.session_builder().unwrap()).await;
    sides.compare("one replica", rounds, expected).await;
    sides.store.close().await.unwrap();
}
