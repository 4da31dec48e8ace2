//! Telling an observer what happens: whole operations, each attempt, retries, and the wait
//! for a place.
//!
//! What is done with it is not this crate's business: `pinstate-metrics` counts it for
//! Prometheus. Where there is no observer there is no layer, and nothing is paid.

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::answer::failure;
use super::{Answer, Call, Policy, Tally};
use crate::error::{Error, ErrorKind, Outcome, Result};

/// Who is told. Calls come from many tasks at a time, on the path of every operation: an
/// observer must be quick, and must neither block nor panic.
pub trait Observer: Send + Sync + fmt::Debug + 'static {
    /// An operation began. [`ended`](Self::ended) follows for each, whatever becomes of it.
    fn begun(&self, call: &Call<'_>);

    /// An operation ended.
    fn ended(&self, call: &Call<'_>, end: &Ended);

    /// One attempt at an operation ended.
    fn attempt_ended(&self, call: &Call<'_>, end: &Ended);

    /// An attempt failed with this error, and another one follows after a pause.
    fn retried(&self, call: &Call<'_>, error: &Error, pause: Duration);

    /// An attempt got its place among the operations under way after so long, or was
    /// refused.
    fn waited(&self, call: &Call<'_>, wait: Duration, admitted: bool);
}

/// How an operation or an attempt ended.
#[derive(Clone, Copy, PartialEq, Debug)]
#[non_exhaustive]
pub struct Ended {
    /// How long it took.
    pub elapsed: Duration,
    /// How many attempts were made, at least 1.
    pub attempts: u32,
    /// What went wrong, of the call or else of the first of its records that failed. Not
    /// finding a record is no failure; a call that its caller gave up is `Cancelled`.
    pub failure: Option<(ErrorKind, Outcome)>,
    /// What was read, by an operation: of an attempt nothing is counted.
    pub tally: Tally,
}

tokio::task_local! {
    /// The attempts of the operation that the task is in, where somebody wants to know.
    static ATTEMPTS: Cell<u32>;
}

/// An attempt begins.
pub(super) fn count_attempt() {
    let _ = ATTEMPTS.try_with(|attempts| attempts.set(attempts.get().saturating_add(1)));
}

/// Runs an operation and counts its attempts: one where no layer counts.
pub(super) async fn counted<T>(work: impl Future<Output = T>) -> (T, u32) {
    let (answer, attempts) = ATTEMPTS
        .scope(Cell::new(0), async move {
            let answer = work.await;
            (answer, ATTEMPTS.with(Cell::get))
        })
        .await;
    // Whoever counts further out wants to know of them too.
    let _ = ATTEMPTS.try_with(|outer| outer.set(outer.get().saturating_add(attempts)));
    (answer, attempts.max(1))
}

/// Tells of operations as a whole: belongs outside the retry layer.
#[derive(Clone, Debug)]
pub struct ObserveOperations(pub Arc<dyn Observer>);

/// Tells of each attempt: belongs right inside the retry layer, so that an attempt that was
/// given up counts as one.
#[derive(Clone, Debug)]
pub struct ObserveAttempts(pub Arc<dyn Observer>);

/// Tells of the end also where the future is dropped on the way.
pub(super) struct UnderWay<F: Fn(&Ended)> {
    began: Instant,
    tell: F,
    told: bool,
}

impl<F: Fn(&Ended)> UnderWay<F> {
    pub(super) fn new(tell: F) -> Self {
        Self { began: Instant::now(), tell, told: false }
    }

    pub(super) fn end<T: Answer>(mut self, result: &Result<T>, attempts: u32, tally: Tally) {
        self.told = true;
        let (elapsed, failure) = (self.began.elapsed(), failure(result));
        (self.tell)(&Ended { elapsed, attempts, failure, tally });
    }
}

impl<F: Fn(&Ended)> Drop for UnderWay<F> {
    fn drop(&mut self) {
        if !self.told {
            let failure = Some((ErrorKind::Cancelled, Outcome::Unknown));
            let (elapsed, tally) = (self.began.elapsed(), Tally::default());
            (self.tell)(&Ended { elapsed, attempts: 1, failure, tally });
        }
    }
}

impl Policy for ObserveOperations {
    async fn run<T, F, Fut>(&self, call: Call<'_>, attempt: F) -> Result<T>
    where
        T: Answer,
        F: Fn() -> Fut + Send + Sync,
        Fut: Future<Output = Result<T>> + Send,
    {
        self.0.begun(&call);
        let under_way = UnderWay::new(|end| self.0.ended(&call, end));
        let (result, attempts) = counted(attempt()).await;
        let tally = result.as_ref().map_or_else(|_| Tally::default(), Answer::tally);
        under_way.end(&result, attempts, tally);
        result
    }
}

impl Policy for ObserveAttempts {
    async fn run<T, F, Fut>(&self, call: Call<'_>, attempt: F) -> Result<T>
    where
        T: Answer,
        F: Fn() -> Fut + Send + Sync,
        Fut: Future<Output = Result<T>> + Send,
    {
        let under_way = UnderWay::new(|end| self.0.attempt_ended(&call, end));
        let result = attempt().await;
        under_way.end(&result, 1, Tally::default());
        result
    }
}
