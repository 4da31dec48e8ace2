//! What is logged, in which form, and what is never logged.

#![cfg(all(feature = "memory", feature = "sled"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;

use common::{CID, Place, Ran, cid, run};
use serde_json::Value;

/// Runs the binary with a configuration of the log.
fn logged(place: &Place, log: &str, args: &[&str]) -> Ran {
    let config = place.write("config.toml", log);
    run(place.command(args).args(["--config", &config]))
}

/// The lines of the log among what was said.
fn events(ran: &Ran) -> Vec<Value> {
    let lines = ran.stderr.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|json| json.get("level").is_some()).collect()
}

/// The key of a CID in hexadecimal digits, as it would be seen in an error.
fn key(cid: &str) -> String {
    let text = cid.strip_prefix('b').unwrap().to_uppercase();
    let bytes = data_encoding::BASE32_NOPAD.decode(text.as_bytes()).unwrap();
    data_encoding::HEXLOWER.encode(&bytes)
}

/// Whether a text tells which CID it was about.
fn tells(text: &str, cid: &str) -> bool {
    text.contains(cid) || text.contains(&key(cid))
}

#[test]
fn json_has_an_object_for_each_operation_with_the_fields_that_operators_look_for() {
    let place = Place::new();
    let log = "[log]\nformat = \"json\"\nlevel = \"debug\"\n";
    let ran = logged(&place, log, &["pin", "add", CID]).good();
    let events = events(&ran);
    let put = events.iter().find(|event| event["operation"] == "put").unwrap();
    assert_eq!(put["level"], "DEBUG");
    assert_eq!(put["cid"], CID);
    assert_eq!(put["success"], true);
    assert_eq!(put["backend"], "sled");
    assert_eq!(put["attempts"], 1);
    assert_eq!(put["records"], 1);
    assert!(put["duration"].as_f64().unwrap() > 0.0, "{put}");
    assert!(put["timestamp"].as_str().unwrap().contains('T'), "{put}");
    assert!(events.iter().any(|event| event["operation"] == "open_namespace"));
}

#[test]
fn the_form_is_that_of_the_option_then_the_variable_then_the_configuration() {
    let place = Place::new();
    let json = "[log]\nformat = \"json\"\nlevel = \"debug\"\n";
    let text = "[log]\nlevel = \"debug\"\n";
    let is_json = |ran: Ran| {
        assert!(ran.stderr.contains("open_namespace"), "{ran:?}");
        !events(&ran.good()).is_empty()
    };
    logged(&place, text, &["pin", "add", CID]).good();
    assert!(is_json(logged(&place, json, &["pin", "get", CID])));
    assert!(!is_json(logged(&place, text, &["pin", "get", CID])));
    assert!(!is_json(logged(&place, json, &["pin", "get", CID, "--log-format", "text"])));
    assert!(is_json(logged(&place, text, &["pin", "get", CID, "--log-format", "json"])));
    let variables = [("PINSTATE_LOG", "debug"), ("PINSTATE_LOG_FORMAT", "json")];
    assert!(is_json(run(place.command(&["pin", "get", CID]).envs(variables))));
    assert!(!is_json(run(place.command(&["pin", "get", CID]).env("PINSTATE_LOG", "debug"))));
    // A key of the table, from the environment.
    let variables = [("PINSTATE_LOG__FORMAT", "json"), ("PINSTATE_LOG__LEVEL", "debug")];
    assert!(is_json(run(place.command(&["pin", "get", CID]).envs(variables))));
}

#[test]
fn levels_and_filters_choose_and_the_variable_comes_before_them() {
    let place = Place::new();
    logged(&place, "", &["pin", "add", CID]).good();
    let get = ["pin", "get", CID];
    let json = |rest: &str| format!("[log]\nformat = \"json\"\n{rest}");
    let of = |log: &str| events(&logged(&place, log, &get).good()).len();
    assert_eq!(of(&json("")), 0, "warnings alone");
    assert_eq!(of(&json("level = \"info\"")), 0);
    assert!(of(&json("level = \"debug\"")) > 0);
    assert_eq!(of(&json("level = \"debug\"\nfilters = { pinstate_core = \"off\" }")), 0);
    let only = json("level = \"off\"\nfilters = { \"pinstate_core::layer\" = \"debug\" }");
    assert!(of(&only) > 0);
    let config = place.write("config.toml", json("level = \"debug\""));
    let mut command = place.command(&get);
    let ran = run(command.args(["--config", &config]).env("PINSTATE_LOG", "off")).good();
    assert!(events(&ran).is_empty(), "{ran:?}");
}

#[test]
fn of_operations_that_succeed_a_sample_is_logged() {
    let place = Place::new();
    let pins = common::lines(0, 40, "a");
    let file = place.write("pins.ndjson", pins);
    logged(&place, "", &["import", &file]).good();
    // Each page of a listing is an operation.
    let list = ["pin", "ls"];
    let of = |log: &str| events(&logged(&place, log, &list).good()).len();
    let all = of("[log]\nformat = \"json\"\nlevel = \"debug\"\n");
    assert!(all > 2);
    let few = of("[log]\nformat = \"json\"\nlevel = \"debug\"\nsample = 0.5\n");
    assert!(few > 0 && few <= all.div_ceil(2), "{few} of {all}");
    assert!(of("[log]\nformat = \"json\"\nlevel = \"debug\"\nsample = 0.0001\n") <= 1);
}

#[test]
fn a_failure_is_logged_with_what_it_was_and_without_the_key() {
    let place = Place::new();
    let failed = |log: &str| {
        let config = place.write("config.toml", log);
        let store = "memory:?max_value_bytes=10";
        let args = ["--store", store, "--config", &config, "pin", "add", CID];
        run(place.bare().args(args)).exits(1)
    };
    for level in ["warn", "info"] {
        let ran = failed(&format!("[log]\nformat = \"json\"\nlevel = \"{level}\"\n"));
        let events = events(&ran);
        let put = events.iter().find(|event| event["operation"] == "put").unwrap();
        assert_eq!(put["level"], "WARN");
        assert_eq!(put["success"], false);
        assert_eq!(put["kind"], "too large");
        assert_eq!(put["outcome"], "not-applied");
        assert_eq!(put["backend"], "memory");
        assert_eq!(put["attempts"], 1);
        let end = key(CID).split_off(64);
        assert!(put["error"].as_str().unwrap().contains(&format!("…{end}")), "{put}");
        for event in &events {
            assert!(!tells(&event.to_string(), CID), "{event}");
        }
    }
    let text = failed("[log]\nformat = \"text\"\n").stderr;
    let warnings: Vec<_> = text.lines().filter(|line| line.contains("WARN")).collect();
    assert!(!warnings.is_empty() && warnings.iter().all(|line| !tells(line, CID)), "{text}");
}

#[test]
fn no_key_is_logged_at_info_or_above_whatever_is_done() {
    let place = Place::new();
    let file = place.write("pins.ndjson", common::lines(0, 20, "a"));
    let store = place.sled();
    let log = "[log]\nformat = \"json\"\nlevel = \"info\"\nfilters = { sled = \"info\" }\n";
    let mut commands: Vec<Vec<&str>> = vec![
        vec!["import", &file],
        vec!["pin", "ls"],
        vec!["count"],
        vec!["export"],
        vec!["verify", &file, &store],
        vec!["health"],
    ];
    let (there, missing) = (cid(3), cid(1_000));
    for verb in ["get", "rm"] {
        commands.push(vec!["pin", verb, &there]);
        commands.push(vec!["pin", verb, &missing]);
    }
    for args in commands {
        let ran = logged(&place, log, &args);
        assert_ne!(ran.code, Some(2), "{ran:?}");
        for event in events(&ran) {
            for n in (0..20).chain([1_000]) {
                assert!(!tells(&event.to_string(), &cid(n)), "{args:?}: {event}");
            }
        }
    }
    // They are told at debug, so it is the level that keeps them back.
    let ran = logged(&place, &log.replace("info", "debug"), &["pin", "get", &cid(4)]).good();
    assert!(events(&ran).iter().any(|event| tells(&event.to_string(), &cid(4))), "{ran:?}");
}

#[test]
fn what_makes_no_sense_is_refused_where_it_stands() {
    let place = Place::new();
    for (log, part) in [
        ("[log]\nformat = \"xml\"\n", ":2:1: 'log.format': "),
        ("[log]\nlevel = \"loud\"\n", ":2:1: 'log.level': "),
        ("[log]\nsample = 0\n", ":2:1: 'log.sample': "),
        ("[log]\nsample = 1.5\n", ":2:1: 'log.sample': "),
        ("[log]\nfilters = { \"a=b\" = \"info\" }\n", ":2:1: 'log.filters': "),
        ("[log]\nfrmat = \"json\"\n", ":2:1: 'log.frmat': unknown key"),
        ("[metrics]\nlisten = \"everywhere\"\n", ":2:1: 'metrics.listen': "),
        ("[metrics]\nport = 1\n", ":2:1: 'metrics.port': unknown key"),
        ("log = 1\n", ":1:1: 'log': "),
    ] {
        let ran = logged(&place, log, &["count", "--output", "text"]).fails_with(2, part);
        assert!(ran.stderr.contains("config.toml"), "{ran:?}");
    }
}
