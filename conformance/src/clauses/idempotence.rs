//! Doing the same again.

use std::sync::Arc;

use bytes::Bytes;
use pinstate_core::{
    BatchItem, BatchOptions, Delete, ErrorKind, Key, ScanOptions, Version, WriteOptions,
};

use crate::case::Cx;
use crate::check::{Checked, Violation, holds, same};
use crate::clause::clauses;
use crate::gate::IntoTexts;

clauses! {
    I1: "the same put ten times is one record",
        "retries repeat puts",
        [same_put_ten_times];
    I2: "a delete ten times is fine each time",
        "retries repeat deletes, and so do operators",
        [delete_ten_times];
    I3: "a batch that is applied again leaves the same state",
        "a job that goes on after a crash applies its last batch again",
        [batch_again];
    I4: "trying again after an unknown outcome converges",
        "the retry layer repeats a write that may have been applied already",
        [repeated_if_newer_converges];
    I5: "opening and closing changes nothing, and of eight who create one succeeds",
        "a schema step that is not repeatable fails on the second node of a cluster",
        [open_and_close_many_times as long, records_outlive_reopening if PERSISTENT, eight_creators];
}

async fn same_put_ten_times(cx: Cx) -> Checked {
    let ns = cx.namespace().await?;
    let put = ns.put_of("k", "v", cx.version());
    for _ in 0..10 {
        ns.raw.put(put.clone(), WriteOptions::new()).await?;
    }
    same("the list", ns.texts().await?, vec![("k", "v")].into_texts())?;
    same("the count", ns.count().await?, 1)
}

async fn delete_ten_times(cx: Cx) -> Checked {
    let ns = cx.namespace().await?;
    ns.fill([("k", "v"), ("l", "w")]).await?;
    for _ in 0..10 {
        ns.delete("k").await?;
    }
    same("the list", ns.texts().await?, vec![("l", "w")].into_texts())?;
    same("the count", ns.count().await?, 1)
}

async fn batch_again(cx: Cx) -> Checked {
    let ns = cx.namespace().await?;
    ns.fill((0..20).map(|i| (format!("k{i:02}"), "old"))).await?;
    let batch: Vec<BatchItem> = (0..30)
        .map(|i| {
            let key = format!("k{i:02}");
            match i % 3 {
                0 => Delete::new(Key::copy_from(key.as_bytes()), cx.version()).into(),
                _ => ns.put_of(key, format!("new {i}"), cx.version()).into(),
            }
        })
        .collect();
    ns.apply(batch.clone(), BatchOptions::new()).await?;
    let once = ns.map(ScanOptions::new()).await?;
    same("records after the batch", once.len(), 20)?;
    for _ in 0..3 {
        ns.apply(batch.clone(), BatchOptions::new()).await?;
        ns.shows(&once).await?;
    }
    Ok(())
}

async fn repeated_if_newer_converges(cx: Cx) -> Checked {
    let ns = cx.namespace().await?;
    let if_newer = WriteOptions::if_newer();
    let put = ns.put_of("k", "v", Version(10));
    for _ in 0..3 {
        ns.raw.put(put.clone(), if_newer).await?;
        same("the record", ns.value("k").await?, Some(Bytes::from_static(b"v")))?;
    }
    let delete = Delete::new(Key::copy_from(b"k"), Version(20));
    for _ in 0..3 {
        ns.raw.delete(delete.clone(), if_newer).await?;
        // The put's late twin arrives in between.
        ns.raw.put(put.clone(), if_newer).await?;
        same("the record", ns.value("k").await?, None)?;
        same("the count", ns.count().await?, 0)?;
    }
    let batch: Vec<BatchItem> = vec![put.into(), delete.into()];
    for _ in 0..2 {
        let outcome = ns.raw.apply(batch.clone(), BatchOptions::if_newer()).await?;
        same("answers to the batch", outcome.into_result()?.len(), 2)?;
        same("the record", ns.value("k").await?, None)?;
    }
    Ok(())
}

async fn open_and_close_many_times(cx: Cx) -> Checked {
    let own = cx.own_store().await?;
    let persistent = cx.capabilities().persistent;
    let mut identity = None;
    for round in 0..50 {
        let store = own.open().await?;
        let now = store.identity().uuid;
        if persistent {
            same("the store's UUID", now, *identity.get_or_insert(now))?;
        }
        let names = store.list_namespaces().await?;
        same(&format!("namespaces at opening {round}"), names.len(), 0)?;
        same("control records", store.control_list("").await?, Vec::new())?;
        store.close().await?;
        store.close().await?;
    }
    Ok(())
}

async fn records_outlive_reopening(cx: Cx) -> Checked {
    let own = cx.own_store().await?;
    let (store, ns) = own.open_new().await?;
    ns.fill((0..100).map(|i| (format!("k{i}"), format!("v{i}")))).await?;
    ns.delete("k7").await?;
    let deleted = Delete::new(Key::copy_from(b"k8"), cx.version());
    ns.raw.delete(deleted, WriteOptions::if_newer()).await?;
    let records = ns.scan(ScanOptions::new().include_deleted()).await?;
    let live = ns.map(ScanOptions::new()).await?;
    store.close().await?;
    drop(store);
    for _ in 0..3 {
        let store = own.open().await?;
        let again = cx.open(&store, &ns.name).await?;
        again.shows(&live).await?;
        let rows = again.scan(ScanOptions::new().include_deleted()).await?;
        same("versions and markers", &rows, &records)?;
        store.close().await?;
    }
    Ok(())
}

async fn eight_creators(cx: Cx) -> Checked {
    let name = cx.own_name().await?;
    let attempts = (0..8).map(|_| {
        let (store, name) = (Arc::clone(cx.store()), name.clone());
        tokio::spawn(async move { store.create_namespace(&name).await })
    });
    let mut created = 0;
    for attempt in futures::future::join_all(attempts).await {
        match attempt.map_err(|error| Violation::new(error.to_string()))? {
            Ok(()) => created += 1,
            Err(error) => holds(error.kind() == ErrorKind::Conflict, || {
                format!("a creator who came late: expected a conflict, got: {error}")
            })?,
        }
    }
    same("creators who succeeded", created, 1)?;
    let ns = cx.open(cx.store(), &name).await?;
    ns.put("k", "v").await?;
    same("the count", ns.count().await?, 1)
}
