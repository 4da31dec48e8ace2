//! How a store says that it is well, and what becomes of calls when it closes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use pinstate_core::{ErrorKind, RetryClass, ScanOptions, Store, WriteOptions, Written};

use super::list::pairs;
use crate::case::{AT_LAST, Cx, Ns, answered};
use crate::check::{Checked, Violation, holds, same};
use crate::clause::clauses;

clauses! {
    H1: "a store that works is ready, and a closed one is not",
        "an orchestrator restarts what is not ready, and sends work to what is",
        [ready_while_open];
    H2: "asking how a store is writes nothing",
        "it is asked every few seconds, by readers too",
        [asking_writes_nothing];
    H3: "a server that goes away and comes back is told and got over: calls end, and the store \
         works again without being opened anew",
        "a database is restarted with every upgrade, and peers must not have to be restarted \
         after it",
        [server_restarts as alone];
    Z5: "calls under way when the store closes end, and those that come later are refused as \
         closed",
        "a peer that shuts down must neither hang nor believe a write that was lost",
        [closed_under_writers];
}

async fn ready_while_open(cx: Cx) -> Checked {
    let own = cx.own_store().await?;
    let store = own.open().await?;
    let ready = || async {
        let health = store.health().await?;
        holds(health.ready, || {
            format!("a store just opened: expected it to be ready, got {health:?}")
        })
    };
    if cx.amid_failures() {
        in_time("the health of a store that is disturbed", Instant::now(), ready).await?;
    } else {
        ready().await?;
    }
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

/// Records that are there before the server goes away.
const ROWS: usize = 50;
/// Between two looks at a store that is to notice something.
const LOOK: Duration = Duration::from_millis(100);

async fn server_restarts(cx: Cx) -> Checked {
    let own = cx.own_store().await?;
    let server = own.server()?;
    let (store, ns) = own.open_new().await?;
    ns.fill(pairs(ROWS)).await?;
    let health = store.health().await?;
    holds(health.ready, || format!("before the server stops: expected ready, got {health:?}"))?;
    let (begun, gone) =
        (Arc::new(tokio::sync::Barrier::new(WRITERS + 1)), Arc::new(AtomicBool::new(false)));
    let writers: Vec<_> = (0..WRITERS)
        .map(|number| {
            let (ns, begun, gone) = (ns.clone(), Arc::clone(&begun), Arc::clone(&gone));
            tokio::spawn(async move {
                begun.wait().await;
                writes_until(&ns, number, &gone).await
            })
        })
        .collect();
    begun.wait().await;
    let stopped = server.stop().await;
    gone.store(true, Ordering::SeqCst);
    let apart = match stopped {
        Ok(()) => without_server(&store, &ns, writers).await,
        Err(error) => Err(Violation::harness("the server does not stop", &error)),
    };
    // In any case: others may live on the same one.
    let started = server.start().await;
    let acknowledged = apart?;
    started.map_err(|error| Violation::harness("the server does not start", &error))?;

    let began = Instant::now();
    in_time("a put", began, || async { ns.put("after", "v").await.map(drop) }).await?;
    in_time("the health of the store", began, || async {
        let health = store.health().await?;
        holds(health.ready, || format!("expected it to be ready, got {health:?}"))
    })
    .await?;
    let rows = in_time("a scan", began, || ns.map(ScanOptions::new())).await?;
    for (key, value) in pairs(ROWS) {
        let got = rows.get(key.as_slice()).map(|bytes| &bytes[..]);
        same("a record that was there before the server stopped", got, Some(value.as_bytes()))?;
    }
    for key in acknowledged {
        holds(rows.contains_key(key.as_bytes()), || {
            format!("{key}, acknowledged before the server stopped, is gone")
        })?;
    }
    store.close().await?;
    Ok(())
}

/// Writes until the server is gone, and then ends the write that is under way; gives the keys
/// of those that were acknowledged.
async fn writes_until(ns: &Ns, writer: usize, gone: &AtomicBool) -> Checked<Vec<String>> {
    let mut acknowledged = Vec::new();
    for turn in 0_u64.. {
        let key = format!("{writer}/{}", turn % 500);
        let put = ns.put_of(&key, "v", ns.version());
        match ns.raw.put(put, WriteOptions::new()).await {
            Ok(Written::Applied) => acknowledged.push(key),
            Ok(other) => return Err(Violation::new(format!("a plain put: got {other:?}"))),
            Err(error) => holds(error.retry_class() != RetryClass::Never, || {
                format!(
                    "a put while the server goes away: expected it to apply or to fail with an \
                     error that may be tried again, got: {error}"
                )
            })?,
        }
        if gone.load(Ordering::SeqCst) {
            break;
        }
        tokio::task::yield_now().await;
    }
    Ok(acknowledged)
}

/// What must hold while the server is away; gives what the writers were told is written.
async fn without_server(
    store: &Arc<dyn Store>,
    ns: &Ns,
    writers: Vec<tokio::task::JoinHandle<Checked<Vec<String>>>>,
) -> Checked<Vec<String>> {
    let mut acknowledged = Vec::new();
    answered("puts that were under way when the server went away", async {
        for writer in writers {
            let keys = writer.await.map_err(|error| Violation::new(error.to_string()))?;
            acknowledged.extend(keys?);
        }
        Ok(())
    })
    .await?;
    // What cannot be asked for may be known all the same, but is never taken for missing.
    let Some((key, value)) = pairs(1).next() else { return Ok(acknowledged) };
    let record = answered("a get without the server", async { Ok(ns.value(&key).await) }).await?;
    if let Ok(got) = record {
        same("a get without the server", got.as_deref(), Some(value.as_bytes()))?;
    }
    let has = answered("a has without the server", async { Ok(ns.has(&key).await) }).await?;
    holds(has.unwrap_or(true), || "without the server a record is said to be missing".to_owned())?;
    let scan = async { Ok(ns.map(ScanOptions::new()).await) };
    if let Ok(rows) = answered("a scan without the server", scan).await? {
        let listed = pairs(ROWS).filter(|(key, _)| rows.contains_key(&key[..])).count();
        same("records in a scan that came to its end without the server", listed, ROWS)?;
    }
    let began = Instant::now();
    in_time("the health of the store", began, || async {
        match answered("asking for it without the server", async { Ok(store.health().await) })
            .await?
        {
            Ok(health) if health.ready => Err(Violation::new(format!(
                "the server is away: expected an error or not ready, got {health:?}"
            ))),
            _ => Ok(()),
        }
    })
    .await?;
    Ok(acknowledged)
}

/// What must come about before long: it is tried until it does.
async fn in_time<T, F>(what: &str, began: Instant, attempt: impl Fn() -> F) -> Checked<T>
where
    F: Future<Output = Checked<T>>,
{
    loop {
        match attempt().await {
            Err(_) if began.elapsed() < AT_LAST => tokio::time::sleep(LOOK).await,
            done => return done.map_err(|violation| violation.within(what)),
        }
    }
}
