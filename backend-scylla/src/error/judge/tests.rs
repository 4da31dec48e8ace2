//! A row of the table, a row here.

use std::time::Duration;

use bytes::Bytes;
use pinstate_core::Operation;
use scylla::errors::{OperationType, WriteType};
use scylla::statement::Consistency;

use super::*;
use crate::error::from_execution;

const ALL: [Work; 4] = [Work::Read, Work::Write, Work::Cas, Work::Schema];

fn server(error: DbError, text: &str) -> ExecutionError {
    ExecutionError::LastAttemptError(RequestAttemptError::DbError(error, text.to_owned()))
}

fn row(error: &ExecutionError, work: Work) -> (ErrorKind, RetryClass, Outcome) {
    let Verdict { kind, retry, outcome, .. } = judge(error, work);
    (kind, retry, outcome)
}

fn unavailable() -> DbError {
    DbError::Unavailable { consistency: Consistency::LocalQuorum, required: 2, alive: 1 }
}

fn write_timeout(write_type: WriteType) -> DbError {
    DbError::WriteTimeout {
        consistency: Consistency::LocalQuorum,
        received: 1,
        required: 2,
        write_type,
    }
}

fn write_failure() -> DbError {
    DbError::WriteFailure {
        consistency: Consistency::LocalQuorum,
        received: 1,
        required: 2,
        numfailures: 1,
        write_type: WriteType::Simple,
    }
}

fn rate_limited(rejected_by_coordinator: bool) -> DbError {
    DbError::RateLimitReached { op_type: OperationType::Write, rejected_by_coordinator }
}

#[test]
fn what_servers_answer_to_writes() {
    let invalid = |text| server(DbError::Invalid, text);
    let failed = |text| server(DbError::ServerError, text);
    let exists = DbError::AlreadyExists { keyspace: "k".into(), table: "t".into() };
    for (error, expected) in [
        (server(DbError::SyntaxError, "line 1:0"), (Kind::Internal, Never, NotApplied)),
        (server(exists, ""), (Kind::Conflict, Never, NotApplied)),
        (server(DbError::AuthenticationError, ""), (Kind::PermissionDenied, Never, NotApplied)),
        (server(DbError::Unauthorized, ""), (Kind::PermissionDenied, Never, NotApplied)),
        (server(DbError::ConfigError, "x"), (Kind::Config, Never, NotApplied)),
        (
            server(DbError::ConfigError, "Per-partition rate limit reached for write"),
            (Kind::Overloaded, Throttled, NotApplied),
        ),
        (server(unavailable(), ""), (Kind::Unavailable, Backoff, NotApplied)),
        (server(DbError::Overloaded, ""), (Kind::Overloaded, Throttled, Unknown)),
        (server(DbError::IsBootstrapping, ""), (Kind::Unavailable, Backoff, NotApplied)),
        (server(DbError::TruncateError, ""), (Kind::Unavailable, Backoff, Unknown)),
        (server(write_timeout(WriteType::Simple), ""), (Kind::Timeout, Backoff, Unknown)),
        (server(write_timeout(WriteType::Cas), ""), (Kind::Timeout, Backoff, Unknown)),
        (server(write_failure(), ""), (Kind::Unavailable, Backoff, Unknown)),
        (
            server(DbError::Unprepared { statement_id: Bytes::new() }, ""),
            (Kind::Unavailable, Backoff, NotApplied),
        ),
        (server(DbError::ProtocolError, ""), (Kind::Internal, Never, NotApplied)),
        (server(rate_limited(true), ""), (Kind::Overloaded, Throttled, NotApplied)),
        (server(rate_limited(false), ""), (Kind::Overloaded, Throttled, Unknown)),
        (server(DbError::Other(0x1234), ""), (Kind::Internal, Never, Unknown)),
        (invalid("unconfigured table n_1"), (Kind::NoNamespace, Never, NotApplied)),
        (invalid("table n_1 does not exist"), (Kind::NoNamespace, Never, NotApplied)),
        (invalid("Table 'ks.n_1' doesn't exist"), (Kind::NoNamespace, Never, NotApplied)),
        (invalid("Keyspace ps does not exist"), (Kind::NoStore, Never, NotApplied)),
        (invalid("Role app doesn't exist."), (Kind::PermissionDenied, Never, NotApplied)),
        (invalid("Per-partition rate limit reached"), (Kind::Overloaded, Throttled, NotApplied)),
        (invalid("request size too large (frame size 1;"), (Kind::TooLarge, Never, NotApplied)),
        (invalid("Rejected an oversized mutation (1"), (Kind::TooLarge, Never, NotApplied)),
        (
            invalid("Key length of 65536 is longer than maximum of 65535"),
            (Kind::TooLarge, Never, NotApplied),
        ),
        (invalid("Batch too large"), (Kind::TooLarge, Never, NotApplied)),
        (
            invalid("Cannot use LightWeight Transactions for table k.t: LWT is not yet supported"),
            (Kind::Incompatible, Never, NotApplied),
        ),
        (
            invalid("Cannot provide a timestamp more than 3 days into the future."),
            (Kind::InvalidInput, Never, NotApplied),
        ),
        (failed("Key size too large: 65536 > 65535"), (Kind::TooLarge, Never, NotApplied)),
        (failed("broken promise"), (Kind::Config, Never, Unknown)),
        (failed("raft operation [read_barrier] timed out"), (Kind::Unavailable, Backoff, Unknown)),
        (
            failed("Failed to apply group 0 change due to concurrent modification"),
            (Kind::Unavailable, Backoff, Unknown),
        ),
        (
            failed("Operation timed out for k.t - received only 0"),
            (Kind::Timeout, Backoff, Unknown),
        ),
        (
            failed("clustering key cartesian product size 101 is greater than maximum 100"),
            (Kind::InvalidInput, Never, NotApplied),
        ),
        (
            failed("java.lang.IllegalArgumentException: Unknown CF dbcdecc0"),
            (Kind::Unavailable, Backoff, Unknown),
        ),
        (failed("std::bad_alloc"), (Kind::Internal, Never, Unknown)),
    ] {
        assert_eq!(row(&error, Work::Write), expected, "{error}");
    }
}

#[test]
fn what_the_driver_says_of_writes() {
    let attempt = ExecutionError::LastAttemptError;
    let reprepared = RequestAttemptError::RepreparedIdChanged {
        statement: String::new(),
        expected_id: Vec::new(),
        reprepared_id: Vec::new(),
    };
    let login =
        ConnectionPoolError::Broken { last_connection_error: ConnectionError::ConnectTimeout };
    let prepare = |text: &str| {
        ExecutionError::PrepareError(PrepareError::AllAttemptsFailed {
            first_attempt: RequestAttemptError::DbError(DbError::ServerError, text.to_owned()),
        })
    };
    for (error, expected) in [
        (ExecutionError::EmptyPlan, (Kind::Unavailable, Backoff, NotApplied)),
        (
            ExecutionError::ConnectionPoolError(ConnectionPoolError::Initializing),
            (Kind::Unavailable, Backoff, NotApplied),
        ),
        (ExecutionError::ConnectionPoolError(login), (Kind::Unavailable, Backoff, NotApplied)),
        (ExecutionError::RequestTimeout(Duration::from_secs(1)), (Kind::Timeout, Backoff, Unknown)),
        (
            attempt(RequestAttemptError::UnableToAllocStreamId),
            (Kind::Overloaded, Throttled, NotApplied),
        ),
        (attempt(reprepared), (Kind::Incompatible, Never, NotApplied)),
        (attempt(RequestAttemptError::NonfinishedPagingState), (Kind::Internal, Never, Unknown)),
        (
            attempt(RequestAttemptError::RepreparedIdMissingInBatch),
            (Kind::Internal, Never, Unknown),
        ),
        (prepare("timed out"), (Kind::Timeout, Backoff, NotApplied)),
        (
            ExecutionError::PrepareError(PrepareError::PreparedStatementIdsMismatch),
            (Kind::Internal, Never, NotApplied),
        ),
        (
            ExecutionError::SchemaAgreementError(SchemaAgreementError::Timeout(Duration::ZERO)),
            (Kind::Timeout, Backoff, Unknown),
        ),
        (
            ExecutionError::SchemaAgreementError(SchemaAgreementError::ConnectionPoolError(
                ConnectionPoolError::Initializing,
            )),
            (Kind::Unavailable, Backoff, Unknown),
        ),
    ] {
        assert_eq!(row(&error, Work::Write), expected, "{error}");
    }
}

#[test]
fn a_read_never_applied_and_asks_again_after_a_timeout() {
    let consistency = Consistency::LocalQuorum;
    let timeout =
        DbError::ReadTimeout { consistency, received: 1, required: 2, data_present: true };
    let failure = DbError::ReadFailure {
        consistency,
        received: 1,
        required: 2,
        numfailures: 1,
        data_present: false,
    };
    for (error, kind, retry) in [
        (server(timeout, ""), Kind::Timeout, Backoff),
        (server(failure, ""), Kind::Unavailable, Backoff),
        (server(unavailable(), ""), Kind::Unavailable, Backoff),
        (server(DbError::Overloaded, ""), Kind::Overloaded, Throttled),
        (server(DbError::Other(1), ""), Kind::Internal, Never),
        (ExecutionError::RequestTimeout(Duration::ZERO), Kind::Timeout, Backoff),
    ] {
        assert_eq!(row(&error, Work::Read), (kind, retry, NotApplied), "{error}");
    }
}

#[test]
fn a_transaction_that_is_refused_may_have_happened() {
    let refused = server(unavailable(), "");
    assert_eq!(row(&refused, Work::Cas), (Kind::Unavailable, Backoff, Unknown));
    assert_eq!(row(&refused, Work::Schema), (Kind::Unavailable, Backoff, NotApplied));
}

#[test]
fn what_happened_perhaps_is_never_said_not_to_have() {
    // Whatever comes after the request was sent leaves a write unknown.
    for error in [
        ExecutionError::RequestTimeout(Duration::ZERO),
        server(write_timeout(WriteType::Simple), ""),
        server(write_failure(), ""),
        server(DbError::Overloaded, ""),
        server(DbError::ServerError, "anything"),
        server(DbError::Other(7), ""),
    ] {
        for work in ALL.into_iter().filter(|work| *work != Work::Read) {
            assert_eq!(judge(&error, work).outcome, Unknown, "{error} {work:?}");
        }
    }
}

#[test]
fn errors_are_one_line_and_keep_the_servers_words() {
    let error = server(DbError::ServerError, "first\n   second");
    let shown = from_execution(&error, Work::Write, Operation::Put).to_string();
    assert!(shown.starts_with("put on scylla: internal error: the server failed"), "{shown}");
    assert!(shown.contains("first second") && !shown.contains('\n'), "{shown}");
}
