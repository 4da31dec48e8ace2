//! What a job costs over what the slower of its two stores does by itself.
//!
//! For each direction three things are done in turn, in an order that changes from round to
//! round: the source is read, in the ranges and by as many tasks as the job does; the target is
//! written, in the same pages and by as many tasks, with a `sync` after each page; the job runs.
//! The ratio is that of the job's rate to the slower of the two, the median of the rounds'
//! ratios. The job's time is that of its copying, ledger included; with its comparison at the
//! end it is shown beside. Wanted: 0.75.
//!
//! What memory a job takes is the highest that a process which ran it ever had, beyond that of
//! a process which opened the same stores and copied all records, page by page, in a loop
//! without anything around it, and then read the target. Wanted: less than 128 MiB.
//!
//! `cargo bench -p pinstate-migrate --bench copy`, with `PINSTATE_BENCH_ROWS` (200,000) pins

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::indexing_slicing, reason = "a bench")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use parking_lot::Mutex;
use pinstate_core::{
    BatchItem, BatchOptions, CheckedScan, Key, Put, ScanItem, ScanOptions, Store, Version,
};
use pinstate_migrate::job::{Job, Settings, Step, Tuning, Watch};
use support::{default, fill, memory, namespace, record, sled, source, target};
use tempfile::TempDir;

const ROUNDS: usize = 5;
/// What a process is told that copies once and tells how much memory that took.
const CHILD: &str = "PINSTATE_BENCH_COPY";

/// When everything was copied.
struct Copied(Mutex<Option<Instant>>);

impl Watch for Copied {
    fn at(&self, step: Step) {
        if step == Step::Copied {
            *self.0.lock() = Some(Instant::now());
        }
    }
}

/// The copying, and all of the job.
async fn job(from: &Arc<dyn Store>, to: &Arc<dyn Store>) -> (Duration, Duration) {
    let jobs = TempDir::new().unwrap();
    let began = Instant::now();
    let settings = Settings::new();
    let job = Job::open(jobs.path(), source(from).await, target(to), &settings, Tuning::new());
    let copied = Arc::new(Copied(Mutex::new(None)));
    job.await.unwrap().watched(Arc::clone(&copied) as Arc<dyn Watch>).run().await.unwrap();
    let at = copied.0.lock().unwrap();
    (at - began, began.elapsed())
}

/// Writes pages to a store, with a barrier after each.
async fn write(to: &Arc<dyn Store>, rows: u64) -> Duration {
    let tuning = Tuning::new();
    let records: Vec<_> = (0..rows).map(record).collect();
    let there = namespace(to, &default()).await;
    let part = records.len().div_ceil(tuning.workers);
    let mut parts = Vec::new();
    let mut left = records.into_iter();
    for _ in 0..tuning.workers {
        parts.push(left.by_ref().take(part).collect::<Vec<(Key, Vec<u8>)>>());
    }
    let began = Instant::now();
    let writers = parts.into_iter().map(|part| {
        let (there, to) = (Arc::clone(&there), Arc::clone(to));
        tokio::spawn(async move {
            let mut part = part.into_iter().peekable();
            while part.peek().is_some() {
                let put = |(key, value)| BatchItem::Put(Put::new(key, value, Version(1)));
                let items = part.by_ref().take(tuning.page_rows).map(put).collect();
                there.apply(items, BatchOptions::new()).await.unwrap().into_result().unwrap();
                to.sync().await.unwrap();
            }
        })
    });
    for writer in join_all(writers).await {
        writer.unwrap();
    }
    began.elapsed()
}

/// Reads all of a store, in as many parts as a job does.
async fn read(from: &Arc<dyn Store>) -> Duration {
    let tuning = Tuning::new();
    let there = namespace(from, &default()).await;
    let began = Instant::now();
    let ranges = Arc::new(Mutex::new(there.split(tuning.workers * 8).await.unwrap()));
    let readers = (0..tuning.workers).map(|_| {
        let (there, ranges) = (Arc::clone(&there), Arc::clone(&ranges));
        tokio::spawn(async move {
            loop {
                let Some(range) = ranges.lock().pop() else { return };
                let options = ScanOptions::new().with_range(range).with_page_rows(tuning.page_rows);
                let mut scan = CheckedScan::new(there.scan(options).await.unwrap());
                while let Some(page) = scan.next_page().await.unwrap() {
                    std::hint::black_box(page.items.len());
                }
            }
        })
    });
    for reader in join_all(readers).await {
        reader.unwrap();
    }
    began.elapsed()
}

/// Copies all records with nothing around it.
async fn copy(from: &Arc<dyn Store>, to: &Arc<dyn Store>) {
    let there = namespace(from, &default()).await;
    let into = namespace(to, &default()).await;
    let options = ScanOptions::new().with_page_rows(Tuning::new().page_rows);
    let mut scan = CheckedScan::new(there.scan(options).await.unwrap());
    while let Some(page) = scan.next_page().await.unwrap() {
        let put = |item: ScanItem| {
            let record = item.unwrap();
            BatchItem::Put(Put::new(record.key, record.value, record.version))
        };
        let items = page.items.into_iter().map(put).collect();
        into.apply(items, BatchOptions::new()).await.unwrap().into_result().unwrap();
        to.sync().await.unwrap();
    }
}

fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of[of.len() / 2]
}

/// How long each thing of a round took.
#[derive(Default)]
struct Round {
    read: Duration,
    write: Duration,
    copied: Duration,
    all: Duration,
}

fn tell(what: &str, rows: u64, rounds: &[Round]) {
    let rate = |of: fn(&Round) -> Duration| {
        median(rounds.iter().map(|round| rows as f64 / of(round).as_secs_f64()).collect())
    };
    let ratio = |of: fn(&Round) -> Duration| {
        let slower = |round: &Round| round.read.max(round.write).as_secs_f64();
        median(rounds.iter().map(|round| slower(round) / of(round).as_secs_f64()).collect())
    };
    println!(
        "{what}: read {:.0}/s, written {:.0}/s, job {:.0}/s, {:.2} of the slower; \
         with its comparison {:.2}",
        rate(|round| round.read),
        rate(|round| round.write),
        rate(|round| round.copied),
        ratio(|round| round.copied),
        ratio(|round| round.all),
    );
}

/// The highest resident memory that this process has had, in KiB.
fn peak() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim_end_matches("kB").trim().parse().unwrap()
}

/// Copies once, out of or into a sled store that is there, and tells the memory it took.
async fn child(told: &str, rows: u64) {
    let [how, direction, place]: [&str; 3] =
        told.splitn(3, ' ').collect::<Vec<_>>().try_into().unwrap();
    let there = memory();
    let kept = sled(Path::new(place)).await;
    let (from, to) = if direction == "in" { (&there, &kept) } else { (&kept, &there) };
    if direction == "in" {
        fill(from, 0..rows).await;
    }
    match how {
        "job" => drop(job(from, to).await),
        _ => {
            copy(from, to).await;
            // A job reads it all again, for its comparison, and that fills the stores' caches.
            read(to).await;
        }
    }
    println!("{}", peak());
    kept.close().await.unwrap();
}

/// The memory of a process that copies so, in KiB.
fn taken(how: &str, direction: &str, place: &Path) -> i64 {
    let program = std::env::current_exe().unwrap();
    let told = format!("{how} {direction} {}", place.display());
    let done = Command::new(program).env(CHILD, told).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap().trim().parse().unwrap()
}

/// A round, in an order of its own.
async fn round(
    number: usize,
    rows: u64,
    from: &Arc<dyn Store>,
    bare: &Arc<dyn Store>,
    to: &Arc<dyn Store>,
) -> Round {
    let mut round = Round::default();
    for turn in 0..3 {
        match (number + turn) % 3 {
            0 => round.read = read(from).await,
            1 => round.write = write(bare, rows).await,
            _ => (round.copied, round.all) = job(from, to).await,
        }
    }
    round
}

#[tokio::main]
async fn main() {
    let rows = std::env::var("PINSTATE_BENCH_ROWS").ok();
    let rows: u64 = rows.map_or(200_000, |rows| rows.parse().unwrap());
    if let Ok(told) = std::env::var(CHILD) {
        return child(&told, rows).await;
    }
    let first = memory();
    fill(&first, 0..rows).await;
    let mut rounds = Vec::new();
    for number in 0..ROUNDS {
        let folder = TempDir::new().unwrap();
        let bare = sled(&folder.path().join("bare")).await;
        let copy = sled(&folder.path().join("copy")).await;
        rounds.push(round(number, rows, &first, &bare, &copy).await);
        bare.close().await.unwrap();
        copy.close().await.unwrap();
    }
    tell("memory to sled", rows, &rounds);
    rounds.clear();
    let kept = TempDir::new().unwrap();
    let from = sled(kept.path()).await;
    fill(&from, 0..rows).await;
    drop(first);
    for number in 0..ROUNDS {
        let (bare, to) = (memory(), memory());
        rounds.push(round(number, rows, &from, &bare, &to).await);
    }
    tell("sled to memory", rows, &rounds);
    from.close().await.unwrap();
    drop(from);
    let fresh = TempDir::new().unwrap();
    for (what, direction) in [("memory to sled", "in"), ("sled to memory", "out")] {
        let place = |how: &str| match direction {
            "in" => fresh.path().join(how),
            _ => kept.path().to_owned(),
        };
        let of = |how| taken(how, direction, &place(how));
        let (bare, job) = (of("bare"), of("job"));
        println!("{what}: bare {bare} KiB, job {job} KiB, {} KiB above", job - bare);
    }
}
