//! What is particular to this backend, on a real server: opening, schema, versions, the
//! order of writes, scans, control records.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use common::{Bed, Place, collision};
use pinstate_core::{
    BatchOptions, CheckedScan, ControlWritten, Count, CountOptions, Delete, Durability, Error,
    ErrorKind, Expect, Gauge, Key, Namespace, NamespaceName, Outcome, Put, ReadOptions, Record,
    ScanOptions, Store, Version, WriteOptions, Written,
};
use pinstate_scylla::{
    Dialect, Level, ScyllaStore, check_schema, create_schema, doctor, run_statement, show_schema,
    upgrade_schema,
};

/// The one server of this test program. It goes when the program does.
fn bed() -> Option<&'static Bed> {
    static BED: OnceLock<Option<Bed>> = OnceLock::new();
    BED.get_or_init(|| testbed::for_tests::or_skip(Bed::start(1))).as_ref()
}

fn key(text: &str) -> Key {
    Key::copy_from(text.as_bytes())
}

fn put(text: &str, value: &str, version: i64) -> Put {
    Put::new(key(text), value.to_owned(), Version(version))
}

async fn opened(bed: &Bed) -> (Place, ScyllaStore, Arc<dyn Namespace>) {
    let place = bed.place().await;
    let store = bed.open(&place).await.unwrap();
    let name: NamespaceName = "pins".parse().unwrap();
    store.create_namespace(&name).await.unwrap();
    let pins = store.open_namespace(&name).await.unwrap();
    (place, store, pins)
}

async fn close(bed: &Bed, place: Place, store: ScyllaStore) {
    store.close().await.unwrap();
    bed.give_back(place);
}

async fn rows(pins: &dyn Namespace, options: ScanOptions) -> Vec<Record> {
    let scan = CheckedScan::new(pins.scan(options).await.unwrap());
    scan.collect().await.unwrap().into_iter().map(Result::unwrap).collect()
}

fn refusal<T>(result: Result<T, Error>, kind: ErrorKind, part: &str) -> Error {
    let error = match result {
        Ok(_) => panic!("expected an error with {part:?}"),
        Err(error) => error,
    };
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(part), "no {part:?} in: {error}");
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_not_made_without_being_asked_for() {
    let Some(bed) = bed() else { return };
    let mut config = bed.config();
    config.create = false;
    let error = refusal(
        ScyllaStore::open(&config).await,
        ErrorKind::NoStore,
        "pinstate schema create --replication dc1=1",
    );
    assert!(error.to_string().contains(&config.keyspace), "{error}");
    let keyspaces = bed.run("SELECT keyspace_name FROM system_schema.keyspaces".to_owned()).await;
    assert!(!keyspaces.contains(&config.keyspace), "{keyspaces:?}");
    // With a keyspace of somebody else's it is no store either.
    let replication = "{'class': 'NetworkTopologyStrategy', 'dc1': 1}";
    bed.run(format!("CREATE KEYSPACE \"{}\" WITH replication = {replication}", config.keyspace))
        .await;
    let opened = ScyllaStore::open(&config).await;
    refusal(opened, ErrorKind::NoStore, "the keyspace of its control records");
    bed.run(format!(
        "CREATE KEYSPACE \"{}_control\" WITH replication = {replication}",
        config.keyspace
    ))
    .await;
    let opened = ScyllaStore::open(&config).await;
    refusal(opened, ErrorKind::NoStore, "control.control' is not");
    // The tables alone are no store, and are not taken for an empty one.
    let text = show_schema(&config, Some(Dialect::Cassandra)).await.unwrap().pop().unwrap();
    bed.run(text).await;
    refusal(ScyllaStore::open(&config).await, ErrorKind::NoStore, "no store was made in them");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_datacenter_lists_the_real_ones() {
    let Some(bed) = bed() else { return };
    let config = bed.config().with_local_dc("dcx");
    refusal(ScyllaStore::open(&config).await, ErrorKind::Config, "it has: dc1");
    let mut config = bed.config();
    config.replication = Some("dcx=1".into());
    refusal(ScyllaStore::open(&config).await, ErrorKind::Config, "it has: dc1");
    let mut config = bed.config();
    config.replication = None;
    refusal(ScyllaStore::open(&config).await, ErrorKind::Config, "'replication' does not say");
    let mut config = bed.config();
    config.consistency = Level::Two;
    refusal(ScyllaStore::open(&config).await, ErrorKind::Config, "needs 2 replicas");
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_openers_make_one_store() {
    let Some(bed) = bed() else { return };
    let config = bed.config();
    let openers = (0..8).map(|_| {
        let config = config.clone();
        tokio::spawn(async move { ScyllaStore::open(&config).await })
    });
    let mut uuids = BTreeSet::new();
    for opener in openers.collect::<Vec<_>>() {
        let store = opener.await.unwrap().unwrap();
        uuids.insert(store.identity().uuid);
        store.close().await.unwrap();
    }
    assert_eq!(uuids.len(), 1, "{uuids:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn schemas_of_others_and_other_versions_are_refused() {
    let Some(bed) = bed() else { return };
    let (place, store, _) = opened(bed).await;
    let keyspace = place.config.keyspace.clone();
    let table = format!("\"{keyspace}_control\".control");
    let before = store.control_list("").await.unwrap();
    store.close().await.unwrap();
    let record = |schema: &str, of: &str| {
        let json = format!(
            "{{\"uuid\":\"{}\",\"schema\":{schema},\"keyspace\":\"{of}\",\"made_by\":\"\"}}",
            store.identity().uuid
        );
        format!(
            "UPDATE {table} SET value = textAsBlob('{json}') WHERE space = 'store' AND key = \
             'store' IF revision > 0"
        )
    };
    for (text, kind, part) in [
        (record("2", &keyspace), ErrorKind::Incompatible, "use a newer one"),
        (record("0", &keyspace), ErrorKind::Incompatible, "pinstate schema upgrade"),
        (record("1", "other"), ErrorKind::Incompatible, "belong to the keyspace 'other'"),
        (record("\"x\"", &keyspace), ErrorKind::Incompatible, "something else than pinstate"),
    ] {
        run_statement(&place.config, &text).await.unwrap();
        refusal(bed.open(&place).await, kind, part);
    }
    run_statement(&place.config, &record("1", &keyspace)).await.unwrap();
    let store = bed.open(&place).await.unwrap();
    assert_eq!(store.control_list("").await.unwrap(), before);
    close(bed, place, store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn schema_is_made_checked_and_tidied_up() {
    let Some(bed) = bed() else { return };
    let config = bed.config();
    let made = create_schema(&config).await.unwrap();
    assert_eq!(made.problems, [""; 0]);
    assert_eq!(made.namespaces.len(), 1);
    assert_eq!(create_schema(&config).await.unwrap(), made, "made twice");
    // What a process left that died between making a table and naming it: one of long ago,
    // and one that may be just being made.
    let ks = &config.keyspace;
    let old = "n_018bcfe568007000800000000000000a";
    let new = format!("n_{}", uuid::Uuid::now_v7().simple());
    for table in [old, &new] {
        run_statement(&config, &format!("CREATE TABLE \"{ks}\".{table} (cid blob PRIMARY KEY)"))
            .await
            .unwrap();
    }
    let found = check_schema(&config).await.unwrap();
    assert_eq!(found.left_over, [old, &new]);
    let (_, removed) = upgrade_schema(&config).await.unwrap();
    assert_eq!(removed, [old]);
    assert_eq!(check_schema(&config).await.unwrap().left_over, [new]);
    let table = &made.namespaces[0].1;
    run_statement(&config, &format!("ALTER TABLE \"{ks}\".{table} DROP d")).await.unwrap();
    let problems = check_schema(&config).await.unwrap().problems;
    assert!(problems[0].contains("lacks the column d"), "{problems:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_marker_keeps_older_puts_out_whatever_became_of_tombstones() {
    let Some(bed) = bed() else { return };
    let (place, store, pins) = opened(bed).await;
    let if_newer = WriteOptions::if_newer();
    let table = check_schema(&place.config).await.unwrap().namespaces[0].1.clone();
    let marker = |id: &str, version: i64| {
        format!(
            "UPDATE \"{}\".{table} USING TIMESTAMP {version} SET d = true WHERE cid = \
             textAsBlob('{id}')",
            place.config.keyspace
        )
    };
    // A marker whose tombstone the server has thrown away: only the marker itself is left.
    bed.run(marker("gone", 20)).await;
    for (version, there) in [(15, false), (20, false), (21, true)] {
        pins.put(put("gone", "v", version), if_newer).await.unwrap();
        let record = pins.get(&key("gone"), ReadOptions::new()).await.unwrap();
        assert_eq!(record.is_some(), there, "{version}");
        assert_eq!(pins.has(&key("gone"), ReadOptions::new()).await.unwrap(), there, "{version}");
        let live = rows(&*pins, ScanOptions::new()).await;
        assert_eq!(live.len(), usize::from(there), "{version}");
        let counted = pins.count(CountOptions::new()).await.unwrap();
        assert_eq!(counted, Count::Exact(u64::from(there)), "{version}");
    }
    // Purging it must not let an older put reappear that it has hidden.
    bed.run(marker("hidden", 20)).await;
    pins.put(put("hidden", "v", 15), if_newer).await.unwrap();
    assert_eq!(pins.purge_deleted(Version(1_000)).await.unwrap(), 1);
    assert_eq!(pins.get(&key("hidden"), ReadOptions::new()).await.unwrap(), None);
    let all = rows(&*pins, ScanOptions::new().include_deleted()).await;
    assert!(all.iter().all(|row| !row.deleted), "{all:?}");
    close(bed, place, store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn put_delete_put_within_a_microsecond_each_keeps_its_order() {
    let Some(bed) = bed() else { return };
    let (place, store, pins) = opened(bed).await;
    let mut version = 1_700_000_000_000_000;
    let mut batch = Vec::new();
    for i in 0..200 {
        for step in 0..3 {
            version += 1;
            let id = format!("k{i}");
            batch.push(if step == 1 {
                Delete::new(key(&id), Version(version)).into()
            } else {
                put(&id, &format!("{step}"), version).into()
            });
        }
    }
    pins.apply(batch, BatchOptions::new()).await.unwrap().into_result().unwrap();
    let all = rows(&*pins, ScanOptions::new()).await;
    assert_eq!(all.len(), 200);
    assert!(all.iter().all(|row| row.value.as_ref() == b"2"), "an older write won");
    close(bed, place, store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_that_no_server_should_see_are_refused() {
    let Some(bed) = bed() else { return };
    let (place, store, pins) = opened(bed).await;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let now = i64::try_from(now.as_micros()).unwrap();
    let soon = now + 3_500_000_000;
    let if_newer = WriteOptions::if_newer();
    for version in [Version::MIN.0, -1, 0, soon] {
        let written = pins.put(put("k", "v", version), if_newer).await.unwrap();
        assert_eq!(written, Written::Resolved);
    }
    let record = pins.get(&key("k"), ReadOptions::new()).await.unwrap().unwrap();
    assert_eq!(record.version, Version(soon));
    for (version, part) in [
        (i64::MIN, "below the lowest"),
        (now + 3_700_000_000, "ahead of this machine's clock"),
        (i64::MAX, "ahead of this machine's clock"),
    ] {
        let error = refusal(
            pins.put(put("k", "late", version), if_newer).await,
            ErrorKind::InvalidInput,
            part,
        );
        assert_eq!(error.outcome(), Outcome::NotApplied);
        let delete = Delete::new(key("k"), Version(version));
        refusal(pins.delete(delete, if_newer).await, ErrorKind::InvalidInput, part);
        let outcome = pins
            .apply(vec![put("k", "late", version).into()], BatchOptions::if_newer())
            .await
            .unwrap();
        refusal(outcome.into_result(), ErrorKind::InvalidInput, part);
    }
    let empty = Put::new(Key::default(), "v", Version(1));
    refusal(pins.put(empty, if_newer).await, ErrorKind::InvalidInput, "empty");
    for options in [WriteOptions::if_absent(), WriteOptions::if_version(Version(1))] {
        refusal(pins.put(put("k", "x", now), options).await, ErrorKind::Unsupported, "if newer");
    }
    refusal(pins.apply(vec![], BatchOptions::atomic()).await, ErrorKind::Unsupported, "per item");
    close(bed, place, store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_whose_hashes_meet_are_neither_lost_nor_repeated() {
    let Some(bed) = bed() else { return };
    let (place, store, pins) = opened(bed).await;
    // Five keys of one token, among others.
    let keys: Vec<Key> = (0..5_u64).map(|i| Key::copy_from(&collision(i))).collect();
    let mut version = 0;
    let mut write = async |key: Key| {
        version += 1;
        let put = Put::new(key, "v", Version(version));
        pins.put(put, WriteOptions::if_newer()).await.unwrap();
    };
    for key in &keys {
        write(key.clone()).await;
    }
    for i in 0..40 {
        write(Key::copy_from(format!("other {i}").as_bytes())).await;
    }
    let tokens: BTreeSet<Bytes> =
        keys.iter().map(|key| pins.cursor_after(key).position.slice(..8)).collect();
    assert_eq!(tokens.len(), 1, "the keys should have one token");
    let all = rows(&*pins, ScanOptions::new()).await;
    assert_eq!(all.len(), 45);
    for page in [1, 2, 3, 45] {
        let paged = rows(&*pins, ScanOptions::new().with_page_rows(page)).await;
        assert_eq!(paged, all, "pages of {page}");
    }
    for (i, row) in all.iter().enumerate() {
        let after = ScanOptions::new().with_after(pins.cursor_after(&row.key));
        assert_eq!(rows(&*pins, after).await, all[i + 1..], "after row {i}");
    }
    // The same where the server's pages are that small.
    let mut config = place.config.clone();
    config.page_size = 1;
    let other = bed.open(&Place { config, pool: place.pool.clone() }).await.unwrap();
    let small = other.open_namespace(&"pins".parse().unwrap()).await.unwrap();
    assert_eq!(rows(&*small, ScanOptions::new()).await, all);
    other.close().await.unwrap();
    close(bed, place, store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_gives_each_row_once_in_order_and_counts_agree() {
    let Some(bed) = bed() else { return };
    let (place, store, pins) = opened(bed).await;
    const COUNT: usize = 12_000;
    for (at, chunk) in (0..COUNT).collect::<Vec<_>>().chunks(2_000).enumerate() {
        let batch = chunk.iter().map(|i| put(&format!("key {i}"), &"v".repeat(i % 400), 1).into());
        let outcome = pins.apply(batch.collect(), BatchOptions::if_newer()).await.unwrap();
        outcome.into_result().unwrap_or_else(|error| panic!("batch {at}: {error}"));
    }
    let all = rows(&*pins, ScanOptions::new().with_page_rows(777)).await;
    let keys: BTreeSet<&Key> = all.iter().map(|row| &row.key).collect();
    assert_eq!((all.len(), keys.len()), (COUNT, COUNT));
    let places: Vec<Bytes> = all.iter().map(|row| pins.cursor_after(&row.key).position).collect();
    assert!(places.is_sorted(), "rows come in the order of their tokens");
    for row in &all {
        let text = String::from_utf8(row.key.as_bytes().to_vec()).unwrap();
        let number: usize = text["key ".len()..].parse().unwrap();
        assert_eq!(row.value.len(), number % 400);
    }
    assert_eq!(pins.count(CountOptions::new()).await.unwrap(), Count::Exact(COUNT as u64));
    let Count::Estimate(about) = pins.count(CountOptions::estimate()).await.unwrap() else {
        panic!("an estimate is called one");
    };
    let about = usize::try_from(about).unwrap();
    assert!((COUNT / 3..COUNT * 3).contains(&about), "{about} for {COUNT}");
    let stats = store.stats();
    assert_eq!(stats.pages, stats.pages_by_replica, "one node has everything: {stats:?}");
    assert_eq!((stats.under_way, stats.waiting), (0, 0));
    let told: BTreeMap<Gauge, f64> = store.gauges().into_iter().collect();
    // It has no barriers of its own.
    let embedded =
        [Gauge::Barriers, Gauge::BarrierCalls, Gauge::BarrierSeconds, Gauge::CallsWaiting];
    let ours = Gauge::ALL.iter().filter(|gauge| !embedded.contains(gauge));
    assert!(told.keys().eq(ours.collect::<std::collections::BTreeSet<_>>()), "{told:?}");
    assert_eq!((told[&Gauge::Nodes], told[&Gauge::NodesReachable]), (1.0, 1.0));
    assert!(told[&Gauge::Connections] >= 1.0, "{told:?}");
    assert_eq!(told[&Gauge::Requests], stats.requests as f64);
    store.close().await.unwrap();
    assert_eq!(store.gauges(), []);
    close(bed, place, store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_table_ends_the_handles_of_other_processes_too() {
    let Some(bed) = bed() else { return };
    let config = bed.config();
    let one = ScyllaStore::open(&config).await.unwrap();
    let name: NamespaceName = "pins".parse().unwrap();
    one.create_namespace(&name).await.unwrap();
    let two = ScyllaStore::open(&config).await.unwrap();
    let handle = two.open_namespace(&name).await.unwrap();
    handle.put(put("k", "v", 1), WriteOptions::if_newer()).await.unwrap();
    one.drop_namespace(&name).await.unwrap();
    let late = handle.put(put("k", "late", 2), WriteOptions::if_newer()).await;
    refusal(late, ErrorKind::NoNamespace, "there is no namespace 'pins'");
    // And another one of the name is another one.
    one.create_namespace(&name).await.unwrap();
    let get = handle.get(&key("k"), ReadOptions::new()).await;
    refusal(get, ErrorKind::NoNamespace, "pins");
    let again = two.open_namespace(&name).await.unwrap();
    assert_eq!(again.get(&key("k"), ReadOptions::new()).await.unwrap(), None);
    one.close().await.unwrap();
    two.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_set_a_control_record_one_wins_each_time() {
    let Some(bed) = bed() else { return };
    let (place, store, _) = opened(bed).await;
    let store = Arc::new(store);
    let writers = (0..6).map(|writer: u8| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let (mut wins, mut expect) = (0, Expect::Absent);
            while wins < 10 {
                match store.control_set("race", expect, &[writer]).await {
                    Ok(ControlWritten::Applied { revision }) => {
                        wins += 1;
                        expect = Expect::Revision(revision);
                    }
                    Ok(ControlWritten::Conflict { current }) => {
                        expect = current.map_or(Expect::Absent, |r| Expect::Revision(r.revision));
                    }
                    // Many at once may keep one another from deciding; then nothing happened.
                    Err(error) => assert_eq!(error.outcome(), Outcome::NotApplied, "{error}"),
                }
            }
            wins
        })
    });
    let mut total = 0;
    for writer in writers.collect::<Vec<_>>() {
        total += writer.await.unwrap();
    }
    assert_eq!(total, 60);
    // More than one answer's worth of records, in order.
    for i in 0..250 {
        let written = store.control_set(&format!("many/{i:03}"), Expect::Absent, b"x").await;
        assert!(written.unwrap().is_applied());
    }
    let listed = store.control_list("many/").await.unwrap();
    let names: Vec<&str> = listed.iter().map(|(key, _)| key.as_str()).collect();
    assert!(names.len() == 250 && names.is_sorted(), "{}", names.len());
    assert_eq!(store.control_list("many/24").await.unwrap().len(), 10);
    store.close().await.unwrap();
    bed.give_back(place);
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_doctor_say_how_it_is() {
    let Some(bed) = bed() else { return };
    let (place, store, _) = opened(bed).await;
    let level: std::borrow::Cow<'static, str> = "LOCAL_QUORUM".into();
    assert_eq!(store.sync().await.unwrap(), Durability::Replicated { consistency: level });
    let health = store.health().await.unwrap();
    assert!(health.ready, "{health:?}");
    let detail = |name: &str| {
        let found = health.details.iter().find(|(key, _)| key == name);
        found.unwrap_or_else(|| panic!("no {name} in {health:?}")).1.clone()
    };
    assert_eq!(detail("consistency"), "LOCAL_QUORUM can be met");
    assert_eq!(detail("dc dc1"), "1 of 1 nodes reachable, local");
    assert_eq!(detail("schema"), "agreed");
    assert_eq!(detail("gc_grace_seconds"), "864000");
    let found = doctor(&place.config).await.unwrap();
    assert_eq!(found.problems, [""; 0], "{found:?}");
    let peer = &found.peers[0];
    assert!(peer.connected && peer.latency_ms.is_some() && peer.version.is_some(), "{peer:?}");
    assert!(found.durability.contains("commit log"), "{}", found.durability);
    // Where nothing answers it says so as well.
    let mut config = place.config.clone();
    config.hosts = vec!["127.0.0.1:1".into()];
    let found = doctor(&config).await.unwrap();
    assert!(found.peers[0].trouble.as_ref().unwrap().contains("not reachable"), "{found:?}");
    close(bed, place, store).await;
}
