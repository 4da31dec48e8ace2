//! One span and one event an operation, through `tracing`.

use std::borrow::Cow;
use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use tracing::{Instrument, Level, debug, debug_span, enabled, warn};

use super::observe::counted;
use super::{Answer, Call, Policy};
use crate::error::{ErrorKind, Result};
use crate::pin::Cid;
use crate::record::Key;

/// Traces operations: at debug when they succeed or find nothing, at warn when they fail.
///
/// A whole key is told at debug alone; a failure names the end of it. Values are never told.
#[derive(Debug)]
pub struct Trace {
    consistency: Option<Cow<'static, str>>,
    every: u32,
    seen: AtomicU32,
}

impl Default for Trace {
    fn default() -> Self {
        Self { consistency: None, every: 1, seen: AtomicU32::new(0) }
    }
}

impl Trace {
    /// Every operation.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Names the consistency that the store reads and writes at.
    #[must_use]
    pub fn with_consistency(mut self, consistency: Option<Cow<'static, str>>) -> Self {
        self.consistency = consistency;
        self
    }

    /// Of operations that succeed, tells one in so many; 0 counts as 1. Failures are all told.
    #[must_use]
    pub fn with_every(mut self, every: u32) -> Self {
        self.every = every.max(1);
        self
    }

    /// Whether the turn of a success has come to be told.
    fn is_sampled(&self) -> bool {
        self.every == 1 || self.seen.fetch_add(1, Ordering::Relaxed).is_multiple_of(self.every)
    }
}

/// A key as those know it who look for it: a CID where it is one.
fn cid(key: &Key) -> String {
    Cid::from_bytes(key.as_bytes()).map_or_else(|_| key.to_string(), |cid| cid.to_string())
}

impl Policy for Trace {
    async fn run<T, F, Fut>(&self, call: Call<'_>, attempt: F) -> Result<T>
    where
        T: Answer,
        F: Fn() -> Fut + Send + Sync,
        Fut: Future<Output = Result<T>> + Send,
    {
        let began = Instant::now();
        let operation = call.operation.as_str();
        let backend = call.backend;
        let span = debug_span!("store", operation, backend);
        let (result, attempts) = counted(attempt().instrument(span)).await;
        let duration = began.elapsed().as_secs_f64();
        let consistency = self.consistency.as_deref();
        match &result {
            Err(error) if error.kind() != ErrorKind::NotFound => warn!(
                operation,
                backend,
                duration,
                consistency,
                records = call.records,
                attempts,
                success = false,
                kind = error.kind().as_str(),
                outcome = error.outcome().as_str(),
                error = %error.brief(call.key),
            ),
            // A call that succeeds may have records that did not.
            Ok(answer) if answer.tally().failure.is_some() => {
                let failure = answer.tally().failure;
                warn!(
                    operation,
                    backend,
                    duration,
                    consistency,
                    records = call.records,
                    attempts,
                    success = false,
                    kind = failure.map(|(kind, _)| kind.as_str()),
                    outcome = failure.map(|(_, outcome)| outcome.as_str()),
                    error = "some of the records failed",
                );
            }
            _ if enabled!(Level::DEBUG) && self.is_sampled() => debug!(
                operation,
                backend,
                cid = call.key.map(cid),
                duration,
                consistency,
                records = call.records,
                attempts,
                success = true,
            ),
            _ => {}
        }
        result
    }
}
