//! Batches of records.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use pinstate_core::{
    BatchItem, BatchOptions, Consistency, Delete, ErrorKind, Key, Outcome, ReadOptions,
    ScanOptions, Version, Written,
};

use super::list::pairs;
use crate::case::{Cx, Ns};
use crate::check::{Checked, Violation, holds, refused, same, some};
use crate::clause::clauses;
use crate::gate::IntoTexts;

clauses! {
    B2: "an atomic batch that cannot be applied whole is not applied at all",
        "half a batch is a state that nobody asked for",
        [nothing_of_a_refused_batch if ATOMIC_BATCH];
    B3: "writes of one key in one batch keep their order",
        "put, delete, put of one pin must leave it pinned",
        [order_within_a_batch, order_within_an_atomic_batch if ATOMIC_BATCH];
    B4: "readers see all of an atomic batch or nothing",
        "a shard without its root is not a pin",
        [no_mixture if ATOMIC_BATCH, no_mixture_of_many if ATOMIC_BATCH];
    B7: "a batch that is too large is refused whole or applied whole, never cut",
        "an import that is cut silently is a loss",
        [over_limit_atomic if ATOMIC_BATCH, large_per_item];
    B8: "an empty batch is fine",
        "the last batch of a job often is",
        [empty_batch];
    B9: "of two batches at once nothing is lost",
        "imports write from several tasks",
        [batches_at_once];
    B10: "a batch says for each item what became of it",
        "what failed must be reported with its key, and what did not must not be tried again",
        [outcomes_by_item, if_newer_by_item, contradicting_options];
}

fn delete_of(key: &str, version: Version) -> BatchItem {
    Delete::new(Key::copy_from(key.as_bytes()), version).into()
}

async fn nothing_of_a_refused_batch(cx: Cx) -> Checked {
    let ns = cx.namespace().await?;
    ns.fill([("kept", "old"), ("gone", "old")]).await?;
    let key_limit = usize::try_from(ns.raw.capabilities().max_key_bytes).unwrap_or(usize::MAX);
    let too_long = vec![b'k'; key_limit.saturating_add(1).min(1 << 20)];
    if too_long.len() <= key_limit {
        return Ok(());
    }
    let batch: Vec<BatchItem> = vec![
        ns.put_of("kept", "new", cx.version()).into(),
        delete_of("gone", cx.version()),
        ns.put_of(&too_long, "x", cx.version()).into(),
        ns.put_of("added", "new", cx.version()).into(),
    ];
    let result = ns.raw.apply(batch, BatchOptions::atomic()).await;
    let error =
        refused("an atomic batch with a key that is too long", result, ErrorKind::TooLarge)?;
    same("the error's outcome", error.outcome(), Outcome::NotApplied)?;
    let expected = vec![("gone", "old"), ("kept", "old")].into_texts();
    same("the namespace afterwards", ns.texts().await?, expected)?;
    same("the count", ns.count().await?, 2)
}

async fn in_order(cx: &Cx, options: BatchOptions) -> Checked {
    let ns = cx.namespace().await?;
    ns.put("c", "old").await?;
    let batch: Vec<BatchItem> = vec![
        ns.put_of("a", "1", cx.version()).into(),
        delete_of("a", cx.version()),
        ns.put_of("a", "2", cx.version()).into(),
        delete_of("b", cx.version()),
        ns.put_of("b", "1", cx.version()).into(),
        delete_of("b", cx.version()),
        ns.put_of("c", "1", cx.version()).into(),
        ns.put_of("c", "2", cx.version()).into(),
    ];
    ns.apply(batch, options).await?;
    same("the list", ns.texts().await?, vec![("a", "2"), ("c", "2")].into_texts())?;
    same("the count", ns.count().await?, 2)
}

async fn order_within_a_batch(cx: Cx) -> Checked {
    in_order(&cx, BatchOptions::new()).await
}

async fn order_within_an_atomic_batch(cx: Cx) -> Checked {
    in_order(&cx, BatchOptions::atomic()).await
}

async fn no_mixture(cx: Cx) -> Checked {
    let keys = ["a", "b", "m", "x", "y", "z"];
    group_is_whole(cx, keys.map(str::to_owned).into(), 300).await
}

/// A batch that takes a while, so that what a store does beside its writes falls into it.
async fn no_mixture_of_many(cx: Cx) -> Checked {
    let tokens = cx.size(60, 600);
    group_is_whole(cx, (0..400).map(|i| format!("k{i:03}")).collect(), tokens).await
}

/// Writes a group of keys with one token after the other while somebody reads it.
async fn group_is_whole(cx: Cx, mut group: Vec<String>, tokens: usize) -> Checked {
    let ns = cx.namespace().await?;
    let limit = usize::try_from(ns.raw.capabilities().max_atomic_batch).unwrap_or(usize::MAX);
    group.truncate(limit);
    let write = |token: usize| {
        let put = |key: &String| ns.put_of(key, token.to_string(), cx.version()).into();
        ns.raw.apply(group.iter().map(put).collect(), BatchOptions::atomic())
    };
    write(0).await?.into_result()?;
    let stop = Arc::new(AtomicBool::new(false));
    let keys = group.iter().map(|key| Key::copy_from(key.as_bytes())).collect();
    let reader = tokio::spawn(read_groups(cx.clone(), ns.clone(), keys, Arc::clone(&stop)));
    for token in 1..tokens {
        write(token).await?.into_result()?;
        tokio::task::yield_now().await;
    }
    stop.store(true, Ordering::SeqCst);
    reader.await.map_err(|error| Violation::new(error.to_string()))?
}

async fn read_groups(cx: Cx, ns: Ns, keys: Vec<Key>, stop: Arc<AtomicBool>) -> Checked {
    let page_rows = keys.len().div_ceil(3);
    // Elsewhere a later read may be of an earlier moment.
    let in_order = ns.raw.capabilities().consistency == Consistency::Linearizable;
    let check = |what: &str, tokens: BTreeSet<Bytes>| {
        holds(tokens.len() == 1, || {
            format!("{what} of a group that is written as one: expected one token, got {tokens:?}")
        })
    };
    let mut tokens = BTreeSet::new();
    loop {
        if ns.raw.capabilities().snapshot_scan {
            let records = ns.scan(ScanOptions::new().with_page_rows(page_rows)).await?;
            check("a scan", records.into_iter().map(|record| record.value).collect())?;
        }
        // Single gets in the order of the batch: a later one may be newer, never older.
        let mut last = 0;
        for key in &keys {
            let record = ns.raw.get(key, ReadOptions::new()).await?;
            let record = some("a record of the group", record)?;
            let token = String::from_utf8_lossy(&record.value).parse().unwrap_or(0);
            holds(!in_order || token >= last, || {
                format!("token {last} was read, and then the older {token} of the same group")
            })?;
            last = token;
        }
        tokens.insert(last);
        if tokens.len() > 1 {
            cx.mark("read_between_batches");
        }
        if stop.load(Ordering::SeqCst) {
            return Ok(());
        }
        tokio::task::yield_now().await;
    }
}

async fn over_limit_atomic(cx: Cx) -> Checked {
    let ns = cx.namespace().await?;
    ns.put("kept", "old").await?;
    let limit = usize::try_from(ns.raw.capabilities().max_atomic_batch).unwrap_or(usize::MAX);
    holds(limit > 0, || "atomic batches are declared: expected a limit, got 0".to_owned())?;
    let most = cx.size(2_000, 200_000);
    if limit > most {
        let reason = format!("the limit is {limit} writes, and this profile tries {most} at most");
        return Err(Violation::not_here(reason));
    }
    let items = |count: usize| -> Vec<BatchItem> {
        (0..count).map(|i| ns.put_of(format!("k{i}"), "v", cx.version()).into()).collect()
    };
    let result = ns.raw.apply(items(limit + 1), BatchOptions::atomic()).await;
    refused("one write more than the limit", result, ErrorKind::TooLarge)?;
    same("records afterwards", ns.count().await?, 1)?;
    ns.apply(items(limit), BatchOptions::atomic()).await?;
    same("records after a batch of the limit", ns.count().await?, limit as u64 + 1)
}

async fn large_per_item(cx: Cx) -> Checked {
    let count = cx.size(2_000, 20_000);
    let ns = cx.namespace().await?;
    let batch: Vec<BatchItem> =
        pairs(count).map(|(key, value)| ns.put_of(key, value, cx.version()).into()).collect();
    let result = ns.raw.apply(batch, BatchOptions::new()).await;
    match result {
        Ok(outcome) => {
            same("answers", outcome.into_result()?, vec![Written::Applied; count])?;
            same("records afterwards", ns.count().await?, count as u64)
        }
        Err(error) if error.kind() == ErrorKind::TooLarge => {
            same("records after a refusal", ns.count().await?, 0)
        }
        Err(error) => Err(error.into()),
    }
}

async fn empty_batch(cx: Cx) -> Checked {
    let ns = cx.namespace().await?;
    ns.put("k", "v").await?;
    let mut all = vec![BatchOptions::new(), BatchOptions::if_newer()];
    if ns.raw.capabilities().atomic_batch {
        all.push(BatchOptions::atomic());
    }
    for options in all {
        ns.apply(Vec::new(), options).await?;
    }
    same("the list", ns.texts().await?, vec![("k", "v")].into_texts())
}

async fn batches_at_once(cx: Cx) -> Checked {
    const WRITERS: usize = 4;
    let ns = cx.namespace().await?;
    let writers = (0..WRITERS).map(|writer| {
        let (ns, cx) = (ns.clone(), cx.clone());
        tokio::spawn(async move {
            for round in 0..10 {
                // Half of the keys are the writer's own, half are everybody's.
                let items = (0..20).map(|i| {
                    let key = if i % 2 == 0 {
                        format!("own {writer} {round} {i}")
                    } else {
                        format!("all {round} {i}")
                    };
                    ns.put_of(key, format!("{writer}"), cx.version()).into()
                });
                ns.apply(items.collect(), BatchOptions::new()).await?;
            }
            Ok::<(), Violation>(())
        })
    });
    for writer in futures::future::join_all(writers).await {
        writer.map_err(|error| Violation::new(error.to_string()))??;
    }
    let expected = (WRITERS * 10 * 10 + 10 * 10) as u64;
    same("the count", ns.count().await?, expected)?;
    same("the list", ns.map(ScanOptions::new()).await?.len() as u64, expected)
}

async fn outcomes_by_item(cx: Cx) -> Checked {
    let ns = cx.namespace().await?;
    let limit = usize::try_from(ns.raw.capabilities().max_key_bytes).unwrap_or(usize::MAX);
    let too_long = vec![b'k'; limit.saturating_add(1).min(1 << 20)];
    if too_long.len() <= limit {
        return Ok(());
    }
    let batch: Vec<BatchItem> = vec![
        ns.put_of("a", "1", cx.version()).into(),
        ns.put_of(&too_long, "x", cx.version()).into(),
        ns.put_of("b", "2", cx.version()).into(),
    ];
    match ns.raw.apply(batch, BatchOptions::new()).await {
        Ok(outcome) => {
            same("answers", outcome.items.len(), 3)?;
            let index = outcome.first_error().map(|(index, error)| (index, error.kind()));
            same("the item that failed", index, Some((1, ErrorKind::TooLarge)))?;
            let failed = outcome.items.iter().filter(|item| item.is_err()).count();
            same("items that failed", failed, 1)?;
            same("the list", ns.texts().await?, vec![("a", "1"), ("b", "2")].into_texts())
        }
        Err(error) => {
            same("the batch's error", error.kind(), ErrorKind::TooLarge)?;
            same("records after a refusal of the whole", ns.count().await?, 0)
        }
    }
}

async fn if_newer_by_item(cx: Cx) -> Checked {
    let ns = cx.namespace().await?;
    let items = |items: &[(&str, &str, i64)]| -> Vec<BatchItem> {
        items.iter().map(|(k, v, version)| ns.put_of(k, v, Version(*version)).into()).collect()
    };
    let options = BatchOptions::if_newer();
    ns.raw.apply(items(&[("a", "1", 10), ("b", "1", 20)]), options).await?.into_result()?;
    let outcome = ns.raw.apply(items(&[("a", "2", 15), ("b", "2", 15)]), options).await?;
    let written = outcome.into_result()?;
    if ns.raw.capabilities().if_newer == pinstate_core::IfNewer::Exact {
        let superseded = Written::Superseded { current: Version(20) };
        same("the answers", written, vec![Written::Applied, superseded])?;
    }
    same("the list", ns.texts().await?, vec![("a", "2"), ("b", "1")].into_texts())
}

async fn contradicting_options(cx: Cx) -> Checked {
    let ns = cx.namespace().await?;
    let mut options = BatchOptions::atomic();
    options.if_newer = true;
    let batch = vec![ns.put_of("k", "v", cx.version()).into()];
    refused(
        "an atomic batch with a condition",
        ns.raw.apply(batch, options).await,
        ErrorKind::InvalidInput,
    )?;
    same("records afterwards", ns.count().await?, 0)
}
