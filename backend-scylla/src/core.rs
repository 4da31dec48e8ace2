//! What a store and all its namespaces share: the session, the limit, the counters.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::RwLock;
use pinstate_core::{Capabilities, Operation, Outcome, Result};
use scylla::client::session::Session;
use scylla::errors::{ExecutionError, RequestAttemptError};
use scylla::policies::load_balancing::LoadBalancingPolicy;
use scylla::policies::retry::FallthroughRetryPolicy;
use scylla::response::query_result::QueryResult;
use scylla::serialize::row::SerializeRow;
use scylla::statement::prepared::PreparedStatement;
use uuid::Uuid;

use crate::config::ScyllaConfig;
use crate::error::{Work, closed, from_execution};
use crate::limit::Limit;
use crate::open::Facts;
use crate::replicas::{Demoting, attempts};
use crate::session::policy;
use crate::statements::ControlStatements;
use crate::watch::Watch;

/// An opened cluster.
pub(crate) struct Core {
    pub(crate) config: ScyllaConfig,
    pub(crate) facts: Facts,
    pub(crate) store: Uuid,
    pub(crate) capabilities: Capabilities,
    pub(crate) control: ControlStatements,
    pub(crate) watch: Arc<Watch>,
    pub(crate) limit: Limit,
    pub(crate) counters: Counters,
    pub(crate) unsettled: Unsettled,
    /// Whom to ask when the first node stayed silent.
    second: Arc<dyn LoadBalancingPolicy>,
    /// Held while the catalog is read or changed.
    pub(crate) catalog_turn: tokio::sync::Mutex<()>,
    /// There until the store is closed.
    session: RwLock<Option<Arc<Session>>>,
}

/// What was done, for metrics.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) requests: AtomicU64,
    pub(crate) silent_attempts: AtomicU64,
    pub(crate) degraded_reads: AtomicU64,
    pub(crate) pages: AtomicU64,
    pub(crate) pages_by_replica: AtomicU64,
    pub(crate) page_failures: AtomicU64,
    pub(crate) ambiguous_control_writes: AtomicU64,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

impl Core {
    #[expect(clippy::too_many_arguments, reason = "called once, where all of it was made")]
    pub(crate) fn new(
        config: ScyllaConfig,
        facts: Facts,
        store: Uuid,
        capabilities: Capabilities,
        control: ControlStatements,
        watch: Arc<Watch>,
        limit: Limit,
        session: Arc<Session>,
    ) -> Self {
        let second = policy(&config, config.datacenter());
        let second = Arc::new(Demoting::last(second, Arc::clone(&watch)));
        Self {
            second,
            config,
            facts,
            store,
            capabilities,
            control,
            watch,
            limit,
            counters: Counters::default(),
            unsettled: Unsettled::new(),
            catalog_turn: tokio::sync::Mutex::new(()),
            session: RwLock::new(Some(session)),
        }
    }

    /// The session.
    ///
    /// # Errors
    /// `Closed` once the store is.
    pub(crate) fn session(&self, operation: Operation) -> Result<Arc<Session>> {
        self.session.read().clone().ok_or_else(|| closed(operation))
    }

    /// A statement for another node than one that stayed silent, and for no further one.
    pub(crate) fn elsewhere(&self, statement: &PreparedStatement) -> PreparedStatement {
        let mut statement = statement.clone();
        statement.set_load_balancing_policy(Some(Arc::clone(&self.second)));
        statement.set_retry_policy(Some(Arc::new(FallthroughRetryPolicy::new())));
        statement
    }

    /// Ends the session; the driver closes its connections when the last request is done.
    pub(crate) fn end(&self) -> Option<Arc<Session>> {
        self.session.write().take()
    }

    /// Runs a prepared statement that may be repeated: on one node, on another one if there
    /// was no answer, and no further. A place among the requests under way is held meanwhile.
    pub(crate) async fn run(
        &self,
        operation: Operation,
        work: Work,
        statement: &PreparedStatement,
        values: impl SerializeRow + Copy,
    ) -> Result<QueryResult> {
        self.carry(operation, work, statement, values, 0).await
    }

    /// The same with values of so many bytes.
    pub(crate) async fn carry(
        &self,
        operation: Operation,
        work: Work,
        statement: &PreparedStatement,
        values: impl SerializeRow + Copy,
        bytes: usize,
    ) -> Result<QueryResult> {
        attempts(async {
            let session = self.session(operation)?;
            let _place = self.limit.enter(operation, bytes).await?;
            let begun = (work != Work::Read).then(|| self.unsettled.begin(self.config.attempt()));
            Counters::add(&self.counters.requests);
            let mut result = session.execute_unpaged(statement, values).await;
            // The node that was asked may have done it all the same.
            let lost = result.as_ref().is_err_and(is_lost);
            if lost {
                if let Err(ExecutionError::RequestTimeout(_)) = &result {
                    Counters::add(&self.counters.silent_attempts);
                }
                let statement = self.elsewhere(statement);
                // On the heap, since this is rare and would double what every request carries.
                result = Box::pin(session.execute_unpaged(&statement, values)).await;
            }
            match result {
                Ok(result) => {
                    if let Some(begun) = begun {
                        begun.settled();
                    }
                    Ok(result)
                }
                Err(error) => {
                    let mut error = from_execution(&error, work, operation);
                    if lost && work != Work::Read {
                        // A refusal now does not tell what became of the first request.
                        error = error.with_outcome(Outcome::Unknown);
                    }
                    if let Some(begun) = begun
                        && error.outcome() == Outcome::NotApplied
                    {
                        begun.settled();
                    }
                    Err(error)
                }
            }
        })
        .await
    }
}

/// Whether a request went out and nothing is known of what became of it.
fn is_lost(error: &ExecutionError) -> bool {
    matches!(
        error,
        ExecutionError::RequestTimeout(_)
            | ExecutionError::LastAttemptError(RequestAttemptError::BrokenConnectionError(_))
    )
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Core").field("keyspace", &self.config.keyspace).finish_non_exhaustive()
    }
}

/// Writes that were given up while a node may still have been at work on them.
///
/// A server drops a write that it could not do within its own time limit, so one that was
/// given up is settled after that; until then a barrier waits. (A hint that is delivered
/// later carries the write's old version, and is beaten by whatever came after it.)
#[derive(Debug)]
pub(crate) struct Unsettled {
    began: Instant,
    /// When the last of them will be settled, in nanoseconds since `began`.
    until: AtomicU64,
}

/// A write that was begun. Dropping it without [`settled`](Self::settled) leaves it
/// unsettled.
#[must_use]
pub(crate) struct Begun<'a> {
    unsettled: &'a Unsettled,
    longest: Duration,
}

impl Unsettled {
    fn new() -> Self {
        Self { began: Instant::now(), until: AtomicU64::new(0) }
    }

    fn begin(&self, longest: Duration) -> Begun<'_> {
        Begun { unsettled: self, longest }
    }

    /// Waits until everything that was given up before is settled.
    pub(crate) async fn settle(&self) {
        let until = Duration::from_nanos(self.until.load(Ordering::Acquire));
        let left = until.saturating_sub(self.began.elapsed());
        if !left.is_zero() {
            tokio::time::sleep(left).await;
        }
    }
}

impl Begun<'_> {
    /// The write came to an end that is known.
    fn settled(self) {
        std::mem::forget(self);
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        let until = self.unsettled.began.elapsed().saturating_add(self.longest);
        let until = u64::try_from(until.as_nanos()).unwrap_or(u64::MAX);
        self.unsettled.until.fetch_max(until, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_given_up_is_waited_for() {
        let unsettled = Unsettled::new();
        unsettled.begin(Duration::from_secs(60)).settled();
        assert_eq!(unsettled.until.load(Ordering::Relaxed), 0);
        drop(unsettled.begin(Duration::from_secs(60)));
        assert!(unsettled.until.load(Ordering::Relaxed) >= 60_000_000_000);
    }
}
