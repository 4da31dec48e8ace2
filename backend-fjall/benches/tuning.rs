//! What the engine's options do to rows as a pinset has them, one option after the other.
//!
//! ```text
//! cargo bench -p pinstate-fjall --bench tuning
//! ROWS=300000 ROUNDS=1 VARIANTS=blocks,hash cargo bench -p pinstate-fjall --bench tuning
//! ```
//!
//! Every variant is filled with the same rows, by durable batches of 1,000; then they are read in
//! rounds, in an order that is drawn anew for each: gets of keys that are there, gets of keys that
//! are not, and a scan, each after opening with a small cache (64 MiB) and with one that holds
//! everything (1 GiB), once warmed. Thousands a second, medians over the rounds, and bytes on the
//! disk for each byte of keys and values.

#![allow(missing_docs, clippy::print_stdout, clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "../../embedded/benches/shared/engine.rs"]
mod engine;
#[path = "shared/raw.rs"]
mod raw;

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use engine::{Engine, look_at};
use fjall::KeyspaceCreateOptions as Options;
use fjall::config::{
    BlockSizePolicy, BloomConstructionPolicy, FilterPolicy, FilterPolicyEntry, HashRatioPolicy,
    PartitioningPolicy, PinningPolicy, RestartIntervalPolicy,
};
use pinstate_core::config::ByteSize;
use raw::RawFjall;

const BATCH: usize = 1_000;
/// Gets in a round.
const GETS: usize = 100_000;
const CACHES: [(&str, ByteSize); 2] = [("64M", ByteSize(64 << 20)), ("1G", ByteSize(1 << 30))];

type Variant = (&'static str, fn(Options) -> Options);

const VARIANTS: &[Variant] = &[
    ("usual", |options| options),
    ("blocks 2K", |options| options.data_block_size_policy(BlockSizePolicy::all(2 << 10))),
    ("blocks 8K", |options| options.data_block_size_policy(BlockSizePolicy::all(8 << 10))),
    ("blocks 16K", |options| options.data_block_size_policy(BlockSizePolicy::all(16 << 10))),
    ("hash 1", |options| options.data_block_hash_ratio_policy(HashRatioPolicy::all(1.0))),
    ("restart 4", |options| {
        options.data_block_restart_interval_policy(RestartIntervalPolicy::all(4))
    }),
    ("restart 1", |options| {
        options.data_block_restart_interval_policy(RestartIntervalPolicy::all(1))
    }),
    ("pinned", |options| {
        options
            .index_block_pinning_policy(PinningPolicy::all(true))
            .filter_block_pinning_policy(PinningPolicy::all(true))
            .index_block_partitioning_policy(PartitioningPolicy::all(false))
            .filter_block_partitioning_policy(PartitioningPolicy::all(false))
    }),
    ("partitioned", |options| {
        options
            .index_block_partitioning_policy(PartitioningPolicy::all(true))
            .filter_block_partitioning_policy(PartitioningPolicy::all(true))
    }),
    ("hits", |options| options.expect_point_read_hits(true)),
    ("filter 14", |options| {
        let bits = FilterPolicyEntry::Bloom(BloomConstructionPolicy::BitsPerKey(14.0));
        options.filter_policy(FilterPolicy::all(bits))
    }),
    ("raw bytes", |options| {
        let none = fjall::config::CompressionPolicy::all(fjall::CompressionType::None);
        options.data_block_compression_policy(none)
    }),
];

/// A row as an import makes them: the CID's common beginning and a hash, and a pin of 160 bytes
/// of which 70 are its own.
fn row(random: &mut fastrand::Rng) -> (Vec<u8>, Vec<u8>) {
    let mut key = vec![0x01, 0x55, 0x12, 0x20];
    key.extend((0..32).map(|_| random.u8(..)));
    let mut value = vec![7u8; 160];
    random.fill(&mut value[..70]);
    (key, value)
}

fn rate(count: usize, work: impl FnOnce()) -> f64 {
    let began = Instant::now();
    work();
    count as f64 / began.elapsed().as_secs_f64() / 1e3
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn size(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    let one = |entry: std::fs::DirEntry| {
        let meta = entry.metadata().unwrap();
        if meta.is_dir() { size(&entry.path()) } else { meta.len() }
    };
    entries.map(one).sum()
}

/// Everything, by durable batches; thousand rows a second.
fn fill(path: &Path, rows: usize, variant: &Variant) -> f64 {
    let raw = RawFjall::with(path, CACHES[0].1, variant.1);
    let mut random = fastrand::Rng::with_seed(7);
    let mut spent = 0.0;
    for _ in 0..rows / BATCH {
        let batch: Vec<_> = (0..BATCH).map(|_| row(&mut random)).collect();
        let began = Instant::now();
        raw.put(batch.iter().map(|(key, value)| (&key[..], &value[..])));
        spent += began.elapsed().as_secs_f64();
    }
    rows as f64 / spent / 1e3
}

/// Gets of keys that are there, of keys that are not, and a scan; thousands a second.
fn read(path: &Path, cache: ByteSize, keys: &[Vec<u8>], random: &mut fastrand::Rng) -> [f64; 3] {
    RawFjall::until_free(path);
    let raw = RawFjall::open(path, cache);
    let scan = || {
        let mut sum = 0;
        raw.scan(|key, value| sum += u64::from(key[20]) + look_at(value));
        black_box(sum);
    };
    scan();
    let mut get = |there: bool| {
        let asked: Vec<Vec<u8>> = (0..GETS)
            .map(|_| {
                let mut key = random.choice(keys).unwrap().clone();
                key[34] ^= u8::from(!there);
                key
            })
            .collect();
        rate(GETS, || {
            for key in &asked {
                if there {
                    black_box(raw.get(key));
                } else {
                    assert!(raw.rows.get(key).unwrap().is_none());
                }
            }
        })
    };
    get(true);
    [get(true), get(false), rate(keys.len(), scan)]
}

fn main() {
    let number = |name: &str, default: usize| {
        std::env::var(name).map_or(default, |text| text.parse().unwrap())
    };
    let (rows, rounds) = (number("ROWS", 1_000_000), number("ROUNDS", 3));
    let wanted = std::env::var("VARIANTS").unwrap_or_default();
    let mut wanted = wanted.split(',');
    let mut variants: Vec<&Variant> = VARIANTS.iter().collect();
    let parts: Vec<&str> = wanted.by_ref().filter(|part| !part.is_empty()).collect();
    variants.retain(|(name, _)| parts.is_empty() || parts.iter().any(|part| name.contains(part)));

    let folder = std::env::var("BENCH_DIR").unwrap_or(".".into());
    let folder = tempfile::tempdir_in(folder).unwrap();
    let mut random = fastrand::Rng::with_seed(7);
    let keys: Vec<Vec<u8>> = (0..rows).map(|_| row(&mut random).0).collect();
    let data = rows as f64 * 196.0;
    let path = |name: &str| folder.path().join(name);

    let fills: Vec<f64> = variants.iter().map(|one| fill(&path(one.0), rows, one)).collect();
    let mut taken: Vec<[[Vec<f64>; 3]; 2]> = vec![Default::default(); variants.len()];
    let mut order: Vec<usize> = (0..variants.len()).collect();
    for _ in 0..rounds {
        random.shuffle(&mut order);
        for &at in &order {
            for (cache, (_, bytes)) in CACHES.iter().enumerate() {
                let rates = read(&path(variants[at].0), *bytes, &keys, &mut random);
                for (what, rate) in rates.into_iter().enumerate() {
                    taken[at][cache][what].push(rate);
                }
            }
        }
    }
    println!("{rows} rows, {rounds} rounds");
    print!("{:<12}{:>8}{:>8}", "", "put", "disk");
    for (cache, _) in CACHES {
        ["get", "miss", "scan"].iter().for_each(|what| print!("{:>12}", format!("{what} {cache}")));
    }
    println!();
    for (at, (name, _)) in variants.iter().enumerate() {
        print!("{name:<12}{:>8.0}{:>8.2}", fills[at], size(&path(name)) as f64 / data);
        let rates = taken[at].iter_mut().flatten();
        rates.for_each(|rates| print!("{:>12.0}", median(rates)));
        println!();
    }
}
