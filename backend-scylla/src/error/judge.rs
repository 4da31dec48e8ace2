//! What failures of the driver and of servers mean to a caller: kind, whether to try
//! again, and whether it happened.
//!
//! One table, [`judge`], with a test for each row. What it does not know is "outcome
//! unknown, do not repeat". Sources: the protocol's error codes, and what ScyllaDB 6.2.3
//! and Cassandra 5.0.6 were seen to answer, where one code stands for permanent refusals
//! and for time-outs of other nodes alike and only the text tells them apart.

use pinstate_core::{ErrorKind, Outcome, RetryClass};
use scylla::errors::{
    BrokenConnectionError, BrokenConnectionErrorKind, ConnectionError, ConnectionPoolError,
    ConnectionSetupRequestErrorKind, DbError, ExecutionError, FrameHeaderParseError, MetadataError,
    NewSessionError, PrepareError, RequestAttemptError, SchemaAgreementError,
};

/// What kind of work failed: the same answer means another thing for each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Work {
    /// Reading, which changes nothing whatever comes of it.
    Read,
    /// Writing with a fixed version.
    Write,
    /// A lightweight transaction.
    Cas,
    /// A change of the schema.
    Schema,
}

/// What a failure means.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Verdict {
    pub(crate) kind: ErrorKind,
    pub(crate) retry: RetryClass,
    pub(crate) outcome: Outcome,
    pub(crate) message: &'static str,
}

use ErrorKind as Kind;
use Outcome::{NotApplied, Unknown};
use RetryClass::{Backoff, Never, Throttled};

const fn verdict(
    kind: ErrorKind,
    retry: RetryClass,
    outcome: Outcome,
    message: &'static str,
) -> Verdict {
    Verdict { kind, retry, outcome, message }
}

/// What the driver's failure of a piece of work means.
pub(super) fn judge(error: &ExecutionError, work: Work) -> Verdict {
    let verdict = match error {
        ExecutionError::EmptyPlan => {
            verdict(Kind::Unavailable, Backoff, NotApplied, "no node is within reach")
        }
        ExecutionError::ConnectionPoolError(error) => judge_pool(error),
        ExecutionError::BadQuery(_) => {
            verdict(Kind::Internal, Never, NotApplied, "the driver refused the statement's values")
        }
        ExecutionError::PrepareError(error) => judge_prepare(error),
        ExecutionError::RequestTimeout(_) => {
            verdict(Kind::Timeout, Backoff, Unknown, "no answer from the cluster in time")
        }
        ExecutionError::LastAttemptError(error) => judge_attempt(error, work),
        ExecutionError::SchemaAgreementError(error) => judge_agreement(error),
        ExecutionError::MetadataError(_) => verdict(
            Kind::Unavailable,
            Backoff,
            Unknown,
            "the cluster's nodes and tables could not be read",
        ),
        _ => unknown(),
    };
    // A read that failed has changed nothing, and never will.
    if work == Work::Read { Verdict { outcome: NotApplied, ..verdict } } else { verdict }
}

const fn unknown() -> Verdict {
    verdict(Kind::Internal, Never, Unknown, "the driver failed in a way that is not known here")
}

fn judge_pool(error: &ConnectionPoolError) -> Verdict {
    match error {
        ConnectionPoolError::Broken { last_connection_error } => {
            judge_connection(last_connection_error).unwrap_or(verdict(
                Kind::Unavailable,
                Backoff,
                NotApplied,
                "there is no connection to any node that could answer",
            ))
        }
        _ => verdict(
            Kind::Unavailable,
            Backoff,
            NotApplied,
            "there is no connection to any node that could answer",
        ),
    }
}

/// What a connection that could not be made says beyond "not reachable".
fn judge_connection(error: &ConnectionError) -> Option<Verdict> {
    if let ConnectionError::ConnectionSetupRequestError(setup) = error {
        return match &setup.error {
            ConnectionSetupRequestErrorKind::MissingAuthentication => Some(verdict(
                Kind::PermissionDenied,
                Never,
                NotApplied,
                "the cluster wants a login: set 'username' and 'password' or 'password_file'",
            )),
            ConnectionSetupRequestErrorKind::StartAuthSessionError(_) => Some(verdict(
                Kind::PermissionDenied,
                Never,
                NotApplied,
                "the login could not be begun",
            )),
            ConnectionSetupRequestErrorKind::DbError(DbError::AuthenticationError, _) => {
                Some(LOGIN_REFUSED)
            }
            ConnectionSetupRequestErrorKind::BrokenConnection(broken) => {
                Some(if is_tls(broken) { TLS_REFUSED } else { BROKEN_OFF })
            }
            _ => None,
        };
    }
    is_tls(error).then_some(TLS_REFUSED)
}

/// Whether a failure comes from TLS: it is somewhere below what the driver makes of it.
fn is_tls(error: &(dyn std::error::Error + 'static)) -> bool {
    let within =
        |io: &std::io::Error| io.get_ref().is_some_and(|inner| inner.is::<rustls::Error>());
    if let Some(ConnectionError::IoError(io)) = error.downcast_ref() {
        return within(io);
    }
    let Some(broken) = error.downcast_ref::<BrokenConnectionError>() else { return false };
    match broken.downcast_ref::<BrokenConnectionErrorKind>() {
        Some(BrokenConnectionErrorKind::WriteError(io)) => within(io),
        Some(BrokenConnectionErrorKind::FrameHeaderParseError(
            FrameHeaderParseError::HeaderIoError(io),
        )) => within(io),
        _ => false,
    }
}

const TLS_REFUSED: Verdict = verdict(
    Kind::Unavailable,
    Never,
    NotApplied,
    "TLS could not be set up with a node: see 'tls' in the configuration",
);

const BROKEN_OFF: Verdict = verdict(
    Kind::Unavailable,
    Backoff,
    NotApplied,
    "a node broke the connection off before the login: does it want TLS ('tls.enabled') or a \
     client's certificate ('tls.cert_file')?",
);

const LOGIN_REFUSED: Verdict = verdict(
    Kind::PermissionDenied,
    Never,
    NotApplied,
    "the cluster refused the login: see 'username' and 'password'",
);

pub(super) fn judge_prepare(error: &PrepareError) -> Verdict {
    match error {
        PrepareError::ConnectionPoolError(error) => judge_pool(error),
        // Nothing runs before it is prepared.
        PrepareError::AllAttemptsFailed { first_attempt } => {
            Verdict { outcome: NotApplied, ..judge_attempt(first_attempt, Work::Read) }
        }
        _ => verdict(
            Kind::Internal,
            Never,
            NotApplied,
            "nodes prepared one statement in different ways",
        ),
    }
}

fn judge_agreement(error: &SchemaAgreementError) -> Verdict {
    match error {
        SchemaAgreementError::Timeout(_) => verdict(
            Kind::Timeout,
            Backoff,
            Unknown,
            "the nodes did not agree on the schema in time: is one down or silent?",
        ),
        _ => verdict(
            Kind::Unavailable,
            Backoff,
            Unknown,
            "the nodes could not be asked whether they agree on the schema",
        ),
    }
}

fn judge_attempt(error: &RequestAttemptError, work: Work) -> Verdict {
    match error {
        RequestAttemptError::SerializationError(_)
        | RequestAttemptError::CqlRequestSerialization(_) => {
            verdict(Kind::Internal, Never, NotApplied, "the request could not be written out")
        }
        RequestAttemptError::UnableToAllocStreamId => verdict(
            Kind::Overloaded,
            Throttled,
            NotApplied,
            "the connection has as many requests under way as it can",
        ),
        RequestAttemptError::BrokenConnectionError(_) => verdict(
            Kind::Unavailable,
            Backoff,
            Unknown,
            "the connection broke while the request was under way",
        ),
        RequestAttemptError::DbError(error, text) => judge_server(error, text, work),
        RequestAttemptError::RepreparedIdChanged { .. } => verdict(
            Kind::Incompatible,
            Never,
            NotApplied,
            "the table was changed since it was opened: open it again",
        ),
        RequestAttemptError::BodyExtensionsParseError(_)
        | RequestAttemptError::CqlResultParseError(_)
        | RequestAttemptError::CqlErrorParseError(_)
        | RequestAttemptError::UnexpectedResponse(_) => {
            verdict(Kind::Internal, Never, Unknown, "the server's answer could not be read")
        }
        _ => unknown(),
    }
}

/// What a server's error means.
pub(super) fn judge_server(error: &DbError, text: &str, work: Work) -> Verdict {
    // A refusal of a lightweight transaction may come from its last round, after the others.
    let refused = if work == Work::Cas { Unknown } else { NotApplied };
    match error {
        DbError::SyntaxError => {
            verdict(Kind::Internal, Never, NotApplied, "the server cannot read the statement")
        }
        DbError::Invalid => judge_invalid(text),
        DbError::AlreadyExists { .. } => {
            verdict(Kind::Conflict, Never, NotApplied, "it exists already")
        }
        DbError::AuthenticationError => LOGIN_REFUSED,
        DbError::Unauthorized => verdict(
            Kind::PermissionDenied,
            Never,
            NotApplied,
            "the role lacks a grant: it needs SELECT and MODIFY on both keyspaces, and CREATE, \
             ALTER and DROP to make and remove namespaces",
        ),
        DbError::ConfigError if is_rate_limit(text) => rate_limit(NotApplied),
        DbError::ConfigError => {
            verdict(Kind::Config, Never, NotApplied, "the server refused an option")
        }
        DbError::Unavailable { .. } => verdict(
            Kind::Unavailable,
            Backoff,
            refused,
            "too few replicas are alive for the consistency asked for",
        ),
        DbError::Overloaded => {
            verdict(Kind::Overloaded, Throttled, Unknown, "the node asks for less load")
        }
        DbError::IsBootstrapping => {
            verdict(Kind::Unavailable, Backoff, NotApplied, "the node is still starting")
        }
        DbError::TruncateError => {
            verdict(Kind::Unavailable, Backoff, Unknown, "the table could not be emptied")
        }
        DbError::ReadTimeout { .. } => {
            verdict(Kind::Timeout, Backoff, Unknown, "too few replicas answered the read in time")
        }
        DbError::WriteTimeout { .. } => verdict(
            Kind::Timeout,
            Backoff,
            Unknown,
            "too few replicas acknowledged the write in time",
        ),
        DbError::ReadFailure { .. } => {
            verdict(Kind::Unavailable, Backoff, Unknown, "replicas failed at the read")
        }
        DbError::WriteFailure { .. } => {
            verdict(Kind::Unavailable, Backoff, Unknown, "replicas failed at the write")
        }
        DbError::Unprepared { .. } => verdict(
            Kind::Unavailable,
            Backoff,
            NotApplied,
            "the node does not know the prepared statement",
        ),
        DbError::ServerError => judge_server_error(text),
        DbError::ProtocolError => {
            verdict(Kind::Internal, Never, NotApplied, "the server cannot read the request")
        }
        DbError::RateLimitReached { rejected_by_coordinator, .. } => {
            // A replica that refuses says nothing of the other replicas.
            rate_limit(if *rejected_by_coordinator { NotApplied } else { Unknown })
        }
        _ => verdict(
            Kind::Internal,
            Never,
            Unknown,
            "the server answered with an error that is not known here",
        ),
    }
}

const fn rate_limit(outcome: Outcome) -> Verdict {
    verdict(Kind::Overloaded, Throttled, outcome, "the record's rate limit is reached")
}

fn is_rate_limit(text: &str) -> bool {
    text.contains("rate limit")
}

fn has_any(text: &str, parts: &[&str]) -> bool {
    parts.iter().any(|part| text.contains(part))
}

/// Refusals by their text: all of them come before anything is done.
fn judge_invalid(text: &str) -> Verdict {
    let lower = text.to_lowercase();
    if is_missing_table(&lower) {
        return verdict(Kind::NoNamespace, Never, NotApplied, "the namespace's table is gone");
    }
    if lower.contains("keyspace") && has_any(&lower, &["does not exist", "doesn't exist"]) {
        return verdict(Kind::NoStore, Never, NotApplied, "the keyspace is gone");
    }
    if lower.contains("role") && has_any(&lower, &["does not exist", "doesn't exist"]) {
        return verdict(Kind::PermissionDenied, Never, NotApplied, "the role is gone");
    }
    if is_rate_limit(text) {
        return rate_limit(NotApplied);
    }
    if has_any(
        &lower,
        &["too large", "oversized mutation", "key length of", "batch too large", "too big"],
    ) {
        return verdict(Kind::TooLarge, Never, NotApplied, "it is larger than the server takes");
    }
    if lower.contains("lightweight transaction") {
        return verdict(
            Kind::Incompatible,
            Never,
            NotApplied,
            "the server takes no lightweight transactions there: the keyspace of control records \
             must have no tablets",
        );
    }
    verdict(Kind::InvalidInput, Never, NotApplied, "the server refused the request")
}

/// Whether a server's text, in lower case, says that a table is not there.
fn is_missing_table(lower: &str) -> bool {
    lower.contains("unconfigured table")
        || (lower.contains("table") && has_any(lower, &["does not exist", "doesn't exist"]))
}

/// A `ServerError` is a permanent refusal, a time-out of another node or a defect: the
/// text tells.
fn judge_server_error(text: &str) -> Verdict {
    let lower = text.to_lowercase();
    if has_any(&lower, &["key size too large", "too large"]) {
        return verdict(Kind::TooLarge, Never, NotApplied, "it is larger than the server takes");
    }
    if lower.contains("broken promise") {
        // ScyllaDB, asked for a local consistency where the keyspace has no replica: the
        // write is applied in other datacenters.
        return verdict(
            Kind::Config,
            Never,
            Unknown,
            "the coordinator's datacenter has no replica of the keyspace: see 'local_dc'",
        );
    }
    if lower.contains("raft") || lower.contains("concurrent modification") {
        return verdict(
            Kind::Unavailable,
            Backoff,
            Unknown,
            "the nodes could not settle a change of the schema",
        );
    }
    if lower.contains("unknown cf") {
        // Cassandra, within the moment after a table was made.
        return verdict(
            Kind::Unavailable,
            Backoff,
            Unknown,
            "the node has not yet taken in a change of the schema",
        );
    }
    if has_any(&lower, &["timed out", "timeout"]) {
        return verdict(Kind::Timeout, Backoff, Unknown, "other nodes did not answer in time");
    }
    if lower.contains("in-list") || lower.contains("in list") || lower.contains("cartesian") {
        return verdict(Kind::InvalidInput, Never, NotApplied, "the server refused the request");
    }
    verdict(Kind::Internal, Never, Unknown, "the server failed")
}

/// What it means that a session could not be begun.
pub(super) fn judge_session(error: &NewSessionError) -> Verdict {
    match error {
        NewSessionError::FailedToResolveAnyHostname(_) => verdict(
            Kind::Unavailable,
            Backoff,
            NotApplied,
            "none of 'hosts' has an address: check the names",
        ),
        NewSessionError::MetadataError(MetadataError::ConnectionPoolError(error)) => {
            judge_pool(error)
        }
        NewSessionError::MetadataError(_) => verdict(
            Kind::Unavailable,
            Backoff,
            NotApplied,
            "the cluster's nodes and tables could not be read",
        ),
        _ => verdict(Kind::Config, Never, NotApplied, "the driver refused the configuration"),
    }
}

#[cfg(test)]
mod tests;
