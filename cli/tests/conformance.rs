//! The conformance suite from the command line: on stores that are somebody's.

#![cfg(all(feature = "conformance", feature = "memory", feature = "scylla", feature = "sled"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command};
use std::time::Duration;

use common::{CID, Place, finish, lines, run};
use serde_json::Value;

/// A place with a sled store that has pins, and a second namespace.
fn place() -> Place {
    let place = Place::new();
    place.run_with_input(&["import"], lines(0, 50, "mine").as_bytes()).good();
    place.run(&["namespaces", "create", "other"]).good();
    place.run(&["--namespace", "other", "pin", "add", CID]).good();
    place
}

fn files(place: &Place, folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(place.path(folder)).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().to_str().unwrap().to_owned());
    common::sorted(&names.collect::<Vec<_>>().join("\n"))
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args([name, &child.id().to_string()]).status().unwrap();
    assert!(status.success());
}

/// The line of a clause on a leg.
fn line<'a>(results: &'a [Value], leg: &str, clause: &str) -> &'a Value {
    results.iter().find(|line| line["leg"] == leg && line["clause"] == clause).unwrap()
}

#[test]
fn memory_is_green_and_leaves_reports() {
    let place = Place::new();
    let args = ["--store", "memory:?max_value_bytes=100000", "conformance", "--only", "C,R,Z1"];
    let ran = run(place.bare().args(args).args(["--seed", "11", "--report", "out"])).good();
    assert_eq!(ran.stderr, "", "failures that were provoked are no warnings");
    let results = ran.json();
    for leg in ["raw", "layered"] {
        for clause in ["C1", "R6", "Z1", "Y2", "Y3"] {
            assert_eq!(line(&results, leg, clause)["status"], "pass", "{leg} {clause}: {ran:?}");
        }
    }
    let last = results.last().unwrap();
    assert_eq!((&last["green"], &last["seed"]), (&Value::from(true), &Value::from(11)));
    assert_eq!(files(&place, "out"), ["junit.xml", "report.html", "result.json"]);
    let report: Value = serde_json::from_str(&place.text("out/result.json")).unwrap();
    assert_eq!(report["schema"], "pinstate-conformance/1");
    assert_eq!(report["backend"]["name"], "memory");
    assert_eq!(report["backend"]["configuration"]["max_value_bytes"], "100000");
    assert_eq!(report["only"], serde_json::json!(["C", "R", "Z1"]));
    assert!(place.text("out/report.html").contains("Every clause that was run holds"));
}

#[test]
fn a_store_with_pins_is_tested_and_left_as_it_was() {
    let place = place();
    let before = place.pinset();
    let args = ["conformance", "--only", "C,N,I5,F,Z"];
    let ran = place.run(&args).good();
    let results = ran.json();
    assert_eq!(line(&results, "raw", "Y2")["status"], "pass");
    let own = line(&results, "raw", "Z2")["cases"][0].clone();
    assert_eq!(own["status"], "skipped");
    assert!(own["message"].as_str().unwrap().contains("--allow-destructive"), "{own}");

    let ran = place.run(&[&args[..], &["--allow-destructive", "--report", "out"]].concat()).good();
    let results = ran.json();
    for clause in ["I5", "Z1", "Z2", "Z3", "N5", "Y2", "Y3"] {
        for leg in ["raw", "layered"] {
            let line = line(&results, leg, clause);
            let skipped =
                line["cases"].as_array().unwrap().iter().any(|c| c["status"] == "skipped");
            assert!(line["status"] == "pass" && !skipped, "{line}");
        }
    }
    assert_eq!(place.pinset(), before);
    assert_eq!(place.namespaces(), ["default", "other"]);
    place.run(&["conformance", "gc"]).good().says("there was nothing to remove");
    // The folders of stores of its own are gone.
    assert_eq!(files(&place, "."), ["out", "store"]);
}

/// The suite starts this program once more and kills it; what it is told in the environment
/// is no configuration.
#[test]
fn processes_with_a_store_of_their_own_are_killed() {
    let place = place();
    // What the name says about making the store is about that one alone.
    let store = format!("{}?create=true", place.sled());
    let args = ["--store", &store, "conformance", "--only", "D2,D11,D12", "--allow-destructive"];
    let mut command = place.bare();
    command.args(args).args(["--output", "json"]);
    let ran = run(command.env("PINSTATE_CONFORMANCE_KILLS", "2")).good();
    for leg in ["raw", "layered"] {
        for clause in ["D2", "D11", "D12"] {
            assert_eq!(line(&ran.json(), leg, clause)["status"], "pass", "{ran:?}");
        }
    }
}

#[test]
fn what_cannot_be_tested_is_said_before_anything_is_done() {
    let place = Place::new();
    place.run(&["conformance"]).fails_with(1, "no such store");
    assert!(!place.path("store").exists());
    run(place.bare().arg("conformance")).fails_with(2, "name the store to test");
    run(place.bare().args(["conformance", "gc"])).fails_with(2, "name the store");
    let ran = run(place.bare().args(["--store", "memory:", "conformance", "--only", "C1,Q77"]));
    ran.fails_with(2, "no clause 'Q77'").says("conformance list");
    // Clauses that cannot run here show nothing: that is no success.
    let place = self::place();
    let file = place.write("a.file", "");
    let ran = place.run(&["conformance", "--report", &format!("{file}/report")]);
    let ran = ran.fails_with(1, "the report cannot be written");
    assert!(ran.json().is_empty(), "clauses were run before");
    let ran = place.run(&["conformance", "--only", "Z1"]).exits(1);
    let last = ran.json().last().unwrap().clone();
    assert_eq!(last["green"], false);
    assert!(last["problems"][0].as_str().unwrap().contains("no case was executed"), "{last}");
}

#[test]
fn an_interrupt_leaves_nothing_behind() {
    let place = place();
    let before = place.pinset();
    let args = ["conformance", "--allow-destructive", "--report", "out"];
    let mut child = place.command(&args).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    // In the middle of the list clauses, which fill large namespaces.
    let mut told = String::new();
    while !told.contains("\"clause\":\"N5\"") {
        told.clear();
        assert!(stdout.read_line(&mut told).unwrap() > 0, "it ended early");
    }
    signal(&child, "-INT");
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut stdout, &mut rest).unwrap();
    let output = finish(child);
    assert_eq!(output.status.code(), Some(5), "{output:?} {rest}");
    let last: Value = serde_json::from_str(rest.lines().last().unwrap()).unwrap();
    assert_eq!(last["problems"][0], "the run was broken off");
    let y3 = rest.lines().find(|line| line.contains("\"Y3\"")).unwrap();
    assert!(y3.contains("\"status\":\"pass\""), "{y3}");
    let report: Value = serde_json::from_str(&place.text("out/result.json")).unwrap();
    assert_eq!(report["interrupted"], true);
    assert_eq!(place.namespaces(), ["default", "other"]);
    assert_eq!(place.pinset(), before);
    assert_eq!(files(&place, "."), ["out", "store"]);
    place.run(&["conformance", "gc"]).good().says("there was nothing to remove");
}

#[test]
fn gc_removes_what_a_killed_run_left_and_nothing_else() {
    let place = place();
    // One that looks like a leftover, and has no mark.
    place.run(&["namespaces", "create", "conf-0123456789-000001"]).good();
    let before = place.namespaces();
    let mut attempts = 0;
    while place.namespaces() == before {
        attempts += 1;
        assert!(attempts < 50, "no kill came while a namespace was there");
        let mut child = place.command(&["conformance", "--only", "C1,C2,S5"]).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        // C1 is told when C2 has begun to be; S5 then works for a while.
        stdout.read_line(&mut String::new()).unwrap();
        std::thread::park_timeout(Duration::from_millis(20 * attempts));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    std::fs::create_dir_all(place.path(".store.conformance-abc/store")).unwrap();
    std::fs::create_dir_all(place.path(".store.conformance-xyz")).unwrap();
    place.write(".store.conformance-abc/made-by-pinstate-conformance", "");
    let ran = place.run(&["conformance", "gc"]).good();
    let removed = ran.json();
    assert!(removed.iter().any(|line| line["removed"].as_str().unwrap().starts_with("conf-")));
    assert_eq!(place.namespaces(), before);
    assert_eq!(files(&place, "."), [".store.conformance-xyz", "store"]);
    assert_eq!(place.count(), 50);
    place.run(&["conformance", "gc"]).good().says("there was nothing to remove");
}

/// Kills a run while a case works in a folder for temporary files, with children that it has
/// started.
#[test]
fn gc_removes_the_folders_of_a_killed_run_and_leaves_those_of_a_living_one() {
    let place = place();
    let folders = || place.temporary.path().read_dir().unwrap().count();
    let begin = || {
        let args = ["conformance", "--only", "D5", "--allow-destructive"];
        let mut command = place.command(&args);
        let mut child = command.env("PINSTATE_CONFORMANCE_KILLS", "100000").spawn().unwrap();
        while folders() == 0 {
            assert!(child.try_wait().unwrap().is_none(), "it ended early");
            std::thread::yield_now();
        }
        child
    };
    let mut child = begin();
    let other = Place::new();
    other.run_with_input(&["import"], lines(0, 1, "mine").as_bytes()).good();
    let mut gc = other.command(&["conformance", "gc"]);
    gc.env("TMPDIR", place.temporary.path());
    run(&mut gc).good().says("there was nothing to remove");
    assert_eq!(folders(), 1);
    child.kill().unwrap();
    child.wait().unwrap();
    let removed = run(&mut gc).good().json();
    assert!(
        removed[0]["removed"].as_str().unwrap().contains("pinstate-conformance-"),
        "{removed:?}"
    );
    assert_eq!(folders(), 0);
}

#[test]
fn two_runs_are_compared() {
    let place = Place::new();
    let test = |only: &str, folder: &str| {
        let args = ["--store", "memory:", "conformance", "--only", only, "--report", folder];
        run(place.bare().args(args)).good();
    };
    test("C1,C2", "one");
    test("C1", "two");
    let compare = |files: [&str; 2]| {
        let args = ["conformance", "compare", files[0], files[1], "--report", "both"];
        run(place.bare().args(args))
    };
    let (one, two) = ("one/result.json", "two/result.json");
    compare([one, one]).good().says("the same in both");
    compare([two, one]).good();
    let ran = compare([one, two]).exits(1);
    let changes = ran.json();
    assert_eq!(changes.len(), 2, "{changes:?}");
    assert!(changes.iter().all(|change| change["clause"] == "C2" && change["worse"] == true));
    let page = place.text("both/report.html");
    assert!(page.contains("What has changed") && page.contains("memory, run 2"));
    place.write("bad.json", "{\"schema\": \"pinstate-conformance/9\"}");
    compare([one, "bad.json"]).fails_with(1, "pinstate-conformance/9");
    compare(["gone.json", one]).fails_with(1, "gone.json");
}

#[test]
fn a_whole_run_on_memory_is_green_and_not_weak() {
    let place = Place::new();
    let ran = run(place.bare().args(["--store", "memory:", "conformance"])).good();
    let results = ran.json();
    let last = results.last().unwrap();
    assert_eq!((&last["green"], &last["weak"]), (&Value::from(true), &serde_json::json!([])));
}

#[test]
fn saved_histories_are_judged_again() {
    let place = Place::new();
    let args = ["--store", "memory:", "conformance", "--only", "X1", "--report", "out"];
    run(place.bare().args(args).args(["--histories", "every"])).good();
    let ran = run(place.bare().args(["conformance", "recheck", "out"])).good();
    let results = ran.json();
    assert!(results.len() > 20, "{ran:?}");
    assert!(results.iter().all(|line| line["status"] == "pass"), "{ran:?}");

    // A read of what nobody wrote.
    let history = [
        r#"{"pinstate-history":{"format":1,"promise":"linearizable"}}"#,
        r#"{"event":{"client":1,"key":"61","call":"get","invoked":1,"end":{"answered":{"at":2,"answer":{"record":{"version":7,"value":"62"}}}}}}"#,
        r#"{"end":{"events":1,"barriers":0}}"#,
    ];
    std::fs::create_dir(place.path("wrong")).unwrap();
    std::fs::write(place.path("wrong/one.jsonl"), history.join("\n")).unwrap();
    let ran = run(place.bare().args(["conformance", "recheck", "wrong"]));
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stdout.contains("no order of these operations"), "{ran:?}");
    std::fs::write(place.path("wrong/one.jsonl"), history[..2].join("\n")).unwrap();
    let ran = run(place.bare().args(["conformance", "recheck", "wrong"]));
    assert!(ran.code == Some(1) && ran.stderr.contains("the file was cut"), "{ran:?}");
    std::fs::create_dir(place.path("empty")).unwrap();
    let ran = run(place.bare().args(["conformance", "recheck", "empty"]));
    assert!(ran.code > Some(1) && ran.stderr.contains("there is no history"), "{ran:?}");
}

#[test]
fn clauses_are_listed_and_explained() {
    let place = Place::new();
    let listed = run(place.bare().args(["conformance", "list"])).good().json();
    let ids: Vec<&str> = listed.iter().map(|line| line["clause"].as_str().unwrap()).collect();
    assert!(ids.contains(&"C1") && ids.contains(&"Y3"), "{ids:?}");
    assert_eq!(ids.iter().filter(|id| **id == "C1").count(), 1);
    let explain = |args: &[&str]| run(place.bare().args(["conformance", "explain"]).args(args));
    let l9 = explain(&["l9"]).good().json()[0].clone();
    assert_eq!(l9["clause"], "L9");
    assert!(l9["kills"].as_array().unwrap().iter().any(|kill| kill["mutant"] == "CursorInclusive"));
    let text = explain(&["--output", "text", "C1"]).good().stdout;
    assert!(text.contains("Why it matters") && text.contains("everything else rests on it"));
    explain(&["C"]).fails_with(2, "is a group");
    explain(&["nope"]).fails_with(2, "no clause 'nope'");
}
