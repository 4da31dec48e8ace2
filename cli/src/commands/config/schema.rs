//! `config schema`: the configuration file as a JSON schema, draft 7, which editors know.

use std::sync::Arc;

use pinstate_core::config::{BackendFactory, Config};
use serde_json::{Map, Value, json};

use crate::backends::registry;

/// The schema.
pub(super) fn text() -> String {
    let stores: Vec<Value> = registry().backends().map(of_store).collect();
    let mut schema = Config::description().schema().clone();
    set(&mut schema, "$schema", json!("http://json-schema.org/draft-07/schema#"));
    set(&mut schema, "title", json!("pinstate"));
    if let Some(table) = schema.pointer_mut("/properties/stores") {
        set(table, "additionalProperties", json!({ "oneOf": stores }));
    }
    format!("{schema:#}\n")
}

/// A store of one backend.
fn of_store(factory: &Arc<dyn BackendFactory>) -> Value {
    let names: Vec<&str> =
        std::iter::once(factory.name()).chain(factory.aliases().iter().copied()).collect();
    let mut schema = factory.description().schema().clone();
    set(&mut schema, "title", json!(factory.name()));
    let backend = json!({ "description": factory.about(), "enum": names });
    if let Some(properties) = schema.get_mut("properties") {
        set(properties, "backend", backend);
    }
    let required = schema.get("required").and_then(Value::as_array).cloned();
    let required = std::iter::once(json!("backend")).chain(required.into_iter().flatten());
    let required = required.collect();
    set(&mut schema, "required", Value::Array(required));
    schema
}

fn set(object: &mut Value, name: &str, value: Value) {
    object.as_object_mut().unwrap_or(&mut Map::new()).insert(name.to_owned(), value);
}
