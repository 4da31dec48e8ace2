//! `bench` and `compare`: a store under load, and what of that is left behind.

#![cfg(all(feature = "memory", feature = "sled"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;

use common::{Place, lines, run};
use serde_json::Value;

const SHORT: [&str; 6] = ["--duration", "500ms", "--warmup", "200ms", "--preload", "500"];

fn with<'a>(args: &[&'a str]) -> Vec<&'a str> {
    [args, &SHORT].concat()
}

#[test]
fn a_benchmark_leaves_a_store_as_it_was() {
    let place = Place::new();
    place.run_with_input(&["import"], lines(0, 10, "mine").as_bytes()).good();
    let before = place.pinset();
    for how in [&["--rate", "500"][..], &["--closed", "4", "--workload", "churn"]] {
        let report = place.path("report");
        let args = [&["bench", "run", "--report", report.to_str().unwrap()], how].concat();
        let told = place.json_run(&with(&args)).good().json().remove(0);
        let run = &told["runs"][0];
        assert!(run["operations"].as_u64().unwrap() > 0, "{run}");
        assert_eq!(run["wrong_count"], 0);
        assert_eq!(told["subjects"][0]["durability"], "power");
        let all: Value = serde_json::from_str(&place.text("report/bench.json")).unwrap();
        assert_eq!(all["runs"][0]["operations"], run["operations"]);
        assert!(place.text("report/bench.html").contains("</html>"));
    }
    assert_eq!(place.pinset(), before);
    assert_eq!(place.namespaces(), ["default"]);
    place.run(&with(&["bench", "run", "--keep"])).good().says("stay in the namespace bench-");
    assert_eq!(place.namespaces().len(), 2);
}

#[test]
fn stores_are_compared_and_promises_that_differ_are_named() {
    let place = Place::new();
    let sled = place.sled();
    let report = place.path("report");
    let args = ["compare", "memory:", &sled, "--rounds", "3", "--rate", "300", "--report"];
    let args = [&with(&args)[..args.len()], &[report.to_str().unwrap()], &SHORT].concat();
    let ran = run(place.bare().args(["--output", "text"]).args(args)).good();
    for part in ["UNEQUAL", "none in memory:", "power in sled:"] {
        assert!(ran.stdout.contains(part), "{part}: {}", ran.stdout);
    }
    let told: Value = serde_json::from_str(&place.text("report/bench.json")).unwrap();
    assert_eq!(told["runs"].as_array().unwrap().len(), 6);
    let comparison = &told["comparisons"][0];
    let len = |part: &str| comparison[part].as_array().unwrap().len();
    // A busy machine may give operations late: such rounds are left out, and said to be.
    assert!(len("metrics") > 0 || len("left_out") > 2, "{comparison}");
    let list = run(place.bare().args(["--store", &sled, "namespaces", "list"])).good().stdout;
    assert!(!list.contains("bench-"), "{list}");
    // A wait of the same machine is no figure: what cannot be looked at is no success.
    let args = ["compare", "memory:", "memory:", "--rounds", "2", "--fail-if", "p999>+10%"];
    let args = [&with(&args)[..], &["--operations", "200"]].concat();
    run(place.bare().args(args)).fails_with(1, "");
}

#[test]
fn workloads_are_shown_and_taken_from_files() {
    let place = Place::new();
    let list = place.text_run(&["bench", "list"]).good().stdout;
    assert!(list.contains("pin-ingest") && list.contains("YCSB F"), "{list}");
    let toml = place.text_run(&["bench", "list", "churn"]).good().stdout;
    let mine = place.write("mine.toml", toml.replace("rm = 30.0", "rm = 0.0"));
    let args = with(&["bench", "run", "--store", "memory:", "--workload", &mine, "--seed", "9"]);
    let told = place.json_run(&args).good().json().remove(0);
    assert_eq!((&told["workload"]["name"], &told["seed"]), (&"mine".into(), &9.into()));
    let kinds = told["runs"][0]["kinds"].as_array().unwrap();
    assert!(kinds.iter().all(|kind| kind["name"] != "rm"));
}

#[cfg(feature = "conformance")]
#[test]
fn what_the_suite_has_shown_stands_beside_the_figures() {
    let place = Place::new();
    let suite = ["conformance", "--store", "memory:", "--only", "N1", "--report", "shown"];
    place.run(&suite).good();
    let args = ["bench", "run", "--store", "memory:", "--conformance", "shown/result.json"];
    let told = place.json_run(&with(&args)).good().json().remove(0);
    assert_eq!(told["subjects"][0]["details"]["conformance"], "no level shown (quick)");
    place.write("wrong.json", "{}");
    let args = ["bench", "run", "--store", "memory:", "--conformance", "wrong.json"];
    place.run(&with(&args)).fails_with(1, "wrong.json");
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_is_opened() {
    let place = Place::new();
    let wrong = place.write("wrong.toml", "about = \"\"\npreload = 1\nrate = 1\nclints = 1\n");
    let nothing = place.write(
        "nothing.toml",
        "about = \"\"\npreload = 0\nrate = 1\nclients = 1\n[mix]\nget = 1\n",
    );
    for (args, text) in [
        (&["bench", "run", "--workload", "chrun"][..], "pin-ingest"),
        (&["bench", "run", "--workload", &wrong], "clints"),
        (&["bench", "run", "--workload", &nothing], "'preload' is 0"),
        (&["bench", "run", "--rate", "0"], "--rate"),
        (&["bench", "run", "--rate", "5", "--closed", "4"], "--closed"),
        (&["bench", "run", "--duration", "1ms"], "--duration"),
        (&["bench", "find-rate", "--slo", "p99"], "p99<10ms"),
        (&["bench", "find-rate", "--closed", "4"], "closed loop"),
        (&["compare", "memory:"], "2"),
        (&["compare", "memory:", "memory:", "--fail-if", "p98>+1%"], "p999"),
        (&["compare", "memory:", "memory:", "--effect", "100"], "--effect"),
    ] {
        place.run(args).fails_with(2, text);
    }
    // The store with the user's pins is not meant by who names none.
    for command in [["bench", "run"], ["bench", "find-rate"], ["bench", "restart"]] {
        run(place.bare().args(command)).fails_with(2, "name the store to test");
    }
    place.run(&["bench", "run", "--workload", "none.toml"]).fails_with(1, "none.toml");
    let report = format!("{wrong}/report");
    for args in [
        &["bench", "run", "--report", &report][..],
        &["compare", "memory:", "memory:", "--report", &report],
    ] {
        place.run(args).fails_with(1, "the report cannot be written");
    }
    assert!(!place.path("sled").exists());
}

#[test]
fn a_store_is_read_again_after_its_writer_was_killed() {
    let place = Place::new();
    place.run_with_input(&["import"], lines(0, 10, "mine").as_bytes()).good();
    let args = ["bench", "restart", "--preload", "200", "--rounds", "2"];
    let told = place.json_run(&args).good().json().remove(0);
    assert_eq!((&told["rounds"], &told["preload"]), (&2.into(), &200.into()));
    let time = |part: &str| told[part]["median"].as_f64().unwrap();
    assert!(0.0 < time("opened_seconds") && time("opened_seconds") < time("read_seconds"));
    assert_eq!((place.count(), place.namespaces()), (10, vec!["default".to_owned()]));
    place.run(&["bench", "restart", "--store", "memory:"]).fails_with(2, "gone with its process");
}

#[test]
fn a_rate_is_found_or_it_is_said_that_there_is_none() {
    let place = Place::new();
    let args = ["bench", "find-rate", "--store", "memory:", "--operations", "400"];
    let bounded = ["--slo", "p50<1us", "--rate", "100"];
    let told = place.json_run(&[&with(&args)[..], &bounded].concat()).exits(1).json().remove(0);
    assert_eq!(told["rate"], Value::Null, "{told}");
}
