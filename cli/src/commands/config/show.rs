//! `config show`: what holds, and where it comes from.

use std::fmt::Write;

use pinstate_core::config::{Config, KeyDoc, Settings, StoreUri};
use serde_json::{Map, Value, json};

use super::init::toml;
use crate::args::Global;
use crate::exit::{Exit, Outcome};
use crate::output::Output;
use crate::session::Choice;
use crate::{paths, redact};

/// What is said of a value that stands nowhere.
const DEFAULT: &str = "default";

/// Shows it. Secrets are never shown, and what stands nowhere and has no default is left out.
pub(super) fn run(global: &Global, out: Output) -> Outcome {
    let choice = Choice::new(global)?;
    let used = choice.store()?;
    let used_from = match (&global.store, &choice.config.default_store) {
        (Some(_), _) => global.origins.store.to_owned(),
        (None, Some(_)) => format!("default_store, {}", choice.config.place("default_store")),
        (None, None) => "default".to_owned(),
    };
    let file = choice.file.as_ref().map(|file| file.display().to_string());
    let default = paths::default_config().map(|file| file.display().to_string());
    let nothing_at = default.map_or_else(
        || "there is no home directory".to_owned(),
        |default| format!("there is none at {default}"),
    );
    let file_from = match (&global.config, &file) {
        (Some(_), _) => global.origins.config,
        (None, Some(_)) => "default",
        (None, None) => &nothing_at,
    };
    let form = if out.is_json() { "json" } else { "text" };
    let origins = &global.origins;
    let mut text = String::new();
    let (mut json, mut sources) = (Map::new(), Map::new());
    let shown = redact::store(&used);
    for (name, value, from) in [
        ("file", file.as_deref(), file_from),
        ("store", Some(&*shown), &*used_from),
        ("namespace", Some(&*global.namespace.to_string()), origins.namespace),
        ("output", Some(form), origins.output),
    ] {
        let _ = writeln!(text, "{name:<10} {}  ({from})", value.unwrap_or("none"));
        json.insert(name.to_owned(), json!(value));
        sources.insert(name.to_owned(), json!(from));
    }
    json.insert("from".to_owned(), Value::Object(sources));
    let default = choice.config.default_store.as_deref();
    json.insert("default_store".to_owned(), json!(default.map(redact::store)));
    for section in Config::description().keys() {
        let mut rows = Vec::new();
        collect(&mut rows, &choice.config.section(&section.name), "", &section.keys);
        if !section.keys.is_empty() && !rows.is_empty() {
            let _ = write!(text, "\n[{}]\n{}", section.name, aligned(&rows));
            json.insert(section.name, object(rows));
        }
    }
    let mut stores = Map::new();
    // A store that is named by URI has settings as well.
    let by_uri = StoreUri::looks_like(&used).then_some(used.as_str());
    for store in choice.config.stores.keys().map(String::as_str).chain(by_uri) {
        let (factory, settings) = choice.registry.resolve(&choice.config, store)?;
        let mut rows = Vec::new();
        collect(&mut rows, &settings, "", &factory.description().keys());
        let name = redact::store(store);
        if by_uri == Some(store) {
            // Shorter than the URI, which stands above them.
            rows.iter_mut()
                .filter(|row| row.2 != DEFAULT)
                .for_each(|row| row.2.clone_from(&used_from));
        }
        let from = match by_uri {
            Some(uri) if uri == store => used_from.clone(),
            _ => settings.place("backend").to_string(),
        };
        rows.insert(0, ("backend".to_owned(), factory.name().to_owned(), from));
        let _ = write!(text, "\n[{name}]\n{}", aligned(&rows));
        let settings = object(rows.split_off(1));
        let json = json!({ "backend": factory.name(), "settings": settings });
        stores.insert(name.into_owned(), json);
    }
    json.insert("stores".to_owned(), Value::Object(stores));
    out.result(text.trim_end(), &json)?;
    Ok(Exit::Done)
}

type Row = (String, String, String);

/// Every key that has a value: the one that is set, or its default.
fn collect(rows: &mut Vec<Row>, settings: &Settings, prefix: &str, keys: &[KeyDoc]) {
    let mut unknown: Vec<&str> = Vec::new();
    if prefix.is_empty() {
        // It is wrong, as 'config check' says, and shown as it stands there.
        unknown.extend(settings.keys().filter(|set| keys.iter().all(|key| key.name != *set)));
    }
    for key in keys {
        let path = format!("{prefix}{}", key.name);
        // A table that is written in its short form is a value itself.
        let set =
            settings.shown_value(&path).filter(|_| key.keys.is_empty() || settings.is_value(&path));
        match (set, &key.default) {
            (Some(value), _) => {
                let from = settings.place(&path).to_string();
                rows.push((path.clone(), value, from));
            }
            (None, Some(default)) if key.keys.is_empty() => {
                let value = default.as_str().map_or_else(|| toml(default), str::to_owned);
                rows.push((path.clone(), value, DEFAULT.to_owned()));
            }
            _ => {}
        }
        if !settings.is_value(&path) {
            collect(rows, settings, &format!("{path}."), &key.keys);
        }
    }
    for key in unknown {
        let value = settings.shown_value(key).unwrap_or_default();
        rows.push((key.to_owned(), value, format!("{}, unknown", settings.place(key))));
    }
}

fn object(rows: Vec<Row>) -> Value {
    let setting = |(key, value, from)| (key, json!({ "value": value, "from": from }));
    Value::Object(rows.into_iter().map(setting).collect())
}

fn aligned(rows: &[Row]) -> String {
    let width = |of: fn(&Row) -> &str| rows.iter().map(|row| of(row).chars().count()).max();
    let keys = width(|row| &row.0).unwrap_or_default();
    let values = width(|row| &row.1).unwrap_or_default().min(40);
    let line = |(key, value, from): &Row| format!("  {key:<keys$}  {value:<values$}  {from}\n");
    rows.iter().map(line).collect()
}
