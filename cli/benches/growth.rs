//! What a record costs as the pinset grows.
//!
//! ```text
//! cargo bench -p pinstate --bench growth [-- memory|sled|fjall]
//! SIZES=100000,1000000 ROUNDS=1 cargo bench -p pinstate --bench growth
//! ```
//!
//! **memory**: pinsets of 1 and of 10 million pins, in turn, each in a process of its own: import
//! of NDJSON from a file that is in the page cache, list with a look at each pin's allocations,
//! digest, export to nowhere. Nanoseconds for each record, medians over the rounds, and the ratio
//! of the larger pinset to the smaller one. Wanted: 1.6 for the import, 1.25 for the others.
//!
//! **sled**, **fjall**: one pinset that grows by half a million pins at a time until it has as many as the
//! largest size, or for `BUDGET` seconds (1,200): what each step cost, what reading costs then,
//! and how large process and files have become.

#![allow(missing_docs, clippy::print_stdout, clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "shared/views.rs"]
mod views;

use std::fs::File;
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pinstate_bench::{PinShape, Pins};
use pinstate_core::config::{Config, OpenOptions, Registry};
use pinstate_core::digest::{Digest, Kind};
use pinstate_core::format::ndjson::{NdjsonDecoder, NdjsonEncoder};
use pinstate_core::format::{Encoder, Leniency};
use pinstate_core::pin::{ImportOverrides, Zone, encode};
use pinstate_core::transfer::{ExportOptions, ImportOptions, Unwatched, export, import};
use pinstate_core::{CheckedScan, Clock, NamespaceName, ScanOptions, State, Store};
use pinstate_fjall::FjallFactory;
use pinstate_memory::MemoryFactory;
use pinstate_sled::SledFactory;
use serde_json::{Value, json};
use views::views;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What a process is told that measures one pinset: its size.
const CHILD: &str = "PINSTATE_BENCH_GROWTH";
/// Pins that a store on disk grows by.
const STEP: u64 = 500_000;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

fn main() {
    if let Ok(size) = std::env::var(CHILD) {
        let input = PathBuf::from(std::env::var("INPUT").unwrap());
        println!("{}", runtime().block_on(memory(&input, size.parse().unwrap())));
        return;
    }
    let sizes = std::env::var("SIZES").unwrap_or("1000000,10000000".into());
    let sizes: Vec<u64> = sizes.split(',').map(|size| size.parse().unwrap()).collect();
    let largest = *sizes.iter().max().unwrap();
    let asked: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let wanted = |name: &str| asked.is_empty() || asked.iter().any(|one| one == name);
    let scratch =
        tempfile::tempdir_in(std::env::var("BENCH_DIR").unwrap_or("/tmp".into())).unwrap();
    let input = scratch.path().join("pins.ndjson");
    let starts = write(&input, largest);
    if wanted("memory") {
        compare(&input, &sizes, number("ROUNDS", 3));
    }
    for backend in ["sled", "fjall"].into_iter().filter(|backend| wanted(backend)) {
        runtime().block_on(disk(backend, &input, &starts, scratch.path()));
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Writes so many pins, one a line, and says where each step begins.
fn write(path: &Path, count: u64) -> Vec<u64> {
    let pins = Pins::new(1, PinShape::default());
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path).unwrap());
    let mut encoder = NdjsonEncoder::new(Zone::Utc);
    let (mut value, mut line, mut at, mut starts) = (Vec::new(), Vec::new(), 0, Vec::new());
    for n in 0..count {
        if n % STEP == 0 {
            starts.push(at);
        }
        let pin = pins.pin(n, 0);
        value.clear();
        line.clear();
        encode(&pin, &mut value);
        encoder.encode(pin.cid.as_bytes(), &value, &mut line).unwrap();
        file.write_all(&line).unwrap();
        at += line.len() as u64;
    }
    file.flush().unwrap();
    starts.push(at);
    starts
}

async fn open(uri: &str) -> (Arc<dyn Store>, State) {
    let registry = Registry::new().with(MemoryFactory::new()).with(SledFactory).with(FjallFactory);
    let store = registry.open(&Config::default(), uri, OpenOptions::create()).await.unwrap();
    let name = NamespaceName::default();
    store.create_namespace(&name).await.unwrap();
    let namespace = store.open_namespace(&name).await.unwrap();
    let clock = Clock::open(Arc::clone(&store), Default::default()).await.unwrap();
    (store, State::new(namespace, Arc::new(clock)))
}

async fn load(state: &State, input: impl tokio::io::AsyncRead + Send + Unpin) -> u64 {
    let decoder = Box::new(NdjsonDecoder::new(Leniency::Strict, ImportOverrides::default()));
    let (namespace, options) = (Arc::clone(state.namespace()), ImportOptions::new());
    let done = import(namespace, state.clock(), input, decoder, options, &mut Unwatched).await;
    done.complete().unwrap().stored
}

/// Part of a file, for tasks.
fn part(file: &Path, from: u64, to: u64) -> impl tokio::io::AsyncRead + Send + Unpin {
    let mut file = File::open(file).unwrap();
    file.seek(SeekFrom::Start(from)).unwrap();
    tokio::io::AsyncReadExt::take(tokio::fs::File::from_std(file), to - from)
}

async fn list(state: &State) -> u64 {
    let (seen, allocations) = views(state).await;
    assert!(allocations >= seen);
    seen as u64
}

async fn digest(state: &State) -> u64 {
    let mut digest = Digest::new(Kind::Pin);
    let scan = state.namespace().scan(ScanOptions::new()).await.unwrap();
    let mut scan = CheckedScan::new(scan);
    while let Some(page) = scan.next_page().await.unwrap() {
        for item in page.items {
            let record = item.unwrap();
            digest.add_record(record.key.as_bytes(), &record.value).unwrap();
        }
    }
    digest.count()
}

async fn written(state: &State) -> u64 {
    let encoder = || Box::new(NdjsonEncoder::new(Zone::Utc)) as _;
    let (mut sink, options) = (tokio::io::sink(), ExportOptions::new());
    let done = export(&**state.namespace(), encoder, &mut sink, options, &mut Unwatched).await;
    done.complete().unwrap().pins
}

/// Nanoseconds for each of so many records.
async fn each(count: u64, work: impl Future<Output = u64>) -> f64 {
    let began = Instant::now();
    assert_eq!(work.await, count);
    began.elapsed().as_nanos() as f64 / count as f64
}

/// What is read of a pinset, in the order of the tables.
const READINGS: [&str; 3] = ["list", "digest", "export"];

async fn readings(state: &State, count: u64) -> [f64; 3] {
    [
        each(count, list(state)).await,
        each(count, digest(state)).await,
        each(count, written(state)).await,
    ]
}

async fn memory(input: &Path, size: u64) -> Value {
    // As many lines as that.
    let mut end = 0;
    let mut lines = 0;
    let mut file = File::open(input).unwrap();
    let mut buffer = vec![0; 1 << 20];
    'reading: loop {
        let read = file.read(&mut buffer).unwrap();
        assert!(read > 0, "the input has fewer pins than {size}");
        for (at, byte) in buffer[..read].iter().enumerate() {
            lines += u64::from(*byte == b'\n');
            if lines == size {
                end += at as u64 + 1;
                break 'reading;
            }
        }
        end += read as u64;
    }
    drop(buffer);
    let (store, state) = open("memory:").await;
    let import = each(size, load(&state, part(input, 0, end))).await;
    let [list, digest, export] = readings(&state, size).await;
    store.close().await.unwrap();
    json!({
        "import": import, "list": list, "digest": digest, "export": export, "rss": rss("VmHWM:"),
    })
}

fn compare(input: &Path, sizes: &[u64], rounds: u64) {
    let mut taken: Vec<Vec<Value>> = vec![Vec::new(); sizes.len()];
    for round in 0..rounds {
        let mut order: Vec<usize> = (0..sizes.len()).collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for i in order {
            let mut child = Command::new(std::env::current_exe().unwrap());
            let child = child.env(CHILD, sizes[i].to_string()).env("INPUT", input);
            let output = child.output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            taken[i].push(serde_json::from_slice(&output.stdout).unwrap());
        }
    }
    println!("memory: nanoseconds for each record, medians of {rounds} rounds");
    let median = |i: usize, name: &str| {
        let mut figures: Vec<f64> = taken[i].iter().map(|t| t[name].as_f64().unwrap()).collect();
        figures.sort_by(f64::total_cmp);
        figures[figures.len() / 2]
    };
    print!("{:<10}", "");
    sizes.iter().for_each(|size| print!("{size:>12}"));
    println!("{:>12}{:>12}", "last/first", "wanted");
    for name in ["import"].into_iter().chain(READINGS) {
        print!("{name:<10}");
        (0..sizes.len()).for_each(|i| print!("{:>12.0}", median(i, name)));
        let wanted = if name == "import" { 1.6 } else { 1.25 };
        let ratio = median(sizes.len() - 1, name) / median(0, name);
        println!("{ratio:>12.2}{wanted:>12}{}", if ratio > wanted { "  NOT MET" } else { "" });
    }
    print!("{:<10}", "MiB");
    (0..sizes.len()).for_each(|i| print!("{:>12.0}", median(i, "rss") / f64::from(1 << 20)));
    println!();
}

async fn disk(backend: &str, input: &Path, starts: &[u64], scratch: &Path) {
    let folder = scratch.join(backend);
    let uri = format!("{backend}:{}?durability=power", folder.display());
    let (store, state) = open(&uri).await;
    let budget = Duration::from_secs(number("BUDGET", 1_200));
    println!("\n{backend}, default cache: nanoseconds for each record");
    println!(
        "{:>10}{:>12}{:>10}{:>10}{:>10}{:>10}{:>10}",
        "pins", "import", "list", "digest", "export", "MiB", "disk MiB"
    );
    let began = Instant::now();
    for (done, ends) in starts.windows(2).enumerate() {
        let pins = (done as u64 + 1) * STEP;
        let taken = each(STEP, load(&state, part(input, ends[0], ends[1]))).await;
        let [list, digest, export] = readings(&state, pins).await;
        let mib = |bytes: u64| bytes >> 20;
        println!(
            "{pins:>10}{taken:>12.0}{list:>10.0}{digest:>10.0}{export:>10.0}{:>10}{:>10}",
            mib(rss("VmRSS:")),
            mib(size_of(&folder))
        );
        if began.elapsed() > budget {
            println!("stopped after {} seconds", budget.as_secs());
            break;
        }
    }
    store.close().await.unwrap();
}

/// A line of what the system says about this process, in bytes.
fn rss(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

/// What a folder takes on the disk.
fn size_of(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let size = |entry: std::fs::DirEntry| {
        let meta = entry.metadata().unwrap();
        if meta.is_dir() { size_of(&entry.path()) } else { meta.blocks() * 512 }
    };
    std::fs::read_dir(folder).unwrap().map(|entry| size(entry.unwrap())).sum()
}
