//! The keys and values that one store was configured with, and where each came from.

use std::fmt;

use figment::Figment;
use figment::value::{Dict, Value};
use serde::de::DeserializeOwned;

use super::unknown::hint;
use super::{StoreUri, invalid};
use crate::error::{Error, Result};

/// What a backend's factory is given to open a store.
#[derive(Clone)]
pub struct Settings {
    values: Dict,
    /// Where the values stand: a key's place in the file, or the URI.
    origin: Origin,
}

#[derive(Clone)]
enum Origin {
    Uri(StoreUri),
    File { figment: Box<Figment>, prefix: String },
}

impl Settings {
    /// Settings from a URI: what its path means is the backend's to say.
    #[must_use]
    pub fn from_uri(uri: &StoreUri, path_values: Dict) -> Self {
        let mut values = path_values;
        for (key, value) in uri.query() {
            values.insert(key.clone(), typed(value));
        }
        Self { values, origin: Origin::Uri(uri.clone()) }
    }

    pub(super) fn from_file(figment: Figment, prefix: String, values: Dict) -> Self {
        Self { values, origin: Origin::File { figment: Box::new(figment), prefix } }
    }

    /// The keys that were set.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    /// The keys that were set and their values as they may be shown: what is a secret by
    /// its name is not.
    pub fn shown(&self) -> impl Iterator<Item = (&str, String)> {
        self.values.iter().map(|(key, value)| {
            let secret = ["password", "secret", "token"].iter().any(|word| key.contains(word));
            let text = match value {
                _ if secret => "[hidden]".to_owned(),
                Value::String(_, text) => text.clone(),
                Value::Char(_, c) => c.to_string(),
                Value::Bool(_, truth) => truth.to_string(),
                Value::Num(_, number) => number
                    .to_i128()
                    .map(|n| n.to_string())
                    .or_else(|| number.to_u128().map(|n| n.to_string()))
                    .or_else(|| number.to_f64().map(|n| n.to_string()))
                    .unwrap_or_default(),
                Value::Array(..) | Value::Dict(..) | Value::Empty(..) => {
                    serde_json::to_string(value).unwrap_or_default()
                }
            };
            (key.as_str(), text)
        })
    }

    /// The values as the backend's own configuration type.
    ///
    /// # Errors
    /// `Config` for a key that is not among `known`, naming where it stands and the nearest
    /// known one, and for a value of the wrong kind.
    pub fn extract<T: DeserializeOwned>(&self, known: &[&str]) -> Result<T> {
        if let Some(key) = self.values.keys().find(|key| !known.contains(&key.as_str())) {
            return Err(invalid(format!(
                "unknown key '{}' in {}{}",
                self.full(key),
                self.place(key),
                hint(key, known)
            )));
        }
        Value::from(self.values.clone()).deserialize::<T>().map_err(|error| self.refused(&error))
    }

    /// An error about one key's value.
    #[must_use]
    pub fn refuse(&self, key: &str, reason: impl fmt::Display) -> Error {
        invalid(format!("'{}' in {}: {reason}", self.full(key), self.place(key)))
    }

    fn refused(&self, error: &figment::Error) -> Error {
        match error.path.first() {
            Some(key) => self.refuse(key, &error.kind),
            None => invalid(format!("{}: {}", self.place(""), error.kind)),
        }
    }

    fn full(&self, key: &str) -> String {
        match &self.origin {
            Origin::Uri(_) => key.to_owned(),
            Origin::File { prefix, .. } => format!("{prefix}.{key}"),
        }
    }

    /// Where a key stands, for people.
    #[must_use]
    pub fn place(&self, key: &str) -> String {
        match &self.origin {
            Origin::Uri(uri) => format!("the store URI '{uri}'"),
            Origin::File { figment, prefix } => {
                let path = if key.is_empty() { prefix.clone() } else { format!("{prefix}.{key}") };
                super::file::place(figment, &path)
            }
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("keys", &self.values.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// A URI carries text only: what reads as a number or a truth value is one.
fn typed(text: &str) -> Value {
    if let Ok(number) = text.parse::<i64>() {
        return Value::from(number);
    }
    match text {
        "true" => Value::from(true),
        "false" => Value::from(false),
        _ => Value::from(text),
    }
}
