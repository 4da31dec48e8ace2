//! What this backend costs over the driver called directly: processor time of the client
//! for each put and get, against one real server, with the same statements, connections,
//! routing and concurrency. At the level of records, and at that of [`State`] against a loop
//! that encodes and decodes the pin as well. Where there is Go, gocql runs the same
//! statements for puts and gets beside them, in a process of its own.
//!
//! `cargo bench -p pinstate-scylla --bench over_driver [-- OPERATIONS ROUNDS]`; with
//! `ONLY=records` without what [`State`] costs. All sides do as many operations in each round,
//! in an order that changes from round to round; each figure is the median over the rounds, and
//! each ratio that of the rounds' ratios. The server has one half of the machine's processors,
//! and the sides take turns on the other.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark speaks to people and fails by panicking"
)]

#[path = "../tests/common/mod.rs"]
mod common;
#[path = "shared/gocql.rs"]
mod gocql;
mod shared;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use common::Bed;
use futures::future::join_all;
use gocql::Go;
use pinstate_core::pin::{self, Pin, PinView};
use pinstate_core::{
    Clock, ClockOptions, Key, Namespace, NamespaceName, Put, ReadOptions, State, Store, Version,
    WriteOptions,
};
use pinstate_scylla::ScyllaStore;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use scylla::client::session::Session;
use scylla::statement::prepared::PreparedStatement;
use shared::{CONNECTIONS, median, pin, session, spread, stored};

/// Requests under way at the same time.
const WORKERS: usize = 128;

fn cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap(), u32::try_from(time.tv_nsec).unwrap())
}

/// Runs the work for each number, in tasks as a service has them; processor microseconds
/// and operations a second.
async fn measured<W, F>(count: usize, work: W) -> (f64, f64)
where
    W: Fn(usize) -> F + Copy + Send + 'static,
    F: Future<Output = ()> + Send,
{
    let next = Arc::new(AtomicUsize::new(0));
    let (cpu_before, began) = (cpu(), Instant::now());
    let tasks = (0..WORKERS).map(|_| {
        let next = Arc::clone(&next);
        tokio::spawn(async move {
            loop {
                let i = next.fetch_add(1, Ordering::Relaxed);
                if i >= count {
                    return;
                }
                work(i).await;
            }
        })
    });
    for task in join_all(tasks).await {
        task.unwrap();
    }
    let spent = cpu() - cpu_before;
    let count = count as f64;
    (spent.as_secs_f64() * 1e6 / count, count / began.elapsed().as_secs_f64())
}

struct Sides {
    session: Session,
    insert: PreparedStatement,
    select: PreparedStatement,
    namespace: Arc<dyn Namespace>,
    state: State,
    pins: Vec<Pin>,
    /// The stored bytes of each pin.
    values: Vec<Bytes>,
    /// The last version drawn by the loops over the driver.
    version: AtomicI64,
}

impl Sides {
    fn version(&self) -> i64 {
        self.version.fetch_add(1, Ordering::Relaxed)
    }

    async fn insert(&self, key: &[u8], value: &[u8]) {
        let values = (key, value, self.version());
        self.session.execute_unpaged(&self.insert, values).await.unwrap();
    }

    async fn select(&self, key: &[u8]) -> Bytes {
        let result = self.session.execute_unpaged(&self.select, (key,)).await.unwrap();
        let rows = result.into_rows_result().unwrap();
        type Row = (Option<Bytes>, Option<i64>, Option<i64>);
        rows.maybe_first_row::<Row>().unwrap().unwrap().0.unwrap()
    }

    async fn raw_put(&self, i: usize) {
        self.insert(self.pins[i].cid.as_bytes(), &self.values[i]).await;
    }

    async fn our_put(&self, i: usize) {
        let key = Key::copy_from(self.pins[i].cid.as_bytes());
        let put = Put::new(key, self.values[i].clone(), Version(self.version()));
        self.namespace.put(put, WriteOptions::new()).await.unwrap();
    }

    async fn raw_get(&self, i: usize) {
        assert_eq!(self.select(self.pins[i].cid.as_bytes()).await, self.values[i]);
    }

    async fn our_get(&self, i: usize) {
        let key = Key::copy_from(self.pins[i].cid.as_bytes());
        let record = self.namespace.get(&key, ReadOptions::new()).await.unwrap().unwrap();
        assert_eq!(record.value, self.values[i]);
    }

    async fn raw_add(&self, i: usize) {
        let mut value = Vec::with_capacity(256);
        pin::encode(&self.pins[i], &mut value);
        self.insert(self.pins[i].cid.as_bytes(), &value).await;
    }

    async fn our_add(&self, i: usize) {
        self.state.add(&self.pins[i]).await.unwrap();
    }

    async fn raw_pin(&self, i: usize) {
        let key = self.pins[i].cid.as_bytes();
        let value = self.select(key).await;
        assert_eq!(PinView::new(key, &value).unwrap().to_pin(), self.pins[i]);
    }

    async fn our_pin(&self, i: usize) {
        assert_eq!(self.state.get(&self.pins[i].cid).await.unwrap(), self.pins[i]);
    }
}

/// What the rounds of one operation gave: processor time and rate of each side.
#[derive(Default)]
struct Rounds {
    raw: Vec<(f64, f64)>,
    ours: Vec<(f64, f64)>,
    go: Vec<(f64, f64)>,
}

impl Rounds {
    async fn one<R, O, A, B>(&mut self, count: usize, raw: R, ours: O)
    where
        R: Fn(usize) -> A + Copy + Send + 'static,
        O: Fn(usize) -> B + Copy + Send + 'static,
        A: Future<Output = ()> + Send,
        B: Future<Output = ()> + Send,
    {
        let raw_first = self.raw.len().is_multiple_of(2);
        if raw_first {
            self.raw.push(measured(count, raw).await);
            self.ours.push(measured(count, ours).await);
        } else {
            self.ours.push(measured(count, ours).await);
            self.raw.push(measured(count, raw).await);
        }
    }

    fn print(&self, what: &str) {
        for (other, figures) in [("driver", &self.raw), ("gocql", &self.go)] {
            if figures.is_empty() {
                continue;
            }
            let of = |side: &[(f64, f64)], pick: fn(&(f64, f64)) -> f64| {
                median(side.iter().map(pick).collect())
            };
            let ratio = |pick: fn(&(f64, f64)) -> f64| {
                spread(self.ours.iter().zip(figures).map(|(ours, other)| pick(ours) / pick(other)))
            };
            println!(
                "{what:<10} CPU: {other} {:.1} us, ours {:.1} us, ratio {}; rate: {other} \
                 {:.0}/s, ours {:.0}/s, ratio {}",
                of(figures, |r| r.0),
                of(&self.ours, |r| r.0),
                ratio(|r| r.0),
                of(figures, |r| r.1),
                of(&self.ours, |r| r.1),
                ratio(|r| r.1),
            );
        }
    }
}

fn main() {
    let mut numbers = std::env::args().filter_map(|arg| arg.parse::<usize>().ok());
    let (count, rounds) = (numbers.next().unwrap_or(40_000), numbers.next().unwrap_or(5));
    let all = sched_getaffinity(None).unwrap();
    let cpus: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|cpu| all.is_set(*cpu)).collect();
    let (own, servers) = cpus.split_at(cpus.len() / 2);
    keep_to(servers);
    let bed = Bed::start(1).unwrap();
    keep_to(if own.is_empty() { servers } else { own });
    // As many workers as there are processors for them.
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(compare(&bed, count, rounds));
}

/// Keeps this thread, and whatever it starts from now on, to some processors: clients and
/// servers do not share machines, and would get into each other's way at every turn.
fn keep_to(cpus: &[usize]) {
    let mut set = CpuSet::new();
    for cpu in cpus {
        set.set(*cpu);
    }
    sched_setaffinity(None, &set).unwrap();
}

async fn compare(bed: &Bed, count: usize, rounds: usize) {
    let mut config = bed.config();
    config.num_conns = Some(CONNECTIONS);
    let store = Arc::new(ScyllaStore::open(&config).await.unwrap());
    let name = NamespaceName::default();
    store.create_namespace(&name).await.unwrap();
    let table = shared::table(&config).await;
    let session = session(bed.cluster.session_builder().unwrap(), &config).await;
    let ready = async |text: String| {
        let mut statement = session.prepare(text).await.unwrap();
        statement.set_is_idempotent(true);
        statement.set_use_cached_result_metadata(true);
        statement
    };
    let insert =
        ready(format!("INSERT INTO {table} (cid, v) VALUES (?, ?) USING TIMESTAMP ?")).await;
    let select =
        ready(format!("SELECT v, writetime(v), writetime(d) FROM {table} WHERE cid = ?")).await;
    let namespace = store.open_namespace(&name).await.unwrap();
    let clock = Arc::new(Clock::open(Arc::clone(&store) as _, ClockOptions::new()).await.unwrap());
    let pins: Vec<Pin> = (0..count).map(pin).collect();
    // For tasks, to the end of the program.
    let sides: &'static Sides = Box::leak(Box::new(Sides {
        session,
        insert,
        select,
        state: State::new(Arc::clone(&namespace), clock),
        namespace,
        values: pins.iter().map(stored).collect(),
        pins,
        version: AtomicI64::new(1),
    }));
    let table = &table;
    let mut go = Go::start(&bed.cluster, table, WORKERS, &sides.pins, &sides.values);
    if go.is_none() {
        println!("there is no Go, and so nothing about gocql");
    }
    // Versions grow with every loop, so that no write is one that the server passes over.
    let next = |sides: &Sides| sides.version.fetch_add(count as i64, Ordering::Relaxed);
    let mut go = |sides: &Sides, rounds: &mut Rounds, get: bool| {
        if let Some(go) = &mut go {
            let request = if get { "get".to_owned() } else { format!("put {}", next(sides)) };
            rounds.go.push(go.run(&request));
        }
    };
    // The server compiles its own code while it is warming up, and Go makes its statements.
    measured(count, move |i| sides.raw_put(i)).await;
    measured(count, move |i| sides.raw_get(i)).await;
    go(sides, &mut Rounds::default(), false);
    go(sides, &mut Rounds::default(), true);
    let with_state = std::env::var("ONLY").map_or(true, |only| only != "records");
    let mut results: [Rounds; 4] = Default::default();
    for round in 0..rounds {
        let [put, get, add, pin] = &mut results;
        // gocql comes before the other two in one round, and after them in the next.
        let go_first = round % 2 == 1;
        if go_first {
            go(sides, put, false);
            go(sides, get, true);
        }
        put.one(count, move |i| sides.raw_put(i), move |i| sides.our_put(i)).await;
        get.one(count, move |i| sides.raw_get(i), move |i| sides.our_get(i)).await;
        if !go_first {
            go(sides, put, false);
            go(sides, get, true);
        }
        if with_state {
            add.one(count, move |i| sides.raw_add(i), move |i| sides.our_add(i)).await;
            pin.one(count, move |i| sides.raw_pin(i), move |i| sides.our_pin(i)).await;
        }
    }
    println!("{rounds} rounds of {count} on every side, {WORKERS} at a time; medians (and range)");
    for (what, rounds) in ["put", "get", "State add", "State get"].into_iter().zip(&results) {
        rounds.print(what);
    }
    store.close().await.unwrap();
}
