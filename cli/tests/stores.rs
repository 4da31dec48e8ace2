//! Which store is used, what becomes of one that is not there, and what is said about it.

#![cfg(all(feature = "fjall", feature = "memory", feature = "scylla", feature = "sled"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;

use common::{CID, Place, example, run};
use pinstate_core::config::{Config, OpenOptions, Registry};

#[test]
fn without_a_name_it_is_fjall_in_the_home_directory() {
    let place = Place::new();
    let here = ".local/share/pinstate/fjall";
    let ran = run(place.bare().arg("count")).fails_with(1, "no such store");
    assert!(ran.stderr.contains(here) && ran.stderr.contains("pinstate import FILE"), "{ran:?}");
    assert!(!place.path(here).exists(), "reading created a store");
    run(place.bare().args(["pin", "rm", CID])).fails_with(1, "no such store");
    assert!(!place.path(here).exists(), "removing created a store");
    run(place.bare().args(["pin", "add", CID])).good().says("no store was named").says(here);
    assert!(place.path(here).is_dir());

    let data = place.path("data");
    run(place.bare().env("XDG_DATA_HOME", &data).args(["pin", "add", CID])).good();
    assert!(data.join("pinstate/fjall").is_dir());
    run(place.bare().env_remove("HOME").arg("count")).fails_with(2, "no home directory");
}

#[test]
fn reading_creates_neither_store_nor_namespace() {
    let place = Place::new();
    for args in [
        &["count"][..],
        &["pin", "ls"],
        &["pin", "get", CID],
        &["pin", "has", CID],
        &["export"],
        &["digest"],
        &["health"],
        &["namespaces", "list"],
        &["cleanup", "--yes"],
        &["namespaces", "drop", "default", "--yes"],
    ] {
        place.run(args).fails_with(1, "no such store").says("hint: ");
        assert!(!place.path("store").exists(), "{args:?}");
    }
    place.run(&["namespaces", "create", "other"]).good().says("created the store");
    assert_eq!(place.namespaces(), ["other"]);
    place.run(&["count"]).fails_with(1, "no such namespace").says("pinstate import FILE");
    assert_eq!(place.namespaces(), ["other"]);
}

#[test]
fn namespaces_are_apart() {
    let place = Place::new();
    place.run(&["--namespace", "other", "pin", "add", CID]).fails_with(1, "no such namespace");
    place.run(&["namespaces", "create", "other"]).good();
    place.run(&["namespaces", "create", "other"]).fails_with(1, "conflict");
    place.run(&["--namespace", "other", "pin", "add", CID]).good();
    place.run(&["pin", "add", "--name", "x", CID]).good();
    assert_eq!(place.namespaces(), ["default", "other"]);
    place.run(&["--namespace", "other", "cleanup"]).fails_with(2, "removes all 1 pins");
    place.run(&["--namespace", "other", "cleanup", "--yes"]).good();
    assert_eq!(place.run(&["--namespace", "other", "count"]).good().json()[0]["pins"], 0);
    assert_eq!(place.count(), 1);
    place.run(&["namespaces", "drop", "other"]).fails_with(2, "--yes");
    place.run(&["namespaces", "drop", "other", "--yes"]).good();
    place.run(&["namespaces", "drop", "other", "--yes"]).fails_with(1, "no such namespace");
    assert_eq!(place.namespaces(), ["default"]);
    let named = run(place.command(&["count"]).env("PINSTATE_NAMESPACE", "gone"));
    named.fails_with(1, "no such namespace").says("namespaces create gone");
}

#[test]
fn unknown_backends_and_stores_are_refused_by_name() {
    let place = Place::new();
    let bad = |store: &str| run(place.bare().args(["--store", store, "count"]));
    bad("sledd:x").fails_with(2, "there are: fjall, memory, scylla, sled; nearest: 'sled'");
    bad("sled:").fails_with(2, "names its folder");
    bad("sled:x?cach=1").fails_with(2, "nearest known key: 'cache'");
    bad("fjall:").fails_with(2, "names its folder");
    bad("fjall:x?durability=none").fails_with(2, "durability");
    bad("memory:x").exits(2);
    bad("nope").fails_with(2, "no store 'nope' is configured");
}

#[test]
fn a_configured_store_is_used_by_its_name() {
    let place = Place::new();
    let config = format!(
        "default_store = \"main\"\n[stores.main]\nbackend = \"sled\"\npath = \"{}\"\n\
         [stores.scratch]\nbackend = \"memory\"\n",
        place.path("configured").display()
    );
    std::fs::create_dir_all(place.path(".config/pinstate")).unwrap();
    place.write(".config/pinstate/config.toml", &config);
    let ran = run(place.bare().args(["pin", "add", CID])).good();
    assert!(!ran.stderr.contains("no store was named"), "{ran:?}");
    assert!(place.path("configured").is_dir());
    assert_eq!(run(place.bare().arg("count")).good().json()[0]["pins"], 1);
    let main = ["--store", "main", "count"];
    assert_eq!(run(place.bare().args(main)).good().json()[0]["pins"], 1);
    run(place.bare().args(["--store", "mian", "count"])).fails_with(2, "main, scratch");
    let scratch = run(place.bare().env("PINSTATE_STORE", "scratch").args(["pin", "add", CID]));
    scratch.good().says("kept in memory");

    let shown = run(place.bare().args(["config", "show"])).good().json();
    assert_eq!(shown[0]["store"], "main");
    assert_eq!(shown[0]["stores"]["main"]["backend"], "sled");
    let checked = run(place.bare().args(["config", "check"])).good().json();
    assert_eq!(checked.len(), 2);
    assert!(checked.iter().all(|store| store["good"] == true), "{checked:?}");

    // The environment stands over the file.
    let elsewhere = place.path("elsewhere");
    let ran = run(place.bare().env("PINSTATE_STORES__MAIN__PATH", &elsewhere).arg("count"));
    ran.fails_with(1, "elsewhere");
}

#[test]
fn a_wrong_configuration_is_told_by_file_and_key() {
    let place = Place::new();
    for (config, told) in [
        ("default_stor = \"x\"", "nearest known key: 'default_store'"),
        ("[stores.a]\npath = \"x\"", "names no backend"),
        ("default_store = \"b\"\n[stores.a]\nbackend = \"memory\"", "no store 'b'"),
        ("default_store = \"a\"\n[stores.a]\nbackend = \"sledd\"", "nearest: 'sled'"),
        (
            "default_store = \"a\"\n[stores.a]\nbackend = \"sled\"\npth = \"x\"",
            "'stores.a.pth': unknown key",
        ),
        (
            "default_store = \"a\"\n[stores.a]\nbackend = \"sled\"\npath = \"x\"\ncache = true",
            "stores.a.cache",
        ),
        (
            "default_store = \"a\"\n[stores.a]\nbackend = \"sled\"\npath = \"x\"\ncache = \"1KiB\"",
            "the least is",
        ),
        (
            "default_store = \"a\"\n[stores.a]\nbackend = \"memory\"\nmax_value_bytes = 0",
            "'max_value_bytes' is 0",
        ),
        ("= nonsense", "c.toml"),
    ] {
        let file = place.write("c.toml", config);
        let ran = run(place.bare().args(["--config", &file, "count"])).fails_with(2, told);
        assert!(ran.stderr.contains("c.toml"), "{ran:?}");
        let check = ["--config", &file, "--output", "text", "config", "check"];
        let ran = run(place.bare().args(check)).exits(2);
        assert!(ran.stdout.contains(told), "{ran:?}");
    }
    run(place.bare().args(["--config", "gone.toml", "count"])).fails_with(2, "gone.toml");
    let file = place.write("c.json", "{\"default_store\": 1}");
    let wrong = run(place.bare().env("PINSTATE_CONFIG", file).arg("count"));
    wrong.fails_with(2, "must be text").says("c.json");
}

#[test]
fn a_secret_is_not_shown() {
    let place = Place::new();
    let file = place.write(
        "c.toml",
        "[stores.a]\nbackend = \"memory\"\npassword = \"hunter2\"\nmax_value_bytes = 7",
    );
    for output in ["text", "json"] {
        let ran = run(place.bare().args(["--config", &file, "--output", output, "config", "show"]));
        let ran = ran.good();
        assert!(!ran.stdout.contains("hunter2") && ran.stdout.contains('7'), "{ran:?}");
    }
}

#[tokio::test]
async fn a_store_that_is_in_use_says_so() {
    let place = Place::new();
    place.run(&["pin", "add", CID]).good();
    let registry = Registry::new().with(pinstate_sled::SledFactory);
    let opened = registry.open(&Config::default(), &place.sled(), OpenOptions::new()).await;
    let store = opened.unwrap();
    place.run(&["count"]).fails_with(1, "locked").says("another process");
    let ran = place.json_run(&["count"]).exits(1);
    assert_eq!(ran.json_messages()[0]["error"]["kind"], "locked");
    // Judging its settings touches no store: neither one in use nor one that is not there.
    let file = place.write(
        "c.toml",
        format!(
            "[stores.used]\nbackend = \"sled\"\npath = \"{}\"\n\
             [stores.missing]\nbackend = \"sled\"\npath = \"{}\"\ncreate = true\n",
            place.path("store").display(),
            place.path("missing").display()
        ),
    );
    let ran = run(place.bare().args(["--config", &file, "config", "check"])).good();
    assert!(ran.json().iter().all(|store| store["state"] == "good"), "{ran:?}");
    assert!(!place.path("missing").exists());
    store.close().await.unwrap();
    drop(store);
    assert_eq!(place.count(), 1);
}

#[test]
fn every_command_speaks_json() {
    let place = Place::new();
    let example = common::example();
    let example = example.to_str().unwrap();
    for args in [
        &["import", example][..],
        &["pin", "add", CID],
        &["pin", "get", CID],
        &["pin", "has", CID],
        &["pin", "ls"],
        &["pin", "ls", "--limit", "3"],
        &["pin", "rm", CID],
        &["count"],
        &["count", "--estimate"],
        &["digest"],
        &["health"],
        &["backends"],
        &["namespaces", "create", "n"],
        &["namespaces", "list"],
        &["namespaces", "drop", "n", "--yes"],
        &["export"],
        &["export", "out"],
        &["export", "out", "--format", "snapshot"],
        &["export", "raft", "--format", "raft"],
        &["import", "--mode", "merge", "out"],
        &["import", "--mode", "replace", "raft"],
        &["config", "show"],
        &["config", "check"],
        &["cleanup", "--yes"],
    ] {
        let ran = place.json_run(args).good();
        let results = ran.json();
        assert!(!results.is_empty() || args[0] == "config", "{args:?}: {ran:?}");
        assert!(results.iter().all(serde_json::Value::is_object), "{args:?}: {ran:?}");
        ran.json_messages();
    }
    // Into a pipe it is JSON without being asked, and its messages are text.
    let ran = place.run(&["export", "out"]).good();
    assert_eq!(ran.json()[0]["pins"], 0);
}

#[test]
fn backends_and_completions_and_help() {
    let place = Place::new();
    let backends = run(place.bare().args(["--output", "json", "backends"])).good().json();
    let names: Vec<_> = backends.iter().map(|backend| backend["backend"].clone()).collect();
    assert_eq!(names, ["fjall", "memory", "scylla", "sled"]);
    for (backend, exclusive) in backends.iter().zip([true, false, false, true]) {
        assert_eq!(backend["capabilities"]["exclusive_open"], exclusive, "{backend}");
    }
    for shell in ["bash", "zsh", "fish"] {
        let script = run(place.bare().args(["completions", shell])).good().stdout;
        assert!(script.contains("pinstate"), "{shell}");
    }
    let help = run(place.bare().arg("--help")).good();
    assert!(help.stdout.contains("Exit codes") && help.stderr.is_empty());
    run(place.bare().arg("--version")).good();
    run(&mut place.bare()).exits(2);
}

#[test]
fn a_store_says_how_much_is_logged_unless_the_environment_does() {
    let place = Place::new();
    // Nobody listens there; what is wrong with the settings is logged before that matters.
    let warned_of = "prepared_statement_cache_size";
    let store = format!("scylla://127.0.0.1:1/pins?connect_timeout=1s&{warned_of}=1");
    let health = |store: &str| {
        let mut command = place.bare();
        command.args(["--store", store, "health"]);
        command
    };
    let said = |ran: common::Ran| ran.exits(1).stderr.contains(warned_of);
    assert!(said(run(&mut health(&store))));
    let quiet = format!("{store}&log_level=error");
    assert!(!said(run(&mut health(&quiet))));
    assert!(said(run(health(&quiet).env("PINSTATE_LOG", "pinstate=warn"))));
}

#[cfg(unix)]
#[test]
fn an_argument_that_is_no_unicode_fails_as_any_other_does() {
    use std::os::unix::ffi::OsStrExt;

    let place = Place::new();
    let odd = std::ffi::OsStr::from_bytes(b"gone-\xff.ndjson");
    run(place.command(&["import"]).arg(odd)).fails_with(1, "gone-");
    run(place.command(&["imprt"]).arg(odd)).fails_with(2, "imprt");
}

/// A folder says whose store it holds: its path alone names it, and another backend's name does
/// not.
#[test]
fn a_store_on_disk_is_known_by_what_it_is() {
    let place = Place::new();
    let example = example();
    let example = example.to_str().unwrap();
    let pinstate = |args: &[&str]| run(place.bare().args(args));
    let count =
        |store: &str| pinstate(&["--store", store, "count"]).good().json()[0]["pins"].clone();
    let folder = |backend: &str| place.path(backend).display().to_string();
    for (backend, other) in [("sled", "fjall"), ("fjall", "sled")] {
        let path = folder(backend);
        let store = format!("{backend}:{path}");
        pinstate(&["--store", &store, "import", example]).good();
        assert_eq!([count(&store), count(&path)], [22, 22]);
        let wrong = format!("{other}:{path}");
        let said = format!("holds a store of {backend} and none of {other}: name it {store}");
        pinstate(&["--store", &wrong, "count"]).fails_with(2, &said);
        pinstate(&["--store", &wrong, "import", example]).fails_with(2, &said);
    }
    pinstate(&["verify", &folder("sled"), &folder("fjall")]).good();
    let none = folder("neither");
    pinstate(&["--store", &none, "count"]).fails_with(2, "no store");
}

/// What is there already stays in use, whatever a new store would be.
#[test]
fn without_a_name_the_store_that_is_there_is_used() {
    for backend in ["sled", "fjall"] {
        let place = Place::new();
        let pinstate = |args: &[&str]| run(place.bare().args(args));
        pinstate(&["state", "import", "--backend", backend, example().to_str().unwrap()]).good();
        assert!(place.path(".local/share/pinstate").join(backend).is_dir());
        let counted = pinstate(&["count"]).good();
        assert_eq!(counted.json()[0]["pins"], 22);
        assert!(counted.stderr.contains(&format!("{backend}:")), "{counted:?}");
    }
}
