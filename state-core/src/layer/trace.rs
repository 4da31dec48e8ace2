//! One span and one event an operation, through `tracing`.

use std::future::Future;
use std::time::Instant;

use tracing::{Instrument, debug, debug_span, warn};

use super::{Call, Policy};
use crate::error::{ErrorKind, Result};

/// Traces operations: at debug when they succeed or find nothing, at warn when they fail.
/// Keys are public names of content, values are never printed.
#[derive(Clone, Copy, Debug)]
pub struct Trace;

impl Policy for Trace {
    async fn run<T, F, Fut>(&self, call: Call<'_>, attempt: F) -> Result<T>
    where
        T: Send,
        F: Fn() -> Fut + Send + Sync,
        Fut: Future<Output = Result<T>> + Send,
    {
        let began = Instant::now();
        let operation = call.operation.as_str();
        let backend = call.backend;
        let span = debug_span!("store", operation, backend);
        let result = attempt().instrument(span).await;
        let micros = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        match &result {
            Err(error) if error.kind() != ErrorKind::NotFound => warn!(
                operation,
                backend,
                micros,
                records = call.records,
                success = false,
                kind = error.kind().as_str(),
                outcome = ?error.outcome(),
                %error,
            ),
            _ => debug!(
                operation,
                backend,
                key = call.key.map(tracing::field::display),
                micros,
                records = call.records,
                success = true,
            ),
        }
        result
    }
}
