//! A service that goes on writing while its pinset moves to another store.
//!
//! `Control::listen` would let an operator take the steps with `pinstate mirror`; here the
//! program takes them itself.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pinstate_core::pin::{Cid, Pin};
use pinstate_core::{Count, CountOptions, Result, State, Store};
use pinstate_fjall::{FjallConfig, FjallStore};
use pinstate_migrate::mirror::{Mirror, MirrorOptions, Phase};
use pinstate_sled::{SledConfig, SledStore};

/// The CID of a raw block, whose hash is made up.
fn cid(number: u32) -> Cid {
    let mut bytes = vec![1, 0x55, 0x12, 0x20];
    bytes.extend(number.wrapping_mul(0x9e37_79b1).to_be_bytes());
    bytes.extend([7; 28]);
    Cid::from_bytes(&bytes).expect("this is a CID")
}

/// The service: it pins until it is told to stop, and knows of no migration.
async fn serve(pins: State, stop: Arc<AtomicBool>) -> Result<u32> {
    let mut pinned = 0;
    while !stop.load(Ordering::Relaxed) {
        pins.add(&Pin::new(cid(pinned))).await?;
        pinned += 1;
    }
    Ok(pinned)
}

#[tokio::main]
async fn main() -> Result<()> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let old = SledConfig::new(folder.path().join("old")).create();
    let old: Arc<dyn Store> = Arc::new(SledStore::open(&old).await?);
    let mut new = FjallConfig::new(folder.path().join("new"));
    new.create = true;
    let new: Arc<dyn Store> = Arc::new(FjallStore::open(&new).await?);
    let name: pinstate_core::NamespaceName = "default".parse()?;
    old.create_namespace(&name).await?;

    let (from, to) = ((Arc::clone(&old), name.clone()), (Arc::clone(&new), name.clone()));
    let job = folder.path().join("move");
    let mirror = Mirror::open(from, to, &job, MirrorOptions::new()).await?;
    // What the service works with, through every phase.
    let pins = State::new(mirror.namespace(), mirror.clock());
    let stop = Arc::new(AtomicBool::new(false));
    let service = tokio::spawn(serve(pins, Arc::clone(&stop)));

    loop {
        let status = mirror.advance().await?;
        println!("{}", status.phase);
        if status.phase == Phase::Shadow {
            break;
        }
    }
    let held = mirror.cut_over(Duration::from_secs(60)).await?;
    println!("the new store answers; writes were held for {held:?}");
    mirror.finalise(false).await?;

    stop.store(true, Ordering::Relaxed);
    let pinned = service.await.expect("the service does not panic")?;
    let there = new.open_namespace(&name).await?.count(CountOptions::new()).await?;
    println!("{pinned} pinned, {there:?} in the new store");
    assert!(matches!(there, Count::Exact(count) if count == u64::from(pinned)));
    mirror.close().await;
    new.close().await?;
    old.close().await
}
