//! `migrate`: jobs between stores and files, as an operator sees them.

#![cfg(all(feature = "memory", feature = "sled"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{PATIENCE, Place, Ran, cid, lines, run};
use serde_json::Value;

/// A place with a store of so many pins, and the names of two others that are not there.
struct Route {
    place: Place,
    from: String,
    to: String,
}

impl Route {
    fn new(pins: u32) -> Self {
        let place = Place::new();
        let (from, to) = (place.sled_named("from"), place.sled_named("to"));
        let file = place.write("pins.ndjson", lines(0, pins, "a"));
        run(place.bare().args(["--store", &from, "import", &file])).good();
        Self { place, from, to }
    }

    fn name(&self, name: &str) -> String {
        self.place.path(name).to_str().unwrap().to_owned()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.place.bare();
        command.env("XDG_STATE_HOME", self.place.path("state")).arg("migrate").args(args);
        command
    }

    fn migrate(&self, args: &[&str]) -> Ran {
        run(&mut self.command(args))
    }

    fn ends<'a>(&'a self, args: &[&'a str]) -> Vec<&'a str> {
        let (first, rest) = args.split_first().unwrap();
        [&[*first, "--from", &self.from, "--to", &self.to], rest].concat()
    }

    fn same(&self) {
        run(self.place.bare().args(["verify", "--raw", &self.from, &self.to])).good();
    }

    fn jobs(&self) -> Vec<PathBuf> {
        let jobs = self.place.path("state/pinstate/jobs");
        let entries = std::fs::read_dir(jobs).into_iter().flatten();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    /// Waits until the only job says something.
    fn wait_for(&self, child: &mut Child, wanted: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            assert!(begun.elapsed() < PATIENCE, "it never came so far");
            let ran = self.migrate(&["status"]);
            if let Some(status) = ran.json().into_iter().next()
                && wanted(&status)
            {
                return status;
            }
            assert!(child.try_wait().unwrap().is_none(), "it ended before");
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args([name, &child.id().to_string()]).status().unwrap();
    assert!(status.success());
}

#[test]
fn a_plan_is_a_plan_and_a_run_needs_a_yes() {
    let route = Route::new(300);
    for args in [&["plan"][..], &["run"]] {
        let ran = route.migrate(&route.ends(args)).good();
        let plan = &ran.json()[0];
        assert_eq!((&plan["records"], &plan["possible"]), (&300.into(), &true.into()));
        assert!(!route.place.path("to").exists() && route.jobs().is_empty());
    }
    let ran = route.migrate(&route.ends(&["run", "--yes"])).good();
    let report = &ran.json()[0];
    assert_eq!((&report["phase"], &report["counts"]["written"]), (&"done".into(), &300.into()));
    assert_eq!(report["verified"]["durability"], "power");
    route.same();
    let folder = PathBuf::from(report["folder"].as_str().unwrap());
    let page = std::fs::read_to_string(folder.join("certificate.html")).unwrap();
    assert!(page.contains("Moved, and verified"));
    let status = route.migrate(&["status"]).good().json();
    assert_eq!(
        (&status[0]["worked_on"], &status[0]["progress"]["fraction"]),
        (&false.into(), &1.0.into())
    );
    // There is something now.
    let again = route.migrate(&route.ends(&["run", "--yes"]));
    again.fails_with(1, "the target has records already");
    let plan = route.migrate(&route.ends(&["plan"])).exits(1).json();
    assert_eq!(
        (&plan[0]["possible"], &plan[0]["findings"][0]["weight"]),
        (&false.into(), &"stop".into())
    );
    assert_eq!(route.jobs().len(), 1);
    route.migrate(&["pause"]).fails_with(2, "is over");
    let page = route.name("page.html");
    route.migrate(&["certificate", "--html", &page]).good();
    assert!(std::fs::metadata(page).unwrap().len() > 1_000);
}

#[test]
fn a_job_that_was_killed_or_interrupted_goes_on() {
    let route = Route::new(3_000);
    let slow = ["run", "--yes", "--page-rows", "100", "--workers", "2", "--write-rows", "1500"];
    let mut read = 0;
    for name in ["-KILL", "-KILL", "-INT"] {
        let mut child = route.command(&route.ends(&slow)).stdout(Stdio::null()).spawn().unwrap();
        let status = route.wait_for(&mut child, |status| {
            status["worked_on"] == true
                && status["progress"]["counts"]["read"].as_u64().unwrap() > read
        });
        assert!(status["progress"]["fraction"].as_f64().is_none_or(|fraction| fraction < 1.0));
        signal(&child, name);
        let code = child.wait().unwrap().code();
        assert_eq!(code, (name == "-INT").then_some(5));
        let status = route.migrate(&["status"]).json();
        assert_eq!((status.len(), &status[0]["worked_on"]), (1, &false.into()));
        // Not before it has ended: what the next one reads is to be the next one's.
        read = status[0]["progress"]["counts"]["read"].as_u64().unwrap();
    }
    let other = route.ends(&["run", "--yes", "--mode", "merge"]);
    route.migrate(&other).fails_with(1, "was \"fail-if-not-empty\"");
    let other = route.ends(&["plan", "--name", "x*"]);
    assert_eq!(route.migrate(&other).exits(1).json()[0]["possible"], false);
    let ran = route.migrate(&route.ends(&["run", "--yes", "--write-rows", "0"])).good();
    assert!(ran.stderr.contains("goes on with the job"), "{ran:?}");
    assert_eq!(ran.json()[0]["counts"]["read"], 3_000);
    route.same();
    // Two were killed, one was interrupted, one came to the end.
    let certificate = &route.migrate(&["certificate"]).good().json()[0];
    let runs = certificate["runs"].as_array().unwrap();
    let ended = |run: &Value| !run["ended"].is_null();
    assert_eq!((runs.len(), runs.iter().filter(|run| ended(run)).count()), (4, 2));
}

#[test]
fn a_job_is_watched_until_it_is_over() {
    let route = Route::new(2_000);
    let slow = ["run", "--yes", "--page-rows", "50", "--write-rows", "150"];
    let mut child = route.command(&route.ends(&slow)).stdout(Stdio::null()).spawn().unwrap();
    route.wait_for(&mut child, |status| status["worked_on"] == true);
    let watch = ["status", "--watch"];
    let mut watching = route.command(&watch).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watching.stdout.take().unwrap()).lines();
    let mut next = || -> Option<Value> {
        lines.next().map(|line| serde_json::from_str(&line.unwrap()).unwrap())
    };
    // It tells what changes while the job is worked on, and nothing else.
    let first = next().unwrap();
    assert_eq!(first["worked_on"], true, "{first}");
    route.migrate(&["throttle", "--write-rows", "0"]).good();
    let (mut last, mut told) = (first, 1);
    while let Some(now) = next() {
        let over = now["progress"]["phase"] == "done";
        assert!(now["progress"] != last["progress"] || over, "it says the same twice: {now}");
        (last, told) = (now, told + 1);
    }
    assert!(child.wait().unwrap().success() && watching.wait().unwrap().success());
    assert!(told >= 2 && last["progress"]["phase"] == "done", "{last}");
    let certificate = &route.migrate(&["certificate"]).good().json()[0];
    assert!(certificate["throttled"]["write rows"].as_u64().unwrap() > 0);
    // Where nobody works on it, it says so and ends.
    let ran = route.migrate(&watch).good();
    assert_eq!(ran.json().len(), 1);

    // Interrupted, it ends with the code of that, and the job goes on.
    let route = Route::new(2_000);
    let mut child = route.command(&route.ends(&slow)).stdout(Stdio::null()).spawn().unwrap();
    route.wait_for(&mut child, |status| status["worked_on"] == true);
    let mut watching = route.command(&watch).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watching.stdout.take().unwrap()).lines();
    lines.next().unwrap().unwrap();
    signal(&watching, "-INT");
    assert_eq!(watching.wait().unwrap().code(), Some(5));
    assert!(child.try_wait().unwrap().is_none());
    signal(&child, "-KILL");
    child.wait().unwrap();
    let ran = route.migrate(&watch).good().says("migrate run");
    assert_eq!(ran.json()[0]["worked_on"], false);
}

#[test]
fn a_job_that_is_worked_on_takes_orders() {
    let route = Route::new(2_000);
    let slow = ["run", "--yes", "--page-rows", "50", "--write-rows", "150"];
    let mut child = route.command(&route.ends(&slow)).stdout(Stdio::null()).spawn().unwrap();
    route.wait_for(&mut child, |status| status["worked_on"] == true);
    // The store is taken, and so is the job.
    route.migrate(&route.ends(&slow)).fails_with(1, "locked");
    route.migrate(&["pause"]).good();
    route.wait_for(&mut child, |status| status["progress"]["throttled"] == "paused");
    route.migrate(&["throttle"]).fails_with(2, "--write-rows");
    route.migrate(&["throttle", "--write-rows", "0", "--window", "none"]).good();
    route.migrate(&["resume"]).good();
    assert!(child.wait().unwrap().success());
    route.same();
    let certificate = &route.migrate(&["certificate"]).good().json()[0];
    assert!(certificate["notes"].as_array().unwrap().len() >= 2);

    let route = Route::new(2_000);
    let mut child = route.command(&route.ends(&slow)).stdout(Stdio::null()).spawn().unwrap();
    route.wait_for(&mut child, |status| status["worked_on"] == true);
    route.migrate(&["abort"]).good();
    assert_eq!(child.wait().unwrap().code(), Some(5));
    assert_eq!(route.migrate(&["status"]).json()[0]["progress"]["phase"], "aborted");

    // Nobody works on it: the target must be named.
    let route = Route::new(2_000);
    let slow = [&slow[..], &["--mode", "replace"]].concat();
    let mut child = route.command(&route.ends(&slow)).stdout(Stdio::null()).spawn().unwrap();
    route.wait_for(&mut child, |status| status["progress"]["counts"]["written"] != 0);
    signal(&child, "-KILL");
    child.wait().unwrap();
    let spaces = || {
        let list = ["--store", &route.to, "namespaces", "list"];
        run(route.place.bare().args(list)).good().json().len()
    };
    assert_eq!(spaces(), 1, "what is loaded stands beside");
    route.migrate(&["abort"]).fails_with(2, "nobody works on this job");
    route.migrate(&route.ends(&["abort"])).good();
    assert_eq!(spaces(), 0);
    route.migrate(&route.ends(&["run", "--yes"])).good();
    route.same();
}

#[test]
fn files_are_moved_with_what_is_wrong_in_them_set_aside() {
    let route = Route::new(1);
    let mut text = lines(0, 500, "a");
    text.push_str(&lines(7, 8, "b"));
    text.insert_str(0, "{\"cid\":\"nonsense\"}\n");
    let file = route.place.write("some.ndjson", &text);
    let job = route.name("jobs");
    let from = ["run", "--yes", "--from", &file, "--to", &route.to, "--job", &job];
    let with = |more: &[&'static str]| [&from[..], more].concat();
    route.migrate(&with(&[])).fails_with(1, "--max-errors");
    let ran = route.migrate(&with(&["--max-errors", "1"])).exits(3);
    let report = &ran.json()[0];
    assert_eq!((&report["dead"], &report["counts"]["written"]), (&1.into(), &501.into()));
    // The last of several entries stays.
    let get = ["--store", &route.to, "pin", "get", &cid(7)];
    assert_eq!(run(route.place.bare().args(get)).good().json()[0]["name"], "b");
    let folder = PathBuf::from(report["folder"].as_str().unwrap());
    let letters = std::fs::read_to_string(folder.join("dead-letters.jsonl")).unwrap();
    let letter: Value = serde_json::from_str(letters.trim()).unwrap();
    assert!(letter["reason"].as_str().unwrap().contains("entry 1"), "{letter}");
    let raw = data_encoding::HEXLOWER.decode(letter["raw"].as_str().unwrap().as_bytes()).unwrap();
    assert!(String::from_utf8(raw).unwrap().contains("nonsense"));
}

#[test]
fn a_target_whose_job_has_lost_its_folder_is_given_back() {
    let route = Route::new(3_000);
    let slow = ["--page-rows", "100", "--write-rows", "500", "--yes"];
    let mut child = route.command(&route.ends(&["run"])).args(slow).spawn().unwrap();
    let moved = |status: &Value| status["progress"]["counts"]["read"].as_u64() > Some(0);
    route.wait_for(&mut child, moved);
    child.kill().unwrap();
    child.wait().unwrap();
    let folder = route.jobs().remove(0);
    let job = folder.file_name().unwrap().to_str().unwrap().to_owned();
    std::fs::remove_dir_all(&folder).unwrap();
    let again = route.ends(&["run", "--mode", "merge", "--yes"]);
    route.migrate(&again).fails_with(1, &job);
    let other = ["abort", "--to", &route.to, "--lost", "0d1a4b1e-7c7b-4f5e-9d55-3f2d1f6a1c11"];
    route.migrate(&other).fails_with(1, "no claim");
    route.migrate(&["abort", "--to", &route.to, "--lost", &job]).good();
    route.migrate(&again).good();
    route.same();
}

#[test]
fn no_secret_is_kept_with_a_job() {
    let route = Route::new(1);
    let to = "scylla://me:hunter2@127.0.0.1:1/ks?connect_timeout=1s";
    let ran = route.migrate(&["run", "--yes", "--from", &route.from, "--to", to]).exits(1);
    assert!(!format!("{ran:?}").contains("hunter2"), "{ran:?}");
    assert!(route.jobs().is_empty());
}
