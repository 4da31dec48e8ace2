//! A steady load of writes, deletes, reads and scans on a store, through the layers that the
//! binary uses, while a test does to nodes what it likes. What was told of each write is held
//! against what is there.
//!
//! `PINSTATE_STORM_SEED` repeats the choices of a run.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test speaks to people and fails by panicking; each takes what it needs"
)]

#[path = "oracle.rs"]
mod oracle;

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use oracle::{History, Told};
use pinstate_core::{
    BatchItem, BatchOptions, CheckedScan, Clock, Delete, Key, Namespace, NamespaceName, Outcome,
    Put, ReadOptions, Record, Result, ScanOptions, Store, WriteOptions,
};
use pinstate_scylla::{GoDuration, ScyllaConfig, ScyllaStore};
use tokio::task::{JoinHandle, block_in_place};
use uuid::Uuid;

/// Who writes, each to keys of its own, one operation after the other.
const WRITERS: usize = 12;
const KEYS_EACH: usize = 25;
/// Keys that are written at the beginning and never again.
const LASTING: usize = 3_000;
/// Keys that are deleted at the beginning and never written again.
const DELETED: usize = 300;
/// Between two operations of one writer.
const PACE: Duration = Duration::from_millis(15);
/// How long something is left broken, and the part of it at the end in which whatever is
/// whole should have got used to it.
const FAULT: Duration = Duration::from_secs(20);
const SETTLED: Duration = Duration::from_secs(5);

fn key(kind: &str, i: usize) -> Key {
    Key::copy_from(format!("{kind} {i}").as_bytes())
}

/// One operation of a writer: when it ended, how long it took, and how it failed.
struct Done {
    at: Instant,
    took: Duration,
    failed: Option<String>,
}

/// What all share while the load goes on.
struct Shared {
    pins: Arc<dyn Namespace>,
    clock: Clock,
    over: AtomicBool,
    done: Mutex<Vec<Done>>,
    scans: AtomicUsize,
    pages_repeated: AtomicUsize,
}

impl Shared {
    /// Writes and reads its own keys until the load is over; gives what it was told.
    async fn write(&self, writer: usize, seed: u64) -> Vec<History> {
        let mut random = fastrand::Rng::with_seed(seed ^ writer as u64);
        let mut histories = vec![History::default(); KEYS_EACH];
        while !self.over.load(Ordering::Relaxed) {
            let i = random.usize(..KEYS_EACH);
            let began = Instant::now();
            let failed = match random.u8(..10) {
                0..2 => self.delete(writer, i, &mut histories[i]).await,
                2..4 => self.check(writer, i, &histories[i]).await,
                _ => self.put(writer, i, &mut histories[i]).await,
            };
            let failed = failed.err().map(|error| error.to_string());
            self.done.lock().unwrap().push(Done {
                at: Instant::now(),
                took: began.elapsed(),
                failed,
            });
            tokio::time::sleep(PACE).await;
        }
        histories
    }

    async fn put(&self, writer: usize, i: usize, history: &mut History) -> Result<()> {
        let version = self.clock.draw().await?;
        let value = format!("{writer}:{i}:{version}");
        let put = Put::new(own(writer, i), value.clone(), version);
        let result = self.pins.put(put, WriteOptions::new()).await;
        history.wrote(version.0, Some(value), told(&result));
        result.map(drop)
    }

    async fn delete(&self, writer: usize, i: usize, history: &mut History) -> Result<()> {
        let version = self.clock.draw().await?;
        let result =
            self.pins.delete(Delete::new(own(writer, i), version), WriteOptions::new()).await;
        history.wrote(version.0, None, told(&result));
        result.map(drop)
    }

    /// Reads a key and holds it against its history.
    async fn check(&self, writer: usize, i: usize, history: &History) -> Result<()> {
        let found = self.pins.get(&own(writer, i), ReadOptions::new()).await?;
        judge(history, found.as_ref(), writer, i);
        Ok(())
    }

    /// Scans the namespace from end to end, again and again.
    async fn scan(&self) {
        while !self.over.load(Ordering::Relaxed) {
            let scan = loop {
                match self.pins.scan(ScanOptions::new().with_page_rows(500)).await {
                    Ok(scan) => break scan,
                    Err(_) => tokio::time::sleep(PACE).await,
                }
            };
            let mut scan = CheckedScan::new(scan);
            let (mut seen, mut lasting) = (HashSet::new(), 0);
            loop {
                match scan.next_page().await {
                    Ok(None) => break,
                    Ok(Some(page)) => {
                        for record in page.items {
                            let record = record.unwrap();
                            let name = String::from_utf8(record.key.as_bytes().to_vec()).unwrap();
                            assert!(!name.starts_with("deleted"), "{name} is back in a scan");
                            lasting += usize::from(name.starts_with("lasting"));
                            assert!(seen.insert(name), "{:?} came twice", record.key);
                        }
                    }
                    // An error leaves the scan where it was.
                    Err(_) => {
                        self.pages_repeated.fetch_add(1, Ordering::Relaxed);
                        tokio::time::sleep(PACE).await;
                    }
                }
            }
            assert_eq!(lasting, LASTING, "a scan that said it was complete was short");
            self.scans.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn own(writer: usize, i: usize) -> Key {
    key("own", writer * KEYS_EACH + i)
}

fn told<T>(result: &Result<T>) -> Told {
    match result {
        Ok(_) => Told::Acknowledged,
        Err(error) if error.outcome() == Outcome::NotApplied => Told::NotApplied,
        Err(_) => Told::Unknown,
    }
}

fn judge(history: &History, found: Option<&Record>, writer: usize, i: usize) {
    let seen = found.map(|r| (r.version.0, std::str::from_utf8(&r.value).unwrap()));
    if let Err(broken) = history.judge(seen) {
        panic!("key {i} of writer {writer}: {broken}; {seen:?} of {history:?}");
    }
}

/// Reads a key, however often it takes.
async fn read(pins: &dyn Namespace, key: &Key) -> Option<Record> {
    let began = Instant::now();
    loop {
        match pins.get(key, ReadOptions::new()).await {
            Ok(found) => return found,
            Err(error) if began.elapsed() > Duration::from_secs(120) => panic!("{error}"),
            Err(_) => tokio::time::sleep(PACE).await,
        }
    }
}

/// Makes the store and what is there from the beginning, with all the patience of `config`:
/// nodes that have just come up are slow.
async fn fill(config: &ScyllaConfig, clock: &Clock) {
    let store = ScyllaStore::open(config).await.unwrap();
    store.create_namespace(&NamespaceName::default()).await.unwrap();
    let store = config.layers().apply(Arc::new(store));
    let pins = store.open_namespace(&NamespaceName::default()).await.unwrap();
    let first = clock.draw().await.unwrap();
    let second = clock.draw().await.unwrap();
    let puts = (0..LASTING).map(|i| Put::new(key("lasting", i), "kept", first).into());
    let gone = (0..DELETED).map(|i| Put::new(key("deleted", i), "gone", first).into());
    let deletes = (0..DELETED).map(|i| Delete::new(key("deleted", i), second).into());
    let writes: Vec<BatchItem> = puts.chain(gone).chain(deletes).collect();
    for batch in writes.chunks(DELETED) {
        let written = pins.apply(batch.to_vec(), BatchOptions::new()).await;
        written.unwrap().into_result().unwrap();
    }
    store.close().await.unwrap();
}

/// A load that goes on until it is [ended](Load::end).
pub(crate) struct Load {
    store: Arc<ScyllaStore>,
    layered: Arc<dyn Store>,
    shared: Arc<Shared>,
    writers: Vec<JoinHandle<Vec<History>>>,
    scanner: JoinHandle<()>,
    /// Of an operation, while all was whole.
    median: Duration,
}

/// What was seen in the last seconds that something was broken.
pub(crate) struct Seen {
    /// Failures that had not ceased.
    pub(crate) failures: Vec<String>,
    /// How often each node answered.
    pub(crate) answers: BTreeMap<Uuid, u64>,
    /// Nodes that were asked last.
    pub(crate) asked_last: Vec<Uuid>,
}

impl Load {
    /// Fills a new store and begins; comes back when it is known how long operations take
    /// while nothing is broken.
    pub(crate) async fn begin(mut config: ScyllaConfig) -> Self {
        let seed = std::env::var("PINSTATE_STORM_SEED").map_or_else(
            |_| fastrand::u64(..),
            |seed| seed.parse().expect("PINSTATE_STORM_SEED is a number"),
        );
        println!("PINSTATE_STORM_SEED={seed}");
        let clock = Clock::volatile();
        fill(&config, &clock).await;
        config.timeout = GoDuration(Duration::from_secs(10));
        config.attempt_timeout = Some(GoDuration(Duration::from_secs(3)));
        config.page_timeout = Some(GoDuration(Duration::from_secs(3)));
        config.demote_after = GoDuration(Duration::from_secs(1));
        let store = Arc::new(ScyllaStore::open(&config).await.unwrap());
        let layered = config.layers().apply(Arc::clone(&store) as Arc<dyn Store>);
        let pins = layered.open_namespace(&NamespaceName::default()).await.unwrap();

        let shared = Arc::new(Shared {
            pins,
            clock,
            over: AtomicBool::new(false),
            done: Mutex::default(),
            scans: AtomicUsize::new(0),
            pages_repeated: AtomicUsize::new(0),
        });
        let writers = (0..WRITERS)
            .map(|writer| {
                let shared = Arc::clone(&shared);
                tokio::spawn(async move { shared.write(writer, seed).await })
            })
            .collect();
        let scanner = tokio::spawn({
            let shared = Arc::clone(&shared);
            async move { shared.scan().await }
        });
        let mut load = Self { store, layered, shared, writers, scanner, median: Duration::ZERO };
        tokio::time::sleep(2 * SETTLED).await;
        load.median = load.tell("before", Instant::now()).0;
        load
    }

    /// Breaks something for a while, and mends it.
    pub(crate) async fn through(
        &self,
        what: String,
        broken: impl FnOnce() -> testbed::Result<()>,
        mended: impl FnOnce() -> testbed::Result<()>,
    ) -> Seen {
        let began = Instant::now();
        block_in_place(broken).unwrap();
        tokio::time::sleep(FAULT - SETTLED).await;
        let earlier = self.store.stats().answers;
        tokio::time::sleep(SETTLED).await;
        let (median, failures) = self.tell(&what, began);
        println!(
            "{what}: median {:.2} times that before",
            median.as_secs_f64() / self.median.as_secs_f64()
        );
        let failures = failures.iter().map(|failure| format!("{what}: {failure}")).collect();
        let stats = self.store.stats();
        let mut answers = stats.answers;
        for (node, count) in &mut answers {
            *count -= earlier.get(node).unwrap_or(&0);
        }
        block_in_place(mended).unwrap();
        tokio::time::sleep(SETTLED).await;
        Seen { failures, answers, asked_last: stats.silent_nodes }
    }

    /// Prints how the load does since a moment; gives the median of the last seconds and
    /// their failures.
    fn tell(&self, what: &str, since: Instant) -> (Duration, Vec<String>) {
        let done = self.shared.done.lock().unwrap();
        let end = Instant::now();
        let mut took: Vec<Duration> = Vec::new();
        let mut failed = Vec::new();
        for one in done.iter().filter(|one| one.at >= end - SETTLED) {
            took.push(one.took);
            failed.extend(one.failed.clone());
        }
        took.sort();
        let all = done.iter().filter(|one| one.at >= since && one.failed.is_some()).count();
        let ms = |took: Option<&Duration>| took.map_or(f64::NAN, |took| took.as_secs_f64() * 1e3);
        println!(
            "{what}: {all} failures; last {} s: {} operations, median {:.1} ms, longest {:.1} ms, \
             {} failures",
            SETTLED.as_secs(),
            took.len(),
            ms(took.get(took.len() / 2)),
            ms(took.last()),
            failed.len(),
        );
        (took.get(took.len() / 2).copied().unwrap_or_default(), failed)
    }

    /// Ends it, and judges all that is there.
    pub(crate) async fn end(self) {
        self.tell("after", Instant::now());
        println!("{:?}", self.store.stats());
        self.shared.over.store(true, Ordering::Relaxed);
        self.scanner.await.unwrap();
        let pins = &*self.shared.pins;
        for (writer, histories) in self.writers.into_iter().enumerate() {
            for (i, history) in histories.await.unwrap().iter().enumerate() {
                let found = read(pins, &own(writer, i)).await;
                judge(history, found.as_ref(), writer, i);
            }
        }
        for i in 0..DELETED {
            assert!(read(pins, &key("deleted", i)).await.is_none(), "deleted {i} is back");
        }
        let scans = self.shared.scans.load(Ordering::Relaxed);
        let repeated = self.shared.pages_repeated.load(Ordering::Relaxed);
        println!("{scans} whole scans, {repeated} pages repeated");
        assert!(scans > 3, "only {scans} scans came to their end");
        self.layered.close().await.unwrap();
    }
}
