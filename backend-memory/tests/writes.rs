//! What only this backend promises, beside the conformance suite.

use std::sync::Arc;

use pinstate_core::{
    CheckedScan, Delete, ErrorKind, Key, Namespace, Put, ReadOptions, Result, ScanOptions, Store,
    Version, WriteOptions, Written,
};
use pinstate_memory::{MemoryConfig, MemoryStore};

async fn pins() -> Result<(MemoryStore, Arc<dyn Namespace>)> {
    let store = MemoryStore::open(&MemoryConfig::default())?;
    let name = "pins".parse()?;
    store.create_namespace(&name).await?;
    let pins = store.open_namespace(&name).await?;
    Ok((store, pins))
}

fn key() -> Key {
    Key::copy_from(b"k")
}

#[tokio::test]
async fn a_plain_delete_does_not_let_older_puts_past_a_marker() {
    let (_store, pins) = pins().await.unwrap();
    let put = |version| Put::new(key(), "v", Version(version));
    pins.delete(Delete::new(key(), Version(20)), WriteOptions::if_newer()).await.unwrap();
    pins.delete(Delete::new(key(), Version(30)), WriteOptions::new()).await.unwrap();
    for old in [10, 25] {
        let written = pins.put(put(old), WriteOptions::if_newer()).await.unwrap();
        assert_eq!(written, Written::Superseded { current: Version(30) });
    }
    assert!(!pins.has(&key(), ReadOptions::new()).await.unwrap());
    let written = pins.put(put(31), WriteOptions::if_newer()).await.unwrap();
    assert_eq!(written, Written::Applied);
}

#[tokio::test]
async fn a_plain_delete_leaves_nothing() {
    let (_store, pins) = pins().await.unwrap();
    for write in [0, 10] {
        if write > 0 {
            pins.put(Put::new(key(), "v", Version(write)), WriteOptions::new()).await.unwrap();
        }
        pins.delete(Delete::new(key(), Version(20)), WriteOptions::new()).await.unwrap();
        let scan = pins.scan(ScanOptions::new().include_deleted()).await.unwrap();
        assert!(CheckedScan::new(scan).collect().await.unwrap().is_empty());
    }
}

/// No page gives such a cursor, but its parts are public.
#[tokio::test]
async fn a_cursor_before_its_range_begins_with_the_range() {
    let (_store, pins) = pins().await.unwrap();
    for name in ["a", "b", "c"] {
        let put = Put::new(Key::copy_from(name.as_bytes()), name, Version(1));
        pins.put(put, WriteOptions::new()).await.unwrap();
    }
    let mut cursor = pins.cursor_after(&Key::copy_from(b"a"));
    for (position, first) in [("", "b"), ("a", "b"), ("b", "c")] {
        cursor.range.start = Some("b".into());
        cursor.position = position.into();
        let scan = pins.scan(ScanOptions::new().with_after(cursor.clone())).await.unwrap();
        let rows = CheckedScan::new(scan).collect().await.unwrap();
        assert_eq!(rows.first().unwrap().as_ref().unwrap().value, first, "{position:?}");
    }
}

#[tokio::test]
async fn a_repeated_conditional_write_hears_that_it_applied() {
    let (_store, pins) = pins().await.unwrap();
    let if_newer = WriteOptions::if_newer();
    for _ in 0..2 {
        let put = Put::new(key(), "v", Version(10));
        assert_eq!(pins.put(put, if_newer).await.unwrap(), Written::Applied);
    }
    for _ in 0..2 {
        let delete = Delete::new(key(), Version(20));
        assert_eq!(pins.delete(delete, if_newer).await.unwrap(), Written::Applied);
    }
}

#[tokio::test]
async fn a_closed_handle_says_closed_before_anything_else() {
    let (store, pins) = pins().await.unwrap();
    store.close().await.unwrap();
    let limit = usize::try_from(pins.capabilities().max_value_bytes).unwrap();
    let put = Put::new(key(), vec![0; limit + 1], Version(1));
    let error = pins.put(put, WriteOptions::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    let text = "put on memory: closed: the store was closed: open it anew (namespace pins)";
    assert_eq!(error.to_string(), text);
}
