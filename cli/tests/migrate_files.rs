//! `migrate` with a file as the target: written whole, compared, or not there at all.

#![cfg(feature = "sled")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;

use std::path::PathBuf;

use common::{Place, Ran, cid, line, lines, run, sorted};

/// A place with a sled store of so many pins.
fn with_pins(pins: u32) -> (Place, String) {
    let place = Place::new();
    let from = place.sled_named("from");
    let file = place.write("pins.ndjson", lines(0, pins, "a"));
    run(place.bare().args(["--store", &from, "import", &file])).good();
    (place, from)
}

fn migrate(place: &Place, from: &str, to: &str, format: &str, more: &[&str]) -> Ran {
    let args = ["migrate", "run", "--from", from, "--to", to, "--to-format", format];
    run(place.bare().args(args).args(more))
}

#[test]
fn a_pinset_goes_through_every_format_and_back() {
    let (place, from) = with_pins(2_500);
    let mut source = from.clone();
    for format in ["ndjson", "snapshot", "raft"] {
        let file = place.path(format).to_str().unwrap().to_owned();
        let written = migrate(&place, &source, &file, format, &["--yes"]).good();
        let report = &written.json()[0];
        assert_eq!((&report["pins"], &report["equal"]), (&2_500.into(), &true.into()), "{report}");
        run(place.bare().args(["verify", &from, &file])).good();
        assert!(PathBuf::from(format!("{file}.manifest")).exists());
        // The next one is made of this file: from one form to the next.
        source = file;
    }
    let back = place.sled_named("back");
    run(place.bare().args(["migrate", "run", "--from", &source, "--to", &back, "--yes"])).good();
    run(place.bare().args(["verify", &from, &back])).good();
}

#[test]
fn rules_hold_for_a_file_as_well() {
    let (place, from) = with_pins(300);
    let file = place.path("some.ndjson");
    let name = file.to_str().unwrap();
    let some = ["--metadata", "n=7", "--replication-min", "3", "--yes"];
    migrate(&place, &from, name, "ndjson", &some).good();
    let text = place.text("some.ndjson");
    assert_eq!(text.lines().count(), 1);
    assert!(text.contains(&cid(7)) && text.contains("\"replication_factor_min\":3"), "{text}");
}

#[test]
fn a_file_that_is_there_stays_unless_it_is_to_be_replaced() {
    let (place, from) = with_pins(20);
    let name = place.write("there.ndjson", line(1_000, "old"));
    let before = place.text("there.ndjson");
    for more in [&["--yes"][..], &[]] {
        let refused = migrate(&place, &from, &name, "ndjson", more).exits(1);
        refused.says("is there already").says("--mode replace");
    }
    for mode in ["merge", "if-newer"] {
        migrate(&place, &from, &name, "ndjson", &["--mode", mode, "--yes"]).exits(2);
    }
    migrate(&place, &from, &name, "ndjson", &["--write-rows", "5", "--yes"]).exits(2);
    let plan = migrate(&place, &from, &name, "ndjson", &["--mode", "replace"]).good();
    plan.says("nothing was done");
    assert_eq!(place.text("there.ndjson"), before);
    migrate(&place, &from, &name, "ndjson", &["--mode", "replace", "--yes"]).good();
    assert_eq!(sorted(&place.text("there.ndjson")), sorted(&lines(0, 20, "a")));
}

#[test]
fn what_cannot_be_written_is_allowed_for_or_nothing_is_written() {
    let place = Place::new();
    // A record of a file that no reader makes out.
    let text = lines(0, 50, "a") + "{\"cid\": 5}\n" + &lines(50, 60, "a");
    let from = place.write("odd.ndjson", text);
    let file = place.path("out.snapshot");
    let name = file.to_str().unwrap();
    let refused = migrate(&place, &from, name, "snapshot", &["--yes"]).exits(1);
    refused.says("--max-errors");
    assert!(!file.exists());
    let written =
        migrate(&place, &from, name, "snapshot", &["--max-errors", "1", "--yes"]).exits(3);
    let report = &written.json()[0];
    let found = (&report["pins"], &report["left_out"], &report["equal"]);
    assert_eq!(found, (&60.into(), &1.into(), &true.into()), "{report}");
}
