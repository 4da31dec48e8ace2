//! What is wrong with a configuration, so that people and programs find it.

use std::fmt;

use serde::Serialize;

use super::describe::near;
use super::unknown::hint;
use super::{Place, invalid};
use crate::error::Error;

/// One thing that is wrong. Its text never has a secret in it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[non_exhaustive]
pub struct Problem {
    /// Where.
    #[serde(flatten)]
    pub place: Place,
    /// The key by its path through the tables: `stores.main.path`. None where the file is
    /// wrong as a whole.
    pub key: Option<String>,
    /// What is wrong.
    pub reason: String,
    /// The known key that was most likely meant, where the key is unknown.
    pub nearest: Option<String>,
}

impl Problem {
    pub(super) fn new(place: Place, key: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { place, key: Some(key.into()), reason: reason.into(), nearest: None }
    }

    pub(super) fn of_all(place: Place, reason: impl Into<String>) -> Self {
        Self { place, key: None, reason: reason.into(), nearest: None }
    }

    pub(super) fn unknown(place: Place, key: &str, known: &[&str]) -> Self {
        let name = key.rsplit('.').next().unwrap_or(key);
        let reason = format!("unknown key{}", hint(name, known));
        Self { nearest: near(key, known), ..Self::new(place, key, reason) }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        // Where the reason begins with the key, it is not named twice.
        let named = self.reason.split('\'').nth(1).filter(|_| self.reason.starts_with('\''));
        match &self.key {
            Some(key) if named.is_none_or(|named| !key.ends_with(named)) => {
                write!(f, "'{key}': {}", self.reason)
            }
            _ => f.write_str(&self.reason),
        }
    }
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        invalid(problem.to_string()).with_problem(problem)
    }
}
