//! What is broken around every call alike, as a layer would be: places, locks, turns.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pinstate_core::layer::{Call, Policy, Retry, RetryBudget, RetryOptions, wrap};
use pinstate_core::{Error, ErrorKind, Key, Operation, Outcome, Result, RetryClass, Store};
use tokio::sync::Semaphore;

use crate::Bug;
use crate::racing::pause;

/// The store as it is, or with a fault of this room around it.
pub(crate) fn around(store: Arc<dyn Store>, bug: Bug) -> Arc<dyn Store> {
    let ours = [
        Bug::DroppedKeepsPlace,
        Bug::DroppedKeepsKey,
        Bug::OverloadRefusesApplied,
        Bug::ScansStarveWrites,
        Bug::WritesStarveScans,
        Bug::TwoLocksTwoOrders,
        Bug::NeedsManyThreads,
        Bug::CloseStrandsWrites,
        Bug::OneAtATime,
        Bug::OftenUnavailable,
        Bug::Disturbed,
    ];
    if !ours.contains(&bug) {
        return store;
    }
    let store = wrap(store, Calls::new(bug));
    if bug != Bug::OftenUnavailable {
        return store;
    }
    // Often enough that none of the many calls of a run is given up.
    let options = RetryOptions::new()
        .with_attempts(16)
        .with_pauses(Duration::ZERO, Duration::from_micros(10))
        .with_budget(Arc::new(RetryBudget::new(1.0, 10_000.0, 100_000.0)));
    wrap(store, Retry::new(options))
}

#[derive(Debug)]
struct Calls {
    bug: Bug,
    places: Semaphore,
    keys: Mutex<BTreeSet<Key>>,
    under_way: AtomicUsize,
    scans: AtomicUsize,
    writes: AtomicUsize,
    made: AtomicUsize,
    first: tokio::sync::Mutex<()>,
    second: tokio::sync::Mutex<()>,
}

/// Counts one that is under way, however it ends.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn new(counter: &'a AtomicUsize) -> Self {
        counter.fetch_add(1, Ordering::SeqCst);
        Self(counter)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Waits until there were none for a while, which may be never.
async fn lull(counter: &AtomicUsize) {
    let mut quiet = 0;
    while quiet < 40 {
        quiet = if counter.load(Ordering::SeqCst) == 0 { quiet + 1 } else { 0 };
        tokio::task::yield_now().await;
    }
}

/// Waits until somebody holds the other lock, or until nobody seems to want it.
async fn taken(lock: &tokio::sync::Mutex<()>) {
    let held = async {
        while lock.try_lock().is_ok() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let _ = tokio::time::timeout(Duration::from_millis(100), held).await;
}

impl Calls {
    fn new(bug: Bug) -> Self {
        Self {
            bug,
            places: Semaphore::new(64),
            keys: Mutex::default(),
            under_way: AtomicUsize::new(0),
            scans: AtomicUsize::new(0),
            writes: AtomicUsize::new(0),
            made: AtomicUsize::new(0),
            first: tokio::sync::Mutex::default(),
            second: tokio::sync::Mutex::default(),
        }
    }
}

impl Policy for Calls {
    async fn run<T, F, Fut>(&self, call: Call<'_>, attempt: F) -> Result<T>
    where
        T: Send,
        F: Fn() -> Fut + Send + Sync,
        Fut: Future<Output = Result<T>> + Send,
    {
        let is_write = matches!(call.operation, Operation::Put | Operation::Apply);
        let is_scan = call.operation == Operation::Scan;
        match self.bug {
            Bug::DroppedKeepsPlace => {
                self.places.acquire().await.unwrap().forget();
                pause(2).await;
                let result = attempt().await;
                self.places.add_permits(1);
                result
            }
            Bug::DroppedKeepsKey => {
                let Some(key) = call.key.filter(|_| is_write) else { return attempt().await };
                while !self.keys.lock().unwrap().insert(key.clone()) {
                    tokio::task::yield_now().await;
                }
                pause(2).await;
                let result = attempt().await;
                self.keys.lock().unwrap().remove(key);
                result
            }
            Bug::OverloadRefusesApplied => {
                let _one = Counted::new(&self.under_way);
                pause(1).await;
                let crowded = self.under_way.load(Ordering::SeqCst) > 500;
                let result = attempt().await;
                if crowded && call.operation == Operation::Put {
                    let error = Error::new(ErrorKind::Unavailable, call.operation, "too many");
                    return Err(error
                        .with_backend(call.backend)
                        .with_retry(RetryClass::Throttled)
                        .with_outcome(Outcome::NotApplied));
                }
                result
            }
            Bug::ScansStarveWrites if is_write => {
                lull(&self.scans).await;
                attempt().await
            }
            Bug::WritesStarveScans if is_scan => {
                lull(&self.writes).await;
                attempt().await
            }
            Bug::ScansStarveWrites | Bug::WritesStarveScans => {
                let counter = match (is_scan, is_write) {
                    (true, _) => &self.scans,
                    (_, true) => &self.writes,
                    _ => return attempt().await,
                };
                let _one = Counted::new(counter);
                pause(3).await;
                attempt().await
            }
            Bug::TwoLocksTwoOrders => match call.operation {
                Operation::Count => {
                    let _first = self.first.lock().await;
                    taken(&self.second).await;
                    let _second = self.second.lock().await;
                    attempt().await
                }
                Operation::Apply => {
                    let _second = self.second.lock().await;
                    taken(&self.first).await;
                    let _first = self.first.lock().await;
                    attempt().await
                }
                _ => attempt().await,
            },
            Bug::NeedsManyThreads => {
                tokio::task::block_in_place(|| ());
                attempt().await
            }
            Bug::OneAtATime => {
                let _turn = self.first.lock().await;
                attempt().await
            }
            Bug::OftenUnavailable if fastrand::u8(..10) == 0 => {
                let error = Error::new(ErrorKind::Unavailable, call.operation, "not now");
                Err(error
                    .with_backend(call.backend)
                    .with_retry(RetryClass::Backoff)
                    .with_outcome(Outcome::NotApplied))
            }
            // Once, and on the shared store, since others do not come so far.
            Bug::Disturbed if self.made.fetch_add(1, Ordering::SeqCst) == 20 => {
                let error = Error::new(ErrorKind::Timeout, call.operation, "no answer in time");
                Err(error
                    .with_backend(call.backend)
                    .with_retry(RetryClass::Backoff)
                    .with_outcome(Outcome::Unknown))
            }
            Bug::CloseStrandsWrites => match attempt().await {
                Err(error) if error.kind() == ErrorKind::Closed && is_write => {
                    std::future::pending().await
                }
                result => result,
            },
            _ => attempt().await,
        }
    }
}
