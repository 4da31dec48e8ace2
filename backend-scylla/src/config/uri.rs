//! What a URI means: `scylla://user@host1,host2:9042/keyspace?…`, or `scylla:@FILE` for a
//! configuration file of the original ScyllaDB state store, as it is.

use std::path::Path;

use figment::Figment;
use figment::providers::{Format, Json};
use figment::value::{Dict, Value};
use pinstate_core::config::{Authority, StoreUri, invalid};
use pinstate_core::{Error, Result};

use crate::error::BACKEND;

/// The keys and values that the part of a URI before the question mark stands for.
pub(crate) fn settings(uri: &StoreUri) -> Result<Dict> {
    match uri.rest().strip_prefix('@') {
        Some(file) => from_file(Path::new(file)),
        None => from_authority(uri),
    }
}

fn wrong(reason: &str) -> Error {
    invalid(format!(
        "{reason}; a ScyllaDB store's URI is {BACKEND}://USER@HOST,HOST:PORT/KEYSPACE?local_dc=DC, \
         or {BACKEND}:@FILE with the path of a JSON configuration"
    ))
    .with_backend(BACKEND)
}

fn from_file(path: &Path) -> Result<Dict> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        invalid("the configuration file cannot be read")
            .with_context("file", path.display())
            .with_source(error)
    })?;
    Figment::from(Json::string(&text)).extract::<Dict>().map_err(|error| {
        // The parser's own text may quote what stands in the file, passwords included.
        let place = serde_json::from_str::<serde::de::IgnoredAny>(&text).err();
        let place = place.map_or_else(
            || error.kind.to_string(),
            |error| format!("it is no JSON at line {}, column {}", error.line(), error.column()),
        );
        invalid(place).with_backend(BACKEND).with_context("file", path.display())
    })
}

fn from_authority(uri: &StoreUri) -> Result<Dict> {
    let Authority { login: mut values, hosts, path: keyspace } = uri.authority(wrong)?;
    let hosts: Vec<Value> =
        hosts.split(',').filter(|host| !host.is_empty()).map(Value::from).collect();
    if hosts.is_empty() {
        return Err(wrong("it names no host"));
    }
    values.insert("hosts".to_owned(), hosts.into());
    if keyspace.contains('/') {
        return Err(wrong("the path is more than a keyspace"));
    }
    if !keyspace.is_empty() {
        values.insert("keyspace".to_owned(), keyspace.into());
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(uri: &str) -> Result<Dict> {
        settings(&uri.parse()?)
    }

    #[test]
    fn parts_become_keys() {
        let values = of("scylla://me:a%40b@h1,h2:9142/pins?local_dc=x").unwrap();
        let text = |key: &str| values.get(key).and_then(Value::as_str).map(str::to_owned);
        assert_eq!(text("username").as_deref(), Some("me"));
        assert_eq!(text("password").as_deref(), Some("a@b"));
        assert_eq!(text("keyspace").as_deref(), Some("pins"));
        let hosts = values.get("hosts").and_then(Value::as_array).unwrap();
        let hosts: Vec<&str> = hosts.iter().filter_map(Value::as_str).collect();
        assert_eq!(hosts, ["h1", "h2:9142"]);
        for bad in ["scylla:", "scylla:h1/ks", "scylla:///ks", "scylla://h/a/b"] {
            let error = of(bad).unwrap_err().to_string();
            assert!(error.contains("scylla://USER@HOST"), "{error}");
        }
    }

    #[test]
    fn a_password_that_is_not_escaped_is_not_quoted() {
        for bad in
            ["scylla://me:hunter2/hunter2@h", "scylla://me:hunter2%@h/ks", "scylla://me:hunter2/ks"]
        {
            let error = of(bad).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_broken_file_is_not_quoted() {
        let folder = std::env::temp_dir().join(format!("pinstate-uri-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("config.json");
        std::fs::write(&file, "{\"password\": hunter2}").unwrap();
        let error = of(&format!("scylla:@{}", file.display())).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(shown.contains("line 1") && !shown.contains("hunter2"), "{shown}");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
