use pinstate_core::Result;
use pinstate_core::config::{BackendFactory, Settings, StoreUri};

use super::*;
use crate::ScyllaFactory;

fn resolve(uri: &str) -> Result<ScyllaConfig> {
    let uri: StoreUri = uri.parse()?;
    ScyllaFactory::config(&Settings::from_uri(&uri, ScyllaFactory.uri_settings(&uri)?))
}

#[test]
fn a_uri_says_everything() {
    let config = resolve(
        "scylla://app@h1,h2:9142/pins?local_dc=dc1&consistency=quorum&timeout=4s&num_conns=4\
         &password_file=/run/secret&tls.enabled=true&tls.ca_file=/ca.pem\
         &retry_policy.num_retries=7&degraded_reads=local_one",
    )
    .unwrap();
    assert_eq!(config.contact_points(), ["h1:9042", "h2:9142"]);
    assert_eq!(config.keyspace, "pins");
    assert_eq!(config.control_keyspace(), "pins_control");
    assert_eq!(config.username.as_deref(), Some("app"));
    assert_eq!(config.datacenter(), Some("dc1"));
    assert_eq!(config.consistency, Level::Quorum);
    assert_eq!(config.degraded_reads, Some(Level::LocalOne));
    assert!(config.tls.enabled);
    assert_eq!(config.attempt(), Duration::from_secs(2));
    assert_eq!(config.layers().retry.unwrap().attempts, 8);
    config.check().unwrap();
}

#[test]
fn rules_for_addresses_come_as_a_table_or_as_one_text() {
    let text = "scylla://h/pins?address_translation=10.0.0.1=203.0.113.7:9142,10.0.0.2=gate";
    let config = resolve(text).unwrap();
    config.check().unwrap();
    let rules: Vec<_> = config.address_translation.iter().map(|(n, r)| (&**n, &**r)).collect();
    assert_eq!(rules, [("10.0.0.1", "203.0.113.7:9142"), ("10.0.0.2", "gate")]);
    let table = r#"{"hosts": ["h"], "address_translation": {"10.0.0.1": "gate:1"}}"#;
    let config: ScyllaConfig = serde_json::from_str(table).unwrap();
    assert_eq!(config.address_translation.get("10.0.0.1").map(String::as_str), Some("gate:1"));
    let wrong = resolve("scylla://h/pins?address_translation=node").unwrap();
    assert!(wrong.check().unwrap_err().to_string().contains("'node'"));
}

/// The file of the original ScyllaDB state store, with every key that it knows.
const ORIGINAL: &str = r#"{
  "hosts": ["scylla-1", "scylla-2:9043"], "port": 9042, "keyspace": "ipfs_pins",
  "username": "cluster", "password": "hunter2",
  "timeout": "10s", "connect_timeout": "5s", "num_conns": 4, "max_wait_time": "1s",
  "consistency": "LOCAL_QUORUM", "serial_consistency": "LOCAL_SERIAL",
  "token_aware_routing": true, "dc_aware_routing": true, "local_dc": "datacenter1",
  "page_size": 5000, "prepared_statement_cache_size": 1000,
  "tls": {"enabled": true, "cert_file": "/c.pem", "key_file": "/k.pem", "ca_file": "/ca.pem",
          "insecure_skip_verify": false},
  "retry_policy": {"num_retries": 3, "min_retry_delay": "100ms", "max_retry_delay": "10s",
                   "retryable_errors": ["timeout", "unavailable", "overloaded"]},
  "metrics_enabled": true, "tracing_enabled": false, "log_level": "info"
}"#;

#[test]
fn the_original_file_is_taken_as_it_is() {
    let folder = std::env::temp_dir().join(format!("pinstate-config-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("scylla-config.json");
    std::fs::write(&file, ORIGINAL).unwrap();
    let config = resolve(&format!("scylladb:@{}", file.display())).unwrap();
    config.check().unwrap();
    assert_eq!(config.contact_points(), ["scylla-1:9042", "scylla-2:9043"]);
    assert_eq!(config.local_dc.as_deref(), Some("datacenter1"));
    assert_eq!(config.log_level, Some(LogLevel::Info));
    assert_eq!(config.retry_policy.retryable_errors.as_ref().map(Vec::len), Some(3));
    assert!(!format!("{config:?}").contains("hunter2"));
    // What the URI says beside it holds.
    let config =
        resolve(&format!("scylla:@{}?consistency=ONE&tls.enabled=false", file.display())).unwrap();
    assert_eq!((config.consistency, config.tls.enabled), (Level::One, false));
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn wrong_values_name_the_key_and_what_it_may_be() {
    for (query, parts) in [
        ("consistency=LOCAL_QUORM", vec!["'consistency'", "LOCAL_QUORUM"]),
        ("timeout=10", vec!["'timeout'", "duration"]),
        ("num_conns=-1", vec!["'num_conns'"]),
        ("retry_policy.retryable_errors=timeout", vec!["'retry_policy.retryable_errors'"]),
        ("tls.ca=/x", vec!["'tls.ca'", "ca_file"]),
        ("tls=yes", vec!["'tls'", "true, false or", "'ca_file'"]),
        // Neither goes in the clear because of how it was put.
        ("tls.ca_file=/x", vec!["'tls'", "'enabled' is not set"]),
        ("tls=true&tls.ca_file=/x", vec!["'tls'", "'enabled' is not set"]),
        ("local_dcc=x", vec!["'local_dcc'", "'local_dc'"]),
    ] {
        let error = resolve(&format!("scylla://h/k?{query}")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{query}");
        for part in parts {
            assert!(error.to_string().contains(part), "{query}: {error}");
        }
    }
}

#[test]
fn contradictions_are_refused_with_the_reason() {
    for (query, part) in [
        ("dc_aware_routing=true", "'local_dc'"),
        ("consistency=EACH_QUORUM", "refuse it for reads"),
        ("password=x", "'username'"),
        ("username=x", "'password_file'"),
        ("username=x&password=y&password_file=z", "keep one"),
        ("timeout=0", "'timeout' is 0"),
        ("page_size=0", "'page_size' is 0"),
        ("keyspace=a-b", "'keyspace' is 'a-b'"),
        ("control_keyspace=k", "one of their own"),
        ("tls.enabled=true", "'tls.ca_file'"),
        ("tls=true", "'tls.ca_file'"),
        ("tls.enabled=true&tls.ca_file=x&tls.cert_file=y", "'tls.key_file'"),
        ("max_value_bytes=1GiB", "'max_value_bytes'"),
    ] {
        let query = if query.starts_with("timeout") { "timeout=0s" } else { query };
        let error = resolve(&format!("scylla://h/k?{query}")).unwrap().check().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{query}");
        assert!(error.to_string().contains(part), "{query}: {error}");
    }
    let error = resolve("scylla://,/k").unwrap_err().to_string();
    assert!(error.contains("names no host"), "{error}");
}

#[test]
fn retryable_errors_only_narrow() {
    let mut config = ScyllaConfig::new(["h"], "k");
    assert_eq!(config.layers().retry.unwrap().only, None);
    config.retry_policy.retryable_errors = Some(vec![Retryable::Overloaded]);
    assert_eq!(config.layers().retry.unwrap().only, Some(vec![ErrorKind::Overloaded]));
}

#[test]
fn contact_points_have_their_port() {
    let config = ScyllaConfig { port: 1, ..ScyllaConfig::new(["a", "b:2", "::1", "[::1]:3"], "k") };
    assert_eq!(config.contact_points(), ["a:1", "b:2", "[::1]:1", "[::1]:3"]);
}
