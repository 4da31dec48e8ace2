//! The binary on a store of a real CQL server: all that it does with the others.

#![cfg(all(feature = "scylla", feature = "sled"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;
#[path = "common/here.rs"]
mod here;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::Command;

use common::{CID, Ran, example, lines, run, sorted};
use here::Here;

#[test]
fn the_binary_does_on_a_cluster_what_it_does_elsewhere() {
    let Some(here) = Here::start() else { return };
    let example = example();
    let example = example.to_str().unwrap();

    // Nothing is made behind anybody's back.
    let hint = "pinstate schema create --replication dc1=1";
    here.run(&["import", example]).fails_with(1, hint);
    here.run(&["count"]).fails_with(1, hint);
    let shown = run(here
        .command(&["schema", "show", "--replication", "dc1=3", "--dialect", "scylla"])
        .args(["--output", "text"]));
    assert!(shown.good().stdout.contains("AND tablets = {'enabled': false};\n"));
    here.run(&["schema", "create"]).fails_with(2, "'replication' does not say how");
    let many = here.run(&["schema", "create", "--replication", "dc1=2"]);
    many.fails_with(2, "2 replicas are wanted in 'dc1', which has one node");
    let made = here.run(&["schema", "create", "--replication", "dc1=1"]).good().json();
    assert_eq!(made[0]["namespaces"][0][0], "default");
    here.run(&["schema", "check"]).good();
    here.run(&["schema", "upgrade"]).good();
    let asked = here.run(&["schema", "show", "--replication", "dc1=1"]).good();
    assert!(!asked.stdout.contains("tablets"), "{}", asked.stdout);

    // Import, export, count, digest: the same as in a store of another kind.
    here.run(&["import", example]).good();
    here.place.run(&["import", example]).good();
    assert_eq!(here.pinset(), here.place.pinset());
    assert_eq!(here.count(), here.place.count());
    // A plan does not promise a keyspace that nobody will make.
    let elsewhere = here.store.replace(&here.keyspace, "nowhere_yet");
    let (from, to) = (here.place.sled(), elsewhere.as_str());
    let plan = run(here.place.bare().args(["migrate", "plan", "--from", &from, "--to", to]));
    plan.fails_with(1, "there is no keyspace 'nowhere_yet'");
    // Asked for otherwise than it is, it stays as it is, and says so.
    here.run(&["schema", "create", "--replication", "dc1=1"]).good();
    let digest = |ran: Ran| ran.good().json()[0]["digest"].clone();
    let ours = digest(here.run(&["digest"]));
    assert!(ours.is_string());
    assert_eq!(ours, digest(here.place.run(&["digest"])));
    here.run(&["import", example]).fails_with(1, "has pins already");

    // Merge keeps what is there, replace does not, and wants to be told that it may.
    let file = here.place.write("more.ndjson", lines(0, 300, "more"));
    here.run(&["import", "--mode", "merge", &file]).good();
    // Only the sides of a comparison are named, the store of the command line is neither.
    let other = here.place.sled();
    here.run(&["verify", example, &other]).good();
    let compared = here.run(&["verify", &other, &here.store]).exits(4).json();
    let extra = compared.iter().filter(|line| line["difference"] == "extra");
    assert_eq!((extra.count(), compared.len()), (300, 301));
    assert_eq!(here.count(), here.place.count() + 300);
    here.run(&["verify", &here.store, &other, "--repair"]).good();
    assert_eq!(digest(here.run(&["digest"])), digest(here.place.run(&["digest"])));
    here.run(&["import", "--mode", "replace", &file]).fails_with(2, "--exclusive");
    here.run(&["import", "--mode", "replace", "--exclusive", &file]).good();
    assert_eq!(here.pinset(), sorted(&lines(0, 300, "more")));

    // Lists in parts, by cursor.
    let (mut seen, mut parts, mut after) = (BTreeSet::new(), 0, None::<String>);
    loop {
        let mut args = vec!["pin", "ls", "--limit", "90"];
        if let Some(cursor) = &after {
            args.extend(["--after", cursor]);
        }
        let mut listed = here.run(&args).good().json();
        after = listed
            .pop_if(|last| last.get("cursor").is_some())
            .map(|last| last["cursor"].as_str().unwrap().to_owned());
        for pin in listed {
            assert!(seen.insert(pin["cid"].as_str().unwrap().to_owned()), "{pin} came twice");
        }
        parts += 1;
        if after.is_none() {
            break;
        }
    }
    assert_eq!((seen.len(), parts), (300, 4));

    // Single pins, and namespaces.
    here.run(&["pin", "add", "--name", "one", CID]).good();
    assert_eq!(here.run(&["pin", "get", CID]).good().json()[0]["name"], "one");
    here.run(&["pin", "rm", CID]).good();
    here.run(&["pin", "get", CID]).fails_with(1, "pin is not part of the pinset");
    here.run(&["namespaces", "create", "other"]).good();
    here.run(&["--namespace", "other", "pin", "add", CID]).good();
    assert_eq!(here.count(), 300);
    let names = here.run(&["namespaces", "list"]).good().json();
    let names: Vec<&str> = names.iter().map(|n| n["namespace"].as_str().unwrap()).collect();
    assert_eq!(names, ["default", "other"]);
    here.run(&["namespaces", "drop", "other", "--yes"]).good();
    here.run(&["cleanup", "--yes", "--exclusive"]).good();
    assert_eq!(here.count(), 0);

    // How it is.
    let health = here.run(&["health"]).good().json();
    assert_eq!(health[0]["ready"], true);
    // What a backend warns of is seen without asking for it.
    let store = format!("{}&prepared_statement_cache_size=1000", here.store);
    let warned = run(here.place.bare().args(["--store", &store, "health"])).good();
    assert!(warned.stderr.contains("prepared_statement_cache_size"), "{warned:?}");
    let doctor = here.run(&["doctor"]).good().json();
    assert_eq!(doctor[0]["peers"][0]["connected"], true);
    assert_eq!(doctor[0]["problems"], serde_json::json!([]));
    here.place.run(&["doctor"]).fails_with(2, "ScyllaDB or Cassandra cluster");
    // What died between two steps may leave tables that nothing uses; nothing died here.
    let checked = here.run(&["schema", "check"]).good().json();
    assert_eq!(checked[0]["left_over"], serde_json::json!([]));
    logs_what_its_configuration_says_now(&here);
}

/// A mirror to the cluster, whose configuration changes while it runs.
fn logs_what_its_configuration_says_now(here: &Here) {
    let configure = |level: &str| {
        here.place.write(
            "c.toml",
            format!(
                "[stores.c]\nbackend = \"scylla\"\nhosts = [\"{}\"]\nkeyspace = \"{}\"\n\
                 timeout = \"60s\"\nattempt_timeout = \"15s\"\n{level}\n",
                here.cluster.access().contact_points[0],
                here.keyspace
            ),
        )
    };
    let config = configure("log_level = \"error\"");
    let from = here.place.sled();
    let args = ["--config", &config, "mirror", "start", "--from", &from, "--to", "c"];
    let mut child = here.place.bare().args(args).args(["--job", "job"]).spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let mut until = |text: &str| {
        assert!(said.any(|line| line.contains(text)), "it never said {text}");
    };
    until("listens in job");
    let tell = |signal: &str| {
        let id = child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    };
    for (level, told) in [
        ("log_level = \"debug\"", "logging DEBUG"),
        ("", "logging WARN"),
        ("log_level = \"loud\"", "still holds"),
    ] {
        configure(level);
        tell("-HUP");
        until(told);
    }
    tell("-TERM");
    assert!(child.wait().unwrap().success());
}

#[test]
fn an_import_that_was_killed_is_repeated_and_nothing_is_left_over() {
    let Some(here) = Here::start() else { return };
    here.run(&["schema", "create", "--replication", "dc1=1"]).good();
    // What has been written once when an import is killed: four batches of a thousand are
    // under way at most.
    const WINDOW: usize = 4_000;
    let new = lines(0, 20_000, "new");
    let file = here.place.write("new.ndjson", &new);
    here.place.run(&["import", &file]).good();
    let digest = |ran: Ran| ran.good().json()[0]["digest"].clone();
    let source = digest(here.place.run(&["digest"]));
    assert!(source.is_string());

    // Killed while it merges: some pins are there, and running it again completes them.
    let mut killed = 0;
    for moment in [1, 3_000, 9_000, 15_000] {
        let name = format!("killed_at_{moment}");
        here.run(&["namespaces", "create", &name]).good();
        let merge = ["--namespace", &name, "import", "--mode", "merge", &file];
        let mut child = here.command(&merge).spawn().unwrap();
        let rows = || here.versions(&name).len();
        while rows() < moment && child.try_wait().unwrap().is_none() {}
        child.kill().unwrap();
        killed += usize::from(child.wait().unwrap().code().is_none());
        // The server may still be at work on what it had got.
        let mut before = here.versions(&name);
        loop {
            let later = here.versions(&name);
            if later == std::mem::replace(&mut before, later.clone()) {
                break;
            }
        }
        let again = here.run(&merge).good().json();
        let after = here.versions(&name);
        assert_eq!(digest(here.run(&["--namespace", &name, "digest"])), source);
        let twice = before.iter().filter(|(cid, version)| after[*cid] != **version).count();
        let told = again[0]["unchanged"].as_u64().unwrap();
        println!("{} rows at the kill, {twice} of them written twice", before.len());
        assert!(twice <= WINDOW, "{twice} of {} rows were written twice", before.len());
        assert_eq!((after.len(), told), (20_000, (before.len() - twice) as u64));
    }
    assert!(killed >= 3, "only {killed} kills came in time");

    // Killed while it replaces: the old pinset or the new one, and the next one that may
    // removes what was loaded.
    let new = lines(0, 4_000, "new");
    let file = here.place.write("new.ndjson", &new);
    here.run(&["import", &file]).good();
    let old = here.place.write("old.ndjson", lines(0, 3_000, "old"));
    let names = |here: &Here| here.run(&["namespaces", "list"]).good().json().len();
    let others = names(&here);
    let mut child =
        here.command(&["import", "--mode", "replace", "--exclusive", &old]).spawn().unwrap();
    while names(&here) == others && child.try_wait().unwrap().is_none() {}
    child.kill().unwrap();
    child.wait().unwrap();
    let (found, left) = (here.pinset(), names(&here) > others);
    assert!(found == sorted(&new) || found == sorted(&lines(0, 3_000, "old")));
    let ran = here.run(&["cleanup", "--yes", "--exclusive"]).good();
    assert_eq!(ran.stderr.contains("an interrupted import"), left, "{ran:?}");
    assert_eq!((names(&here), here.count()), (others, 0));
}

#[test]
fn a_pinset_moves_to_a_cluster_and_back_though_the_process_is_killed() {
    let Some(here) = Here::start() else { return };
    here.run(&["schema", "create", "--replication", "dc1=1"]).good();
    const PINS: u32 = 6_000;
    let file = here.place.write("pins.ndjson", lines(0, PINS, "a"));
    let (first, last) = (here.place.sled_named("first"), here.place.sled_named("last"));
    run(here.place.bare().args(["--store", &first, "import", &file])).good();
    let jobs = here.place.path("jobs");
    let migrate = |from: &str, to: &str, more: &[&str]| {
        let mut command = here.place.bare();
        command.args(["migrate", "run", "--yes", "--from", from, "--to", to]);
        command.args(["--page-rows", "200", "--workers", "2", "--job"]).arg(&jobs).args(more);
        command
    };
    for (from, to) in [(&*first, &*here.store), (&*here.store, &*last)] {
        let mut killed = 0;
        for moment in [1_u64, 1_500, 3_000] {
            let mut child = migrate(from, to, &["--write-rows", "2000"]).spawn().unwrap();
            let read = || {
                let mut status = here.place.bare();
                let ran = run(status.args(["migrate", "status", "--job"]).arg(&jobs));
                let status = ran.json().into_iter().find(|status| status["worked_on"] == true);
                status.map_or(0, |status| status["progress"]["counts"]["read"].as_u64().unwrap())
            };
            while read() < moment && child.try_wait().unwrap().is_none() {}
            child.kill().unwrap();
            killed += usize::from(child.wait().unwrap().code().is_none());
        }
        assert!(killed >= 2, "only {killed} kills came in time");
        let report = run(&mut migrate(from, to, &[])).good().json().remove(0);
        assert_eq!(report["counts"]["written"], PINS);
    }
    run(here.place.bare().args(["verify", "--raw", &first, &last])).good();
}
