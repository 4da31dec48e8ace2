//! What is different, record by record.

use std::collections::BTreeMap;

use bytes::Bytes;
use pinstate_core::Key;
use pinstate_core::format::Encoder;
use pinstate_core::format::ndjson::NdjsonEncoder;
use pinstate_core::pin::Zone;
use serde::Serialize;
use serde_json::Value;

use crate::pinset::Found;

/// How a key differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// It is on the left side only.
    Missing,
    /// It is on the right side only.
    Extra,
    /// Both have it, and not with the same record.
    Different,
}

impl What {
    /// Its name, as in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Extra => "extra",
            Self::Different => "different",
        }
    }
}

/// One key that is not the same on both sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The key.
    pub key: Key,
    /// How it differs.
    pub what: What,
    /// What stands on both sides, where that was looked up.
    pub found: Option<[Found; 2]>,
}

/// A field that differs between two records of one key, by its name in IPFS-Cluster's
/// export; what one side lacks is `None`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FieldDifference {
    /// Its name, as `replication_factor_min` or `metadata.team`.
    pub field: String,
    /// What the left side has there.
    pub left: Option<Value>,
    /// What the right side has there.
    pub right: Option<Value>,
}

impl Difference {
    /// The fields that differ, where both records were looked up and both are pins that can
    /// be shown as IPFS-Cluster exports them.
    #[must_use]
    pub fn fields(&self) -> Vec<FieldDifference> {
        let Some([left, right]) = &self.found else { return Vec::new() };
        let ([left], [right]) = (&left.values[..], &right.values[..]) else { return Vec::new() };
        match (fields(&self.key, left), fields(&self.key, right)) {
            (Some(left), Some(right)) => unlike(&left, &right),
            _ => Vec::new(),
        }
    }
}

/// The fields of a pin, metadata one by one.
fn fields(key: &Key, value: &Bytes) -> Option<BTreeMap<String, Value>> {
    let mut json = Vec::new();
    NdjsonEncoder::new(Zone::Utc).encode(key.as_bytes(), value, &mut json).ok()?;
    let Value::Object(object) = serde_json::from_slice(&json).ok()? else { return None };
    let mut fields = BTreeMap::new();
    for (name, value) in object {
        match value {
            Value::Object(inner) => {
                let inner = inner.into_iter().map(|(key, value)| (format!("{name}.{key}"), value));
                fields.extend(inner);
            }
            // As good as nothing: no metadata, for one.
            Value::Null => {}
            value => drop(fields.insert(name, value)),
        }
    }
    Some(fields)
}

fn unlike(left: &BTreeMap<String, Value>, right: &BTreeMap<String, Value>) -> Vec<FieldDifference> {
    let names = left.keys().chain(right.keys().filter(|name| !left.contains_key(*name)));
    let mut names: Vec<_> = names.filter(|name| left.get(*name) != right.get(*name)).collect();
    names.sort();
    let one = |name: &String| FieldDifference {
        field: name.clone(),
        left: left.get(name).cloned(),
        right: right.get(name).cloned(),
    };
    names.into_iter().map(one).collect()
}
