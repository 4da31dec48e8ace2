//! What went wrong, whether trying again may help, and whether the write happened.

mod operation;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

pub use self::operation::Operation;
use crate::config::Problem;
use crate::pin::Cid;
use crate::record::Key;

/// The result of an operation of the contract.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The text of the error for a pin that is not there. Part of the contract: IPFS-Cluster's
/// REST layer recognises a missing pin by comparing this text.
pub const NOT_FOUND_TEXT: &str = "pin is not part of the pinset";

/// What kind of failure it was: what a caller branches on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// The pin is not in the pinset.
    NotFound,
    /// The namespace does not exist (any more).
    NoNamespace,
    /// The store does not exist, and creating it was not asked for.
    NoStore,
    /// What was to be created exists, or a compare-and-set met another value.
    Conflict,
    /// An argument is not legal.
    InvalidInput,
    /// A key, a value or a batch is over a declared limit.
    TooLarge,
    /// The store cannot do this; see its capabilities.
    Unsupported,
    /// Another process or handle has the store open.
    Locked,
    /// The handle was closed, or poisoned by a failed flush.
    Closed,
    /// The store, or enough of its nodes, cannot be reached now.
    Unavailable,
    /// No answer in time.
    Timeout,
    /// The store asks for less load.
    Overloaded,
    /// Stored bytes are damaged, or a scan ended short.
    Corrupt,
    /// The store refused the caller's role.
    PermissionDenied,
    /// No space is left.
    Full,
    /// The store has a format or schema that this version does not know.
    Incompatible,
    /// The configuration is wrong.
    Config,
    /// The operation was cancelled by its caller.
    Cancelled,
    /// Reading or writing a file or stream failed.
    Io,
    /// A defect in this program or its engine.
    Internal,
}

impl ErrorKind {
    /// The kind's stable name, as reports and metrics carry it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "not found",
            Self::NoNamespace => "no such namespace",
            Self::NoStore => "no such store",
            Self::Conflict => "conflict",
            Self::InvalidInput => "invalid input",
            Self::TooLarge => "too large",
            Self::Unsupported => "unsupported",
            Self::Locked => "locked",
            Self::Closed => "closed",
            Self::Unavailable => "unavailable",
            Self::Timeout => "timed out",
            Self::Overloaded => "overloaded",
            Self::Corrupt => "corrupt",
            Self::PermissionDenied => "permission denied",
            Self::Full => "no space left",
            Self::Incompatible => "incompatible format",
            Self::Config => "configuration",
            Self::Cancelled => "cancelled",
            Self::Io => "input or output failed",
            Self::Internal => "internal error",
        }
    }

    /// The retry class that errors of this kind have unless the backend says otherwise.
    #[must_use]
    pub const fn default_retry(self) -> RetryClass {
        match self {
            Self::Unavailable | Self::Timeout => RetryClass::Backoff,
            Self::Overloaded => RetryClass::Throttled,
            _ => RetryClass::Never,
        }
    }

    /// The outcome that errors of this kind have unless the backend says otherwise: only
    /// refusals before the work began are known not to have applied.
    #[must_use]
    pub const fn default_outcome(self) -> Outcome {
        match self {
            Self::NotFound
            | Self::NoNamespace
            | Self::NoStore
            | Self::Conflict
            | Self::InvalidInput
            | Self::TooLarge
            | Self::Unsupported
            | Self::Locked
            | Self::PermissionDenied
            | Self::Incompatible
            | Self::Config => Outcome::NotApplied,
            _ => Outcome::Unknown,
        }
    }
}

/// Whether trying again may help.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum RetryClass {
    /// The same call will fail again.
    Never,
    /// After a pause it may succeed.
    Backoff,
    /// After a longer pause and with less load it may succeed.
    Throttled,
}

/// Whether the operation that failed may have taken effect.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It certainly did not, and never will.
    NotApplied,
    /// It may have, or may still do so later.
    Unknown,
}

impl Outcome {
    /// The outcome's stable name, as reports, logs and metrics carry it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotApplied => "not-applied",
            Self::Unknown => "unknown",
        }
    }
}

type Source = Arc<dyn std::error::Error + Send + Sync + 'static>;

/// A failure, with all that is needed to act on it.
///
/// `Display` is one line: operation, backend, kind, message, context, causes. `Debug` is
/// one fact a line. A missing pin displays as [`NOT_FOUND_TEXT`] and nothing else.
#[derive(Clone)]
pub struct Error(Box<Facts>);

#[derive(Clone)]
struct Facts {
    kind: ErrorKind,
    retry: RetryClass,
    outcome: Outcome,
    operation: Operation,
    backend: Option<Cow<'static, str>>,
    key: Option<Key>,
    message: Cow<'static, str>,
    context: Vec<(&'static str, String)>,
    source: Option<Source>,
    problem: Option<Box<Problem>>,
}

impl Error {
    /// An error with the retry class and outcome usual for its kind.
    pub fn new(
        kind: ErrorKind,
        operation: Operation,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self(Box::new(Facts {
            kind,
            retry: kind.default_retry(),
            outcome: kind.default_outcome(),
            operation,
            backend: None,
            key: None,
            message: message.into(),
            context: Vec::new(),
            source: None,
            problem: None,
        }))
    }

    /// The error for a pin that is not there.
    #[must_use]
    pub fn not_found(operation: Operation, key: Key) -> Self {
        Self::new(ErrorKind::NotFound, operation, NOT_FOUND_TEXT).with_key(key)
    }

    /// The error for what a backend cannot do.
    #[must_use]
    pub fn unsupported(operation: Operation, what: &'static str) -> Self {
        Self::new(ErrorKind::Unsupported, operation, what)
    }

    /// Names the backend.
    #[must_use]
    pub fn with_backend(mut self, backend: impl Into<Cow<'static, str>>) -> Self {
        self.0.backend = Some(backend.into());
        self
    }

    /// Names the key.
    #[must_use]
    pub fn with_key(mut self, key: Key) -> Self {
        self.0.key = Some(key);
        self
    }

    /// Adds a fact, such as a path or a limit. Never a secret.
    #[must_use]
    pub fn with_context(mut self, name: &'static str, value: impl fmt::Display) -> Self {
        self.0.context.push((name, value.to_string()));
        self
    }

    /// Sets the retry class.
    #[must_use]
    pub fn with_retry(mut self, retry: RetryClass) -> Self {
        self.0.retry = retry;
        self
    }

    /// Sets the outcome.
    #[must_use]
    pub fn with_outcome(mut self, outcome: Outcome) -> Self {
        self.0.outcome = outcome;
        self
    }

    /// Sets the operation, where an inner one stands for an outer one.
    #[must_use]
    pub fn with_operation(mut self, operation: Operation) -> Self {
        self.0.operation = operation;
        self
    }

    /// Keeps the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.0.source = Some(Arc::new(source));
        self
    }

    /// Says which key of the configuration is meant, and where it stands.
    #[must_use]
    pub(crate) fn with_problem(mut self, problem: Problem) -> Self {
        self.0.problem = Some(Box::new(problem));
        self
    }

    /// Which key of the configuration is wrong and where it stands, where that is what failed.
    #[must_use]
    pub fn problem(&self) -> Option<&Problem> {
        self.0.problem.as_deref()
    }

    /// What kind of failure.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether trying again may help.
    #[must_use]
    pub fn retry_class(&self) -> RetryClass {
        self.0.retry
    }

    /// Whether the operation may have taken effect.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.0.outcome
    }

    /// The operation that failed.
    #[must_use]
    pub fn operation(&self) -> Operation {
        self.0.operation
    }

    /// The backend, where one was at work.
    #[must_use]
    pub fn backend(&self) -> Option<&str> {
        self.0.backend.as_deref()
    }

    /// The key, where one record was concerned.
    #[must_use]
    pub fn key(&self) -> Option<&Key> {
        self.0.key.as_ref()
    }

    /// The message alone, without the facts around it.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The facts that were added.
    pub fn context(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.context.iter().map(|(name, value)| (*name, value.as_str()))
    }

    /// The line of `Display` for logs that many may read: of the error's key, and of the one
    /// that the caller knows of, only the end is in it, whoever named them.
    #[must_use]
    pub fn brief(&self, known: Option<&Key>) -> String {
        let mut text = self.to_string();
        for key in [self.key(), known].into_iter().flatten() {
            let short = key.short();
            let cid = Cid::from_bytes(key.as_bytes()).map(|cid| cid.to_string());
            for whole in [Some(key.to_string()), cid.ok()].into_iter().flatten() {
                // What is as short as that would be found within words.
                if whole.len() >= 4 {
                    text = text.replace(&whole, &short);
                }
            }
        }
        text
    }

    /// Whether the call may be made again as it is: the class allows it, and either a
    /// second application does no harm or the first certainly did not happen.
    #[must_use]
    pub fn may_retry(&self, idempotent: bool) -> bool {
        self.0.retry != RetryClass::Never && (idempotent || self.0.outcome == Outcome::NotApplied)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let facts = &self.0;
        if facts.kind == ErrorKind::NotFound {
            return f.write_str(&facts.message);
        }
        write!(f, "{}", facts.operation)?;
        if let Some(backend) = &facts.backend {
            write!(f, " on {backend}")?;
        }
        write!(f, ": {}: {}", facts.kind.as_str(), facts.message)?;
        let mut open = false;
        let mut fact = |f: &mut fmt::Formatter<'_>, name: &str, value: &dyn fmt::Display| {
            let before = if std::mem::replace(&mut open, true) { ", " } else { " (" };
            write!(f, "{before}{name} {value}")
        };
        if let Some(key) = &facts.key {
            fact(f, "key", key)?;
        }
        for (name, value) in &facts.context {
            fact(f, name, value)?;
        }
        if open {
            f.write_str(")")?;
        }
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let facts = &self.0;
        write!(f, "{}: {}", facts.kind.as_str(), facts.message)?;
        write!(f, "\n  operation: {}", facts.operation)?;
        if let Some(backend) = &facts.backend {
            write!(f, "\n  backend: {backend}")?;
        }
        if let Some(key) = &facts.key {
            write!(f, "\n  key: {key}")?;
        }
        write!(f, "\n  retry: {:?}\n  outcome: {:?}", facts.retry, facts.outcome)?;
        for (name, value) in &facts.context {
            write!(f, "\n  {name}: {value}")?;
        }
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            write!(f, "\n  caused by: {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|source| &**source as &(dyn std::error::Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Error {
        Error::new(ErrorKind::Full, Operation::Put, "the write-ahead log could not grow")
            .with_backend("sled")
            .with_key(Key::copy_from(&[1, 0x55]))
            .with_context("path", "/data/db")
            .with_source(std::io::Error::other("disk quota exceeded"))
    }

    #[test]
    fn display_is_one_line() {
        assert_eq!(
            sample().to_string(),
            "put on sled: no space left: the write-ahead log could not grow (key 0155, path /data/db): disk quota exceeded"
        );
    }

    #[test]
    fn debug_is_one_fact_a_line() {
        assert_eq!(
            format!("{:?}", sample()),
            "no space left: the write-ahead log could not grow\n  operation: put\n  backend: sled\n  key: 0155\n  \
             retry: Never\n  outcome: Unknown\n  path: /data/db\n  caused by: disk quota exceeded"
        );
    }

    #[test]
    fn a_missing_pin_displays_as_ipfs_cluster_says_it() {
        let error = Error::not_found(Operation::Get, Key::copy_from(b"k")).with_backend("memory");
        assert_eq!(error.to_string(), "pin is not part of the pinset");
    }

    #[test]
    fn a_brief_error_has_the_end_of_a_key_in_whatever_form_it_was_named() {
        let cid: Cid =
            "bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e".parse().unwrap();
        let key = Key::copy_from(cid.as_bytes());
        let named = format!("{cid} of the batch is over the limit");
        let error = Error::new(ErrorKind::TooLarge, Operation::Put, named)
            .with_context("first", &key)
            .with_source(std::io::Error::other(format!("the engine refused {key}")));
        let whole = |text: &str| text.contains(&key.to_string()) || text.contains(&cid.to_string());
        assert!(whole(&error.to_string()));
        for brief in [error.brief(Some(&key)), error.clone().with_key(key.clone()).brief(None)] {
            assert!(!whole(&brief), "{brief}");
            assert!(
                brief.starts_with("put: too large: …") && brief.contains(&key.short()),
                "{brief}"
            );
        }
        assert_eq!(error.brief(None), error.to_string());
        assert!(sample().brief(None).contains("(key …55 (2 bytes), path /data/db)"));
    }

    #[test]
    fn only_known_refusals_are_not_applied() {
        for kind in [
            ErrorKind::Timeout,
            ErrorKind::Unavailable,
            ErrorKind::Internal,
            ErrorKind::Full,
            ErrorKind::Io,
        ] {
            assert_eq!(kind.default_outcome(), Outcome::Unknown, "{kind:?}");
        }
        let timeout = Error::new(ErrorKind::Timeout, Operation::Put, "no answer");
        assert!(timeout.may_retry(true) && !timeout.may_retry(false));
        assert!(timeout.clone().with_outcome(Outcome::NotApplied).may_retry(false));
        assert!(!Error::new(ErrorKind::TooLarge, Operation::Put, "x").may_retry(true));
    }
}
