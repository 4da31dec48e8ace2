//! The errors of this backend; what a failure of the driver or of a server means is judged
//! by one table, in `judge.rs`.

use std::borrow::Cow;
use std::fmt;

use pinstate_core::{Error, ErrorKind, Operation, Outcome};
use scylla::errors::{ExecutionError, NewSessionError, PrepareError};

mod judge;

pub(crate) use judge::Work;
use judge::{Verdict, judge, judge_prepare, judge_session};

/// The backend's name, as errors, capabilities and URIs carry it.
pub const BACKEND: &str = "scylla";

/// An error of this backend.
pub(crate) fn error(
    kind: ErrorKind,
    operation: Operation,
    message: impl Into<Cow<'static, str>>,
) -> Error {
    Error::new(kind, operation, message).with_backend(BACKEND)
}

/// The driver's own words, on one line.
#[derive(Debug)]
struct Told(String);

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Told {}

fn told(source: &impl fmt::Display) -> Told {
    Told(source.to_string().split_whitespace().collect::<Vec<_>>().join(" "))
}

fn ruled(verdict: Verdict, source: &impl fmt::Display, operation: Operation) -> Error {
    error(verdict.kind, operation, verdict.message)
        .with_retry(verdict.retry)
        .with_outcome(verdict.outcome)
        .with_source(told(source))
}

/// The error for a driver's failure.
pub(crate) fn from_execution(source: &ExecutionError, work: Work, operation: Operation) -> Error {
    ruled(judge(source, work), source, operation)
}

/// The error for a statement that could not be prepared.
pub(crate) fn from_prepare(source: &PrepareError, operation: Operation) -> Error {
    ruled(judge_prepare(source), source, operation)
}

/// The error for a session that could not be begun.
pub(crate) fn from_session(source: &NewSessionError) -> Error {
    ruled(judge_session(source), source, Operation::Open)
}

/// The error for an answer that is not what the statement gives.
pub(crate) fn from_rows(source: &impl fmt::Display, operation: Operation) -> Error {
    error(ErrorKind::Corrupt, operation, "the server's answer has another form than expected")
        .with_outcome(Outcome::NotApplied)
        .with_source(told(source))
}

/// The error for work on the cluster that took longer than it may.
pub(crate) fn too_slow(
    operation: Operation,
    what: &'static str,
    limit: std::time::Duration,
    outcome: Outcome,
) -> Error {
    error(ErrorKind::Timeout, operation, what)
        .with_outcome(outcome)
        .with_context("limit ms", limit.as_millis())
}

/// The answer of a closed store.
pub(crate) fn closed(operation: Operation) -> Error {
    error(ErrorKind::Closed, operation, "the store is closed").with_outcome(Outcome::NotApplied)
}

/// The answer for a namespace that is not there.
pub(crate) fn no_namespace(operation: Operation, name: &str) -> Error {
    error(
        ErrorKind::NoNamespace,
        operation,
        format!("there is no namespace '{name}': create it first"),
    )
}
