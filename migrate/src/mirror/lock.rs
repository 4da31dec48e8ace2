//! One write of a key at a time.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use pinstate_core::Key;
use tokio::sync::{Mutex, OwnedMutexGuard};

/// Locks; keys share one by chance.
const STRIPES: usize = 4_096;

/// A lock for each key.
#[derive(Debug)]
pub(super) struct Locks {
    stripes: Vec<Arc<Mutex<()>>>,
    /// How often a lock was waited for.
    waits: AtomicU64,
}

/// Locks that are held.
#[derive(Debug)]
pub(super) struct Held {
    _guards: Vec<OwnedMutexGuard<()>>,
}

impl Locks {
    pub(super) fn new() -> Self {
        let stripes = (0..STRIPES).map(|_| Arc::default()).collect();
        Self { stripes, waits: AtomicU64::new(0) }
    }

    /// Locks keys, always in the same order, so that no two wait for each other.
    pub(super) async fn lock(&self, keys: impl IntoIterator<Item = &Key>) -> Held {
        let stripe = |key: &Key| {
            let mut hasher = DefaultHasher::new();
            key.hash(&mut hasher);
            (hasher.finish() % STRIPES as u64) as usize
        };
        let wanted: BTreeSet<usize> = keys.into_iter().map(stripe).collect();
        let mut guards = Vec::with_capacity(wanted.len());
        for stripe in wanted.into_iter().filter_map(|place| self.stripes.get(place)) {
            let guard = match Arc::clone(stripe).try_lock_owned() {
                Ok(guard) => guard,
                Err(_) => {
                    self.waits.fetch_add(1, Ordering::Relaxed);
                    Arc::clone(stripe).lock_owned().await
                }
            };
            guards.push(guard);
        }
        Held { _guards: guards }
    }

    pub(super) fn waits(&self) -> u64 {
        self.waits.load(Ordering::Relaxed)
    }
}
