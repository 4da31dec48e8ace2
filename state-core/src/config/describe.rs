//! What a configuration may say, as one description that is drawn from the types which it is
//! read into: their documentation is what users read, their defaults are the defaults.
//!
//! The description is a JSON schema (draft 7, which editors know best). A key's kind and unit
//! come from its type: [`ByteSize`](super::ByteSize) is a size, [`Secret`](super::Secret) is
//! never shown, and so on.

use std::borrow::Cow;

use figment::value::Dict;
use figment::value::Value as Set;
use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use schemars::{JsonSchema, Schema};
use serde::de::value::Error as Stop;
use serde::de::{DeserializeOwned, Deserializer, Error as _, Visitor};
use serde_json::{Map, Value};

use super::unknown::nearest;

/// The `format` of a text or number that is a size in bytes.
pub const SIZE: &str = "size";
/// The `format` of a text that is a duration.
pub const DURATION: &str = "duration";

/// The keys of a table of the configuration: of one backend's stores, or of a section.
#[derive(Clone, Debug)]
pub struct Description {
    schema: Value,
    /// The keys in the order in which the type has them.
    order: &'static [&'static str],
}

/// One key, as people are told of it.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct KeyDoc {
    /// Its name within the table.
    pub name: String,
    /// What its value is, with its unit: `size in bytes`, `list of texts`.
    pub kind: String,
    /// What holds where it is left out, where that is a value.
    pub default: Option<Value>,
    /// A value to show, where there is no default.
    pub example: Option<Value>,
    /// What it means.
    pub text: String,
    /// Whether its value must not be shown.
    pub secret: bool,
    /// Whether it must be there.
    pub required: bool,
    /// The values there are, each with what it means, where they are words.
    pub choices: Vec<(String, String)>,
    /// The keys of the table that it is, where it is one.
    pub keys: Vec<KeyDoc>,
}

impl Description {
    /// The description that a type gives of itself. A type that cannot be drawn fully from its
    /// fields (a default that is computed, a form of its own) says the rest with attributes of
    /// `schemars`.
    #[must_use]
    pub fn of<T: JsonSchema + DeserializeOwned>() -> Self {
        let settings = SchemaSettings::draft07().with(|settings| {
            settings.inline_subschemas = true;
            settings.meta_schema = None;
        });
        let settings = settings.with_transform(Tidy);
        let schema = settings.into_generator().into_root_schema_for::<T>().to_value();
        Self { schema, order: fields::<T>() }
    }

    /// The JSON schema.
    #[must_use]
    pub fn schema(&self) -> &Value {
        &self.schema
    }

    /// What the table is for.
    #[must_use]
    pub fn text(&self) -> String {
        text(&self.schema)
    }

    /// The names of the keys.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        names(&self.schema)
    }

    /// The keys, those first that must be there, tables last, as TOML wants them.
    #[must_use]
    pub fn keys(&self) -> Vec<KeyDoc> {
        let mut keys = docs(&self.schema);
        let place = |key: &KeyDoc| self.order.iter().position(|name| *name == key.name);
        keys.sort_by_key(|key| (!key.keys.is_empty(), !key.required, place(key)));
        keys
    }

    /// The example of a key that has to be there.
    pub(super) fn example(&self, key: &str) -> Option<Set> {
        let key = docs(&self.schema).into_iter().find(|doc| doc.required && doc.name == key)?;
        Set::serialize(key.example?).ok()
    }

    /// The keys that a table has and that are not described, each by its path through the
    /// tables, with the known ones beside it.
    #[must_use]
    pub(super) fn unknown<'a>(&'a self, values: &Dict) -> Vec<(String, Vec<&'a str>)> {
        let mut found = Vec::new();
        unknown(&self.schema, values, "", &mut found);
        found
    }
}

/// The part of a schema that describes a table: itself, or one of its alternatives.
fn table(schema: &Value) -> Option<&Map<String, Value>> {
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        return Some(properties);
    }
    alternatives(schema).find_map(table)
}

fn alternatives(schema: &Value) -> impl Iterator<Item = &Value> {
    ["anyOf", "oneOf"].into_iter().filter_map(|of| schema.get(of)?.as_array()).flatten()
}

fn names(schema: &Value) -> Vec<&str> {
    table(schema).into_iter().flat_map(Map::keys).map(String::as_str).collect()
}

fn unknown<'a>(
    schema: &'a Value,
    values: &Dict,
    prefix: &str,
    found: &mut Vec<(String, Vec<&'a str>)>,
) {
    let Some(properties) = table(schema) else { return };
    for (key, value) in values {
        match properties.get(key) {
            Some(schema) => {
                if let Some(values) = value.as_dict() {
                    unknown(schema, values, &format!("{prefix}{key}."), found);
                }
            }
            None => found.push((format!("{prefix}{key}"), names(schema))),
        }
    }
}

fn docs(schema: &Value) -> Vec<KeyDoc> {
    let holder = std::iter::once(schema).chain(alternatives(schema));
    let required = holder.filter_map(|schema| schema.get("required")?.as_array()).flatten();
    let required: Vec<&str> = required.filter_map(Value::as_str).collect();
    let doc = |(name, schema): (&String, &Value)| {
        let required = required.contains(&name.as_str());
        // What must be said has no default, whatever the type's own is.
        let default = schema.get("default").filter(|_| !required);
        KeyDoc {
            name: name.clone(),
            kind: kind(schema).into_owned(),
            default: default.cloned(),
            example: schema.get("examples").and_then(|all| all.get(0)).cloned(),
            text: text(schema),
            secret: schema.get("writeOnly").is_some_and(|only| *only == Value::Bool(true)),
            required,
            choices: choices(schema),
            keys: docs(schema),
        }
    };
    table(schema).into_iter().flatten().map(doc).collect()
}

fn text(schema: &Value) -> String {
    let text = schema.get("description").and_then(Value::as_str).unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn choices(schema: &Value) -> Vec<(String, String)> {
    if let Some(words) = schema.get("enum").and_then(Value::as_array) {
        let word = |word: &Value| Some((word.as_str()?.to_owned(), String::new()));
        return words.iter().filter_map(word).collect();
    }
    let mut found = Vec::new();
    for one in alternatives(schema) {
        match one.get("const").and_then(Value::as_str) {
            Some(word) => found.push((word.to_owned(), text(one))),
            None => found.extend(choices(one)),
        }
    }
    found
}

fn kind(schema: &Value) -> Cow<'static, str> {
    let format = schema.get("format").and_then(Value::as_str);
    match format {
        Some(SIZE) => return "size in bytes, such as 67108864 or \"64MiB\"".into(),
        Some(DURATION) => return "duration, such as \"1h30m\", \"10s\" or \"100ms\"".into(),
        _ => {}
    }
    if !choices(schema).is_empty() {
        return "one of these words".into();
    }
    match schema.get("type").and_then(Value::as_str) {
        Some("string") => "text".into(),
        Some("boolean") => "true or false".into(),
        Some("integer") => {
            let bound = |name: &str| schema.get(name).filter(|bound| bound.is_number());
            match (bound("minimum"), bound("maximum")) {
                (Some(least), Some(most)) => format!("whole number, {least} to {most}").into(),
                (Some(least), None) => format!("whole number, at least {least}").into(),
                _ => "whole number".into(),
            }
        }
        Some("number") => "number".into(),
        Some("array") => match schema.get("items") {
            Some(items) if !choices(items).is_empty() => {
                let words: Vec<String> = choices(items).into_iter().map(|(word, _)| word).collect();
                format!("list of words: {}", words.join(", ")).into()
            }
            _ => "list of texts".into(),
        },
        Some("object") => match schema.get("additionalProperties") {
            Some(Value::Object(_)) => "table of texts".into(),
            _ => "table".into(),
        },
        _ => {
            let kinds: Vec<Cow<'_, str>> = alternatives(schema).map(kind).collect();
            kinds.join(", or ").into()
        }
    }
}

/// Schemas as they suit a file: nothing may be null in TOML, and the width of a number in the
/// program's memory is nobody's business.
#[derive(Clone)]
struct Tidy;

impl Transform for Tidy {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        let Some(object) = schema.as_object_mut() else { return };
        if object.get("default").is_some_and(Value::is_null) {
            object.remove("default");
        }
        if let Some(Value::Array(types)) = object.get_mut("type") {
            types.retain(|name| name != "null");
            if let [one] = &types[..] {
                let one = one.clone();
                object.insert("type".to_owned(), one);
            }
        }
        if let Some(Value::Array(words)) = object.get_mut("enum") {
            words.retain(|word| !word.is_null());
        }
        let is_width = |format: &str| {
            format.trim_start_matches("uint").trim_start_matches("int").parse::<u8>().is_ok()
        };
        if object.get("format").and_then(Value::as_str).is_some_and(is_width) {
            object.remove("format");
        }
        let is_null = |schema: &Value| schema.get("type").is_some_and(|name| name == "null");
        if let Some(Value::Array(of)) = object.get_mut("anyOf")
            && of.iter().any(is_null)
        {
            of.retain(|schema| !is_null(schema));
            if let [Value::Object(one)] = &mut of[..] {
                let one = std::mem::take(one);
                object.remove("anyOf");
                for (name, value) in one {
                    // What the key's own documentation says comes before its type's.
                    object.entry(name).or_insert(value);
                }
            }
        }
    }
}

/// The fields of a type, in its order: a map of them, as schemas have it, has lost that.
fn fields<T: DeserializeOwned>() -> &'static [&'static str] {
    struct Asked<'a>(&'a mut &'static [&'static str]);

    impl<'de> Deserializer<'de> for Asked<'_> {
        type Error = Stop;

        fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Stop> {
            Err(Stop::custom("nothing is read here"))
        }

        fn deserialize_struct<V: Visitor<'de>>(
            self,
            _: &'static str,
            fields: &'static [&'static str],
            _: V,
        ) -> Result<V::Value, Stop> {
            *self.0 = fields;
            Err(Stop::custom("nothing is read here"))
        }

        serde::forward_to_deserialize_any! {
            bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
            option unit unit_struct newtype_struct seq tuple tuple_struct map enum identifier
            ignored_any
        }
    }

    let mut fields: &[&str] = &[];
    let _ = T::deserialize(Asked(&mut fields));
    fields
}

/// The value under a path through tables.
pub(super) fn find<'a>(values: &'a Dict, path: &str) -> Option<&'a Set> {
    match path.split_once('.') {
        None => values.get(path),
        Some((table, rest)) => find(values.get(table)?.as_dict()?, rest),
    }
}

/// Takes the value under a path through tables away, and says whether there was one.
pub(super) fn remove(values: &mut Dict, path: &str) -> bool {
    match path.split_once('.') {
        None => values.remove(path).is_some(),
        Some((table, rest)) => match values.get_mut(table) {
            Some(Set::Dict(_, inner)) => remove(inner, rest),
            _ => false,
        },
    }
}

/// `nearest`, among borrowed names.
pub(super) fn near(word: &str, known: &[&str]) -> Option<String> {
    let word = word.rsplit('.').next().unwrap_or(word);
    nearest(word, known.iter().copied()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Serialize};

    use super::super::{ByteSize, Secret};
    use super::*;

    /// A table.
    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "it is described")]
    struct Sample {
        /// With a
        /// default.
        #[serde(default = "cache")]
        zeta: ByteSize,
        /// A secret.
        alpha: Option<Secret>,
        /// Has to be there.
        #[schemars(example = &"/data")]
        path: std::path::PathBuf,
        #[serde(default)]
        inner: Inner,
        /// Words.
        how: Option<How>,
        many: Option<Vec<How>>,
        texts: Option<BTreeMap<String, String>>,
    }

    fn cache() -> ByteSize {
        ByteSize(64 << 20)
    }

    #[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
    #[serde(deny_unknown_fields, default)]
    struct Inner {
        port: u16,
    }

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(rename_all = "lowercase")]
    enum How {
        /// Quickly.
        Fast,
        /// Not so.
        Slow,
    }

    #[test]
    fn keys_are_told_by_their_types_and_documentation() {
        let keys = Description::of::<Sample>().keys();
        let names: Vec<&str> = keys.iter().map(|key| key.name.as_str()).collect();
        assert_eq!(names, ["path", "zeta", "alpha", "how", "many", "texts", "inner"]);
        let key = |name: &str| keys.iter().find(|key| key.name == name).unwrap();
        let path = key("path");
        assert!(path.required && path.default.is_none() && path.example == Some("/data".into()));
        let zeta = key("zeta");
        assert_eq!((zeta.text.as_str(), &zeta.default), ("With a default.", &Some("64MiB".into())));
        assert!(zeta.kind.contains("size in bytes") && !zeta.secret, "{zeta:?}");
        let alpha = key("alpha");
        assert!(alpha.secret && !alpha.required && alpha.kind == "text", "{alpha:?}");
        let words = [("fast", "Quickly."), ("slow", "Not so.")];
        assert_eq!(key("how").choices, words.map(|(a, b)| (a.to_owned(), b.to_owned())));
        assert_eq!(key("many").kind, "list of words: fast, slow");
        assert_eq!(key("texts").kind, "table of texts");
        let [port] = &key("inner").keys[..] else { panic!("{:?}", key("inner")) };
        assert_eq!(
            (port.name.as_str(), port.kind.as_str(), &port.default),
            ("port", "whole number, 0 to 65535", &Some(0.into()))
        );
    }

    #[test]
    fn unknown_keys_are_found_in_every_table() {
        let description = Description::of::<Sample>();
        let uri: super::super::StoreUri =
            "x:?pth=1&inner.prt=2&inner.port=3&texts.any=4".parse().unwrap();
        let settings = super::super::Settings::from_uri(&uri, Dict::new());
        let error = settings.extract::<Sample>().unwrap_err();
        assert_eq!(error.problem().unwrap().nearest.as_deref(), Some("port"), "{error}");
        let values = Set::serialize(
            serde_json::json!({"pth": 1, "inner": {"prt": 2, "port": 3}, "texts": {"any": 4}}),
        );
        let values = values.unwrap().into_dict().unwrap();
        let unknown = description.unknown(&values);
        let found: Vec<&str> = unknown.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(found, ["inner.prt", "pth"]);
    }
}
