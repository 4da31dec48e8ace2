//! `mirror`: a process that holds both stores, and commands that tell it what to do.

#![cfg(feature = "sled")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command};

use common::{Place, Ran, finish, lines, run};

/// A mirror that runs, and is killed with this.
struct Running(Option<Child>);

impl Running {
    fn start(place: &Place, from: &str, to: &str) -> Self {
        let args = ["mirror", "start", "--from", from, "--to", to, "--job", "job"];
        let mut child = place.bare().args(args).spawn().unwrap();
        let running = BufReader::new(child.stderr.take().unwrap())
            .lines()
            .any(|line| line.unwrap().contains("listens in job"));
        assert!(running, "{:?}", child.wait());
        Self(Some(child))
    }

    /// Ends it as a service manager does.
    fn stop(mut self) {
        let child = self.0.take().unwrap();
        let asked = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
        assert!(asked.unwrap().success());
        let output = finish(child);
        assert!(output.status.success(), "{output:?}");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

fn mirror(place: &Place, args: &[&str]) -> Ran {
    run(place.bare().arg("mirror").args(args).args(["--job", "job"]))
}

fn count(place: &Place, store: &str) -> u64 {
    let ran = run(place.bare().args(["--store", store, "count"])).good();
    ran.json()[0]["pins"].as_u64().unwrap()
}

fn phases(ran: &Ran) -> Vec<String> {
    ran.json().iter().map(|line| line["phase"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_mirror_is_started_and_told_each_step() {
    let place = Place::new();
    let (from, to) = (place.sled_named("from"), place.sled_named("to"));
    let file = place.write("pins.ndjson", lines(0, 120, "a"));
    run(place.bare().args(["--store", &from, "import", &file])).good();
    mirror(&place, &["status"]).fails_with(1, "no mirror runs in job").says("mirror start");

    let running = Running::start(&place, &from, &to);
    assert_eq!(phases(&mirror(&place, &["status"]).good()), ["idle"]);
    mirror(&place, &["cutover"]).fails_with(1, "from which there is no cutover");
    let all = mirror(&place, &["advance", "--all"]).good();
    assert_eq!(phases(&all), ["idle", "mirror", "backfill", "verify", "shadow"]);
    let text = mirror(&place, &["shadow", "--percent", "100", "--output", "text"]).good();
    assert!(text.stdout.starts_with("shadow  the source answers"), "{text:?}");
    // Another process is kept out, of the folder and of the stores.
    let args = ["mirror", "start", "--from", &from, "--to", &to, "--job", "other"];
    run(place.bare().args(args)).exits(1).says("another process");
    let flipped = mirror(&place, &["cutover", "--budget", "30s"]).good();
    assert_eq!(flipped.json()[0]["primary"], "target");
    assert!(flipped.json()[0]["last_pause_us"].is_u64());
    // It is killed, and goes on where it was.
    drop(running);
    mirror(&place, &["status"]).fails_with(1, "keys in its journal 0");

    let running = Running::start(&place, &from, &to);
    assert_eq!(phases(&mirror(&place, &["rollback"]).good()), ["shadow"]);
    mirror(&place, &["cutover"]).good();
    assert_eq!(phases(&mirror(&place, &["finalise"]).good()), ["finalised"]);
    mirror(&place, &["abort", "--output", "json"]).exits(1).says("use the target store");
    running.stop();
    assert_eq!((count(&place, &from), count(&place, &to)), (120, 120));
}

#[test]
fn a_mirror_reads_its_configuration_anew_and_goes_on_where_that_is_wrong() {
    let place = Place::new();
    let (from, to) = (place.path("from"), place.path("to"));
    let stores = format!(
        "[stores.from]\nbackend = \"sled\"\npath = \"{}\"\n\
         [stores.to]\nbackend = \"sled\"\npath = \"{}\"\n",
        from.display(),
        to.display()
    );
    let config = place.write("c.toml", &stores);
    let file = place.write("pins.ndjson", lines(0, 10, "a"));
    run(place.bare().args(["--config", &config, "--store", "from", "import", &file])).good();
    let args = ["--config", &config, "mirror", "start", "--from", "from", "--to", "to"];
    let mut child = place.bare().args(args).args(["--job", "job"]).spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    let running = Running(Some(child));
    let mut until = |text: &str| {
        let found = said.by_ref().map(Result::unwrap).find(|line| line.contains(text));
        assert!(found.is_some(), "it never said {text}");
    };
    until("listens in job");
    let hang_up = || {
        let id = running.0.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args(["-HUP", &id]).status().unwrap().success());
    };
    hang_up();
    until("read the configuration anew");
    place.write("c.toml", format!("{stores}cach = 1\n"));
    // What is wrong with it is told, and the mirror goes on.
    hang_up();
    until("'stores.to.cach': unknown key");
    until("still holds");
    assert_eq!(phases(&mirror(&place, &["status"]).good()), ["idle"]);
    place.write("c.toml", &stores);
    hang_up();
    until("read the configuration anew");
    running.stop();
}

#[test]
fn a_mirror_is_given_up() {
    let place = Place::new();
    let (from, to) = (place.sled_named("from"), place.sled_named("to"));
    let file = place.write("pins.ndjson", lines(0, 10, "a"));
    run(place.bare().args(["--store", &from, "import", &file])).good();
    let running = Running::start(&place, &from, &to);
    mirror(&place, &["advance"]).good();
    assert_eq!(phases(&mirror(&place, &["abort"]).good()), ["aborted"]);
    running.stop();
    assert_eq!(count(&place, &from), 10);
    let args = ["mirror", "start", "--from", &from, "--to", &from, "--job", "other"];
    run(place.bare().args(args)).fails_with(2, "two stores");
}
