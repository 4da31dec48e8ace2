//! Layers: what stands between a caller and a backend, as values.
//!
//! There is one order, from the outside in: trace, deadline, retry, per-attempt timeout,
//! concurrency limit, backend. [`Layers`] is built in any order and applied in this one, so
//! a timeout cannot end up outside the retry that should see it. Each layer is a
//! [`Policy`] of a few lines; how a policy is put around every operation is written once,
//! in `wrap.rs`, over traits without default bodies: an operation that is forgotten there
//! does not compile.

mod deadline;
mod limit;
mod retry;
mod trace;
mod wrap;

#[cfg(test)]
mod tests;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

pub use deadline::{AttemptTimeout, Deadline};
pub use limit::{ConcurrencyLimit, LimitOptions};
pub use retry::{Retry, RetryBudget, RetryOptions};
pub use trace::Trace;

use crate::error::{Operation, Result};
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
    /// The key, where one record is concerned.
    pub key: Option<&'a Key>,
    /// Whether a second application does no harm. Every put and delete without a
    /// condition on the present state is: its version is fixed.
    pub idempotent: bool,
    /// Records in the call.
    pub records: usize,
}

/// What a layer does around each call.
pub trait Policy: Send + Sync + fmt::Debug + 'static {
    /// Runs the call: `attempt` begins one attempt each time it is called.
    fn run<T, F, Fut>(&self, call: Call<'_>, attempt: F) -> impl Future<Output = Result<T>> + Send
    where
        T: Send,
        F: Fn() -> Fut + Send + Sync,
        Fut: Future<Output = Result<T>> + Send;
}

/// Puts one policy around a store, its namespaces and their scans.
pub fn wrap(store: Arc<dyn Store>, policy: impl Policy) -> Arc<dyn Store> {
    Arc::new(wrap::Wrapped::new(store, policy))
}

/// A set of layers, applied in the one order.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Layers {
    /// One span and one event an operation.
    pub trace: bool,
    /// Longest time for an operation, retries included.
    pub deadline: Option<Duration>,
    /// Trying again.
    pub retry: Option<RetryOptions>,
    /// Longest time for one attempt.
    pub attempt_timeout: Option<Duration>,
    /// Most operations at a time.
    pub limit: Option<LimitOptions>,
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
        }
    }

    /// Traces operations.
    #[must_use]
    pub fn with_trace(mut self, trace: bool) -> Self {
        self.trace = trace;
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
            store = wrap(store, ConcurrencyLimit::new(limit.clone()));
        }
        if let Some(timeout) = self.attempt_timeout {
            store = wrap(store, AttemptTimeout(timeout));
        }
        if let Some(retry) = &self.retry {
            store = wrap(store, Retry::new(retry.clone()));
        }
        if let Some(deadline) = self.deadline {
            store = wrap(store, Deadline(deadline));
        }
        if self.trace {
            store = wrap(store, Trace);
        }
        store
    }
}
