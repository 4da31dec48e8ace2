//! Time limits: for an operation as a whole, and for one attempt of it.

use std::future::Future;
use std::time::Duration;

use super::{Call, Policy};
use crate::error::{Error, ErrorKind, Operation, Outcome, Result};

/// The longest time for an operation, retries included. A page of a scan is an operation.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(pub Duration);

/// The longest time for one attempt; belongs inside the retry layer.
#[derive(Clone, Copy, Debug)]
pub struct AttemptTimeout(pub Duration);

impl Policy for Deadline {
    async fn run<T, F, Fut>(&self, call: Call<'_>, attempt: F) -> Result<T>
    where
        T: Send,
        F: Fn() -> Fut + Send + Sync,
        Fut: Future<Output = Result<T>> + Send,
    {
        within(self.0, call, "the operation's deadline passed", attempt()).await
    }
}

impl Policy for AttemptTimeout {
    async fn run<T, F, Fut>(&self, call: Call<'_>, attempt: F) -> Result<T>
    where
        T: Send,
        F: Fn() -> Fut + Send + Sync,
        Fut: Future<Output = Result<T>> + Send,
    {
        within(self.0, call, "no answer to this attempt in time", attempt()).await
    }
}

async fn within<T>(
    limit: Duration,
    call: Call<'_>,
    message: &'static str,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    // Flushing and freeing takes as long as it takes: giving up would leave locks behind.
    if call.operation == Operation::Close {
        return work.await;
    }
    match tokio::time::timeout(limit, work).await {
        Ok(result) => result,
        Err(_) => {
            let mut error = Error::new(ErrorKind::Timeout, call.operation, message)
                .with_backend(call.backend)
                .with_outcome(Outcome::Unknown)
                .with_context("limit ms", limit.as_millis());
            if let Some(key) = call.key {
                error = error.with_key(key.clone());
            }
            Err(error)
        }
    }
}
