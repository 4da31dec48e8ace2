//! Stores on disk: opening, reopening, refusing, and what a crash leaves.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod common;

use std::fs;
use std::sync::Arc;

use common::{all, create, key, keys, name, namespace, open, put, store_text, text};
use pinstate_core::config::{Config, OpenOptions, Registry};
use pinstate_core::{
    BatchItem, BatchOptions, Capabilities, Contender, Count, CountOptions, Delete, Durability,
    ErrorKind, Expect, Gauge, Key, Outcome, ReadOptions, ScanOptions, Store, Version, WriteOptions,
    Written,
};
use pinstate_sled::{SledConfig, SledFactory, SledStore};

fn kind<T>(result: pinstate_core::Result<T>) -> ErrorKind {
    let error = result.err().expect("this must fail");
    assert!(!error.to_string().contains('\n'), "{error}");
    error.kind()
}

#[tokio::test]
async fn everything_is_there_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let store = create(&path).await;
    let identity = store.identity().clone();
    let pins = namespace(&store, "pins").await;
    namespace(&store, "empty").await;
    let items: Vec<BatchItem> =
        (0..500).map(|i| put(&format!("k{i:03}"), &format!("v{i}"), i).into()).collect();
    pins.apply(items, BatchOptions::new()).await.unwrap().into_result().unwrap();
    pins.delete(Delete::new(key("k000"), Version(9)), WriteOptions::new()).await.unwrap();
    pins.delete(Delete::new(key("k001"), Version(9)), WriteOptions::if_newer()).await.unwrap();
    let written = store.control_set("job/1", Expect::Absent, b"half way").await.unwrap();
    assert!(written.is_applied());
    assert_eq!(store.sync().await.unwrap(), Durability::Power);
    store.close().await.unwrap();
    store.close().await.unwrap();

    let store = open(&path).await;
    assert_eq!(store.identity(), &identity);
    let pins = store.open_namespace(&name("pins")).await.unwrap();
    assert_eq!(pins.count(CountOptions::new()).await.unwrap(), Count::Exact(498));
    assert_eq!(pins.count(CountOptions::estimate()).await.unwrap(), Count::Estimate(499));
    assert_eq!(text(&*pins, "k000").await, None);
    assert_eq!(text(&*pins, "k001").await, None);
    assert_eq!(text(&*pins, "k499").await.as_deref(), Some("v499"));
    let record = store.control_get("job/1").await.unwrap().unwrap();
    assert_eq!(record.value, b"half way".as_slice());
    // The marker still keeps an older write out, and can be purged.
    let older = pins.put(put("k001", "old", 8), WriteOptions::if_newer()).await.unwrap();
    assert_eq!(older, Written::Superseded { current: Version(9) });
    assert_eq!(pins.purge_deleted(Version(9)).await.unwrap(), 0);
    assert_eq!(pins.purge_deleted(Version(10)).await.unwrap(), 1);
    let older = pins.put(put("k001", "old", 8), WriteOptions::if_newer()).await.unwrap();
    assert_eq!(older, Written::Applied);
    let names: Vec<_> = store.list_namespaces().await.unwrap();
    assert_eq!(names.iter().map(|i| i.name.as_str()).collect::<Vec<_>>(), ["empty", "pins"]);
}

#[tokio::test]
async fn a_store_is_open_once_and_only_where_there_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    assert_eq!(kind(SledStore::open(&SledConfig::new(&path)).await), ErrorKind::NoStore);
    assert!(!path.exists());
    let store = create(&path).await;
    let pins = namespace(&store, "pins").await;
    assert_eq!(kind(SledStore::open(&SledConfig::new(&path)).await), ErrorKind::Locked);
    drop(store);
    // A handle keeps the store open.
    store_text(&*pins, "a", "b", 1).await;
    assert_eq!(kind(SledStore::open(&SledConfig::new(&path)).await), ErrorKind::Locked);
    drop(pins);
    for _ in 0..20 {
        let store = open(&path).await;
        let pins = namespace(&store, "pins").await;
        assert_eq!(keys(&*pins).await, ["a"]);
    }
}

#[tokio::test]
async fn a_newer_format_and_a_foreign_database_stay_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    create(&path).await.close().await.unwrap();
    let marker = path.join("pinstate.store");
    let newer = fs::read_to_string(&marker).unwrap().replace("format 1", "format 2");
    fs::write(&marker, newer).unwrap();
    let image = || -> Vec<_> {
        let mut image: Vec<_> = fs::read_dir(&path)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.is_file())
            .map(|path| (path.clone(), fs::read(path).unwrap()))
            .collect();
        image.sort();
        image
    };
    let before = image();
    let config = || SledConfig::new(&path).create();
    assert_eq!(kind(SledStore::open(&config()).await), ErrorKind::Incompatible);
    assert_eq!(image(), before);

    let foreign = folder.path().join("foreign");
    drop(sled::open(&foreign).unwrap());
    let count = fs::read_dir(&foreign).unwrap().count();
    let config = SledConfig::new(&foreign).create();
    assert_eq!(kind(SledStore::open(&config).await), ErrorKind::Incompatible);
    assert_eq!(fs::read_dir(&foreign).unwrap().count(), count);

    // Another store's marker beside these files.
    let other = folder.path().join("other");
    create(&other).await.close().await.unwrap();
    fs::copy(other.join("pinstate.store"), &marker).unwrap();
    assert_eq!(kind(SledStore::open(&SledConfig::new(&path)).await), ErrorKind::Corrupt);
}

#[tokio::test]
async fn damaged_rows_are_items_of_their_page() {
    let folder = tempfile::tempdir().unwrap();
    let store = create(folder.path()).await;
    let pins = namespace(&store, "pins").await;
    for k in ["a", "b", "c"] {
        store_text(&*pins, k, k, 1).await;
    }
    drop(pins);
    store.close().await.unwrap();
    let raw = loop {
        // The engine's threads let go of its lock a little after it is closed.
        if let Ok(raw) = sled::open(folder.path()) {
            break raw;
        }
    };
    let tree = raw.open_tree("rows-0000000000000001").unwrap();
    assert_eq!(tree.len(), 3);
    tree.insert("b", b"torn").unwrap();
    drop((tree, raw));

    let store = open(folder.path()).await;
    let pins = store.open_namespace(&name("pins")).await.unwrap();
    for options in [ScanOptions::new(), ScanOptions::new().keys_only()] {
        let rows = all(&*pins, options).await;
        assert_eq!(rows.len(), 3);
        let damaged = rows[1].as_ref().unwrap_err();
        assert_eq!(damaged.key, key("b"));
        assert_eq!(damaged.raw, b"torn".as_slice());
        assert!(rows[0].is_ok() && rows[2].is_ok());
    }
    let error = pins.get(&key("b"), ReadOptions::new()).await.unwrap_err();
    assert_eq!((error.kind(), error.key()), (ErrorKind::Corrupt, Some(&key("b"))));
    assert!(pins.has(&key("b"), ReadOptions::new()).await.unwrap());
    assert_eq!(pins.count(CountOptions::new()).await.unwrap(), Count::Exact(3));
    let many = pins.get_many(&[key("c"), key("b"), key("x"), key("c")], ReadOptions::new()).await;
    let many = many.unwrap();
    assert!(many[0].as_ref().unwrap().is_some() && many[3].as_ref().unwrap().is_some());
    assert!(many[1].is_err() && many[2].as_ref().unwrap().is_none());
    let refused = pins.put(put("b", "new", 2), WriteOptions::if_newer()).await.unwrap_err();
    assert_eq!((refused.kind(), refused.outcome()), (ErrorKind::Corrupt, Outcome::NotApplied));
    // A plain put repairs it.
    store_text(&*pins, "b", "new", 2).await;
    assert_eq!(text(&*pins, "b").await.as_deref(), Some("new"));
}

#[tokio::test]
async fn replacing_is_one_step_and_what_a_crash_left_goes_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let store = create(folder.path()).await;
    let pins = namespace(&store, "pins").await;
    let staged = namespace(&store, "staged").await;
    store_text(&*pins, "old", "1", 1).await;
    store_text(&*staged, "new", "2", 2).await;
    store.replace_namespace(&name("pins"), &name("staged")).await.unwrap();
    for gone in [&pins, &staged] {
        assert_eq!(kind(gone.get(&key("new"), ReadOptions::new()).await), ErrorKind::NoNamespace);
        let write = gone.put(put("x", "y", 1), WriteOptions::new()).await.unwrap_err();
        assert_eq!((write.kind(), write.outcome()), (ErrorKind::NoNamespace, Outcome::NotApplied));
        assert_eq!(kind(gone.scan(ScanOptions::new()).await.map(drop)), ErrorKind::NoNamespace);
    }
    let pins = store.open_namespace(&name("pins")).await.unwrap();
    assert_eq!(keys(&*pins).await, ["new"]);
    assert_eq!(kind(store.open_namespace(&name("staged")).await), ErrorKind::NoNamespace);
    let same = store.replace_namespace(&name("pins"), &name("pins")).await;
    assert_eq!(kind(same), ErrorKind::InvalidInput);
    drop(pins);
    store.close().await.unwrap();

    // As after a crash between recording the new tree and dropping the old one.
    let raw = loop {
        if let Ok(raw) = sled::open(folder.path()) {
            break raw;
        }
    };
    assert!(!raw.tree_names().contains(&"rows-0000000000000001".into()));
    let left_over = raw.open_tree("rows-00000000000000aa").unwrap();
    left_over.insert("a", "b").unwrap();
    drop((left_over, raw));
    let store = open(folder.path()).await;
    assert_eq!(store.list_namespaces().await.unwrap().len(), 1);
    store.close().await.unwrap();
    let raw = loop {
        if let Ok(raw) = sled::open(folder.path()) {
            break raw;
        }
    };
    assert_eq!(raw.tree_names().len(), 2, "{:?}", raw.tree_names());
}

#[tokio::test]
async fn a_dropped_namespace_never_comes_back_through_an_old_handle() {
    let folder = tempfile::tempdir().unwrap();
    let store = create(folder.path()).await;
    let old = namespace(&store, "pins").await;
    store_text(&*old, "a", "1", 1).await;
    assert_eq!(kind(store.create_namespace(&name("pins")).await), ErrorKind::Conflict);
    store.drop_namespace(&name("pins")).await.unwrap();
    assert_eq!(kind(store.drop_namespace(&name("pins")).await), ErrorKind::NoNamespace);
    let new = namespace(&store, "pins").await;
    assert_eq!(kind(old.put(put("a", "2", 2), WriteOptions::new()).await), ErrorKind::NoNamespace);
    assert!(keys(&*new).await.is_empty());
    store.close().await.unwrap();
    for closed in
        [old.has(&key("a"), ReadOptions::new()).await, new.has(&key("a"), ReadOptions::new()).await]
    {
        assert_eq!(kind(closed), ErrorKind::Closed);
    }
    assert_eq!(kind(store.sync().await), ErrorKind::Closed);
    assert_eq!(kind(store.list_namespaces().await), ErrorKind::Closed);
}

#[tokio::test]
async fn scans_go_on_from_any_place_in_any_page_size() {
    let folder = tempfile::tempdir().unwrap();
    let store = create(folder.path()).await;
    let pins = namespace(&store, "pins").await;
    let mut expected: Vec<Key> = vec![Key::default()];
    expected.extend((0..40u8).map(|i| Key::copy_from(&[i, 0xff])));
    expected.extend([key("k"), key("k\0"), Key::copy_from(&[0xff; 70])]);
    expected.sort();
    for (i, k) in expected.iter().enumerate() {
        let item = pinstate_core::Put::new(k.clone(), vec![i as u8], Version(i as i64));
        pins.put(item, WriteOptions::new()).await.unwrap();
    }
    // Markers are not seen, but are passed over.
    for i in 0..100u8 {
        let marker = Delete::new(Key::copy_from(&[0x30, i]), Version(1));
        pins.delete(marker, WriteOptions::if_newer()).await.unwrap();
    }
    for rows in [1, 2, 3, 7, expected.len(), 1_000] {
        let options = ScanOptions::new().with_page_rows(rows);
        let mut scan = pins.scan(options.clone()).await.unwrap();
        let mut seen = 0;
        while let pinstate_core::ScanStep::Page(page) = scan.next().await.unwrap() {
            seen += page.items.len();
            let cursor = page.cursor.to_string().parse().unwrap();
            let rest = all(&*pins, options.clone().with_after(cursor)).await;
            let rest: Vec<Key> = rest.into_iter().map(|row| row.unwrap().key).collect();
            assert_eq!(rest, expected[seen..], "{rows} rows a page");
        }
        assert_eq!(seen, expected.len());
    }
    let after = all(&*pins, ScanOptions::new().with_after(pins.cursor_after(&key("j")))).await;
    assert_eq!(after.len(), 3);
    assert_eq!(all(&*pins, ScanOptions::new().include_deleted()).await.len(), expected.len() + 100);
    let mut parts = Vec::new();
    for range in pins.split(5).await.unwrap() {
        parts.extend(all(&*pins, ScanOptions::new().with_range(range)).await);
    }
    assert_eq!(parts.len(), expected.len());
    let other = namespace(&store, "other").await;
    let range = other.split(1).await.unwrap().remove(0);
    let foreign = pins.scan(ScanOptions::new().with_range(range)).await;
    assert_eq!(kind(foreign.map(drop)), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn conditions_hold_against_what_is_stored() {
    let folder = tempfile::tempdir().unwrap();
    let store = create(folder.path()).await;
    let pins = namespace(&store, "pins").await;
    let absent = WriteOptions::if_absent;
    assert_eq!(pins.put(put("a", "1", 5), absent()).await.unwrap(), Written::Applied);
    let refused = Written::Refused { current: Some(Version(5)) };
    assert_eq!(pins.put(put("a", "2", 6), absent()).await.unwrap(), refused);
    let at = |version| WriteOptions::if_version(Version(version));
    assert_eq!(pins.put(put("a", "2", 6), at(4)).await.unwrap(), refused);
    assert_eq!(pins.put(put("a", "2", 6), at(5)).await.unwrap(), Written::Applied);
    let delete = |version| Delete::new(key("a"), Version(version));
    assert_eq!(kind(pins.delete(delete(7), absent()).await), ErrorKind::InvalidInput);
    assert_eq!(
        pins.delete(delete(7), at(5)).await.unwrap(),
        Written::Refused { current: Some(Version(6)) }
    );
    assert_eq!(pins.delete(delete(7), at(6)).await.unwrap(), Written::Applied);
    assert_eq!(
        pins.put(put("a", "3", 8), at(7)).await.unwrap(),
        Written::Refused { current: None }
    );
    assert_eq!(
        pins.put(put("a", "3", 7), WriteOptions::if_newer()).await.unwrap(),
        Written::Superseded { current: Version(7) }
    );
    assert_eq!(pins.put(put("a", "3", 3), absent()).await.unwrap(), Written::Applied);
    // The whole order of writes, against the rule itself.
    let values = [None, Some(""), Some("a"), Some("b")];
    for (stored, stored_at) in values.iter().flat_map(|v| [(v, 1), (v, 2)]) {
        for (new, new_at) in values.iter().flat_map(|v| [(v, 1), (v, 2)]) {
            let write = async |value: &Option<&str>, version, options| match value {
                Some(value) => pins.put(put("w", value, version), options).await.unwrap(),
                None => {
                    pins.delete(Delete::new(key("w"), Version(version)), options).await.unwrap()
                }
            };
            pins.delete(Delete::new(key("w"), Version(0)), WriteOptions::new()).await.unwrap();
            write(stored, stored_at, WriteOptions::if_newer()).await;
            let side = |value: &Option<&'static str>, version| Contender {
                version: Version(version),
                value: value.map(str::as_bytes),
            };
            let wins = side(new, new_at).beats(&side(stored, stored_at));
            let written = write(new, new_at, WriteOptions::if_newer()).await;
            let expected = if wins {
                Written::Applied
            } else {
                Written::Superseded { current: Version(stored_at) }
            };
            assert_eq!(written, expected, "{new:?} {new_at} over {stored:?} {stored_at}");
        }
    }
}

#[tokio::test]
async fn batches_keep_their_order_and_limits() {
    let folder = tempfile::tempdir().unwrap();
    let store = create(folder.path()).await;
    let pins = namespace(&store, "pins").await;
    let delete = |k: &str, version| BatchItem::from(Delete::new(key(k), Version(version)));
    for options in [BatchOptions::new(), BatchOptions::atomic()] {
        let batch = vec![
            put("z", "1", 1).into(),
            put("a", "1", 1).into(),
            delete("z", 2),
            put("z", "3", 3).into(),
            put("a", "2", 2).into(),
            delete("a", 3),
        ];
        pins.apply(batch, options).await.unwrap().into_result().unwrap();
        assert_eq!(text(&*pins, "z").await.as_deref(), Some("3"));
        assert_eq!(text(&*pins, "a").await, None);
        assert!(pins.apply(Vec::new(), options).await.unwrap().items.is_empty());
    }
    let limits: &Capabilities = pins.capabilities();
    let (most, value, key_len) = (
        limits.max_atomic_batch as usize,
        limits.max_value_bytes as usize,
        limits.max_key_bytes as usize,
    );
    let many = |n: usize| (0..n).map(|i| put(&format!("m{i}"), "x", 1).into()).collect::<Vec<_>>();
    pins.apply(many(most), BatchOptions::atomic()).await.unwrap().into_result().unwrap();
    let over = pins.apply(many(most + 1), BatchOptions::atomic()).await;
    assert_eq!(kind(over), ErrorKind::TooLarge);
    let large = |k: usize, v: usize| {
        pinstate_core::Put::new(Key::new(vec![b'L'; k]), vec![b'v'; v], Version(1))
    };
    assert_eq!(
        pins.put(large(key_len, value), WriteOptions::new()).await.unwrap(),
        Written::Applied
    );
    for bad in [large(key_len + 1, 1), large(1, value + 1)] {
        let error = pins.put(bad.clone(), WriteOptions::new()).await.unwrap_err();
        assert_eq!((error.kind(), error.outcome()), (ErrorKind::TooLarge, Outcome::NotApplied));
        let batch = vec![put("fits", "x", 1).into(), bad.clone().into()];
        let outcome = pins.apply(batch.clone(), BatchOptions::new()).await.unwrap();
        assert!(outcome.items[0].is_ok());
        assert_eq!(outcome.items[1].as_ref().unwrap_err().kind(), ErrorKind::TooLarge);
        assert_eq!(kind(pins.apply(batch, BatchOptions::atomic()).await), ErrorKind::TooLarge);
        assert!(!pins.has(&bad.key, ReadOptions::new()).await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn counters_under_compare_and_set_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(create(folder.path()).await);
    let pins = namespace(&store, "pins").await;
    store_text(&*pins, "n", "0", 0).await;
    let adders = (0..8).map(|_| {
        let (pins, store) = (Arc::clone(&pins), Arc::clone(&store));
        tokio::spawn(async move {
            for _ in 0..25 {
                loop {
                    let now = pins.get(&key("n"), ReadOptions::new()).await.unwrap().unwrap();
                    let next = now.version.0 + 1;
                    let options = WriteOptions::if_version(now.version);
                    let written = pins.put(put("n", &next.to_string(), next), options).await;
                    if written.unwrap() == Written::Applied {
                        break;
                    }
                }
                loop {
                    let now = store.control_get("n").await.unwrap();
                    let expect =
                        now.as_ref().map_or(Expect::Absent, |r| Expect::Revision(r.revision));
                    let count = now.map_or(0, |r| r.value[0]) + 1;
                    if store.control_set("n", expect, &[count]).await.unwrap().is_applied() {
                        break;
                    }
                }
            }
        })
    });
    for adder in adders.collect::<Vec<_>>() {
        adder.await.unwrap();
    }
    assert_eq!(text(&*pins, "n").await.as_deref(), Some("200"));
    let record = store.control_get("n").await.unwrap().unwrap();
    assert_eq!(record.value[0], 200);
    // Revisions do not come again, not even after a delete and in another process.
    let revision = record.revision;
    assert!(store.control_delete("n", Expect::Revision(revision)).await.unwrap().is_applied());
    drop(pins);
    drop(store);
    let store = open(folder.path()).await;
    assert!(store.control_set("n", Expect::Absent, b"").await.unwrap().is_applied());
    assert!(store.control_get("n").await.unwrap().unwrap().revision > revision);
    assert_eq!(store.control_list("").await.unwrap().len(), 1);
}

#[tokio::test]
async fn stores_open_from_uris() {
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::new().with(SledFactory);
    let config = Config::default();
    let uri = |rest: &str| format!("sled:{}/s{rest}", folder.path().display());
    let missing = registry.open(&config, &uri(""), OpenOptions::new()).await;
    assert_eq!(kind(missing), ErrorKind::NoStore);
    let store = registry.open(&config, &uri("?create=true"), OpenOptions::new()).await.unwrap();
    assert_eq!(store.capabilities().ack_durability, Durability::Power);
    store.close().await.unwrap();
    let lax = uri("?durability=process&cache=64MiB");
    let store = registry.open(&config, &lax, OpenOptions::create()).await.unwrap();
    assert_eq!(store.sync().await.unwrap(), Durability::Process);
    assert!(store.health().await.unwrap().ready);
    store.close().await.unwrap();
    for bad in ["?cache=1", "?cache=x", "?durability=both", "?cash=64MiB"] {
        let refused = registry.open(&config, &uri(bad), OpenOptions::new()).await;
        assert_eq!(kind(refused), ErrorKind::Config, "{bad}");
    }
    let refused = registry.open(&config, "sled:", OpenOptions::create()).await;
    assert_eq!(kind(refused), ErrorKind::Config);
}

/// Barriers, calls answered by them, and calls that wait.
fn told(store: &dyn Store) -> [f64; 3] {
    let told = store.gauges();
    assert!(told.iter().any(|(gauge, took)| *gauge == Gauge::BarrierSeconds && *took > 0.0));
    [Gauge::Barriers, Gauge::BarrierCalls, Gauge::CallsWaiting]
        .map(|wanted| told.iter().find(|(gauge, _)| *gauge == wanted).unwrap().1)
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_share_a_barrier_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let store = create(&folder.path().join("store")).await;
    let pins = namespace(&store, "pins").await;
    let [barriers, calls, _] = told(&store);
    pins.put(put("one", "v", 1), WriteOptions::new()).await.unwrap();
    assert_eq!(told(&store), [barriers + 1.0, calls + 1.0, 0.0]);
    let calls_at_once = (0..64).map(|n| {
        let pins = Arc::clone(&pins);
        tokio::spawn(async move {
            pins.put(put(&n.to_string(), "v", 1), WriteOptions::new()).await.unwrap();
        })
    });
    for call in calls_at_once.collect::<Vec<_>>() {
        call.await.unwrap();
    }
    let [more, answered, waiting] = told(&store);
    assert_eq!((answered, waiting), (calls + 65.0, 0.0));
    assert!(more > barriers + 1.0 && more < barriers + 65.0, "64 calls in {}", more - barriers);
    store.close().await.unwrap();
    assert_eq!(store.gauges(), []);
}
