//! Commands that serve metrics while they run.

#![cfg(feature = "sled")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use common::{Place, lines, run};

/// A command under way that serves metrics.
struct Serving {
    child: Child,
    address: String,
}

impl Serving {
    /// Waits until it says where they are.
    fn start(command: &mut Command) -> Self {
        let mut child = command.args(["--output", "text"]).spawn().unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = said.by_ref().find_map(|line| {
            let line = line.unwrap();
            let rest = line.strip_prefix("note: metrics are at http://")?;
            Some(rest.strip_suffix("/metrics").unwrap().to_owned())
        });
        let Some(address) = address else { panic!("{:?}", child.wait()) };
        // What else it says must find a reader.
        std::thread::spawn(move || said.for_each(drop));
        Self { child, address }
    }

    fn asked(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Asks until a series has at least this value.
    fn tells(&self, series: &str, value: f64) {
        let end = std::time::Instant::now() + common::PATIENCE;
        loop {
            let metrics = self.asked("/metrics");
            let told =
                metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
            if told.is_some_and(|told| told.parse::<f64>().unwrap() >= value) {
                return;
            }
            assert!(std::time::Instant::now() < end, "no {series} {value} in {metrics}");
            std::thread::yield_now();
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn an_import_tells_of_the_records_that_it_has_written_and_ends_as_ever() {
    let place = Place::new();
    let args = ["import", "--metrics", "127.0.0.1:0", "--format", "ndjson", "--mode", "merge"];
    let mut serving = Serving::start(place.command(&args).stdin(Stdio::piped()));
    let mut input = serving.child.stdin.take().unwrap();
    // Enough for a few batches, and the end is not there yet.
    input.write_all(lines(0, 10_000, "a").as_bytes()).unwrap();
    serving.tells("pinstate_records_total{backend=\"sled\",operation=\"apply\"}", 1_000.0);
    serving.tells("pinstate_stores_open{backend=\"sled\"}", 1.0);
    assert!(serving.asked("/healthz").ends_with("ok\n"));
    drop(input);
    assert!(serving.child.wait().unwrap().success());
    assert!(TcpStream::connect(&serving.address).is_err());
    assert_eq!(place.count(), 10_000);
}

#[test]
fn the_configuration_says_where_they_are_and_the_option_says_it_better() {
    let place = Place::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let config = format!("[metrics]\nlisten = \"{}\"\n", taken.local_addr().unwrap());
    let config = place.write("config.toml", config);
    let file = place.write("pins.ndjson", lines(0, 10, "a"));
    let import = ["import", &file, "--config", &config];
    run(place.command(&import).args(["--output", "text"]))
        .fails_with(1, "metrics cannot be served on 127.0.0.1:");
    run(place.command(&import).args(["--metrics", "127.0.0.1:0"])).good().says("metrics are at");
    drop(taken);
    // Short commands serve none, and say nothing of it.
    let ran = run(&mut place.command(&["count", "--config", &config])).good();
    assert!(!ran.stderr.contains("metrics"), "{ran:?}");
}

#[test]
fn a_mirror_tells_of_both_of_its_stores() {
    let place = Place::new();
    let (from, to) = (place.sled_named("from"), place.sled_named("to"));
    let file = place.write("pins.ndjson", lines(0, 20, "a"));
    run(place.bare().args(["--store", &from, "import", &file])).good();
    let args = ["mirror", "start", "--from", &from, "--to", &to, "--job", "job"];
    let serving = Serving::start(place.bare().args(args).args(["--metrics", "127.0.0.1:0"]));
    serving.tells("pinstate_stores_open{backend=\"sled\"}", 2.0);
}

#[test]
fn every_long_command_takes_the_option() {
    let place = Place::new();
    for command in [
        &["migrate", "run"][..],
        &["mirror", "start"],
        &["bench", "run"],
        &["compare"],
        &["import"],
        &["export"],
        &["state", "import"],
        &["state", "export"],
    ] {
        let ran = run(place.bare().args(command).arg("--help")).good();
        assert!(ran.stdout.contains("--metrics <ADDR>"), "{command:?}");
    }
}
