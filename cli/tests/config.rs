//! The configuration as users make, judge and read it, with every backend of the program.

#![cfg(all(feature = "fjall", feature = "memory", feature = "scylla", feature = "sled"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;

use std::os::unix::fs::PermissionsExt;

use common::{Place, run};
use serde_json::Value;

const BACKENDS: [&str; 4] = ["fjall", "memory", "scylla", "sled"];

fn schema(place: &Place) -> jsonschema::Validator {
    let text = run(place.bare().args(["config", "schema"])).good().stdout;
    let schema: Value = serde_json::from_str(&text).unwrap();
    assert!(jsonschema::draft7::meta::is_valid(&schema), "{text}");
    jsonschema::draft7::new(&schema).unwrap()
}

fn as_json(toml: &str) -> Value {
    serde_json::to_value(toml.parse::<toml::Table>().unwrap()).unwrap()
}

/// Every setting that is commented out, put in.
fn uncommented(text: &str) -> String {
    let line = |line: &str| match line.strip_prefix('#') {
        Some(setting) if !setting.starts_with(' ') && !setting.is_empty() => setting.to_owned(),
        _ => line.to_owned(),
    };
    text.lines().map(|text| line(text) + "\n").collect()
}

#[test]
fn a_new_file_is_good_and_tells_every_key_of_its_backend() {
    let place = Place::new();
    let schema = schema(&place);
    let listed = run(place.bare().arg("backends")).good().json();
    for backend in BACKENDS {
        let file = place.path(&format!("{backend}.toml"));
        let file = file.to_str().unwrap();
        run(place.bare().args(["config", "init", backend, "--file", file])).good();
        let text = std::fs::read_to_string(file).unwrap();
        let checked = run(place.bare().args(["--config", file, "config", "check"])).good().json();
        assert_eq!(checked, [serde_json::json!({"store": "main", "good": true, "state": "good"})]);
        let json = as_json(&text);
        assert!(schema.is_valid(&json), "{backend}: {:?}", schema.validate(&json));
        // All keys are there, and what is commented out is a setting like any other.
        let full = as_json(&uncommented(&text));
        assert!(schema.is_valid(&full), "{backend}: {:?}", schema.validate(&full));
        let keys = listed.iter().find(|one| one["backend"] == backend).unwrap()["keys"].clone();
        for key in keys.as_array().unwrap() {
            let key = key.as_str().unwrap();
            assert!(full["stores"]["main"].get(key).is_some(), "{backend} lacks {key}");
        }
        // Every key is explained.
        let lines: Vec<&str> = text.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            let setting = line.contains(" = ") && !line.starts_with("# ");
            if setting && !line.starts_with("backend") {
                assert!(lines[at - 1].starts_with("# "), "{backend}: {line} is not explained");
            }
        }
        // What is unknown to the program is unknown to editors, however deep it stands.
        for wrong in ["pth = 1\n", "[stores.main.tls]\nenabled = true\nca_fil = \"x\"\n"] {
            let json = as_json(&format!("{text}{wrong}"));
            assert!(!schema.is_valid(&json), "{backend}: {wrong}");
        }
        let json = as_json(&format!("stoers = 1\n{text}"));
        assert!(!schema.is_valid(&json), "{backend}");
    }
    let nobody = as_json("[stores.main]\nbackend = \"nobody\"\n");
    assert!(!schema.is_valid(&nobody));
    // In words of any case, and in both forms of a key that has two.
    let forms = "[stores.c]\nbackend = \"cassandra\"\nhosts = \"a,b\"\ntls = false\n\
                 consistency = \"local_quorum\"\nmax_value_bytes = 1024\n";
    assert!(schema.is_valid(&as_json(forms)), "{:?}", schema.validate(&as_json(forms)));
}

#[test]
fn a_file_that_is_there_is_kept_unless_it_is_to_be_replaced() {
    let place = Place::new();
    run(place.bare().args(["config", "init"])).good();
    let file = ".config/pinstate/config.toml";
    let mode = std::fs::metadata(place.path(file)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(place.text(file).contains("backend = \"fjall\""));
    // It is the one that is read, and its store the one that is used without it.
    let shown = run(place.bare().args(["config", "show"])).good().json();
    let path = shown[0]["stores"]["main"]["settings"]["path"]["value"].as_str().unwrap();
    assert_eq!(path, place.path(".local/share/pinstate/fjall").to_str().unwrap());
    place.write(file, "# mine\n");
    let refused = run(place.bare().args(["config", "init", "memory"]));
    refused.fails_with(2, "is there already").says("--overwrite");
    assert_eq!(place.text(file), "# mine\n");
    run(place.bare().args(["config", "init", "memory", "--overwrite"])).good();
    assert!(place.text(file).contains("backend = \"memory\""));
    let printed = run(place.bare().args(["config", "init", "memory", "--file", "-"])).good();
    assert_eq!(printed.stdout, place.text(file));
    let other = place.path("other.json");
    let json = run(place.bare().args(["config", "init", "--file", other.to_str().unwrap()]));
    json.fails_with(2, "JSON");
    run(place.bare().args(["config", "init", "slad"])).fails_with(2, "nearest: 'sled'");
}

const WRONG: &str = r#"default_store = "nope"
default_stor = "main"
[stores.main]
backend = "sled"
pth = "/tmp/x"
cache = 5
durability = "powr"
[stores.two]
backend = "scyla"
[stores.c]
backend = "scylla"
hosts = 5
port = "x"
page_size = 0
timout = "1s"
consistency = "QUORM"
password = 424242
tls.enabled = true
tls.ca_fil = "x"
[stores.f]
backend = "fjall"
cache = 5
write_buffer = 1
[stores.none]
path = "x"
"#;

/// Line, key and nearest known key of what is wrong in it.
const TOLD: [(u64, &str, Option<&str>); 17] = [
    (1, "default_store", None),
    (2, "default_stor", Some("default_store")),
    (5, "stores.main.pth", Some("path")),
    (6, "stores.main.cache", None),
    (7, "stores.main.durability", None),
    (9, "stores.two.backend", None),
    (12, "stores.c.hosts", None),
    (13, "stores.c.port", None),
    (14, "stores.c.page_size", None),
    (15, "stores.c.timout", Some("timeout")),
    (16, "stores.c.consistency", None),
    (17, "stores.c.password", None),
    (19, "stores.c.tls.ca_fil", Some("ca_file")),
    (20, "stores.f.path", None),
    (22, "stores.f.cache", None),
    (23, "stores.f.write_buffer", None),
    (24, "stores.none.backend", None),
];

#[test]
fn everything_that_is_wrong_is_told_at_once_and_where_it_stands() {
    let place = Place::new();
    let toml = place.write("wrong.toml", WRONG);
    // The same as JSON, each key on a line of its own.
    let document = serde_json::to_string_pretty(&as_json(WRONG)).unwrap();
    let json = place.write("wrong.json", &document);
    for (file, is_json) in [(&toml, false), (&json, true)] {
        let ran = run(place.bare().args(["--config", file, "config", "check"])).exits(2);
        assert!(!ran.stdout.contains("424242"), "{}", ran.stdout);
        let told = ran.json();
        let problems: Vec<&Value> = told.iter().filter_map(|line| line.get("problem")).collect();
        for (line, key, nearest) in TOLD {
            let problem = problems.iter().find(|problem| problem["key"] == key);
            let problem = problem.unwrap_or_else(|| panic!("{key} is not told: {problems:#?}"));
            assert_eq!(problem["source"], **file);
            assert_eq!(problem["nearest"].as_str(), nearest, "{problem}");
            let at = problem["line"].as_u64().unwrap();
            if is_json {
                let name = key.rsplit('.').next().unwrap();
                let text = document.lines().nth(at as usize - 1).unwrap();
                // A key that is missing is told where the table around it begins.
                let missing = ["stores.f.path", "stores.none.backend"].contains(&key);
                assert!(missing || text.contains(&format!("\"{name}\"")), "{problem}: {text}");
            } else {
                assert_eq!(at, line, "{problem}");
            }
            assert!(problem["column"].as_u64().unwrap() > 0, "{problem}");
        }
        assert_eq!(problems.len(), TOLD.len(), "{problems:#?}");
        let good: Vec<_> = told.iter().filter_map(|line| line.get("good")).collect();
        assert!(good.len() == 4 && good.iter().all(|good| **good == false), "{told:?}");
    }
    let text = run(place.bare().args(["--output", "text", "--config", &toml, "config", "check"]));
    text.exits(2)
        .prints(&format!("{toml}:5:1: 'stores.main.pth': unknown key; nearest known key: 'path'"));
}

#[test]
fn a_file_that_cannot_be_read_as_a_whole_is_told_by_its_line() {
    let place = Place::new();
    for (name, text, at) in [
        ("a.toml", "default_store = \"a\"\n[stores.a\nbackend = 1\n", 2),
        ("b.toml", "[stores.a]\nbackend = \"sled\"\nbackend = \"sled\"\n", 3),
        ("c.json", "{\n \"stores\": {\n}", 3),
        ("d.toml", "x = 1\npassword = hunter2\n", 2),
    ] {
        let file = place.write(name, text);
        let ran = run(place.bare().args(["--config", &file, "config", "check"])).exits(2);
        let problem = ran.json()[0]["problem"].clone();
        assert_eq!(problem["line"], at, "{name}: {problem}");
        assert!(problem["reason"].as_str().is_some_and(|reason| !reason.is_empty()));
        assert!(!ran.stdout.contains("hunter2"), "{}", ran.stdout);
        // Other commands tell the same.
        run(place.bare().args(["--config", &file, "count"]))
            .fails_with(2, &format!("{file}:{at}:"));
    }
}

#[test]
fn what_holds_is_shown_with_where_it_comes_from() {
    let place = Place::new();
    let file = place.write(
        "c.toml",
        "default_store = \"m\"\n[stores.m]\nbackend = \"scylla\"\nhosts = [\"h\"]\n\
         username = \"u\"\npassword = \"hunter2\"\ntls = { enabled = false }\n",
    );
    let mut command = place.bare();
    command.args(["--config", &file, "config", "show"]);
    command.env("PINSTATE_STORES__M__TIMEOUT", "4s").env("PINSTATE_NAMESPACE", "other");
    let ran = run(&mut command).good();
    assert!(!ran.stdout.contains("hunter2"), "{}", ran.stdout);
    let shown = ran.json()[0].clone();
    assert_eq!(shown["stores"]["m"]["backend"], "scylla");
    let m = &shown["stores"]["m"]["settings"];
    for (key, value, from) in [
        ("password", "[hidden]", format!("{file}:6:1")),
        ("tls.enabled", "false", format!("{file}:7:9")),
        ("timeout", "4s", "the environment (PINSTATE_STORES__M__TIMEOUT)".to_owned()),
        ("keyspace", "ipfs_pins", "default".to_owned()),
        ("retry_policy.num_retries", "3", "default".to_owned()),
    ] {
        assert_eq!(
            (m[key]["value"].as_str(), m[key]["from"].as_str()),
            (Some(value), Some(&*from))
        );
    }
    assert!(m.get("local_dc").is_none(), "{m}");
    assert_eq!((&shown["store"], &shown["default_store"]), (&"m".into(), &"m".into()));
    assert_eq!(shown["from"]["file"], "--config");
    assert_eq!(shown["from"]["namespace"], "PINSTATE_NAMESPACE");
    assert_eq!(shown["from"]["store"], format!("default_store, {file}:1:1"));
    // A store that is named by URI is shown as well.
    let uri = place.sled();
    let uri = format!("{uri}?cache=2MiB");
    let shown =
        run(place.bare().args(["--store", &uri, "config", "show"])).good().json()[0].clone();
    assert_eq!(shown["stores"][&uri]["settings"]["cache"]["value"], "2MiB");
    assert_eq!(shown["from"]["store"], "--store");
}

#[test]
fn the_reference_is_what_the_program_says() {
    let place = Place::new();
    let printed = run(place.bare().args(["config", "reference"])).good().stdout;
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    if std::env::var_os("PINSTATE_WRITE_REFERENCE").is_some() {
        std::fs::write(&page, &printed).unwrap();
    }
    let there = std::fs::read_to_string(&page).unwrap_or_default();
    assert!(there == printed, "PINSTATE_WRITE_REFERENCE=1 writes docs/configuration.md anew");
    let sled = run(place.bare().args(["config", "reference", "sled"])).good().stdout;
    assert!(printed.contains(&sled) && sled.starts_with("## Stores on sled"), "{sled}");
}

#[test]
fn there_is_a_manual_page_for_every_command() {
    let place = Place::new();
    let folder = place.path("man");
    run(place.bare().args(["man", folder.to_str().unwrap()])).good();
    for page in ["pinstate", "pinstate-config-init", "pinstate-migrate-run", "pinstate-pin-add"] {
        let text = std::fs::read_to_string(folder.join(format!("{page}.1"))).unwrap();
        assert!(text.contains(".TH") && text.contains("Examples:"), "{page}: {text}");
    }
    assert!(run(place.bare().arg("man")).good().stdout.contains(".TH pinstate"));
}
