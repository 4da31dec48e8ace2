//! How many spans there were, and how many of them were sent: what is lost on the way is counted,
//! and told once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanExporter, SpanProcessor};

use crate::client::Cause;

/// What became of the spans.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    ended: AtomicU64,
    sent: AtomicU64,
    told: AtomicBool,
    pub(crate) cause: Cause,
}

impl Counts {
    /// How many have not been sent, of how many.
    pub(crate) fn lost(&self) -> (u64, u64) {
        let ended = self.ended.load(Ordering::Relaxed);
        (ended.saturating_sub(self.sent.load(Ordering::Relaxed)), ended)
    }
}

/// Counts the spans that end.
#[derive(Debug)]
pub(crate) struct Counted<P> {
    pub(crate) inner: P,
    pub(crate) counts: Arc<Counts>,
}

impl<P: SpanProcessor> SpanProcessor for Counted<P> {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.inner.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        self.counts.ended.fetch_add(1, Ordering::Relaxed);
        self.inner.on_end(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

/// Counts the spans that were sent, and tells of the first failure to.
#[derive(Debug)]
pub(crate) struct Told<E> {
    pub(crate) inner: E,
    pub(crate) counts: Arc<Counts>,
}

impl<E: SpanExporter> SpanExporter for Told<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len() as u64;
        let result = self.inner.export(batch).await;
        match &result {
            Ok(()) => drop(self.counts.sent.fetch_add(spans, Ordering::Relaxed)),
            Err(error) if !self.counts.told.swap(true, Ordering::Relaxed) => {
                let cause = self.counts.cause.lock().take();
                tracing::warn!(
                    "spans cannot be sent, and are dropped while that is so: {}",
                    cause.unwrap_or_else(|| error.to_string())
                );
            }
            Err(_) => {}
        }
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}
