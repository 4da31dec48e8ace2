//! The table of control records, by lightweight transactions: one partition for each kind
//! of record, so that several of one kind can change in one step.
//!
//! A revision is a random number, so it is never used twice, and whoever wrote one can
//! recognise it: after an answer that leaves open what happened, the record is read back
//! at serial consistency, which first finishes whatever was under way.
//!
//! Transactions on one partition overtake and undo one another until a server gives up
//! after a second, reads at serial consistency included. So a process does one after the
//! other, and a read that was overtaken by other processes is made again a few times: that
//! is how such a read goes, and nothing has failed yet.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use pinstate_core::{Error, ErrorKind, Operation, Outcome, Result, RetryClass};
use scylla::client::session::Session;
use scylla::errors::{DbError, ExecutionError, RequestAttemptError};
use scylla::response::query_result::QueryResult;
use scylla::serialize::row::SerializeRow;
use scylla::statement::batch::{Batch, BatchType};
use scylla::statement::prepared::PreparedStatement;
use scylla::value::{CqlValue, Row};
use uuid::Uuid;

use crate::core::{Core, Counters};
use crate::error::{Work, from_execution, from_rows};
use crate::limit::Place;
use crate::replicas::attempts;
use crate::statements::{ControlStatements, LISTED};

/// The kinds of records.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Space {
    /// What the store is: one record.
    Store,
    /// Which table each namespace is.
    Namespace,
    /// The records of the contract.
    Control,
}

impl Space {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::Namespace => "namespace",
            Self::Control => "control",
        }
    }
}

/// A record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Entry {
    pub(crate) value: Bytes,
    pub(crate) revision: i64,
}

/// A number that no record ever had.
pub(crate) fn new_revision() -> i64 {
    let (random, _) = Uuid::new_v4().as_u64_pair();
    // Never zero, and never negative: the contract's revisions are unsigned.
    (random.cast_signed() & i64::MAX) | 1
}

/// One change of a record.
#[derive(Clone, Debug)]
pub(crate) struct Change<'a> {
    pub(crate) key: &'a str,
    /// The revision that must be there; `None` where there must be no record.
    pub(crate) expected: Option<i64>,
    /// What is to be there; `None` to delete.
    pub(crate) new: Option<Entry>,
}

/// The catalog through one session: also before there is an opened store.
pub(crate) struct Catalog<'a> {
    session: Arc<Session>,
    statements: &'a ControlStatements,
    /// The store, once there is one.
    core: Option<&'a Core>,
    /// The place among the requests under way, and the turn among this process's own.
    _place: Option<(tokio::sync::MutexGuard<'a, ()>, Place<'a>)>,
}

/// How often a read is made that others overtake.
const READS: u32 = 5;

impl Core {
    /// The catalog, when it is this call's turn.
    pub(crate) async fn catalog(&self, operation: Operation) -> Result<Catalog<'_>> {
        let turn = self.catalog_turn.lock().await;
        let session = self.session(operation)?;
        let place = self.limit.enter(operation, 0).await?;
        let core = Some(self);
        Ok(Catalog { session, statements: &self.control, core, _place: Some((turn, place)) })
    }
}

impl<'a> Catalog<'a> {
    /// The catalog without a place of its own.
    pub(crate) fn of(session: Arc<Session>, statements: &'a ControlStatements) -> Self {
        Self { session, statements, core: None, _place: None }
    }
}

impl Catalog<'_> {
    /// Reads a statement's answer; another node is asked if the first is silent.
    async fn read(
        &self,
        statement: &PreparedStatement,
        values: impl SerializeRow + Copy,
        operation: Operation,
    ) -> Result<QueryResult> {
        attempts(async {
            let (mut asked, mut overtaken) = (0, 0);
            let other = self.core.map(|core| core.elsewhere(statement));
            loop {
                let statement = other.as_ref().filter(|_| asked > 0).unwrap_or(statement);
                let error = match self.session.execute_unpaged(statement, values).await {
                    Ok(result) => return Ok(result),
                    Err(error) => error,
                };
                asked += u32::from(matches!(error, ExecutionError::RequestTimeout(_)));
                let again = if was_overtaken(&error) {
                    overtaken += 1;
                    overtaken < READS
                } else {
                    asked == 1 && matches!(error, ExecutionError::RequestTimeout(_))
                };
                if !again {
                    return Err(from_execution(&error, Work::Read, operation));
                }
                if overtaken > 0 {
                    // At different times than whoever else was overtaken.
                    let pause = fastrand::u64(1..=20 << overtaken);
                    tokio::time::sleep(Duration::from_millis(pause)).await;
                }
            }
        })
        .await
    }

    /// The record under a key.
    pub(crate) async fn get(
        &self,
        space: Space,
        key: &str,
        operation: Operation,
    ) -> Result<Option<Entry>> {
        let result = self.read(&self.statements.read, (space.as_str(), key), operation).await?;
        let rows = result.into_rows_result().map_err(|e| from_rows(&e, operation))?;
        let row = rows
            .maybe_first_row::<(Option<Bytes>, Option<i64>)>()
            .map_err(|e| from_rows(&e, operation))?;
        row.map(|(value, revision)| entry(value, revision, operation)).transpose()
    }

    /// The records whose keys begin with a prefix, by key.
    pub(crate) async fn list(
        &self,
        space: Space,
        prefix: &str,
        operation: Operation,
    ) -> Result<Vec<(String, Entry)>> {
        let mut all: Vec<(String, Entry)> = Vec::new();
        let mut from = prefix.to_owned();
        loop {
            let values = (space.as_str(), from.as_str());
            let result = self.read(&self.statements.list, values, operation).await?;
            let rows = result.into_rows_result().map_err(|e| from_rows(&e, operation))?;
            let (mut seen, mut new) = (0, 0);
            for row in rows
                .rows::<(String, Option<Bytes>, Option<i64>)>()
                .map_err(|e| from_rows(&e, operation))?
            {
                let (key, value, revision) = row.map_err(|e| from_rows(&e, operation))?;
                seen += 1;
                if !key.starts_with(prefix) {
                    return Ok(all);
                }
                if all.last().is_none_or(|(last, _)| *last != key) {
                    all.push((key, entry(value, revision, operation)?));
                    new += 1;
                }
            }
            match all.last() {
                // The next answer begins with the last key of this one.
                Some((last, _)) if seen == LISTED && new > 0 => from.clone_from(last),
                _ => return Ok(all),
            }
        }
    }

    /// Makes changes to records of one kind in one step; `false` where one of them did not
    /// find what it expected, and nothing was changed.
    ///
    /// # Errors
    /// With the outcome `NotApplied` only where that is certain.
    pub(crate) async fn change(
        &self,
        space: Space,
        changes: &[Change<'_>],
        operation: Operation,
    ) -> Result<bool> {
        let result = match changes {
            [change] => self.one(space, change).await,
            _ => self.together(space, changes).await,
        };
        let error = match result {
            Ok(result) => return applied(result, operation),
            Err(error) => error,
        };
        let failure = from_execution(&error, Work::Cas, operation);
        if failure.outcome() == Outcome::NotApplied {
            return Err(failure);
        }
        if let Some(core) = self.core {
            Counters::add(&core.counters.ambiguous_control_writes);
        }
        self.settle(space, changes, operation, gave_up(&error), failure).await
    }

    async fn one(
        &self,
        space: Space,
        change: &Change<'_>,
    ) -> std::result::Result<QueryResult, ExecutionError> {
        let (session, st) = (&self.session, self.statements);
        let (space, key) = (space.as_str(), change.key);
        match (change.expected, &change.new) {
            (None, Some(new)) => {
                let values = (space, key, &new.value, new.revision);
                session.execute_unpaged(&st.insert, values).await
            }
            (Some(expected), Some(new)) => {
                let values = (&new.value, new.revision, space, key, expected);
                session.execute_unpaged(&st.update, values).await
            }
            (expected, None) => {
                let values = (space, key, expected.unwrap_or_default());
                session.execute_unpaged(&st.delete, values).await
            }
        }
    }

    /// A batch on one partition: its conditions hold or fail together.
    async fn together(
        &self,
        space: Space,
        changes: &[Change<'_>],
    ) -> std::result::Result<QueryResult, ExecutionError> {
        let st = self.statements;
        let mut batch = Batch::new(BatchType::Unlogged);
        batch.set_consistency(st.insert.get_consistency().unwrap_or_default());
        batch.set_serial_consistency(st.insert.get_serial_consistency());
        batch.set_request_timeout(st.insert.get_request_timeout());
        let text = |text: &str| Some(CqlValue::Text(text.to_owned()));
        let blob = |value: &Bytes| Some(CqlValue::Blob(value.to_vec()));
        let number = |number: i64| Some(CqlValue::BigInt(number));
        let mut values: Vec<Vec<Option<CqlValue>>> = Vec::new();
        for change in changes {
            let (space, key) = (text(space.as_str()), text(change.key));
            match (change.expected, &change.new) {
                (None, Some(new)) => {
                    batch.append_statement(st.insert.clone());
                    values.push(vec![space, key, blob(&new.value), number(new.revision)]);
                }
                (Some(expected), Some(new)) => {
                    batch.append_statement(st.update.clone());
                    let new = (blob(&new.value), number(new.revision));
                    values.push(vec![new.0, new.1, space, key, number(expected)]);
                }
                (expected, None) => {
                    batch.append_statement(st.delete.clone());
                    values.push(vec![space, key, number(expected.unwrap_or_default())]);
                }
            }
        }
        self.session.batch(&batch, values).await
    }

    /// What a change came to whose answer did not say: the records tell.
    async fn settle(
        &self,
        space: Space,
        changes: &[Change<'_>],
        operation: Operation,
        gave_up: bool,
        failure: Error,
    ) -> Result<bool> {
        let mut untouched = true;
        for change in changes {
            let found = match self.get(space, change.key, operation).await {
                Ok(found) => found.map(|entry| entry.revision),
                Err(_) => return Err(failure),
            };
            match &change.new {
                // Nobody else writes this number.
                Some(new) if found == Some(new.revision) => return Ok(true),
                _ => untouched &= found == change.expected,
            }
        }
        // A coordinator that gave up does not begin anew, and reading has finished or
        // overruled what it had begun. One that did not answer may still be at work.
        if untouched && gave_up {
            return Err(failure.with_outcome(Outcome::NotApplied));
        }
        Err(failure)
    }
}

/// Whether a read at serial consistency came to nothing since other transactions got in
/// between: servers tell it as a time-out of a write.
fn was_overtaken(error: &ExecutionError) -> bool {
    matches!(
        error,
        ExecutionError::LastAttemptError(RequestAttemptError::DbError(
            DbError::WriteTimeout { .. } | DbError::ReadTimeout { .. },
            _,
        ))
    )
}

/// Whether the coordinator itself said that it gave up.
fn gave_up(error: &ExecutionError) -> bool {
    matches!(
        error,
        ExecutionError::LastAttemptError(RequestAttemptError::DbError(
            DbError::WriteTimeout { .. }
                | DbError::WriteFailure { .. }
                | DbError::Unavailable { .. },
            _,
        ))
    )
}

fn entry(value: Option<Bytes>, revision: Option<i64>, operation: Operation) -> Result<Entry> {
    match (value, revision) {
        (Some(value), Some(revision)) => Ok(Entry { value, revision }),
        _ => Err(crate::error::error(
            ErrorKind::Corrupt,
            operation,
            "a control record lacks its value or revision: something else wrote to the table",
        )
        .with_retry(RetryClass::Never)
        .with_outcome(Outcome::NotApplied)),
    }
}

/// Whether a lightweight transaction applied. Servers differ in what other columns they
/// give, so it is found by its name.
fn applied(result: QueryResult, operation: Operation) -> Result<bool> {
    let strange = || {
        crate::error::error(
            ErrorKind::Corrupt,
            operation,
            "the answer to a lightweight transaction does not say whether it applied",
        )
        .with_outcome(Outcome::Unknown)
    };
    let unknown = |error: Error| error.with_outcome(Outcome::Unknown);
    let rows = result.into_rows_result().map_err(|e| unknown(from_rows(&e, operation)))?;
    let (index, _) = rows.column_specs().get_by_name("[applied]").ok_or_else(strange)?;
    let row = rows.first_row::<Row>().map_err(|e| unknown(from_rows(&e, operation)))?;
    match row.columns.get(index) {
        Some(Some(CqlValue::Boolean(applied))) => Ok(*applied),
        _ => Err(strange()),
    }
}
