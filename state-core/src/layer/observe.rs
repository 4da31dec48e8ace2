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
    /// What was read.
    pub tally: Tally,
}

impl Ended {
    /// What an answer tells.
    fn of<T: Answer>(result: &Result<T>, elapsed: Duration, attempts: u32) -> Self {
        let tally = result.as_ref().map_or_else(|_| Tally::default(), Answer::tally);
        let failure = match result {
            Ok(_) => tally.failure,
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => Some((error.kind(), error.outcome())),
        };
        Self { elapsed, attempts, failure, tally }
    }

    /// The end of a call whose future was dropped.
    fn dropped(elapsed: Duration) -> Self {
        let failure = Some((ErrorKind::Cancelled, Outcome::Unknown));
        Self { elapsed, attempts: 1, failure, tally: Tally::default() }
    }
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
struct UnderWay<'a, F: Fn(&Ended)> {
    began: Instant,
    tell: &'a F,
    told: bool,
}

impl<'a, F: Fn(&Ended)> UnderWay<'a, F> {
    fn new(tell: &'a F) -> Self {
        Self { began: Instant::now(), tell, told: false }
    }

    fn end<T: Answer>(mut self, result: &Result<T>, attempts: u32) {
        self.told = true;
        (self.tell)(&Ended::of(result, self.began.elapsed(), attempts));
    }
}

impl<F: Fn(&Ended)> Drop for UnderWay<'_, F> {
    fn drop(&mut self) {
        if !self.told {
            (self.tell)(&Ended::dropped(self.began.elapsed()));
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
        let tell = |end: &Ended| self.0.ended(&call, end);
        let under_way = UnderWay::new(&tell);
        let (result, attempts) = counted(attempt()).await;
        under_way.end(&result, attempts);
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
        let tell = |end: &Ended| self.0.attempt_ended(&call, end);
        let under_way = UnderWay::new(&tell);
        let result = attempt().await;
        under_way.end(&result, 1);
        result
    }
}
