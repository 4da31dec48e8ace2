//! The same pins through everything that could keep them, in one run: ipfs-cluster's own Go
//! state over its datastores, `State` over our backends, and the engines and the driver below them
//! alone.
//!
//! ```text
//! cargo bench -p pinstate --bench peers
//! PINS=50000 ROUNDS=3 OPS=get64,list SUBJECTS=sled,raw cargo bench -p pinstate --bench peers
//! ```
//!
//! Every subject does every operation once a round, in an order that is drawn anew; while one is
//! at work, the others are idle. Go runs with `GOMAXPROCS=2` in a process of its own, ours on two
//! threads, the cluster is one node on the same machine. Input comes from memory and output goes
//! nowhere. Stores on disk are opened anew before every reading, with 1 GiB of cache, which is
//! what ipfs-cluster gives pebble. Writes are durable: `add` has a barrier for each 1,000 pins,
//! `add64` one for each pin, which those who wait at the same time may share.
//!
//! Two tables, medians over the rounds: thousand pins a second, and microseconds of processor for
//! each pin. Then the ratios that are wanted, each with its median and range over the rounds.

#![allow(missing_docs, clippy::print_stdout, clippy::unwrap_used, clippy::indexing_slicing)]

mod bars;
#[path = "../../../embedded/benches/shared/engine.rs"]
mod engine;
mod go;
mod ours;
mod pins;
mod raw_driver;
mod raw_engine;
#[path = "../../../backend-fjall/benches/shared/raw.rs"]
mod raw_fjall;
#[path = "../../../backend-sled/benches/shared/raw.rs"]
mod raw_sled;
#[path = "../../../backend-scylla/benches/shared/mod.rs"]
mod scylla_shared;
mod subject;
#[path = "../shared/views.rs"]
mod views;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use pinstate_core::config::ByteSize;
use pinstate_scylla::{GoDuration, ScyllaConfig};
use testbed::{Cluster, Options};
use tokio::runtime::Runtime;

use self::bars::BARS;
use self::go::{Go, Over};
use self::ours::{Ours, Where};
use self::pins::Pins;
use self::raw_driver::RawDriver;
use self::raw_engine::Raw;
use self::raw_fjall::RawFjall;
use self::raw_sled::RawSled;
use self::subject::{Op, Spent, Subject};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CACHE: ByteSize = ByteSize(1 << 30);

/// What each subject took for each operation, by round.
pub(crate) type Taken = BTreeMap<(&'static str, &'static str), Vec<Spent>>;

fn main() {
    let number = |name: &str, default: usize| {
        std::env::var(name).map_or(default, |text| text.parse().unwrap())
    };
    let words = |name: &str| -> Vec<String> {
        let text = std::env::var(name).unwrap_or_default();
        text.split(',').filter(|word| !word.is_empty()).map(str::to_owned).collect()
    };
    let (pins, rounds) = (number("PINS", 100_000), number("ROUNDS", 5));
    let (ops, wanted) = (words("OPS"), words("SUBJECTS"));
    let is_wanted =
        |name: &str| wanted.is_empty() || wanted.iter().any(|part| name.contains(part.as_str()));
    let is_op = |op: Op| ops.is_empty() || ops.iter().any(|name| name == op.name());

    let scratch =
        tempfile::tempdir_in(std::env::var("BENCH_DIR").unwrap_or("/tmp".into())).unwrap();
    let go = Rc::new(RefCell::new(Go::start(scratch.path(), pins)));
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let runtime = Arc::new(runtime);
    let pins = Arc::new(runtime.block_on(Pins::load(scratch.path())));
    let cluster = ["scylla", "raw driver"].iter().any(|name| is_wanted(name));
    let cluster = cluster.then(|| Cluster::start(&Options::nodes(1).unwrap()).unwrap());

    let mut subjects: Vec<Box<dyn Subject>> = Vec::new();
    for (name, store) in [
        ("Go inmem", "inmem"),
        ("Go pebble", "pebble"),
        ("Go leveldb", "leveldb"),
        ("Go badger3", "badger3"),
    ] {
        subjects.push(Box::new(Over { go: Rc::clone(&go), name, store }));
    }
    let ours = |name, place| Ours::new(name, place, &pins, &runtime);
    subjects.push(Box::new(ours("memory", Where::Memory)));
    let folder = scratch.path().to_path_buf();
    for (name, uri) in [
        ("sled", "sled:{}?durability=power&cache=1GiB"),
        ("fjall", "fjall:{}?durability=power&cache=1GiB"),
    ] {
        subjects.push(Box::new(ours(name, Where::Folder(folder.clone(), uri))));
    }
    subjects.push(Box::new(Raw::<RawSled>::new("raw sled", &pins, &folder, CACHE)));
    subjects.push(Box::new(Raw::<RawFjall>::new("raw fjall", &pins, &folder, CACHE)));
    if let Some(cluster) = &cluster {
        let (uri, raw) = on_cluster(cluster, &pins, &runtime);
        subjects.push(Box::new(ours("scylla", Where::Cluster(uri))));
        subjects.push(Box::new(raw));
    }
    subjects.retain(|subject| is_wanted(subject.name()));

    println!("{} pins, {rounds} rounds", pins.len());
    let mut random = fastrand::Rng::with_seed(7);
    let mut taken = Taken::new();
    for (op, name) in Op::ALL.into_iter().filter(|(op, _)| is_op(*op)) {
        // Filling, and what is compiled or cached on the first use, is no matter of a round.
        for round in 0..=rounds {
            random.shuffle(&mut subjects);
            for subject in subjects.iter_mut().filter(|subject| subject.can(op)) {
                if round == 0 && op.writes() {
                    continue;
                }
                let spent = subject.run(op);
                if round > 0 {
                    taken.entry((subject.name(), name)).or_default().push(spent);
                }
            }
        }
    }
    subjects.sort_by_key(|subject| subject.name());
    let names: Vec<&'static str> = subjects.iter().map(|subject| subject.name()).collect();
    println!("\nthousand pins a second");
    table(&taken, &names, Spent::rate, 0);
    println!("\nmicroseconds of processor for each pin");
    table(&taken, &names, Spent::cpu_each, 2);
    println!();
    let short = BARS.iter().filter(|bar| !bar.tell(&taken)).count();
    println!("{short} not as wanted");
}

/// Where the backend finds the cluster, and the driver on it.
fn on_cluster(cluster: &Cluster, pins: &Arc<Pins>, runtime: &Arc<Runtime>) -> (String, RawDriver) {
    let (host, dc) = (cluster.access().contact_points[0], cluster.datacenters()[0].to_owned());
    let uri = format!(
        "scylla://{host}/peers?local_dc={dc}&replication={dc}%3D1&num_conns={}&timeout=60s\
         &attempt_timeout=15s",
        scylla_shared::CONNECTIONS
    );
    let mut config = ScyllaConfig::new([host.to_string()], "peers").with_local_dc(&dc);
    config.attempt_timeout = Some(GoDuration(Duration::from_secs(15)));
    let made = config.clone().create(format!("{dc}=1"));
    runtime.block_on(pinstate_scylla::create_schema(&made)).unwrap();
    let builder = cluster.session_builder().unwrap();
    (uri, RawDriver::new(&config, builder, pins, runtime))
}

fn table(taken: &Taken, names: &[&'static str], figure: fn(Spent) -> f64, places: usize) {
    let ops: Vec<&str> = Op::ALL.iter().map(|(_, name)| *name).collect();
    print!("{:<12}", "");
    ops.iter().for_each(|op| print!("{op:>11}"));
    println!();
    for name in names {
        print!("{name:<12}");
        for op in &ops {
            match taken.get(&(*name, *op)) {
                Some(rounds) => {
                    let figures = rounds.iter().map(|spent| figure(*spent)).collect();
                    print!("{:>11.places$}", scylla_shared::median(figures));
                }
                None => print!("{:>11}", "-"),
            }
        }
        println!();
    }
}
