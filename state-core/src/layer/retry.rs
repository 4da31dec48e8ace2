//! Trying again: the only place in the house that does.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::observe::count_attempt;
use super::trace::attempt_in_span;
use super::{Answer, Call, Observer, Policy};
use crate::error::{Error, ErrorKind, Outcome, Result, RetryClass};

/// Options of the retry layer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RetryOptions {
    /// Most attempts, the first included; at least 1.
    pub attempts: u32,
    /// No new attempt begins after so much time.
    pub elapsed: Duration,
    /// Upper bound of the first pause; each later one doubles it.
    pub first_pause: Duration,
    /// Upper bound of any pause.
    pub longest_pause: Duration,
    /// The budget, shared by every store of the process unless set.
    pub budget: Arc<RetryBudget>,
    /// Only failures of these kinds are tried again, of those that may be; all of them
    /// unless set.
    pub only: Option<Vec<ErrorKind>>,
    /// Seed of the jitter, for tests that must repeat.
    pub seed: Option<u64>,
}

impl Default for RetryOptions {
    fn default() -> Self {
        Self {
            attempts: 5,
            elapsed: Duration::from_secs(30),
            first_pause: Duration::from_millis(25),
            longest_pause: Duration::from_secs(2),
            budget: RetryBudget::process(),
            only: None,
            seed: None,
        }
    }
}

impl RetryOptions {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the number of attempts.
    #[must_use]
    pub fn with_attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// Sets the elapsed budget.
    #[must_use]
    pub fn with_elapsed(mut self, elapsed: Duration) -> Self {
        self.elapsed = elapsed;
        self
    }

    /// Sets the bounds of the pauses.
    #[must_use]
    pub fn with_pauses(mut self, first: Duration, longest: Duration) -> Self {
        self.first_pause = first;
        self.longest_pause = longest;
        self
    }

    /// Sets the retry budget.
    #[must_use]
    pub fn with_budget(mut self, budget: Arc<RetryBudget>) -> Self {
        self.budget = budget;
        self
    }

    /// Tries only failures of these kinds again, of those that may be.
    #[must_use]
    pub fn with_only(mut self, kinds: Vec<ErrorKind>) -> Self {
        self.only = Some(kinds);
        self
    }

    /// Sets the jitter's seed.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }
}

/// What keeps an outage from being multiplied: a bucket of retries that every call fills by
/// a fraction and time by a little, and every retry takes one from.
#[derive(Debug)]
pub struct RetryBudget {
    per_call: f64,
    per_second: f64,
    capacity: f64,
    bucket: Mutex<Option<(f64, Instant)>>,
}

impl RetryBudget {
    /// A budget of `per_call` retries a call and `per_second` a second, which saves up at
    /// most `capacity` and starts full.
    #[must_use]
    pub fn new(per_call: f64, per_second: f64, capacity: f64) -> Self {
        Self { per_call, per_second, capacity, bucket: Mutex::new(None) }
    }

    /// The process's own: a retry for every tenth call, and ten a second.
    #[must_use]
    pub fn process() -> Arc<Self> {
        static PROCESS: std::sync::OnceLock<Arc<RetryBudget>> = std::sync::OnceLock::new();
        Arc::clone(PROCESS.get_or_init(|| Arc::new(Self::new(0.1, 10.0, 100.0))))
    }

    fn change(&self, by: f64) -> bool {
        let now = Instant::now();
        let mut bucket = self.bucket.lock();
        let (level, since) = bucket.unwrap_or((self.capacity, now));
        let refilled = level + now.duration_since(since).as_secs_f64() * self.per_second;
        let next = refilled.min(self.capacity) + by;
        let allowed = next >= 0.0;
        *bucket = Some((if allowed { next.min(self.capacity) } else { next - by }, now));
        allowed
    }
}

/// Tries again after a pause when the error's class allows it and either the call is
/// idempotent or the error says that nothing was applied.
#[derive(Debug)]
pub struct Retry {
    options: RetryOptions,
    jitter: Mutex<fastrand::Rng>,
    observer: Option<Arc<dyn Observer>>,
    spans: bool,
}

impl Retry {
    /// Retries with these options.
    #[must_use]
    pub fn new(options: RetryOptions) -> Self {
        let jitter = options.seed.map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed);
        Self { options, jitter: Mutex::new(jitter), observer: None, spans: false }
    }

    /// Tells an observer of each retry.
    #[must_use]
    pub fn with_observer(mut self, observer: Option<Arc<dyn Observer>>) -> Self {
        self.observer = observer;
        self
    }

    /// Whether each attempt has a span below that of its operation.
    #[must_use]
    pub fn with_spans(mut self, spans: bool) -> Self {
        self.spans = spans;
        self
    }

    /// Full jitter: anything from nothing to the bound, which doubles each time. A store
    /// that asks for less load is given at least half the bound of one doubling more.
    pub(super) fn pause(&self, attempt: u32, class: RetryClass) -> Duration {
        let doublings = attempt.saturating_sub(1).min(20);
        let bound = |shift: u32| {
            self.options.first_pause.saturating_mul(1 << shift).min(self.options.longest_pause)
        };
        let random = self.jitter.lock().f64();
        match class {
            RetryClass::Throttled => bound(doublings + 1).mul_f64(0.5 + random / 2.0),
            _ => bound(doublings).mul_f64(random),
        }
    }
}

impl Policy for Retry {
    async fn run<T, F, Fut>(&self, call: Call<'_>, attempt: F) -> Result<T>
    where
        T: Answer,
        F: Fn() -> Fut + Send + Sync,
        Fut: Future<Output = Result<T>> + Send,
    {
        self.options.budget.change(self.options.budget.per_call);
        let began = Instant::now();
        let mut attempts = 0;
        let mut unknown = false;
        loop {
            attempts += 1;
            count_attempt();
            let answer = match self.spans {
                true => attempt_in_span(attempts, attempt()).await,
                false => attempt().await,
            };
            let error = match answer {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            // A refusal now does not tell what an earlier attempt did.
            unknown |= error.outcome() == Outcome::Unknown;
            let error = if unknown { error.with_outcome(Outcome::Unknown) } else { error };
            let wanted = self.options.only.as_ref();
            let wanted = wanted.is_none_or(|kinds| kinds.contains(&error.kind()));
            if !wanted || !error.may_retry(call.idempotent) {
                return Err(if attempts > 1 { told(error, attempts, began) } else { error });
            }
            let pause = self.pause(attempts, error.retry_class());
            if attempts >= self.options.attempts || began.elapsed() + pause > self.options.elapsed {
                return Err(told(error, attempts, began));
            }
            if !self.options.budget.change(-1.0) {
                return Err(told(error, attempts, began)
                    .with_context("not tried again", "the process's retry budget is used up"));
            }
            if let Some(observer) = &self.observer {
                observer.retried(&call, &error, pause);
            }
            tokio::time::sleep(pause).await;
        }
    }
}

fn told(error: Error, attempts: u32, began: Instant) -> Error {
    error.with_context("attempts", attempts).with_context("elapsed ms", began.elapsed().as_millis())
}
