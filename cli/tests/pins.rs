//! `pin`: single pins and lists of them.

#![cfg(all(feature = "memory", feature = "sled"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;

use common::{CID, CID_V0, PEER, Place, lines, run, sorted};

#[test]
fn a_pin_is_added_shown_listed_and_removed() {
    let place = Place::new();
    let added = place
        .run(&[
            "pin",
            "add",
            CID,
            "--name",
            "déjà <vu>",
            "--replication",
            "2",
            "--allocations",
            PEER,
            "--meta",
            "a=b=c",
            "--meta",
            "x=",
            "--expire-at",
            "2100-01-02T03:04:05Z",
            "--origins",
            &format!("/ip4/1.2.3.4/tcp/4001/p2p/{PEER}"),
            "--pin-update",
            CID_V0,
            "--reference",
            CID_V0,
            "--shard-size",
            "10",
        ])
        .good()
        .says("created the store");
    let pin = &added.json()[0];
    assert_eq!(pin["cid"], CID);
    assert_eq!(pin["name"], "déjà <vu>");
    assert_eq!(pin["replication_factor_min"], 2);
    assert_eq!(pin["replication_factor_max"], 2);
    assert_eq!(pin["allocations"][0], PEER);
    assert_eq!(pin["metadata"], serde_json::json!({"a": "b=c", "x": ""}));
    assert_eq!(pin["expire_at"], "2100-01-02T03:04:05Z");
    assert_eq!(pin["origins"][0], format!("/ip4/1.2.3.4/tcp/4001/p2p/{PEER}"));
    assert_eq!(pin["pin_update"], CID_V0);
    assert_eq!(pin["reference"], CID_V0);
    assert_eq!(pin["shard_size"], 10);
    assert_eq!(pin["max_depth"], -1);
    assert_ne!(pin["timestamp"], "0001-01-01T00:00:00Z");

    assert_eq!(place.run(&["pin", "get", CID]).good().stdout, added.stdout);
    assert_eq!(place.run(&["pin", "ls"]).good().stdout, added.stdout);
    let text = place.text_run(&["pin", "get", CID]).good().stdout;
    assert!(text.contains("allocation:") && text.contains("déjà <vu>"), "{text}");
    let text = place.text_run(&["pin", "ls"]).good().stdout;
    assert!(text.starts_with(CID) && text.lines().count() == 1, "{text}");

    // The whole old pin goes, not only what is given anew.
    let again = place.run(&["pin", "add", CID]).good();
    assert_eq!(again.json()[0]["name"], "");
    assert_eq!(place.count(), 1);

    let removed = place.run(&["pin", "rm", CID, CID_V0]).good().json();
    assert_eq!(removed[0], serde_json::json!({"cid": CID, "removed": true}));
    assert_eq!(removed[1], serde_json::json!({"cid": CID_V0, "removed": false}));
    assert_eq!(place.count(), 0);
}

#[test]
fn a_missing_pin_is_told_with_its_cid_and_the_others_are_shown() {
    let place = Place::new();
    place.run(&["pin", "add", CID]).good();
    let ran = place.text_run(&["pin", "get", CID_V0, CID]);
    let ran = ran.fails_with(1, &format!("pin is not part of the pinset: {CID_V0}"));
    assert!(ran.stdout.starts_with(CID), "{ran:?}");
    let ran = place.json_run(&["pin", "get", CID_V0, CID]).exits(1);
    assert_eq!(ran.json_messages()[0]["error"]["kind"], "not-found");
    assert_eq!(ran.json()[0]["cid"], CID);
}

#[test]
fn has_says_yes_or_no_for_each() {
    let place = Place::new();
    place.run(&["pin", "add", CID]).good();
    assert_eq!(place.text_run(&["pin", "has", CID]).good().stdout, format!("{CID}  true\n"));
    let ran = place.text_run(&["pin", "has", CID, CID_V0]).exits(1);
    assert_eq!(ran.stdout, format!("{CID}  true\n{CID_V0}  false\n"));
    assert_eq!(ran.stderr, "", "an answer is no error");
}

#[test]
fn what_cannot_be_made_of_a_pin_is_refused() {
    let place = Place::new();
    place.run(&["pin", "add", CID]).good();
    let direct = place.text_run(&["pin", "add", CID, "--mode", "direct"]);
    direct.fails_with(1, "pinned recursively").says("pin rm");
    let other = place.text_run(&["pin", "add", CID, "--type", "meta-pin"]);
    other.fails_with(1, "is a pin and cannot become a meta-pin");
    assert_eq!(place.run(&["pin", "get", CID]).good().json()[0]["type"], "pin");
    place.run(&["pin", "rm", CID]).good();
    place.run(&["pin", "add", CID, "--mode", "direct"]).good();
    // From direct to recursive is how it goes in ipfs-cluster, too.
    place.run(&["pin", "add", CID]).good();
}

#[test]
fn wrong_usage_exits_with_2_and_touches_nothing() {
    let place = Place::new();
    for (args, told) in [
        (&["pin", "get", "hello"][..], "\"hello\" is no CID"),
        (&["pin", "get"], "required"),
        (&["pin", "add", CID, "--replication", "-2"], "below -1"),
        (&["pin", "add", CID, "--expire-in", "10ms"], "at least 1s"),
        (&["pin", "ls", "--after", "x"], "no cursor"),
        (&["pin", "ls", "--name", "[a"], "no name pattern"),
        (&["pin", "ls", "--type", "all"], "shard-pin"),
        (&["--namespace", "Bad", "count"], "no namespace name"),
        (&["nosuch"], "unrecognized subcommand"),
        (&["--output", "yaml", "count"], "auto, text, json"),
    ] {
        let ran = place.run(args).exits(2);
        assert!(ran.stderr.starts_with("error: "), "{ran:?}");
        assert!(ran.stderr.contains(told), "no {told:?} in {ran:?}");
        let mut json = vec!["--output", "json"];
        json.extend(args);
        if !args.contains(&"--output") {
            let ran = place.run(&json).exits(2);
            assert_eq!(ran.json_messages().len(), 1, "{ran:?}");
            assert_eq!(ran.json_messages()[0]["error"]["exit"], 2);
        }
    }
    assert!(!place.path("store").exists());
}

#[test]
fn lists_are_filtered_and_go_on_where_they_stopped() {
    let place = Place::new();
    let export = lines(0, 25, "first") + &lines(25, 30, "second");
    place.run_with_input(&["import"], export.as_bytes()).good();
    place.run(&["pin", "add", CID, "--type", "shard-pin", "--expire-in", "1h"]).good();

    let list = |args: &[&str]| {
        let mut all = vec!["pin", "ls"];
        all.extend(args);
        place.run(&all).good().json()
    };
    assert_eq!(list(&[]).len(), 31);
    assert_eq!(list(&["--name", "sec*"]).len(), 5);
    assert_eq!(list(&["--type", "shard-pin"]).len(), 1);
    assert_eq!(list(&["--type", "shard-pin", "--type", "pin"]).len(), 31);
    assert_eq!(list(&["--allocation", PEER]).len(), 30);
    assert_eq!(list(&["--allocation", PEER, "--name", "first"]).len(), 25);
    assert_eq!(list(&["--expired"]).len(), 0);

    let whole = place.run(&["pin", "ls"]).good().stdout;
    for limit in ["1", "10", "31"] {
        let mut seen = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let mut args = vec!["--limit", limit];
            if let Some(cursor) = &after {
                args.extend(["--after", cursor]);
            }
            let mut page = list(&args);
            let cursor = page.pop_if(|last| last.get("cursor").is_some());
            seen.extend(page.iter().map(|pin| pin["cid"].as_str().unwrap().to_owned()));
            match cursor {
                Some(cursor) => after = Some(cursor["cursor"].as_str().unwrap().to_owned()),
                None => break,
            }
        }
        let expected: Vec<_> = lines_of(&whole, "cid");
        assert_eq!(seen, expected, "in pages of {limit}");
    }
    let text = place.text_run(&["pin", "ls", "--limit", "2"]).good().says("go on with --after ");
    assert_eq!(text.stdout.lines().count(), 2);
}

fn lines_of(text: &str, key: &str) -> Vec<String> {
    text.lines()
        .map(|line| {
            let json: serde_json::Value = serde_json::from_str(line).unwrap();
            json[key].as_str().unwrap().to_owned()
        })
        .collect()
}

#[test]
fn a_cursor_of_another_store_is_refused() {
    let place = Place::new();
    place.run_with_input(&["import"], lines(0, 5, "x").as_bytes()).good();
    let page = place.run(&["pin", "ls", "--limit", "2"]).good().json();
    let cursor = page.last().unwrap()["cursor"].as_str().unwrap();
    let other = place.sled_named("other");
    run(place.bare().args(["--store", &other, "pin", "add", CID])).good();
    let ran = run(place.bare().args(["--store", &other, "pin", "ls", "--after", cursor]));
    ran.fails_with(1, "belongs to store");
}

#[test]
fn unreadable_records_are_reported_and_the_rest_is_shown() {
    let place = Place::new();
    // A snapshot with a value that is no pin: only the compatible reader stores it.
    place.run_with_input(&["import"], lines(0, 3, "x").as_bytes()).good();
    place.run(&["export", "s", "--format", "snapshot"]).good();
    std::fs::remove_file(place.path("s.manifest")).unwrap();
    let mut snapshot = std::fs::read(place.path("s")).unwrap();
    let key = "AFKREI".to_owned() + &"A".repeat(52);
    snapshot.extend([0x82, 0xa1, b'k', 0xda, 0, key.len() as u8]);
    snapshot.extend(key.as_bytes());
    snapshot.extend([0xa1, b'v', 0xa2, 0x0a, 0x7f]);
    place.write("s", &snapshot);
    place.text_run(&["import", "s", "--mode", "merge"]).fails_with(1, "entry 4");
    let ran = place.text_run(&["import", "s", "--mode", "merge", "--compat"]).good();
    assert!(ran.stderr.contains("value that is no pin, 1 times"), "{ran:?}");
    assert_eq!(place.count(), 4);

    for args in [&["pin", "ls"][..], &["export"], &["digest"]] {
        let ran = place.run(args).exits(3).says("unreadable record: key 01551220");
        assert!(ran.stderr.contains("cut short"), "{ran:?}");
        let ran = place.json_run(args).exits(3);
        let reports = ran.json_messages();
        assert!(reports[0]["unreadable"]["key"].as_str().unwrap().starts_with("01551220"));
    }
    assert_eq!(place.run(&["pin", "ls"]).stdout.lines().count(), 3);
    assert_eq!(sorted(&place.run(&["export"]).stdout), sorted(&lines(0, 3, "x")));
    place.run(&["digest", "--kind", "raw"]).good();
    // A snapshot holds whatever is stored.
    place.run(&["export", "t", "--format", "snapshot"]).good();
    assert_eq!(std::fs::read(place.path("t")).unwrap().len(), snapshot.len());
}
