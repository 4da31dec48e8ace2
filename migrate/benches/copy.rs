//! What a job costs over what the slower of its two stores does by itself.
//!
//! From memory to sled the slower side is sled's writing: the same records in the same pages,
//! by as many tasks, with a `sync` after each page. From sled to memory it is sled's reading:
//! the same ranges by as many tasks. A round does the one and then the job, or the job first;
//! rounds take turns, and the ratio is the median of the rounds' ratios of rates. The job's time
//! is that of its copying, ledger included; with its comparison at the end it is shown beside.
//!
//! `cargo bench -p pinstate-migrate --bench copy`, with `PINSTATE_BENCH_ROWS` (200,000) pins

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::indexing_slicing, reason = "a bench")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use parking_lot::Mutex;
use pinstate_core::{BatchItem, BatchOptions, CheckedScan, Put, ScanOptions, Store, Version};
use pinstate_migrate::job::{Job, Settings, Step, Tuning, Watch};
use support::{default, fill, memory, namespace, record, sled, source, target};
use tempfile::TempDir;

const ROUNDS: usize = 5;

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
    let began = Instant::now();
    let part = records.len().div_ceil(tuning.workers);
    let writers = records.chunks(part).map(|part| {
        let (there, to, part) = (Arc::clone(&there), Arc::clone(to), part.to_vec());
        tokio::spawn(async move {
            for page in part.chunks(tuning.page_rows) {
                let put = |(key, value): &(pinstate_core::Key, Vec<u8>)| {
                    BatchItem::Put(Put::new(key.clone(), value.clone(), Version(1)))
                };
                let items = page.iter().map(put).collect();
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

fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of[of.len() / 2]
}

fn tell(what: &str, rows: u64, rounds: &[(Duration, Duration, Duration)]) {
    let rate = |time: &Duration| rows as f64 / time.as_secs_f64();
    let of = |pick: fn(&(Duration, Duration, Duration)) -> f64| {
        median(rounds.iter().map(pick).collect())
    };
    println!(
        "{what}: bare {:.0}/s, job {:.0}/s, ratio {:.2}; with its comparison {:.2}",
        median(rounds.iter().map(|(bare, ..)| rate(bare)).collect()),
        median(rounds.iter().map(|(_, copy, _)| rate(copy)).collect()),
        of(|(bare, copy, _)| bare.as_secs_f64() / copy.as_secs_f64()),
        of(|(bare, _, all)| bare.as_secs_f64() / all.as_secs_f64()),
    );
}

#[tokio::main]
async fn main() {
    let rows = std::env::var("PINSTATE_BENCH_ROWS").ok();
    let rows: u64 = rows.map_or(200_000, |rows| rows.parse().unwrap());
    let first = memory();
    fill(&first, 0..rows).await;
    let mut rounds = Vec::new();
    let kept = TempDir::new().unwrap();
    for round in 0..ROUNDS {
        let folder = TempDir::new().unwrap();
        let bare = sled(&folder.path().join("bare")).await;
        let place = if round == 0 { kept.path() } else { folder.path() };
        let copy = sled(&place.join("copy")).await;
        let (one, (copying, all));
        if round % 2 == 0 {
            one = write(&bare, rows).await;
            (copying, all) = job(&first, &copy).await;
        } else {
            (copying, all) = job(&first, &copy).await;
            one = write(&bare, rows).await;
        }
        rounds.push((one, copying, all));
        bare.close().await.unwrap();
        copy.close().await.unwrap();
    }
    tell("memory to sled", rows, &rounds);
    rounds.clear();
    let from = sled(&kept.path().join("copy")).await;
    for round in 0..ROUNDS {
        let to = memory();
        let (one, (copying, all));
        if round % 2 == 0 {
            one = read(&from).await;
            (copying, all) = job(&from, &to).await;
        } else {
            (copying, all) = job(&from, &to).await;
            one = read(&from).await;
        }
        rounds.push((one, copying, all));
    }
    tell("sled to memory", rows, &rounds);
}
