//! A span for each operation and each attempt at it, and an event for each operation, through
//! `tracing`.
//!
//! The fields that begin with `otel.` are what `tracing-opentelemetry` has the name of a span and
//! its status from; a span that nobody listens to costs a look at whether somebody does.

use std::borrow::Cow;
use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use tracing::field::Empty;
use tracing::{Instrument, Level, Span, debug, debug_span, enabled, warn};

use super::answer::failure;
use super::observe::{UnderWay, counted};
use super::{Answer, Call, Ended, Policy, Tally};
use crate::error::Result;
use crate::name::NamespaceName;
use crate::pin::Cid;
use crate::record::Key;

/// Traces operations, each with a span at debug and an event: at debug when it succeeds or finds
/// nothing, at warn when it fails.
///
/// A whole key is told by events at debug alone; a failure names the end of it, and a span names
/// none. Values are never told.
#[derive(Debug)]
pub struct Trace {
    consistency: Option<Cow<'static, str>>,
    every: u32,
    events: bool,
    seen: AtomicU32,
}

impl Default for Trace {
    fn default() -> Self {
        Self { consistency: None, every: 1, events: true, seen: AtomicU32::new(0) }
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

    /// Whether there are events as well as spans.
    #[must_use]
    pub fn with_events(mut self, events: bool) -> Self {
        self.events = events;
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

/// Writes into a span how what it is about ended.
fn record(span: &Span, end: &Ended) {
    if span.is_disabled() {
        return;
    }
    span.record("success", end.failure.is_none());
    if let Some((kind, outcome)) = end.failure {
        span.record("kind", kind.as_str());
        span.record("outcome", outcome.as_str());
        span.record("otel.status_code", "ERROR");
    }
}

impl Policy for Trace {
    async fn run<T, F, Fut>(&self, call: Call<'_>, attempt: F) -> Result<T>
    where
        T: Answer,
        F: Fn() -> Fut + Send + Sync,
        Fut: Future<Output = Result<T>> + Send,
    {
        let began = Instant::now();
        let Call { backend, records, .. } = call;
        let operation = call.operation.as_str();
        let namespace = call.namespace.map(NamespaceName::as_str);
        let consistency = self.consistency.as_deref();
        let span = debug_span!(
            "operation",
            otel.name = operation,
            operation,
            backend,
            namespace,
            consistency,
            // Other numbers are texts in OpenTelemetry.
            records = i64::try_from(records).ok(),
            attempts = Empty,
            success = Empty,
            kind = Empty,
            outcome = Empty,
            otel.status_code = Empty,
        );
        let under_way = UnderWay::new(|end| record(&span, end));
        let (result, attempts) = counted(attempt().instrument(span.clone())).await;
        under_way.end(&result, attempts, Tally::default());
        span.record("attempts", i64::from(attempts));
        drop(span);
        if !self.events {
            return result;
        }
        let duration = began.elapsed().as_secs_f64();
        match failure(&result) {
            Some((kind, outcome)) => warn!(
                operation,
                backend,
                namespace,
                duration,
                consistency,
                records,
                attempts,
                success = false,
                kind = kind.as_str(),
                outcome = outcome.as_str(),
                error = match &result {
                    Err(error) => error.brief(call.key),
                    // A call that succeeds may have records that did not.
                    Ok(_) => "some of the records failed".to_owned(),
                },
            ),
            None if enabled!(Level::DEBUG) && self.is_sampled() => debug!(
                operation,
                backend,
                namespace,
                cid = call.key.map(cid),
                duration,
                consistency,
                records,
                attempts,
                success = true,
            ),
            None => {}
        }
        result
    }
}

/// Makes an attempt in a span of its own, below that of its operation.
pub(super) async fn attempt_in_span<T, Fut>(number: u32, attempt: Fut) -> Result<T>
where
    T: Answer,
    Fut: Future<Output = Result<T>> + Send,
{
    let span = debug_span!(
        "attempt",
        attempt = i64::from(number),
        success = Empty,
        kind = Empty,
        outcome = Empty,
        otel.status_code = Empty,
    );
    let under_way = UnderWay::new(|end| record(&span, end));
    let result = attempt.instrument(span.clone()).await;
    under_way.end(&result, 1, Tally::default());
    result
}

/// Traces the one attempt of each operation: for where no [`Retry`](super::Retry) does it.
#[derive(Clone, Copy, Debug)]
pub struct TraceAttempts;

impl Policy for TraceAttempts {
    async fn run<T, F, Fut>(&self, _: Call<'_>, attempt: F) -> Result<T>
    where
        T: Answer,
        F: Fn() -> Fut + Send + Sync,
        Fut: Future<Output = Result<T>> + Send,
    {
        attempt_in_span(1, attempt()).await
    }
}
