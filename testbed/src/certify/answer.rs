//! What a server answers, in words that can be compared and shown.

use std::fmt;

use scylla::errors::{DbError, ExecutionError, PrepareError, RequestAttemptError};
use scylla::frame::protocol_features::ProtocolFeatures;
use scylla::response::query_result::QueryResult;
use scylla::value::Row;

/// Rows that are shown; more are counted only.
const SHOWN: usize = 8;
/// Characters of one value that are shown.
const WIDTH: usize = 60;

/// An answer to one request, or what several of them come to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// Done, with the server's warnings.
    Done(Vec<String>),
    /// Rows, each as `name=value, …`.
    Rows(Vec<String>),
    /// An error of the protocol: its code in hexadecimal, four digits, and its text.
    Refused(String, String),
    /// No answer of the server's: the driver's words for it.
    None(String),
    /// What several requests showed together.
    Seen(String),
    /// It cannot be shown on this cluster, for this reason.
    Cannot(String),
}

impl Answer {
    pub(crate) fn of(result: Result<QueryResult, ExecutionError>) -> Self {
        match result {
            Ok(result) => Self::of_result(result),
            Err(ExecutionError::LastAttemptError(e)) => Self::of_attempt(&e),
            Err(ExecutionError::PrepareError(e)) => Self::of_prepare(&e),
            Err(e) => Self::None(e.to_string()),
        }
    }

    pub(crate) fn of_prepare(error: &PrepareError) -> Self {
        match error {
            PrepareError::AllAttemptsFailed { first_attempt } => Self::of_attempt(first_attempt),
            other => Self::None(other.to_string()),
        }
    }

    fn of_attempt(error: &RequestAttemptError) -> Self {
        let RequestAttemptError::DbError(kind, text) = error else {
            return Self::None(error.to_string());
        };
        let code = kind.code(&ProtocolFeatures::default());
        let detail = match kind {
            DbError::RateLimitReached { op_type, rejected_by_coordinator } => {
                return Self::Refused(
                    "rate limit".to_owned(),
                    format!("{text} ({op_type:?}, by coordinator: {rejected_by_coordinator})"),
                );
            }
            DbError::WriteTimeout { write_type, .. } => format!("{text} ({write_type:?})"),
            _ => text.clone(),
        };
        Self::Refused(format!("{code:04X}"), detail)
    }

    fn of_result(result: QueryResult) -> Self {
        if !result.is_rows() {
            return Self::Done(result.warnings().map(str::to_owned).collect());
        }
        let rows = match result.into_rows_result() {
            Ok(rows) => rows,
            Err(e) => return Self::None(e.to_string()),
        };
        let names: Vec<_> = rows.column_specs().iter().map(|s| s.name().to_owned()).collect();
        let read = match rows.rows::<Row>() {
            Ok(read) => read,
            Err(e) => return Self::None(e.to_string()),
        };
        let mut shown = Vec::new();
        for row in read {
            let row = match row {
                Ok(row) => row,
                Err(e) => return Self::None(e.to_string()),
            };
            let columns = names.iter().zip(row.columns).map(|(name, value)| {
                let value = value.map_or_else(|| "null".to_owned(), |value| value.to_string());
                format!("{name}={}", short(&value))
            });
            shown.push(columns.collect::<Vec<_>>().join(", "));
        }
        Self::Rows(shown)
    }

    /// Done, or rows.
    pub(crate) fn ok(&self) -> bool {
        matches!(self, Self::Done(_) | Self::Rows(_))
    }

    /// An error with that code whose text holds `words`.
    pub(crate) fn refused(&self, code: &str, words: &str) -> bool {
        matches!(self, Self::Refused(c, text) if c == code && text.contains(words))
    }

    /// Rows or a finding that hold `words`.
    pub(crate) fn says(&self, words: &str) -> bool {
        match self {
            Self::Rows(rows) => rows.iter().any(|row| row.contains(words)),
            Self::Seen(text) => text.contains(words),
            Self::Done(warnings) => warnings.iter().any(|warning| warning.contains(words)),
            _ => false,
        }
    }

    pub(crate) fn rows(&self) -> Option<usize> {
        match self {
            Self::Rows(rows) => Some(rows.len()),
            _ => None,
        }
    }
}

fn short(text: &str) -> String {
    match text.char_indices().nth(WIDTH) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done(warnings) if warnings.is_empty() => f.write_str("done"),
            Self::Done(warnings) => write!(f, "done, with a warning: {}", warnings.join("; ")),
            Self::Rows(rows) if rows.is_empty() => f.write_str("no rows"),
            Self::Rows(rows) => {
                let shown = rows.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>();
                write!(f, "{}", shown.join(" | "))?;
                match rows.len() {
                    n if n > SHOWN => write!(f, " … {n} rows"),
                    _ => Ok(()),
                }
            }
            Self::Refused(code, text) => write!(f, "{code} {text}"),
            Self::None(text) => write!(f, "no answer: {text}"),
            Self::Seen(text) | Self::Cannot(text) => f.write_str(text),
        }
    }
}
