//! The keys and values that one store was configured with, and where each came from.

use std::fmt;

use figment::Figment;
use figment::value::{Dict, Value};
use serde::de::DeserializeOwned;

use super::secret::{HIDDEN, is_secret};
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
    /// Settings from a URI: what its path means is the backend's to say. A key with dots,
    /// as in `tls.ca_file`, is one of a table.
    #[must_use]
    pub fn from_uri(uri: &StoreUri, path_values: Dict) -> Self {
        let mut values = path_values;
        for (key, value) in uri.query() {
            // A password of digits is text: as a number it would lose its leading zeros.
            let value = if is_secret(key) { Value::from(value.as_str()) } else { typed(value) };
            insert(&mut values, key, value);
        }
        Self { values, origin: Origin::Uri(uri.clone()) }
    }

    pub(super) fn from_file(figment: Figment, prefix: String, values: Dict) -> Self {
        Self { values, origin: Origin::File { figment: Box::new(figment), prefix } }
    }

    /// The same settings with another value under one key: for a store of the same kind in
    /// another place.
    #[must_use]
    pub fn with(mut self, key: &str, value: &str) -> Self {
        self.values.insert(key.to_owned(), Value::from(value));
        self
    }

    /// The text under a key, where there is one and it is no secret.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<&str> {
        self.values.get(key).filter(|_| !is_secret(key)).and_then(Value::as_str)
    }

    /// The keys that were set.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    /// The keys that were set and their values as they may be shown: what is a secret by
    /// its name is not.
    pub fn shown(&self) -> impl Iterator<Item = (&str, String)> {
        self.values.iter().map(|(key, value)| {
            let text = match value {
                _ if is_secret(key) => HIDDEN.to_owned(),
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
                    serde_json::to_string(&hidden(value)).unwrap_or_default()
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

    /// What a backend says against its configuration as a whole, with where that stands.
    #[must_use]
    pub fn refuse_all(&self, error: &Error) -> Error {
        invalid(format!("{}: {}", self.place(""), error.message()))
    }

    fn refused(&self, error: &figment::Error) -> Error {
        match error.path.first() {
            // The reason quotes the value.
            Some(key) if error.path.iter().any(|part| is_secret(part)) => {
                self.refuse(key, "its value must be a text, in quotes")
            }
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

/// A value without the secrets of the tables in it.
fn hidden(value: &Value) -> Value {
    match value {
        Value::Dict(tag, table) => {
            let shown = table.iter().map(|(key, value)| {
                let value = if is_secret(key) { HIDDEN.into() } else { hidden(value) };
                (key.clone(), value)
            });
            Value::Dict(*tag, shown.collect())
        }
        Value::Array(tag, values) => Value::Array(*tag, values.iter().map(hidden).collect()),
        other => other.clone(),
    }
}

/// Sets the value under a key, in a table for each part before a dot.
fn insert(values: &mut Dict, key: &str, value: Value) {
    let Some((table, rest)) = key.split_once('.') else {
        values.insert(key.to_owned(), value);
        return;
    };
    let entry = values.entry(table.to_owned()).or_insert_with(|| Dict::new().into());
    match entry {
        Value::Dict(_, inner) => insert(inner, rest, value),
        // What stands there is no table: the backend refuses it by its own name.
        other => *other = Dict::from([(rest.to_owned(), value)]).into(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_of_the_wrong_type_is_not_quoted() {
        #[derive(Debug, serde::Deserialize)]
        struct Wanted {
            password: super::super::Secret,
        }
        let uri: StoreUri = "x:y?password=0123".parse().unwrap();
        let wanted: Wanted = Settings::from_uri(&uri, Dict::new()).extract(&["password"]).unwrap();
        assert_eq!(wanted.password.expose(), "0123");
        let number = Dict::from([("password".to_owned(), Value::from(424_242))]);
        let settings = Settings::from_uri(&"x:y".parse().unwrap(), number);
        let error = settings.extract::<Wanted>(&["password"]).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(shown.contains("must be a text") && !shown.contains("424242"), "{shown}");
    }

    #[test]
    fn a_store_of_the_same_kind_in_another_place() {
        let uri: StoreUri = "x:y?password=p&n=3".parse().unwrap();
        let here = Dict::from([("path".to_owned(), Value::from("here"))]);
        let here = Settings::from_uri(&uri, here);
        let there = here.clone().with("path", "there");
        assert_eq!((here.text("path"), there.text("path")), (Some("here"), Some("there")));
        assert_eq!((there.text("password"), there.text("n")), (None, None));
        assert_eq!(there.keys().count(), 3);
    }

    #[test]
    fn a_dotted_key_of_a_uri_is_one_of_a_table() {
        #[derive(serde::Deserialize)]
        struct Wanted {
            tls: Tls,
            n: u8,
        }
        #[derive(serde::Deserialize)]
        struct Tls {
            ca_file: String,
            enabled: bool,
        }
        let uri: StoreUri = "x:y?tls.ca_file=/a.pem&tls.enabled=true&n=3".parse().unwrap();
        let wanted: Wanted = Settings::from_uri(&uri, Dict::new()).extract(&["tls", "n"]).unwrap();
        assert_eq!(
            (wanted.tls.ca_file.as_str(), wanted.tls.enabled, wanted.n),
            ("/a.pem", true, 3)
        );
    }
}
