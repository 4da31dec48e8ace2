//! A real cluster for tests, and keyspaces on it that are used again.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "each test target takes what it needs"
)]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use pinstate_scylla::{GoDuration, ScyllaConfig, ScyllaStore, TablePool};
use scylla::client::session::Session;
use testbed::{Cluster, Options};

/// How long a keyspace rests.
const REST: Duration = Duration::from_secs(6);

/// A cluster, and someone to change its schema who lives on a runtime of his own.
pub(crate) struct Bed {
    pub(crate) cluster: Cluster,
    /// There until it is dropped.
    runtime: Option<tokio::runtime::Runtime>,
    session: Arc<Session>,
    /// Keyspaces that are not in use, and since when.
    free: Mutex<VecDeque<(Place, Instant)>>,
    made: std::sync::atomic::AtomicUsize,
    /// Held for writing while nodes are broken: what empties tables needs all of them.
    pub(crate) whole: Arc<tokio::sync::RwLock<()>>,
}

impl Drop for Bed {
    fn drop(&mut self) {
        // Where whoever drops it must not block.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A keyspace with its tables.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) config: ScyllaConfig,
    pub(crate) pool: TablePool,
}

impl Bed {
    /// Starts a cluster of so many nodes in `dc1`; says why not where none can be had.
    pub(crate) fn start(nodes: usize) -> Result<Self, testbed::Error> {
        Self::start_with(&Options::nodes(nodes)?)
    }

    /// Starts a cluster of this kind.
    pub(crate) fn start_with(options: &Options) -> Result<Self, testbed::Error> {
        let cluster = Cluster::start(options)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        // Nobody asks it what it knows of other people's tables, of which there are many.
        let builder = cluster.session_builder()?.fetch_schema_metadata(false);
        // Whoever calls may be on a runtime, where nothing may block on another one.
        let session = std::thread::scope(|scope| {
            scope.spawn(|| runtime.block_on(builder.build()).unwrap()).join().unwrap()
        });
        Ok(Self {
            cluster,
            runtime: Some(runtime),
            session: Arc::new(session),
            free: Mutex::default(),
            made: std::sync::atomic::AtomicUsize::new(0),
            whole: Arc::default(),
        })
    }

    /// The configuration of a keyspace that nobody has, with patience for a slow machine.
    pub(crate) fn config(&self) -> ScyllaConfig {
        let number = self.made.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let keyspace = format!("t{number}_{}", std::process::id());
        let hosts = self.cluster.access().contact_points.iter().map(ToString::to_string);
        let dc = self.cluster.datacenters()[0].to_owned();
        let nodes = self.cluster.nodes().iter().filter(|node| node.datacenter == dc).count();
        let mut config = ScyllaConfig::new(hosts, keyspace)
            .with_local_dc(&dc)
            .create(format!("{dc}={}", nodes.min(3)));
        config.timeout = GoDuration(Duration::from_secs(60));
        config.attempt_timeout = Some(GoDuration(Duration::from_secs(15)));
        config.page_timeout = Some(GoDuration(Duration::from_secs(15)));
        config.demote_after = GoDuration(Duration::from_secs(10));
        config
    }

    /// Runs a statement, away from the runtime of whoever calls.
    pub(crate) async fn run(&self, text: String) -> Vec<String> {
        let session = Arc::clone(&self.session);
        let work = self.runtime.as_ref().unwrap().spawn(async move {
            let mut statement = scylla::statement::unprepared::Statement::new(text);
            statement.set_request_timeout(Some(Duration::from_secs(60)));
            let result = session.query_unpaged(statement, ()).await.unwrap();
            let Ok(rows) = result.into_rows_result() else { return Vec::new() };
            let rows = rows.rows::<(String,)>().unwrap();
            rows.map(|row| row.unwrap().0).collect()
        });
        work.await.unwrap()
    }

    /// A keyspace without anything in it: one that was used before, or a new one.
    pub(crate) async fn place(&self) -> Place {
        let whole = self.whole.try_read();
        let free = {
            let mut free = self.free.lock().unwrap();
            // As a table of a pool does, a keyspace rests before it is emptied.
            let rested = free.front().is_some_and(|(_, since)| since.elapsed() >= REST);
            if rested && whole.is_ok() { free.pop_front() } else { None }
        };
        let Some((place, since)) = free else {
            return Place { config: self.config(), pool: self.pool() };
        };
        let keyspace = place.config.keyspace.clone();
        self.run(format!("TRUNCATE \"{keyspace}_control\".control")).await;
        let tables = self
            .run(format!(
                "SELECT table_name FROM system_schema.tables WHERE keyspace_name = '{keyspace}'"
            ))
            .await;
        // A new pool: a handle that somebody still holds must not give its table back.
        let pool = self.pool();
        for table in tables {
            pool.put(&table, since);
        }
        Place { config: place.config, pool }
    }

    fn pool(&self) -> TablePool {
        TablePool::breakable(Arc::clone(&self.whole))
    }

    /// Gives a keyspace back.
    pub(crate) fn give_back(&self, place: Place) {
        self.free.lock().unwrap().push_back((place, Instant::now()));
    }

    /// Opens the store of a place.
    pub(crate) async fn open(&self, place: &Place) -> pinstate_core::Result<ScyllaStore> {
        ScyllaStore::open_pooled(&place.config, place.pool.clone()).await
    }
}

/// Keys of 32 bytes that all have the same token: the hash (MurmurHash3, x64, 128 bits)
/// works on blocks of 16 bytes and each step can be undone, so for any first block there is
/// a second one that leads to the same state.
pub(crate) fn collision(number: u64) -> [u8; 32] {
    const C1: u64 = 0x87c3_7b91_1142_53d5;
    const C2: u64 = 0x4cf5_ad43_2745_937f;
    let inverse = |odd: u64| {
        // Newton's iteration doubles the right bits each time.
        (0..6).fold(odd, |x, _| x.wrapping_mul(2_u64.wrapping_sub(odd.wrapping_mul(x))))
    };
    let mix1 = |k: u64| k.wrapping_mul(C1).rotate_left(31).wrapping_mul(C2);
    let mix2 = |k: u64| k.wrapping_mul(C2).rotate_left(33).wrapping_mul(C1);
    let unmix1 = |k: u64| k.wrapping_mul(inverse(C2)).rotate_right(31).wrapping_mul(inverse(C1));
    let unmix2 = |k: u64| k.wrapping_mul(inverse(C1)).rotate_right(33).wrapping_mul(inverse(C2));
    let step = |(h1, h2): (u64, u64), (k1, k2): (u64, u64)| {
        let h1 = (h1 ^ mix1(k1)).rotate_left(27).wrapping_add(h2);
        let h1 = h1.wrapping_mul(5).wrapping_add(0x52dc_e729);
        let h2 = (h2 ^ mix2(k2)).rotate_left(31).wrapping_add(h1);
        (h1, h2.wrapping_mul(5).wrapping_add(0x3849_5ab5))
    };
    let target = step(step((0, 0), (1, 2)), (3, 4));
    let first = (number.wrapping_mul(0x9e37_79b9_7f4a_7c15), number);
    let (h1, h2) = step((0, 0), first);
    let fifth = inverse(5);
    let x1 = target.0.wrapping_sub(0x52dc_e729).wrapping_mul(fifth).wrapping_sub(h2);
    let k1 = unmix1(x1.rotate_right(27) ^ h1);
    let x2 = target.1.wrapping_sub(0x3849_5ab5).wrapping_mul(fifth).wrapping_sub(target.0);
    let k2 = unmix2(x2.rotate_right(31) ^ h2);
    let mut key = [0; 32];
    for (chunk, word) in key.chunks_mut(8).zip([first.0, first.1, k1, k2]) {
        chunk.copy_from_slice(&word.to_le_bytes());
    }
    key
}
