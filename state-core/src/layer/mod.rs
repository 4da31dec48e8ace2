//! Layers: what stands between a caller and a backend, as values.
//!
//! There is one order, from the outside in: observer, trace, deadline, retry, trace and observer
//! of attempts, per-attempt timeout, concurrency limit, backend. [`Layers`] is built in any order
//! and applied in this one, so a timeout cannot end up outside the retry that should see it. Each layer is a
//! [`Policy`] of a few lines; how a policy is put around every operation is written once,
//! in `wrap.rs`, over traits without default bodies: an operation that is forgotten there
//! does not compile.

mod answer;
mod deadline;
mod limit;
mod observe;
mod retry;
mod trace;
mod wrap;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod trace_tests;

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

pub use answer::{Answer, Tally};
pub use deadline::{AttemptTimeout, Deadline};
pub use limit::{ConcurrencyLimit, LimitOptions};
pub use observe::{Ended, ObserveAttempts, ObserveOperations, Observer};
pub use retry::{Retry, RetryBudget, RetryOptions};
pub use trace::{Trace, TraceAttempts};

use crate::error::{Operation, Result};
use crate::name::NamespaceName;
use crate::record::Key;
use crate::store::Store;

/// What a policy knows of the call that it surrounds.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Call<'a> {
    /// The operation.
    pub operation: Operation,
    /// The backend.
    pub backend: &'static str,
    /// The namespace that it is about, where there is one.
    pub namespace: Option<&'a NamespaceName>,
    /// The key, where one record is concerned.
    pub key: Option<&'a Key>,
    /// Whether a second application does no harm. Every put and delete without a
    /// condition on the present state is: its version is fixed.
    pub idempotent: bool,
    /// Records in the call.
    pub records: usize,
    /// Bytes of keys and values that it writes.
    pub bytes: usize,
}

/// What a layer does around each call.
pub trait Policy: Send + Sync + fmt::Debug + 'static {
    /// Runs the call: `attempt` begins one attempt each time it is called.
    fn run<T, F, Fut>(&self, call: Call<'_>, attempt: F) -> impl Future<Output = Result<T>> + Send
    where
        T: Answer,
        F: Fn() -> Fut + Send + Sync,
        Fut: Future<Output = Result<T>> + Send;
}

/// Puts one policy around a store, its namespaces and their scans.
pub fn wrap(store: Arc<dyn Store>, policy: impl Policy) -> Arc<dyn Store> {
    Arc::new(wrap::Wrapped::new(store, policy))
}

/// A set of layers, applied in the one order.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Layers {
    /// Who is told of operations, attempts, retries and waits.
    pub observer: Option<Arc<dyn Observer>>,
    /// A span for each operation and for each attempt at it, and an event for each operation.
    pub trace: bool,
    /// The spans alone, where there is no `trace`.
    pub spans: bool,
    /// Of operations that succeed, one in so many has an event; at least 1.
    pub trace_every: u32,
    /// The consistency that the store reads and writes at, for the events.
    pub consistency: Option<Cow<'static, str>>,
    /// Longest time for an operation, retries included.
    pub deadline: Option<Duration>,
    /// Trying again.
    pub retry: Option<RetryOptions>,
    /// Longest time for one attempt.
    pub attempt_timeout: Option<Duration>,
    /// Most operations at a time.
    pub limit: Option<LimitOptions>,
}

impl Default for Layers {
    fn default() -> Self {
        Self {
            observer: None,
            trace: false,
            spans: false,
            trace_every: 1,
            consistency: None,
            deadline: None,
            retry: None,
            attempt_timeout: None,
            limit: None,
        }
    }
}

impl Layers {
    /// No layer.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// What the binary puts around every store: tracing, 60 s deadline, retries, 20 s an
    /// attempt, 1,024 operations at a time.
    #[must_use]
    pub fn standard() -> Self {
        Self {
            trace: true,
            deadline: Some(Duration::from_secs(60)),
            retry: Some(RetryOptions::default()),
            attempt_timeout: Some(Duration::from_secs(20)),
            limit: Some(LimitOptions::default()),
            ..Self::default()
        }
    }

    /// Tells an observer.
    #[must_use]
    pub fn with_observer(mut self, observer: Option<Arc<dyn Observer>>) -> Self {
        self.observer = observer;
        self
    }

    /// Traces operations.
    #[must_use]
    pub fn with_trace(mut self, trace: bool) -> Self {
        self.trace = trace;
        self
    }

    /// Traces operations with spans alone, without events, unless they are traced with both.
    #[must_use]
    pub fn with_spans(mut self, spans: bool) -> Self {
        self.spans = spans;
        self
    }

    /// Traces one in so many of the operations that succeed.
    #[must_use]
    pub fn with_trace_every(mut self, every: u32) -> Self {
        self.trace_every = every.max(1);
        self
    }

    /// Names the consistency that the store reads and writes at.
    #[must_use]
    pub fn with_consistency(mut self, consistency: impl Into<Cow<'static, str>>) -> Self {
        self.consistency = Some(consistency.into());
        self
    }

    /// Sets the deadline.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Option<Duration>) -> Self {
        self.deadline = deadline;
        self
    }

    /// Sets the retries.
    #[must_use]
    pub fn with_retry(mut self, retry: Option<RetryOptions>) -> Self {
        self.retry = retry;
        self
    }

    /// Sets the time of one attempt.
    #[must_use]
    pub fn with_attempt_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.attempt_timeout = timeout;
        self
    }

    /// Sets the concurrency limit.
    #[must_use]
    pub fn with_limit(mut self, limit: Option<LimitOptions>) -> Self {
        self.limit = limit;
        self
    }

    /// Puts these layers around a store.
    #[must_use]
    pub fn apply(&self, mut store: Arc<dyn Store>) -> Arc<dyn Store> {
        if let Some(limit) = &self.limit {
            let limit = ConcurrencyLimit::new(limit.clone()).with_observer(self.observer.clone());
            store = wrap(store, limit);
        }
        if let Some(timeout) = self.attempt_timeout {
            store = wrap(store, AttemptTimeout(timeout));
        }
        if let Some(observer) = &self.observer {
            store = wrap(store, ObserveAttempts(Arc::clone(observer)));
        }
        let traced = self.trace || self.spans;
        if let Some(retry) = &self.retry {
            let retry = Retry::new(retry.clone()).with_observer(self.observer.clone());
            store = wrap(store, retry.with_spans(traced));
        } else if traced {
            store = wrap(store, TraceAttempts);
        }
        if let Some(deadline) = self.deadline {
            store = wrap(store, Deadline(deadline));
        }
        if traced {
            let trace = Trace::new()
                .with_events(self.trace)
                .with_consistency(self.consistency.clone())
                .with_every(self.trace_every);
            store = wrap(store, trace);
        }
        if let Some(observer) = &self.observer {
            store = wrap(store, ObserveOperations(Arc::clone(observer)));
        }
        store
    }
}
