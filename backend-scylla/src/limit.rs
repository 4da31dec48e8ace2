//! A limit on the requests under way and on what they carry, with a bounded queue and a bounded
//! wait.
//!
//! The driver has none by design: beyond some hundred requests a connection more only wait
//! longer, and beyond 32,768 they fail. It copies each value into a frame, so many large ones at
//! once would fill the memory though their number is small.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use pinstate_core::{Error, ErrorKind, Operation, Outcome, Result, RetryClass};
use tokio::sync::{AcquireError, Semaphore, SemaphorePermit, TryAcquireError};
use tokio::time::Instant;

use crate::error::{closed, error};

/// Most bytes of values under way, each of which the driver holds nearly four times meanwhile.
/// Those that are shorter than a unit do not count: as many of them as there are places come to
/// less.
const CARRIED: usize = 8 << 20;
/// What they are counted in.
const UNIT: usize = 4 << 10;

/// Places for requests under way.
#[derive(Debug)]
pub(crate) struct Limit {
    places: Semaphore,
    /// Room for what they carry, in units.
    room: Semaphore,
    total: usize,
    waiting: AtomicUsize,
    queue: usize,
    wait: Duration,
    waited: AtomicU64,
    /// How long they waited in all, in nanoseconds.
    waited_for: AtomicU64,
    refused: AtomicU64,
}

/// A place, and room for what is carried, until this is dropped.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    _place: SemaphorePermit<'a>,
    _room: Option<SemaphorePermit<'a>>,
}

/// Counts one that waits, however it ends.
struct Waiting<'a>(&'a Limit, Instant);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
        let waited = u64::try_from(self.1.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.0.waited_for.fetch_add(waited, Ordering::Relaxed);
    }
}

impl Limit {
    /// So many places, and so many that may wait for one for so long.
    pub(crate) fn new(total: usize, queue: usize, wait: Duration) -> Self {
        let total = total.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            places: Semaphore::new(total),
            room: Semaphore::new(CARRIED / UNIT),
            total,
            waiting: AtomicUsize::new(0),
            queue,
            wait,
            waited: AtomicU64::new(0),
            waited_for: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }
    }

    /// A place for a request that carries so many bytes, held until it is dropped.
    ///
    /// # Errors
    /// `Unavailable`, certainly not applied, where the queue is full or the wait is over;
    /// `Closed` after [`shut`](Self::shut).
    pub(crate) async fn enter(&self, operation: Operation, bytes: usize) -> Result<Place<'_>> {
        // What is larger than all the room has it to itself.
        let units = u32::try_from((bytes / UNIT).min(CARRIED / UNIT)).unwrap_or(0);
        match self.try_enter(units) {
            Ok(place) => return Ok(place),
            Err(TryAcquireError::Closed) => return Err(closed(operation)),
            Err(TryAcquireError::NoPermits) => {}
        }
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(self, Instant::now());
        self.waited.fetch_add(1, Ordering::Relaxed);
        if before >= self.queue {
            return Err(self.refuse(operation, "the queue for a request is full"));
        }
        match tokio::time::timeout(self.wait, self.entered(units)).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) => Err(closed(operation)),
            Err(_) => Err(self.refuse(operation, "no place for a request became free in time")),
        }
    }

    fn try_enter(&self, units: u32) -> std::result::Result<Place<'_>, TryAcquireError> {
        let room = (units > 0).then(|| self.room.try_acquire_many(units)).transpose()?;
        Ok(Place { _place: self.places.try_acquire()?, _room: room })
    }

    /// Room comes first: whoever waits for it keeps nobody from a place.
    async fn entered(&self, units: u32) -> std::result::Result<Place<'_>, AcquireError> {
        let room = match units {
            0 => None,
            units => Some(self.room.acquire_many(units).await?),
        };
        Ok(Place { _place: self.places.acquire().await?, _room: room })
    }

    fn refuse(&self, operation: Operation, message: &'static str) -> Error {
        self.refused.fetch_add(1, Ordering::Relaxed);
        error(ErrorKind::Unavailable, operation, message)
            .with_retry(RetryClass::Throttled)
            .with_outcome(Outcome::NotApplied)
            .with_context("requests under way", self.total)
            .with_context("waited at most ms", self.wait.as_millis())
    }

    /// Lets nobody in any more, and waits at most so long for those inside.
    pub(crate) async fn shut(&self, patience: Duration) {
        let all = u32::try_from(self.total).unwrap_or(u32::MAX);
        // Whoever is inside gives the place back; nobody who comes later is before us.
        let _ = tokio::time::timeout(patience, self.places.acquire_many(all)).await;
        self.places.close();
        self.room.close();
    }

    /// How many at most are under way.
    pub(crate) fn total(&self) -> usize {
        self.total
    }

    /// How many are under way now.
    pub(crate) fn under_way(&self) -> usize {
        self.total - self.places.available_permits().min(self.total)
    }

    /// How many wait now.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// How long those that had to wait did so, in all.
    pub(crate) fn waited_for(&self) -> Duration {
        Duration::from_nanos(self.waited_for.load(Ordering::Relaxed))
    }

    /// How many had to wait, and how many of these were refused.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.waited.load(Ordering::Relaxed), self.refused.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn those_who_wait_too_long_or_are_too_many_are_refused() {
        let limit = Limit::new(2, 1, Duration::from_secs(1));
        let first = limit.enter(Operation::Get, 0).await.unwrap();
        let _second = limit.enter(Operation::Get, 0).await.unwrap();
        assert_eq!(limit.under_way(), 2);
        // One waits; another finds the queue full at once.
        let (late, refused) =
            tokio::join!(limit.enter(Operation::Put, 0), limit.enter(Operation::Put, 0));
        for (result, part) in [(late, "in time"), (refused, "queue")] {
            let error = result.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unavailable);
            assert_eq!(error.outcome(), Outcome::NotApplied);
            assert!(error.to_string().contains(part), "{error}");
        }
        assert_eq!((limit.waiting(), limit.counts()), (0, (2, 2)));
        assert!(limit.waited_for() >= Duration::from_secs(1));
        let wait = limit.enter(Operation::Get, 0);
        drop(first);
        drop(wait.await.unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_carried_is_limited_and_keeps_nobody_from_a_place() {
        let limit = Limit::new(3, 8, Duration::from_secs(1));
        let half = CARRIED / 2;
        let first = limit.enter(Operation::Put, half).await.unwrap();
        let second = limit.enter(Operation::Put, half).await.unwrap();
        let (late, small) =
            tokio::join!(limit.enter(Operation::Put, UNIT), limit.enter(Operation::Get, UNIT - 1));
        assert_eq!(late.unwrap_err().outcome(), Outcome::NotApplied);
        drop(small.unwrap());
        drop((first, second));
        let all = limit.enter(Operation::Put, 10 * CARRIED).await.unwrap();
        assert_eq!((limit.under_way(), limit.room.available_permits()), (1, 0));
        drop(all);
        assert_eq!(limit.room.available_permits(), CARRIED / UNIT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_shut_limit_lets_nobody_in_and_waits_for_those_inside() {
        let limit = Limit::new(1, 8, Duration::from_secs(1));
        let place = limit.enter(Operation::Get, 0).await.unwrap();
        let late = limit.enter(Operation::Get, 0);
        tokio::join!(limit.shut(Duration::from_secs(60)), async move {
            tokio::task::yield_now().await;
            drop(place);
        });
        assert_eq!(late.await.unwrap_err().kind(), ErrorKind::Closed);
    }
}
