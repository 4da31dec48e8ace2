//! Many pins at a time, and an export of them as ipfs-cluster reads it.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::sync::Arc;

use pinstate_core::pin::{Cid, Pin};
use pinstate_core::{Clock, ClockOptions, CountOptions, Result, State, Store};
use pinstate_fjall::{FjallConfig, FjallStore};

const PINS: u32 = 1_000;

/// The CID of a raw block, whose hash is made up.
fn cid(number: u32) -> Cid {
    let mut bytes = vec![1, 0x55, 0x12, 0x20];
    bytes.extend(number.wrapping_mul(0x9e37_79b1).to_be_bytes());
    bytes.extend([7; 28]);
    Cid::from_bytes(&bytes).expect("this is a CID")
}

#[tokio::main]
async fn main() -> Result<()> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut config = FjallConfig::new(folder.path().join("pins"));
    config.create = true;
    let store: Arc<dyn Store> = Arc::new(FjallStore::open(&config).await?);
    let name = "default".parse()?;
    store.create_namespace(&name).await?;
    let clock = Arc::new(Clock::open(Arc::clone(&store), ClockOptions::new()).await?);
    let pins = State::new(store.open_namespace(&name).await?, clock);

    let mut batch = pins.batch();
    for number in 0..PINS {
        batch.add(&Pin::new(cid(number)))?; // refuses what storage would lose
    }
    batch.rm(&cid(0));
    // What failed stays in the batch: committing again is safe, since each write keeps its version.
    let written = batch.commit().await?;
    let count = pins.count(CountOptions::new()).await?;
    println!("{written} writes, {count:?}");

    let mut snapshot = Vec::new();
    let report = pins.marshal(&mut snapshot).await?.complete()?;
    println!("a snapshot of {} bytes: {report:?}", snapshot.len());
    store.close().await
}
