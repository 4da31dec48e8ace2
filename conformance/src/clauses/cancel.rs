//! Futures that are dropped: at every point where they wait, and by a clock.

use std::future::Future;
use std::time::Duration;

use futures::future::BoxFuture;
use pinstate_core::{
    BatchItem, BatchOptions, CountOptions, Delete, Error, ErrorKind, Expect, Key, ReadOptions,
    RetryClass, ScanOptions, WriteOptions, Written,
};

use super::list::pairs;
use crate::case::{AT_LAST, Cx, Ns, answered, at_last};
use crate::check::{Checked, Violation, holds, same};
use crate::clause::clauses;
use crate::clients::{Press, polled};

clauses! {
    Q1: "a future can be dropped wherever it waits: the record is the old one or the new one, and \
         the store works on",
        "every time-out and every interrupted command drops futures",
        [
            dropped_on_records as long,
            dropped_on_namespaces as alone,
            dropped_on_control_records as alone,
        ];
    Q2: "a time-out or a select around a call is no other than dropping it",
        "they drop a future between its polls, when the store may be half way",
        [timed_out_writes as long, lost_in_a_select as long];
    Q4: "an opening that was dropped leaves no lock",
        "a service that gave up opening must be able to try again",
        [dropped_opening];
    Q5: "a thousand dropped calls use nothing up",
        "a place, a connection or a lock lost with each ends in a store that hangs",
        [dropped_by_the_thousand];
}

/// Polls after which a future is dropped, one more each time; on a store far away most
/// calls are still under way then.
const POLLS: u8 = 12;

/// What is done after a call was dropped, which must not wait for it for ever.
async fn works<T>(what: &str, after: &str, call: impl Future<Output = Checked<T>>) -> Checked<T> {
    answered(&format!("{what} after {after}"), call).await
}

/// An operation on a key, to be dropped on its way.
type Dropped = fn(&Ns, Key) -> BoxFuture<'_, ()>;

const ON_RECORDS: &[(&str, Dropped)] = &[
    ("put", |ns, key| {
        let put = ns.put_of(key, NEW, ns.version());
        Box::pin(async move { drop(ns.raw.put(put, WriteOptions::new()).await) })
    }),
    ("put if newer", |ns, key| {
        let put = ns.put_of(key, NEW, ns.version());
        Box::pin(async move { drop(ns.raw.put(put, WriteOptions::if_newer()).await) })
    }),
    ("delete", |ns, key| {
        let delete = Delete::new(key, ns.version());
        Box::pin(async move { drop(ns.raw.delete(delete, WriteOptions::new()).await) })
    }),
    ("get", |ns, key| Box::pin(async move { drop(ns.raw.get(&key, ReadOptions::new()).await) })),
    ("has", |ns, key| Box::pin(async move { drop(ns.raw.has(&key, ReadOptions::new()).await) })),
    ("get_many", |ns, key| {
        Box::pin(async move { drop(ns.raw.get_many(&[key], ReadOptions::new()).await) })
    }),
    ("a batch", |ns, key| {
        let batch = group(ns, &key);
        Box::pin(async move { drop(ns.raw.apply(batch, BatchOptions::new()).await) })
    }),
    ("an atomic batch", |ns, key| {
        let batch = group(ns, &key);
        Box::pin(async move {
            if ns.raw.capabilities().atomic_batch {
                drop(ns.raw.apply(batch, BatchOptions::atomic()).await);
            }
        })
    }),
    ("a scan", |ns, _| {
        Box::pin(async move {
            if let Ok(mut scan) = ns.raw.scan(ScanOptions::new().with_page_rows(2)).await {
                while let Ok(pinstate_core::ScanStep::Page(_)) = scan.next().await {}
            }
        })
    }),
    ("count", |ns, _| Box::pin(async move { drop(ns.raw.count(CountOptions::new()).await) })),
    ("split", |ns, _| Box::pin(async move { drop(ns.raw.split(4).await) })),
];

const OLD: &[u8] = b"old";
/// Longer than what a store may hold next to a key.
const NEW: &[u8] = &[b'n'; 5_000];

/// The key and a neighbour, to be written in one batch.
fn group(ns: &Ns, key: &Key) -> Vec<BatchItem> {
    vec![ns.put_of(key, NEW, ns.version()).into(), ns.put_of(beside(key), NEW, ns.version()).into()]
}

fn beside(key: &Key) -> Key {
    Key::copy_from(&[key.as_bytes(), b"'"].concat())
}

/// The record is as it was, as it was to be, or gone where that was asked for.
async fn whole(ns: &Ns, key: &Key, after: &str, deleted: bool) -> Checked<bool> {
    let value = ns.value(key).await?;
    let is_new = value.as_deref() == Some(NEW);
    let legal = is_new || value.as_deref() == Some(OLD) || (deleted && value.is_none());
    holds(legal, || {
        let got =
            value.as_ref().map_or_else(|| "nothing".to_owned(), |v| format!("{} bytes", v.len()));
        format!(
            "a record after {after} was dropped: expected the old value or the new one ({} \
             bytes), got {got}",
            NEW.len()
        )
    })?;
    Ok(is_new)
}

async fn dropped_on_records(cx: Cx) -> Checked {
    let (cx, bare) = (cx.patient(), cx);
    let ns = cx.namespace().await?;
    let dropper = bare.open(bare.store(), &ns.name).await?;
    // Somebody else is always at work, so that a lock that is kept is missed.
    let handle = cx.open(cx.store(), &ns.name).await?;
    let mut noise = Press::default();
    noise.begin(move |turn| {
        let handle = handle.clone();
        async move {
            handle.put(format!("noise {}", turn % 8), "v").await?;
            handle.has(format!("noise {}", turn % 5)).await.map(drop)
        }
    });
    let mut dropped = Vec::new();
    for (name, operation) in ON_RECORDS {
        for polls in 0..POLLS {
            let after = format!("{name}, after {polls} polls,");
            let key = Key::copy_from(format!("{name} {polls}").as_bytes());
            ns.put(&key, OLD).await?;
            ns.put(beside(&key), OLD).await?;
            polled(polls, operation(&dropper, key.clone())).await;
            works("a put of another key", &after, ns.put("another", "v")).await?;
            works("a read of the same key", &after, ns.get(&key)).await?;
            dropped.push((*name, key, after));
        }
    }
    // A barrier: what was dropped has come by now, or never will. One for all, since stores
    // far away wait here until servers have given up what nobody asks for any more.
    cx.store().sync().await?;
    for (name, key, after) in dropped {
        works("a look at its records", &after, async {
            let atomic = name == "an atomic batch";
            let first = whole(&ns, &key, &after, name == "delete").await?;
            let second = whole(&ns, &beside(&key), &after, false).await?;
            holds(!atomic || first == second, || {
                format!("records after {after} was dropped: one is new and one is old")
            })?;
            ns.put(&key, "after").await?;
            let value = ns.value(&key).await?;
            same("a record that was put again", value.as_deref(), Some(&b"after"[..]))
        })
        .await?;
    }
    noise.end().await?;
    works("a scan", "all that was dropped", ns.scan(ScanOptions::new())).await.map(drop)
}

async fn dropped_on_namespaces(cx: Cx) -> Checked {
    let (cx, bare) = (cx.patient(), cx);
    for polls in [0, 1, 2, 3, 5, 8] {
        let after = format!("a change of a namespace, after {polls} polls,");
        let name = cx.own_name().await?;
        let (store, dropper) = (cx.store(), bare.store());
        polled(polls, dropper.create_namespace(&name)).await;
        let created = at_last(|| store.create_namespace(&name), ErrorKind::Conflict);
        works("creating it", &after, created).await?;
        let ns = cx.open(store, &name).await?;
        works("a put", &after, ns.put("k", "v")).await?;
        polled(polls, dropper.open_namespace(&name)).await;
        polled(polls, dropper.list_namespaces()).await;
        polled(polls, dropper.drop_namespace(&name)).await;
        let dropped = at_last(|| store.drop_namespace(&name), ErrorKind::NoNamespace);
        works("dropping it", &after, dropped).await?;
        let names = works("a list", &after, async { Ok(store.list_namespaces().await?) }).await?;
        holds(names.iter().all(|info| info.name != name), || {
            format!("the namespace {name} is listed after it was dropped")
        })?;
    }
    Ok(())
}

async fn dropped_on_control_records(cx: Cx) -> Checked {
    let (cx, bare) = (cx.patient(), cx);
    let mut tried = 0;
    for polls in 0..POLLS {
        let after = format!("a change of a control record, after {polls} polls,");
        let key = format!("{}/dropped", cx.name()?);
        let written = match cx.store().control_set(&key, Expect::Absent, b"old").await {
            // What came of it is not known, so that there is nothing to begin with.
            Err(error) if error.retry_class() != RetryClass::Never => continue,
            written => written?,
        };
        holds(written.is_applied(), || format!("a new control record: got {written:?}"))?;
        let record = cx.store().control_get(&key).await?;
        let expect = Expect::Revision(record.map_or(0, |record| record.revision));
        polled(polls, bare.store().control_set(&key, expect, b"new")).await;
        polled(polls, bare.store().control_get(&key)).await;
        works("reading and deleting it", &after, read_and_delete(&cx, &key, &after)).await?;
        tried += 1;
    }
    holds(tried > 0, || "no control record could be made".to_owned())
}

/// Reads a control record, which must be whole, and deletes it; again where the dropped
/// write, or what is left of it, comes in between.
async fn read_and_delete(cx: &Cx, key: &str, after: &str) -> Checked {
    let again = |error: &Error| error.retry_class() != RetryClass::Never;
    loop {
        let record = match cx.store().control_get(key).await {
            Err(error) if again(&error) => continue,
            record => record?,
        };
        let Some(record) = record else {
            return Err(Violation::new(format!("the control record {key} is gone")));
        };
        let value = &record.value[..];
        holds(value == b"old" || value == b"new", || {
            format!("a control record after {after}: got {value:?}")
        })?;
        match cx.store().control_delete(key, Expect::Revision(record.revision)).await {
            Err(error) if again(&error) => {
                // It may have been done all the same.
                if cx.store().control_get(key).await?.is_none() {
                    return Ok(());
                }
            }
            Err(error) => return Err(error.into()),
            Ok(deleted) if deleted.is_applied() => return Ok(()),
            Ok(_) => {}
        }
    }
}

/// Keys of which each was put once, and whether the put was answered.
type Tried = Vec<(Key, bool)>;

/// After a barrier each record is the old or the new one, and new where that was answered.
async fn settled(cx: &Cx, ns: &Ns, tried: Tried, after: &str) -> Checked {
    cx.store().sync().await?;
    for (key, answered) in tried {
        let is_new = whole(ns, &key, after, false).await?;
        holds(is_new || !answered, || {
            format!("{key}: the put was acknowledged in time, and is not seen")
        })?;
    }
    Ok(())
}

/// Whether a put was answered with success. A refusal that may be tried again is the store's
/// right.
fn acknowledged(written: pinstate_core::Result<Written>) -> Checked<bool> {
    match written {
        Err(error) if error.retry_class() != RetryClass::Never => Ok(false),
        written => Ok(same("a plain put", written?, Written::Applied).map(|()| true)?),
    }
}

async fn timed_out_writes(cx: Cx) -> Checked {
    let (cx, bare) = (cx.patient(), cx);
    let ns = cx.namespace().await?;
    let dropper = bare.open(bare.store(), &ns.name).await?;
    let mut rng = cx.rng();
    let mut tried = Tried::new();
    for turn in 0..60 {
        let key = Key::copy_from(format!("k{turn}").as_bytes());
        ns.put(&key, OLD).await?;
        let put = ns.put_of(&key, NEW, cx.version());
        let patience = Duration::from_micros(rng.u64(0..3_000));
        let in_time =
            tokio::time::timeout(patience, dropper.raw.put(put, WriteOptions::new())).await;
        tried.push((key, in_time.map_or(Ok(false), acknowledged)?));
    }
    settled(&cx, &ns, tried, "a put that was timed out").await
}

async fn lost_in_a_select(cx: Cx) -> Checked {
    let (cx, bare) = (cx.patient(), cx);
    let ns = cx.namespace().await?;
    let dropper = bare.open(bare.store(), &ns.name).await?;
    ns.fill(pairs(50)).await?;
    let mut tried = Tried::new();
    for turns in 0..60_u32 {
        let key = Key::copy_from(format!("k{turns}").as_bytes());
        ns.put(&key, OLD).await?;
        let put = ns.put_of(&key, NEW, cx.version());
        let other = async {
            for _ in 0..turns / 4 {
                tokio::task::yield_now().await;
            }
        };
        let answered = tokio::select! {
            biased;
            () = other => false,
            written = dropper.raw.put(put, WriteOptions::new()) => acknowledged(written)?,
            records = ns.scan(ScanOptions::new().with_page_rows(7)) => records.map(|_| false)?,
        };
        tried.push((key, answered));
    }
    settled(&cx, &ns, tried, "a put that lost in a select").await
}

async fn dropped_opening(cx: Cx) -> Checked {
    let own = cx.own_store().await?;
    let (store, ns) = own.open_new().await?;
    ns.fill(pairs(20)).await?;
    let name = ns.name.clone();
    store.close().await?;
    drop((ns, store));
    for polls in [0, 1, 2, 4, 7, 12] {
        polled(polls, own.open()).await;
        // What was dropped may still be on its way out.
        let store = own.open_when_free(AT_LAST).await.map_err(|error| {
            Violation::new(format!(
                "opening after an opening was dropped, after {polls} polls: expected a store, \
                 got: {error}"
            ))
        })?;
        if cx.capabilities().persistent {
            let ns = cx.open(&store, &name).await?;
            same("records after an opening was dropped", ns.count().await?, 20)?;
        }
        store.close().await?;
    }
    Ok(())
}

async fn dropped_by_the_thousand(cx: Cx) -> Checked {
    let (cx, bare) = (cx.patient(), cx);
    let ns = cx.namespace().await?;
    let dropper = bare.open(bare.store(), &ns.name).await?;
    ns.fill(pairs(50)).await?;
    let mut rng = cx.rng();
    for turn in 0..1_000_usize {
        let Some((_, operation)) = ON_RECORDS.get(turn % ON_RECORDS.len()) else { continue };
        let key = Key::copy_from(format!("k{}", turn % 40).as_bytes());
        polled(rng.u8(..6), operation(&dropper, key)).await;
    }
    let calls = (0..64).map(|i| {
        let ns = ns.clone();
        async move {
            let key = format!("after {i}");
            ns.put(&key, "v").await?;
            same("a record put after a thousand drops", ns.has(&key).await?, true)
        }
    });
    let all = async { futures::future::join_all(calls).await.into_iter().collect::<Checked>() };
    works("sixty-four puts at once", "a thousand dropped calls", all).await
}
