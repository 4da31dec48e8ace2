//! `verify` and `diff`: what they find between stores and files, and what a repair does.

#![cfg(all(feature = "memory", feature = "sled"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;

use common::{Place, Ran, cid, lines, run};
use serde_json::Value;

/// Two stores: pins 0 to 99, and 10 to 104 of which three have another name.
fn two() -> (Place, String, String) {
    let place = Place::new();
    let (left, right) = (place.sled_named("left"), place.sled_named("right"));
    let file = place.write("left.ndjson", lines(0, 100, "a"));
    on(&place, &left, &["import", &file]).good();
    let file = place.write("right.ndjson", lines(10, 102, "a") + &lines(102, 105, "b"));
    on(&place, &right, &["import", &file]).good();
    let file = place.write("changed.ndjson", lines(50, 53, "b"));
    on(&place, &right, &["import", "--mode", "merge", &file]).good();
    (place, left, right)
}

fn on(place: &Place, store: &str, args: &[&str]) -> Ran {
    run(place.bare().args(["--store", store]).args(args))
}

fn json(place: &Place, args: &[&str]) -> Ran {
    run(place.bare().args(args))
}

fn name(place: &Place, name: &str) -> String {
    place.path(name).to_str().unwrap().to_owned()
}

/// CIDs by how they differ, and the summary.
fn found(ran: &Ran) -> (Vec<(String, String)>, Value) {
    let mut lines = ran.json();
    let summary = lines.pop().unwrap();
    let one = |line: &Value| {
        (line["difference"].as_str().unwrap().into(), line["cid"].as_str().unwrap().into())
    };
    let mut found: Vec<_> = lines.iter().map(one).collect();
    found.sort();
    (found, summary)
}

fn expected() -> Vec<(String, String)> {
    let of = |what: &str, range: std::ops::Range<u32>| {
        range.map(|n| (what.to_owned(), cid(n))).collect::<Vec<_>>()
    };
    let mut all = [of("missing", 0..10), of("extra", 100..105), of("different", 50..53)].concat();
    all.sort();
    all
}

#[test]
fn stores_and_files_are_compared_alike() {
    let (place, left, right) = two();
    let mut sides = vec![(left.clone(), right.clone())];
    for format in ["ndjson", "snapshot", "raft"] {
        let export = |store: &str, name: &str| {
            let path = self::name(&place, &format!("{name}.{format}"));
            on(&place, store, &["export", "--format", format, &path]).good();
            path
        };
        let (a, b) = (export(&left, "a"), export(&right, "b"));
        json(&place, &["verify", &a, &left]).good();
        sides.extend([(a.clone(), right.clone()), (left.clone(), b.clone()), (a, b)]);
    }
    for (left, right) in sides {
        let ran = json(&place, &["diff", &left, &right]).exits(4);
        let (found, summary) = found(&ran);
        assert_eq!(found, expected(), "{left} {right}");
        assert_eq!(summary["equal"], false);
        assert_eq!(summary["left"]["pins"], 100);
        assert_eq!(summary["differences"], 18);
    }
}

#[test]
fn each_level_tells_what_it_says() {
    let (place, left, right) = two();
    let verify = |level: &str| json(&place, &["verify", "--level", level, &left, &right]).exits(4);
    for level in ["0", "1"] {
        let (none, summary) = found(&verify(level));
        assert!(none.is_empty());
        assert_eq!(summary["right"]["pins"], 95);
        assert_eq!(summary["differences"], Value::Null);
    }
    assert_eq!(found(&verify("2")).0, expected());
    let lines = verify("3").json();
    let different = lines.iter().find(|line| line["difference"] == "different").unwrap();
    assert_eq!(different["fields"][0]["field"], "name");
    // As people see it.
    let text = run(place.bare().args(["--output", "text", "diff", &left, &right])).exits(4);
    let summary = "not the same: 100 and 95 pins, 10 missing, 5 extra, 3 different";
    assert!(text.stdout.contains(summary), "{text:?}");
    assert!(text.stdout.contains(&format!("missing    {}", cid(0))), "{text:?}");
}

#[test]
fn a_repair_makes_the_right_store_like_the_left_one() {
    let (place, left, right) = two();
    let before = on(&place, &right, &["export"]).good().stdout;
    let backup = name(&place, "backup.bin");
    let ran = json(&place, &["verify", &left, &right, "--repair", "--backup", &backup]).exits(4);
    let (rest, summary) = found(&ran);
    assert_eq!(rest.len(), 5, "{rest:?}");
    assert_eq!(summary["repaired"]["written"], 13);
    assert_eq!(summary["repaired"]["extra"], 5);

    let delete = ["verify", &left, &right, "--repair", "--delete-extra"];
    let refused = json(&place, &[&delete[..], &["--max-delete", "4"]].concat());
    refused.fails_with(2, "5 pins of the right store would be deleted");
    assert_eq!(on(&place, &right, &["count"]).good().json()[0]["pins"], 105);
    let extra = name(&place, "extra.bin");
    let ran = json(&place, &[&delete[..], &["--backup", &extra]].concat()).good();
    assert_eq!(found(&ran).1["repaired"]["deleted"], 5);
    let digest = |store: &str| on(&place, store, &["digest"]).good().stdout;
    assert_eq!(digest(&left), digest(&right));

    // What was replaced and deleted can be brought back.
    for backup in [&backup, &extra] {
        on(&place, &right, &["import", "--mode", "merge", backup]).good();
    }
    for n in 0..10 {
        on(&place, &right, &["pin", "rm", &cid(n)]).good();
    }
    let after = on(&place, &right, &["export"]).good().stdout;
    assert_eq!(common::sorted(&before), common::sorted(&after));
}

#[test]
fn two_namespaces_of_one_store_are_compared() {
    let place = Place::new();
    let store = place.sled_named("store");
    let file = place.write("all.ndjson", lines(0, 10, "a"));
    on(&place, &store, &["import", &file]).good();
    on(&place, &store, &["namespaces", "create", "other"]).good();
    let sides = ["verify", &store, &store, "--right-namespace", "other"];
    let ran = json(&place, &sides).exits(4);
    assert_eq!(found(&ran).0.len(), 10);
    json(&place, &[&sides[..], &["--repair"]].concat()).good();
    json(&place, &sides).good();
    json(&place, &["verify", &store, &store]).fails_with(2, "both sides are the same");
}

#[test]
fn what_cannot_be_compared_is_said() {
    let (place, left, _) = two();
    json(&place, &["verify", &left, "nothing-there"]).fails_with(2, "neither a file nor a store");
    let missing = place.sled_named("missing");
    json(&place, &["verify", &left, &missing]).fails_with(1, "no such store");
    assert!(!place.path("missing").exists(), "reading created a store");
    let file = place.write("bad.ndjson", lines(0, 3, "a") + "{\"cid\": 7}\n");
    json(&place, &["verify", &left, &file]).fails_with(1, "line 4");
    json(&place, &["verify", &left, &file, "--repair"]).fails_with(2, "only a store");
    let level = ["verify", &left, &file, "--repair", "--level", "1"];
    json(&place, &level).fails_with(2, "--level 2 or 3");
}
