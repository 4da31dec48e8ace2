//! What each layer costs a read: `cargo bench -p pinstate-metrics [-- ROUNDS]`.
//!
//! The store is in memory and its few records in the processor's caches, so that the layers are
//! most of what is measured; a read of a store on a disk takes some microseconds, one of a
//! cluster hundreds. All lines take turns within a round. Medians over the rounds of nanoseconds
//! for a read, and what that is above a read without layers.

#![allow(clippy::print_stdout, reason = "a benchmark prints")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use pinstate_core::layer::{Layers, Observer};
use pinstate_core::{
    BatchOptions, Key, Namespace, NamespaceName, Put, ReadOptions, Result, Store, Version,
};
use pinstate_memory::{MemoryConfig, MemoryStore};
use pinstate_metrics::Metrics;

const KEYS: u32 = 1_000;
/// How often each key is read in a round.
const PASSES: u32 = 100;

fn median(mut nanos: Vec<f64>) -> f64 {
    nanos.sort_by(f64::total_cmp);
    nanos.get(nanos.len() / 2).copied().unwrap_or(f64::NAN)
}

async fn read(pins: &dyn Namespace, keys: &[Key]) -> Result<f64> {
    let began = Instant::now();
    for _ in 0..PASSES {
        for key in keys {
            black_box(pins.get(key, ReadOptions::new()).await?);
        }
    }
    Ok(began.elapsed().as_nanos() as f64 / f64::from(KEYS * PASSES))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let rounds = std::env::args().find_map(|text| text.parse().ok()).unwrap_or(15);
    let store: Arc<dyn Store> = Arc::new(MemoryStore::open(&MemoryConfig::default())?);
    let name = NamespaceName::default();
    store.create_namespace(&name).await?;
    let keys: Vec<Key> = (0..KEYS).map(|n| Key::copy_from(&n.to_be_bytes())).collect();
    let puts = keys.iter().map(|key| Put::new(key.clone(), vec![7; 230], Version(1)).into());
    let pins = store.open_namespace(&name).await?;
    pins.apply(puts.collect(), BatchOptions::new()).await?.into_result()?;

    let none = Layers::none;
    let standard = Layers::standard();
    let metrics: Arc<dyn Observer> = Arc::new(Metrics::new());
    let counted = || Some(Arc::clone(&metrics));
    let layers = [
        ("no layers", none()),
        ("lines for each operation, to nobody", none().with_trace(true)),
        ("spans, to nobody", none().with_spans(true)),
        ("metrics", none().with_observer(counted())),
        ("deadline", none().with_deadline(standard.deadline)),
        ("retries", none().with_retry(standard.retry.clone())),
        ("time for an attempt", none().with_attempt_timeout(standard.attempt_timeout)),
        ("limit", none().with_limit(standard.limit.clone())),
        ("as the binary has them, with metrics", standard.with_observer(counted())),
    ];
    let mut lines = Vec::new();
    for (what, layers) in layers {
        let pins = layers.apply(Arc::clone(&store)).open_namespace(&name).await?;
        lines.push((what, pins, Vec::new()));
    }
    for _ in 0..rounds {
        for (_, pins, nanos) in &mut lines {
            nanos.push(read(&**pins, &keys).await?);
        }
    }
    println!("a read in memory, {rounds} rounds, medians");
    let mut bare = None;
    for (what, _, nanos) in lines {
        let nanos = median(nanos);
        let more = nanos - *bare.get_or_insert(nanos);
        println!("{what:<38} {nanos:6.0} ns  {more:+6.0} ns");
    }
    Ok(())
}
