//! A limit on the operations under way, with a bounded wait for a place.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::{Answer, Call, Observer, Policy};
use crate::error::{Error, ErrorKind, Operation, Outcome, Result, RetryClass};

/// Options of the concurrency limit.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LimitOptions {
    /// Most operations at a time; a batch or a page counts as one.
    pub operations: usize,
    /// Longest wait for a place.
    pub max_wait: Duration,
}

impl Default for LimitOptions {
    fn default() -> Self {
        Self { operations: 1_024, max_wait: Duration::from_secs(10) }
    }
}

impl LimitOptions {
    /// At most so many operations, at least one.
    #[must_use]
    pub fn new(operations: usize, max_wait: Duration) -> Self {
        Self { operations: operations.max(1), max_wait }
    }
}

/// Lets a bounded number of operations through; others wait, and give up as
/// `Unavailable`, certainly not applied, when the wait is over.
#[derive(Debug)]
pub struct ConcurrencyLimit {
    places: Semaphore,
    options: LimitOptions,
    observer: Option<Arc<dyn Observer>>,
}

impl ConcurrencyLimit {
    /// A limit of its own.
    #[must_use]
    pub fn new(options: LimitOptions) -> Self {
        let places = Semaphore::new(options.operations.min(Semaphore::MAX_PERMITS));
        Self { places, options, observer: None }
    }

    /// Tells an observer how long calls wait.
    #[must_use]
    pub fn with_observer(mut self, observer: Option<Arc<dyn Observer>>) -> Self {
        self.observer = observer;
        self
    }

    fn tell(&self, call: &Call<'_>, wait: Duration, admitted: bool) {
        if let Some(observer) = &self.observer {
            observer.waited(call, wait, admitted);
        }
    }
}

impl Policy for ConcurrencyLimit {
    async fn run<T, F, Fut>(&self, call: Call<'_>, attempt: F) -> Result<T>
    where
        T: Answer,
        F: Fn() -> Fut + Send + Sync,
        Fut: Future<Output = Result<T>> + Send,
    {
        // A full store must still say how it is, and let itself be closed.
        if matches!(call.operation, Operation::Close | Operation::Health) {
            return attempt().await;
        }
        let place = match self.places.try_acquire() {
            Ok(place) => {
                self.tell(&call, Duration::ZERO, true);
                place
            }
            Err(_) => {
                let began = Instant::now();
                match tokio::time::timeout(self.options.max_wait, self.places.acquire()).await {
                    Ok(Ok(place)) => {
                        self.tell(&call, began.elapsed(), true);
                        place
                    }
                    _ => {
                        self.tell(&call, began.elapsed(), false);
                        return Err(Error::new(
                            ErrorKind::Unavailable,
                            call.operation,
                            "no place among the operations under way became free in time",
                        )
                        .with_backend(call.backend)
                        .with_retry(RetryClass::Throttled)
                        .with_outcome(Outcome::NotApplied)
                        .with_context("limit", self.options.operations)
                        .with_context("waited ms", self.options.max_wait.as_millis()));
                    }
                }
            }
        };
        let result = attempt().await;
        drop(place);
        result
    }
}
