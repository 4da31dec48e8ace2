//! How a store says that it is well, and what becomes of calls when it closes.

use std::sync::Arc;

use pinstate_core::{ErrorKind, ScanOptions, WriteOptions, Written};

use super::list::pairs;
use crate::case::Cx;
use crate::check::{Checked, Violation, holds, same};
use crate::clause::clauses;

clauses! {
    H1: "a store that works is ready, and a closed one is not",
        "an orchestrator restarts what is not ready, and sends work to what is",
        [ready_while_open];
    H2: "asking how a store is writes nothing",
        "it is asked every few seconds, by readers too",
        [asking_writes_nothing];
    Z5: "calls under way when the store closes end, and those that come later are refused as \
         closed",
        "a peer that shuts down must neither hang nor believe a write that was lost",
        [closed_under_writers];
}

async fn ready_while_open(cx: Cx) -> Checked {
    let own = cx.own_store().await?;
    let store = own.open().await?;
    let health = store.health().await?;
    holds(health.ready, || {
        format!("a store just opened: expected it to be ready, got {health:?}")
    })?;
    store.close().await?;
    match store.health().await {
        Err(error) if error.kind() == ErrorKind::Closed => Ok(()),
        Ok(health) if !health.ready => Ok(()),
        other => Err(Violation::new(format!(
            "the health of a closed store: expected 'closed' or not ready, got {other:?}"
        ))),
    }
}

async fn asking_writes_nothing(cx: Cx) -> Checked {
    let own = cx.own_store().await?;
    let (store, ns) = own.open_new().await?;
    ns.fill(pairs(10)).await?;
    let rows = ns.scan(ScanOptions::new().include_deleted()).await?;
    let names = store.list_namespaces().await?;
    let control = store.control_list("").await?;
    let identity = store.identity().clone();
    for _ in 0..20 {
        store.health().await?;
    }
    same("records", ns.scan(ScanOptions::new().include_deleted()).await?, rows)?;
    same("the count", ns.count().await?, 10)?;
    same("namespaces", store.list_namespaces().await?, names)?;
    same("control records", store.control_list("").await?, control)?;
    same("the identity", store.identity(), &identity)?;
    store.close().await?;
    Ok(())
}

/// Writers that are under way when the store closes.
const WRITERS: usize = 8;

async fn closed_under_writers(cx: Cx) -> Checked {
    let own = cx.own_store().await?;
    let (store, ns) = own.open_new().await?;
    let begun = Arc::new(tokio::sync::Barrier::new(WRITERS + 1));
    let tasks: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (handle, begun) = (ns.clone(), Arc::clone(&begun));
            tokio::spawn(async move {
                begun.wait().await;
                let mut acknowledged = Vec::new();
                for turn in 0_u64.. {
                    // Enough to be under way at any time, and not more than fits.
                    let key = format!("{writer}/{}", turn % 500);
                    let put = handle.put_of(&key, "v", handle.version());
                    match handle.raw.put(put, WriteOptions::new()).await {
                        Ok(Written::Applied) => acknowledged.push(key),
                        Ok(other) => {
                            return Err(Violation::new(format!("a plain put: got {other:?}")));
                        }
                        Err(error) if error.kind() == ErrorKind::Closed => break,
                        Err(error) => {
                            return Err(Violation::new(format!(
                                "a put while the store closes: expected it to apply or to be \
                                 refused as closed, got: {error}"
                            )));
                        }
                    }
                    tokio::task::yield_now().await;
                }
                Ok(acknowledged)
            })
        })
        .collect();
    begun.wait().await;
    tokio::task::yield_now().await;
    store.close().await?;
    let mut acknowledged = Vec::new();
    for task in tasks {
        let keys = task.await.map_err(|error| Violation::new(error.to_string()))??;
        acknowledged.extend(keys);
    }
    store.close().await.map_err(|error| {
        Violation::new(format!("closing twice: expected no error, got: {error}"))
    })?;
    if !cx.capabilities().persistent {
        return Ok(());
    }
    drop(store);
    let store = own.open().await?;
    let again = cx.open(&store, &ns.name).await?;
    let rows = again.map(ScanOptions::new()).await?;
    for key in acknowledged {
        holds(rows.contains_key(key.as_bytes()), || {
            format!("{key}, acknowledged before the store was closed, is gone")
        })?;
    }
    store.close().await?;
    Ok(())
}
