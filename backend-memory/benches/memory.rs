//! What the memory backend costs beside a bare `BTreeMap` holding the same records.
//!
//! `cargo bench -p pinstate-memory [-- RECORDS [ROUNDS]]`. Each round measures every line once,
//! so that a busy machine slows all of them alike; the medians and their ratios are printed.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Instant;

use pinstate_core::{
    BatchItem, BatchOptions, CheckedScan, Key, Namespace, Put, ReadOptions, Result, ScanOptions,
    Store, Version, WriteOptions,
};
use pinstate_memory::{MemoryConfig, MemoryStore};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// About the size of a pin with three allocations, a name and one entry of metadata.
const VALUE_BYTES: usize = 230;
/// Writes in a batch, rows in a page, keys in a call.
const PIECE: usize = 1_000;

/// Median nanoseconds a record, by what was measured, in the order of first measurement.
#[derive(Default)]
struct Table(Vec<(&'static str, Vec<f64>)>);

impl Table {
    fn add(&mut self, what: &'static str, began: Instant, records: usize) {
        let nanos = began.elapsed().as_nanos() as f64 / records as f64;
        match self.0.iter_mut().find(|(name, _)| *name == what) {
            Some((_, all)) => all.push(nanos),
            None => self.0.push((what, vec![nanos])),
        }
    }

    fn median(&self, what: &str) -> Option<f64> {
        let (_, all) = self.0.iter().find(|(name, _)| *name == what)?;
        let mut all = all.clone();
        all.sort_by(f64::total_cmp);
        all.get(all.len() / 2).copied()
    }
}

#[expect(clippy::print_stdout, reason = "a benchmark prints")]
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut numbers = std::env::args().skip(1).filter_map(|text| text.parse::<usize>().ok());
    let records = numbers.next().unwrap_or(300_000);
    let rounds = numbers.next().unwrap_or(7);
    let keys = keys(records);
    let mut asked = keys.clone();
    fastrand::Rng::with_seed(2).shuffle(&mut asked);
    let mut table = Table::default();
    for _ in 0..rounds {
        bare(&keys, &asked, &mut table);
        backend(&keys, &asked, &mut table).await?;
    }
    println!("{records} records of {VALUE_BYTES} bytes, {rounds} rounds, medians");
    for (what, _) in &table.0 {
        let nanos = table.median(what).unwrap_or(f64::NAN);
        let bare =
            what.split(": ").nth(1).and_then(|work| table.median(&format!("BTreeMap: {work}")));
        let ratio = bare.map_or(String::new(), |bare| format!("{:6.2} × BTreeMap's", bare / nanos));
        println!("{what:<34} {nanos:7.0} ns {:7.2} M/s {ratio}", 1e3 / nanos);
    }
    Ok(())
}

/// CIDv1 keys in random order, with the same first bytes as real ones.
fn keys(records: usize) -> Vec<Key> {
    let mut rng = fastrand::Rng::with_seed(1);
    let key = |_| {
        let mut key = vec![0x01, 0x55, 0x12, 0x20];
        key.extend(std::iter::repeat_with(|| rng.u8(..)).take(32));
        Key::new(key)
    };
    (0..records).map(key).collect()
}

fn bare(keys: &[Key], asked: &[Key], table: &mut Table) {
    let value = vec![7_u8; VALUE_BYTES];
    let mut map = BTreeMap::new();
    let began = Instant::now();
    for key in keys {
        map.insert(key.as_bytes().to_vec(), value.clone());
    }
    table.add("BTreeMap: write", began, keys.len());
    let began = Instant::now();
    for key in asked {
        black_box(map.get(key.as_bytes()).cloned());
    }
    table.add("BTreeMap: get", began, keys.len());
    let began = Instant::now();
    for (key, value) in &map {
        black_box((key.clone(), value.clone()));
    }
    table.add("BTreeMap: scan", began, keys.len());
}

async fn scan(pins: &dyn Namespace, options: ScanOptions) -> Result<u64> {
    let mut scan = CheckedScan::new(pins.scan(options).await?);
    while let Some(page) = scan.next_page().await? {
        black_box(page);
    }
    Ok(scan.seen())
}

async fn fill(pins: &dyn Namespace, keys: &[Key], version: i64) -> Result<()> {
    let value = bytes::Bytes::from(vec![7_u8; VALUE_BYTES]);
    for piece in keys.chunks(PIECE) {
        let put = |key: &Key| Put::new(key.clone(), value.clone(), Version(version)).into();
        let batch: Vec<BatchItem> = piece.iter().map(put).collect();
        pins.apply(batch, BatchOptions::new()).await?.into_result()?;
    }
    Ok(())
}

async fn backend(keys: &[Key], asked: &[Key], table: &mut Table) -> Result<()> {
    let store = MemoryStore::open(&MemoryConfig::default())?;
    let name = "bench".parse()?;
    store.create_namespace(&name).await?;
    let pins = store.open_namespace(&name).await?;
    let n = keys.len();

    let began = Instant::now();
    fill(&*pins, keys, 1).await?;
    table.add("memory: write", began, n);

    let began = Instant::now();
    for key in asked {
        black_box(pins.get(key, ReadOptions::new()).await?);
    }
    table.add("memory: get", began, n);

    let began = Instant::now();
    for piece in asked.chunks(PIECE) {
        black_box(pins.get_many(piece, ReadOptions::new()).await?);
    }
    table.add("memory, many keys: get", began, n);

    let began = Instant::now();
    scan(&*pins, ScanOptions::new()).await?;
    table.add("memory: scan", began, n);

    let began = Instant::now();
    scan(&*pins, ScanOptions::new().keys_only()).await?;
    table.add("memory, keys only: scan", began, n);

    let began = Instant::now();
    fill(&*pins, keys, 2).await?;
    table.add("memory, over old records: write", began, n);

    // An open scan makes every part of the tree be copied before it is first written.
    let open = pins.scan(ScanOptions::new()).await?;
    let began = Instant::now();
    fill(&*pins, keys, 3).await?;
    table.add("memory, beside an open scan: write", began, n);
    drop(open);

    let began = Instant::now();
    for key in keys {
        let put = Put::new(key.clone(), vec![7; VALUE_BYTES], Version(4));
        pins.put(put, WriteOptions::new()).await?;
    }
    table.add("memory, one by one: write", began, n);
    Ok(())
}
