//! Odd subjects: what a tool must see through.

#![allow(dead_code, reason = "each test program uses some of it")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use pinstate_bench::outcome::Setup;
use pinstate_bench::{Pinset, Subject};
use pinstate_core::pin::{Cid, Pin};
use pinstate_core::{Clock, ClockOptions, Error, ErrorKind, NamespaceName, Operation, Result};
use pinstate_core::{State, Store};
use pinstate_memory::{MemoryConfig, MemoryStore};

/// How a subject is odd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Odd {
    /// Not at all.
    No,
    /// For the first so many of each second, since it was made, it does nothing.
    Stalls(Duration),
    /// Every operation takes so much longer.
    Slower(Duration),
    /// One removal in ten is acknowledged and not done.
    ForgetsRemovals,
    /// One replacement in ten is acknowledged and not done.
    ForgetsReplacements,
    /// One get in a hundred says that there is nothing.
    Misses,
    /// One question in a hundred ends in a panic.
    Panics,
    /// Lists stop at a thousand.
    ShortLists,
    /// Every second write fails, and nobody knows whether it was done: it was.
    FailsApplied,
}

/// A pinset in memory that is odd.
#[derive(Debug)]
pub(crate) struct OddPinset {
    inner: Pinset,
    odd: Odd,
    since: Instant,
    turn: std::sync::atomic::AtomicU64,
}

impl OddPinset {
    fn turn(&self, n: u64) -> bool {
        self.turn.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % n == n - 1
    }

    async fn wait(&self) {
        match self.odd {
            Odd::Stalls(stall) => {
                let into = self.since.elapsed().as_nanos() % 1_000_000_000;
                if let Some(left) = stall.checked_sub(Duration::from_nanos(into as u64)) {
                    tokio::time::sleep(left).await;
                }
            }
            // Working, and not waiting: timers are coarser than that.
            Odd::Slower(time) => {
                let until = Instant::now() + time;
                while Instant::now() < until {
                    std::hint::spin_loop();
                }
            }
            _ => {}
        }
    }
}

/// A pinset in memory.
pub(crate) async fn memory(name: &str, odd: Odd) -> Arc<OddPinset> {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::open(&MemoryConfig::default()).unwrap());
    let name_of = NamespaceName::default();
    store.create_namespace(&name_of).await.unwrap();
    let namespace = store.open_namespace(&name_of).await.unwrap();
    let clock = Clock::open(Arc::clone(&store), ClockOptions::new()).await.unwrap();
    let state = State::new(namespace, Arc::new(clock));
    let inner = Pinset::new(name, store, state);
    Arc::new(OddPinset { inner, odd, since: Instant::now(), turn: Default::default() })
}

#[async_trait]
impl Subject for OddPinset {
    fn setup(&self) -> Setup {
        self.inner.setup()
    }

    async fn is_empty(&self) -> Result<bool> {
        self.inner.is_empty().await
    }

    async fn add(&self, pin: &Pin) -> Result<()> {
        self.wait().await;
        let replaces = pinstate_bench::Pins::writing(pin) != Some(0);
        if self.odd == Odd::ForgetsReplacements && replaces && self.turn(10) {
            return Ok(());
        }
        self.inner.add(pin).await?;
        if self.odd == Odd::FailsApplied && self.turn(2) {
            return Err(Error::new(ErrorKind::Timeout, Operation::Put, "no answer in time"));
        }
        Ok(())
    }

    async fn add_all(&self, pins: &[Pin]) -> Result<()> {
        self.inner.add_all(pins).await
    }

    async fn rm(&self, cid: &Cid) -> Result<()> {
        self.wait().await;
        if self.odd == Odd::ForgetsRemovals && self.turn(10) {
            return Ok(());
        }
        self.inner.rm(cid).await
    }

    async fn get(&self, cid: &Cid) -> Result<Option<Pin>> {
        self.wait().await;
        let found = self.inner.get(cid).await?;
        Ok(found.filter(|_| self.odd != Odd::Misses || !self.turn(100)))
    }

    async fn has(&self, cid: &Cid) -> Result<bool> {
        self.wait().await;
        assert!(self.odd != Odd::Panics || !self.turn(100), "as it was told to");
        self.inner.has(cid).await
    }

    async fn list(&self, after: Option<&Cid>, limit: Option<u64>) -> Result<u64> {
        self.wait().await;
        let count = self.inner.list(after, limit).await?;
        Ok(if self.odd == Odd::ShortLists { count.min(1_000) } else { count })
    }

    async fn sync(&self) -> Result<()> {
        self.inner.sync().await
    }
}

/// A subject that does nothing, and has this pin or none.
#[derive(Debug)]
pub(crate) struct Idle(pub(crate) Option<Pin>);

#[async_trait]
impl Subject for Idle {
    fn setup(&self) -> Setup {
        Setup {
            name: "idle".to_owned(),
            backend: "none".to_owned(),
            location: String::new(),
            durability: "none".to_owned(),
            consistency: "none".to_owned(),
            details: BTreeMap::new(),
        }
    }

    async fn is_empty(&self) -> Result<bool> {
        Ok(true)
    }

    async fn add(&self, _pin: &Pin) -> Result<()> {
        Ok(())
    }

    async fn add_all(&self, _pins: &[Pin]) -> Result<()> {
        Ok(())
    }

    async fn rm(&self, _cid: &Cid) -> Result<()> {
        Ok(())
    }

    async fn get(&self, _cid: &Cid) -> Result<Option<Pin>> {
        Ok(self.0.clone())
    }

    async fn has(&self, _cid: &Cid) -> Result<bool> {
        Ok(false)
    }

    async fn list(&self, _after: Option<&Cid>, _limit: Option<u64>) -> Result<u64> {
        Ok(0)
    }

    async fn sync(&self) -> Result<()> {
        Ok(())
    }
}
