//! A pinset of 200,000 pins (`PINSTATE_MIGRATE_PINS`) goes to three nodes and back, while the
//! process that moves it is killed again and again and a node dies on each way.
//!
//! `cargo test --release -p pinstate --test migrate_cluster -- --nocapture`, some minutes.

#![cfg(all(feature = "scylla", feature = "sled"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "a report")]

mod common;

use std::fs::File;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use common::{Place, lines, run};
use serde_json::Value;
use testbed::Options;

const KILLS: u32 = 12;
const PAGE: u64 = 500;
const WORKERS: u64 = 4;

/// Pins that a store has acknowledged in batches, by the traces of the processes.
fn acknowledged(folder: &Path, backend: &str) -> u64 {
    let mut sum = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let of_target = |line: &&str| {
            line.contains("operation=\"apply\"")
                && line.contains(&format!("backend=\"{backend}\""))
                && line.contains("success=true")
        };
        for line in text.lines().filter(of_target) {
            let (_, records) = line.rsplit_once("records=").unwrap();
            sum += records.split(' ').next().unwrap().parse::<u64>().unwrap();
        }
    }
    sum
}

#[test]
fn a_pinset_goes_to_three_nodes_and_back_through_kills() {
    let pins = std::env::var("PINSTATE_MIGRATE_PINS").map_or(200_000, |pins| pins.parse().unwrap());
    let Some(cluster) = testbed::for_tests::cluster(&Options::nodes(3).unwrap()) else { return };
    let place = Place::new();
    let hosts: Vec<String> =
        cluster.access().contact_points.iter().map(ToString::to_string).collect();
    let keyspace = format!("moved_{}", std::process::id());
    let store = format!(
        "scylla://{}/{keyspace}?local_dc={}&timeout=60s&attempt_timeout=15s&page_timeout=15s",
        hosts.join(","),
        cluster.datacenters()[0],
    );
    let schema = ["--store", &store, "schema", "create", "--replication", "dc1=3"];
    run(place.bare().args(schema)).good();
    let (first, last) = (place.sled_named("first"), place.sled_named("last"));
    let file = place.write("pins.ndjson", lines(0, pins, "a"));
    run(place.bare().args(["--store", &first, "import", &file])).good();
    let jobs = place.path("jobs");
    let job = ["--job", jobs.to_str().unwrap()];
    let step = u64::from(pins) / u64::from(KILLS + 1);
    let mut random = fastrand::Rng::new();
    for (way, from, to, backend) in
        [("out", &*first, &*store, "scylla"), ("back", &*store, &*last, "sled")]
    {
        let traces = place.path(&format!("traces-{way}"));
        std::fs::create_dir(&traces).unwrap();
        let begin = |name: u32| {
            let mut command = place.bare();
            command.args(["migrate", "run", "--yes", "--from", from, "--to", to]).args(job);
            command.args(["--page-rows", &PAGE.to_string(), "--workers", &WORKERS.to_string()]);
            command.env("PINSTATE_LOG", "pinstate_core=debug");
            let trace = File::create(traces.join(name.to_string())).unwrap();
            command.stderr(trace).stdout(Stdio::piped());
            command
        };
        let status = || {
            let ran = run(place.bare().args(["migrate", "status"]).args(job)).json();
            let of_way = |status: &Value| status["progress"]["phase"] == "copying";
            ran.into_iter().find(of_way)
        };
        let (mut killed, mut reached, began) = (0, 0, Instant::now());
        for kill in 0..KILLS {
            if kill == 4 {
                cluster.kill(2).unwrap();
            }
            if kill == 8 {
                cluster.start_node(2).unwrap();
            }
            let mut child = begin(kill).spawn().unwrap();
            let moment = reached + random.u64(1..=step);
            loop {
                if child.try_wait().unwrap().is_some() {
                    break;
                }
                let read = |status: &Value| status["progress"]["counts"]["read"].as_u64();
                let now = status().as_ref().and_then(read).unwrap_or(0);
                if now >= moment {
                    reached = now;
                    break;
                }
                std::thread::park_timeout(Duration::from_millis(5));
            }
            child.kill().unwrap();
            killed += u64::from(child.wait().unwrap().code().is_none());
        }
        let report = run(&mut begin(KILLS)).exits(0).json().remove(0);
        assert_eq!(report["counts"]["written"], pins);
        assert_eq!((&report["dead"], &report["verified"]["equal"]), (&0.into(), &true.into()));
        let twice = acknowledged(&traces, backend) - u64::from(pins);
        println!(
            "{way}: {killed} kills in {:.0} s, {twice} pins written twice, {} allowed",
            began.elapsed().as_secs_f64(),
            PAGE * WORKERS * killed
        );
        assert!(killed >= 10, "only {killed} kills came in time");
        assert!(twice <= PAGE * WORKERS * killed);
    }
    let digest = |store: &str| {
        let ran = run(place.bare().args(["--store", store, "digest", "--kind", "raw"])).good();
        ran.json()[0]["digest"].clone()
    };
    assert_eq!(digest(&first), digest(&last));
    assert_eq!(digest(&first), digest(&store));
    // The entries of a snapshot, whatever order a store gives them in.
    run(place.bare().args(["verify", "--raw", &first, &last])).good();
    let export = |store: &str| {
        let ran = run(place.bare().args(["--store", store, "export"])).good();
        common::sorted(&ran.stdout)
    };
    assert_eq!(export(&first), export(&last));
}
