//! Time limits: for an operation as a whole, and for one attempt of it.

use std::future::Future;
use std::time::Duration;

use super::{Answer, Call, Policy};
use crate::error::{Error, ErrorKind, Operation, Outcome, Result};

/// The longest time for an operation, retries included. A page of a scan is an operation; a
/// call of many records has this time for each thousand. Counting, purging and changes of
/// namespaces take as long as there is something to do.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(pub Duration);

/// The longest time for one attempt; belongs inside the retry layer.
#[derive(Clone, Copy, Debug)]
pub struct AttemptTimeout(pub Duration);

impl Policy for Deadline {
    async fn run<T, F, Fut>(&self, call: Call<'_>, attempt: F) -> Result<T>
    where
        T: Answer,
        F: Fn() -> Fut + Send + Sync,
        Fut: Future<Output = Result<T>> + Send,
    {
        within(self.0, call, "the operation's deadline passed", attempt()).await
    }
}

impl Policy for AttemptTimeout {
    async fn run<T, F, Fut>(&self, call: Call<'_>, attempt: F) -> Result<T>
    where
        T: Answer,
        F: Fn() -> Fut + Send + Sync,
        Fut: Future<Output = Result<T>> + Send,
    {
        within(self.0, call, "no answer to this attempt in time", attempt()).await
    }
}

/// Calls of more records than this are given more time.
const RECORDS: usize = 1_000;

/// How long a call may take: none where that depends on how much is stored.
fn allowed(limit: Duration, call: &Call<'_>) -> Option<Duration> {
    match call.operation {
        // Flushing and freeing takes as long as it takes: giving up would leave locks behind.
        Operation::Close
        // These read or remove everything, step by step, each of which the backend limits.
        | Operation::Count
        | Operation::Purge
        | Operation::CreateNamespace
        | Operation::DropNamespace
        | Operation::ReplaceNamespace => None,
        _ => {
            let times = u32::try_from(call.records / RECORDS).unwrap_or(u32::MAX);
            Some(limit.saturating_mul(times.saturating_add(1)))
        }
    }
}

async fn within<T>(
    limit: Duration,
    call: Call<'_>,
    message: &'static str,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    let Some(limit) = allowed(limit, &call) else { return work.await };
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
