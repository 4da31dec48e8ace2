//! The keys and values that one store was configured with, and where each came from.

use std::fmt;

use figment::error::Kind;
use figment::value::{Dict, Value};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use super::describe::{find, remove};
use super::file::Sources;
use super::secret::{HIDDEN, is_secret};
use super::{BackendFactory, Description, KeyDoc, Place, Problem, StoreUri, nearest};
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
    File { sources: Sources, prefix: String },
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

    pub(super) fn from_file(sources: Sources, prefix: String, values: Dict) -> Self {
        Self { values, origin: Origin::File { sources, prefix } }
    }

    /// The same settings with another value under one key: for a store of the same kind in
    /// another place.
    #[must_use]
    pub fn with(mut self, key: &str, value: &str) -> Self {
        self.values.insert(key.to_owned(), Value::from(value));
        self
    }

    /// The same settings without one key.
    #[must_use]
    pub fn without(mut self, key: &str) -> Self {
        self.values.remove(key);
        self
    }

    /// The text under a key, where there is one and it is no secret.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<&str> {
        self.values.get(key).filter(|_| !is_secret(key)).and_then(Value::as_str)
    }

    /// Whether a value is set under a path of keys through tables, and is no table itself.
    #[must_use]
    pub fn is_value(&self, path: &str) -> bool {
        find(&self.values, path).is_some_and(|value| value.as_dict().is_none())
    }

    /// The keys that were set.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    /// The keys that were set and their values as they may be shown.
    pub fn shown(&self) -> impl Iterator<Item = (&str, String)> {
        self.keys().filter_map(|key| Some((key, self.shown_value(key)?)))
    }

    /// The value under a key, or under a path of keys through tables, as it may be shown: what
    /// is a secret by its name is not. None where it is not set.
    #[must_use]
    pub fn shown_value(&self, path: &str) -> Option<String> {
        let value = find(&self.values, path)?;
        Some(match value {
            _ if path.split('.').any(is_secret) => HIDDEN.to_owned(),
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
        })
    }

    /// The values as the backend's own configuration type, whose keys are the known ones.
    ///
    /// # Errors
    /// `Config` for a key that is not known, naming where it stands and the nearest known one,
    /// and for a value of the wrong kind.
    pub fn extract<T: DeserializeOwned + JsonSchema>(&self) -> Result<T> {
        let description = Description::of::<T>();
        if let Some(problem) = self.unknown(&description).into_iter().next() {
            return Err(problem.into());
        }
        let values = Value::from(self.values.clone());
        values.deserialize::<T>().map_err(|error| self.refused(&error, &description).into())
    }

    /// An error about one key's value.
    #[must_use]
    pub fn refuse(&self, key: &str, reason: impl fmt::Display) -> Error {
        Problem::new(self.place(key), self.full(key), reason.to_string()).into()
    }

    /// What a backend says against its configuration as a whole, with where that stands: a text
    /// that has a key in quotes is about that key.
    #[must_use]
    pub fn refuse_all(&self, error: &Error) -> Error {
        self.problem(error).into()
    }

    /// Everything that is wrong, as far as it can be told: what follows from a key that is wrong
    /// already is left out.
    pub(super) fn problems(&self, factory: &dyn BackendFactory) -> Vec<Problem> {
        let mut left = self.clone();
        let description = factory.description();
        // Keys whose value is not the configured one any more.
        let mut changed: Vec<String> = Vec::new();
        let mut found = self.unknown(&description);
        for problem in &found {
            let key = self.local(problem.key.as_deref().unwrap_or_default());
            let Some(value) = find(&left.values, key).cloned() else { continue };
            remove(&mut left.values, key);
            // What was misspelt is meant: it is not missing as well.
            if let Some(meant) = &problem.nearest {
                let meant =
                    key.rsplit_once('.').map_or(meant.clone(), |(t, _)| format!("{t}.{meant}"));
                if find(&left.values, &meant).is_none() {
                    insert(&mut left.values, &meant, value);
                    changed.push(meant);
                }
            }
        }
        while let Err(error) = factory.check(&left) {
            let problem = left.problem(&error);
            let key = problem.key.as_deref().map(|key| self.local(key).to_owned());
            let follows = |changed: &String| {
                key.as_ref() == Some(changed) || problem.reason.contains(&format!("'{changed}'"))
            };
            if !changed.iter().any(follows) {
                found.push(problem);
            }
            // Without it the next one is seen, and where it has to be there, with its example in
            // its place.
            let Some(key) = key else { break };
            let taken = remove(&mut left.values, &key);
            let given = description.example(&key).filter(|_| !changed.contains(&key));
            if !taken && given.is_none() {
                break;
            }
            if let Some(example) = given {
                left.values.insert(key.clone(), example);
            }
            changed.push(key);
        }
        found
    }

    fn unknown(&self, description: &Description) -> Vec<Problem> {
        let unknown = description.unknown(&self.values).into_iter();
        unknown
            .map(|(key, known)| Problem::unknown(self.place(&key), &self.full(&key), &known))
            .collect()
    }

    /// What an error says, and of which key.
    fn problem(&self, error: &Error) -> Problem {
        if let Some(problem) = error.problem() {
            return problem.clone();
        }
        let message = error.message();
        let mut quoted = message.split('\'').skip(1).step_by(2);
        let first = quoted.next().filter(|_| message.starts_with('\''));
        let set = |key: &&str| find(&self.values, key).is_some();
        match first.or_else(|| quoted.find(set)) {
            Some(key) => Problem::new(self.place(key), self.full(key), message),
            None => Problem::of_all(self.place(""), message),
        }
    }

    fn refused(&self, error: &figment::Error, description: &Description) -> Problem {
        let path = error.path.join(".");
        let inner = |name: &str| match path.as_str() {
            "" => name.to_owned(),
            table => format!("{table}.{name}"),
        };
        match &error.kind {
            Kind::UnknownField(name, known) => {
                let key = inner(name);
                Problem::unknown(self.place(&key), &self.full(&key), known)
            }
            Kind::MissingField(name) => {
                let key = inner(name);
                let reason = format!("'{key}' is missing");
                Problem::new(self.place(&key), self.full(&key), reason)
            }
            // The reason quotes the value.
            _ if error.path.iter().any(|part| is_secret(part)) => {
                let reason = "its value must be a text, in quotes";
                Problem::new(self.place(&path), self.full(&path), reason)
            }
            kind if path.is_empty() => Problem::of_all(self.place(""), kind.to_string()),
            kind => {
                let keys = description.keys();
                // Of a table the parser says more: which keys it has.
                let value = documented(&keys, &path).filter(|key| key.keys.is_empty());
                let wanted = value.map(|key| &key.kind);
                let reason = match (kind, wanted) {
                    (Kind::UnknownVariant(word, known), _) => {
                        let near = nearest(word, known.iter().copied())
                            .map_or_else(String::new, |near| format!("; nearest: '{near}'"));
                        let word = word.escape_debug();
                        format!("there is no '{word}' here; there are: {}{near}", known.join(", "))
                    }
                    (Kind::InvalidType(found, _), Some(wanted)) => {
                        format!("found {found}; wanted: {wanted}")
                    }
                    // Of a type with several forms the parser only says that it was none of them.
                    (Kind::Message(text), Some(wanted)) if text.contains("untagged") => {
                        format!("wanted: {wanted}")
                    }
                    (kind, _) => kind.to_string(),
                };
                Problem::new(self.place(&path), self.full(&path), reason)
            }
        }
    }

    fn full(&self, key: &str) -> String {
        match &self.origin {
            Origin::Uri(_) => key.to_owned(),
            Origin::File { prefix, .. } => format!("{prefix}.{key}"),
        }
    }

    /// A key without the path of the store's table.
    fn local<'a>(&self, full: &'a str) -> &'a str {
        match &self.origin {
            Origin::Uri(_) => full,
            Origin::File { prefix, .. } => {
                full.strip_prefix(prefix.as_str()).map_or(full, |key| key.trim_start_matches('.'))
            }
        }
    }

    /// Where a key stands.
    #[must_use]
    pub fn place(&self, key: &str) -> Place {
        match &self.origin {
            Origin::Uri(uri) => Place::of(format!("the store URI '{uri}'")),
            Origin::File { sources, prefix } => {
                let path = if key.is_empty() { prefix.clone() } else { format!("{prefix}.{key}") };
                sources.place(&path)
            }
        }
    }
}

/// What is said of a key.
fn documented<'a>(keys: &'a [KeyDoc], path: &str) -> Option<&'a KeyDoc> {
    let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
    let key = keys.iter().find(|key| key.name == name)?;
    rest.map_or(Some(key), |rest| documented(&key.keys, rest))
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
        #[derive(Debug, serde::Deserialize, JsonSchema)]
        struct Wanted {
            password: super::super::Secret,
        }
        let uri: StoreUri = "x:y?password=0123".parse().unwrap();
        let wanted: Wanted = Settings::from_uri(&uri, Dict::new()).extract().unwrap();
        assert_eq!(wanted.password.expose(), "0123");
        let number = Dict::from([("password".to_owned(), Value::from(424_242))]);
        let settings = Settings::from_uri(&"x:y".parse().unwrap(), number);
        let error = settings.extract::<Wanted>().unwrap_err();
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
        #[derive(serde::Deserialize, JsonSchema)]
        struct Wanted {
            tls: Tls,
            n: u8,
        }
        #[derive(serde::Deserialize, JsonSchema)]
        struct Tls {
            ca_file: String,
            enabled: bool,
        }
        let uri: StoreUri = "x:y?tls.ca_file=/a.pem&tls.enabled=true&n=3".parse().unwrap();
        let wanted: Wanted = Settings::from_uri(&uri, Dict::new()).extract().unwrap();
        assert_eq!(
            (wanted.tls.ca_file.as_str(), wanted.tls.enabled, wanted.n),
            ("/a.pem", true, 3)
        );
    }
}
