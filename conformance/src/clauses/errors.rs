//! Errors.

use bytes::Bytes;
use futures::FutureExt;
use pinstate_core::{
    BatchOptions, Cursor, Delete, Error, ErrorKind, Expect, Key, Outcome, Range, ReadOptions,
    RetryClass, ScanOptions, Version, WriteOptions,
};

use super::list::pairs;
use crate::case::{Cx, Ns};
use crate::check::{Checked, holds, refused, refused_as, same};
use crate::clause::clauses;
use crate::gate::IntoTexts;

clauses! {
    F1: "a failure has the kind that callers branch on",
        "a caller that cannot tell refusal from outage does the wrong thing",
        [refusals_have_their_kind, second_opener_is_locked if EXCLUSIVE_OPEN];
    F2: "retry class and outcome are truthful",
        "a refusal that asks for a retry is repeated for ever; an outcome that lies loses writes",
        [refusals_are_final_and_not_applied];
    F3: "what failed as not applied is never seen",
        "a write that its caller gave up must not come back",
        [refused_writes_leave_nothing];
    F4: "an error names backend, operation and key in one line",
        "an operator has the log and nothing else",
        [errors_tell_where];
    F5: "no input makes the store panic, hang or lose what it has",
        "cursors and ranges come from files, keys from anywhere",
        [odd_scans, odd_writes as long, odd_names_and_control_records];
}

/// Every refusal that any store can be provoked to, with what provoked it.
async fn refusals(cx: &Cx, ns: &Ns) -> Checked<Vec<(&'static str, Error)>> {
    let store = cx.store();
    let nobody = cx.name()?;
    let mut all = Vec::new();
    all.push((
        "creating what exists",
        refused("create", store.create_namespace(&ns.name).await, ErrorKind::Conflict)?,
    ));
    all.push((
        "opening what does not",
        refused("open", store.open_namespace(&nobody).await, ErrorKind::NoNamespace)?,
    ));
    all.push((
        "dropping what does not",
        refused("drop", store.drop_namespace(&nobody).await, ErrorKind::NoNamespace)?,
    ));
    let itself = store.replace_namespace(&ns.name, &ns.name).await;
    all.push(("replacing by itself", refused("replace", itself, ErrorKind::InvalidInput)?));
    let delete = Delete::new(Key::copy_from(b"k"), cx.version());
    let result = ns.raw.delete(delete, WriteOptions::if_absent()).await;
    let kinds = [ErrorKind::InvalidInput, ErrorKind::Unsupported];
    all.push(("a delete 'if absent'", refused_as("delete", result, &kinds)?));
    let limit = usize::try_from(ns.raw.capabilities().max_key_bytes).unwrap_or(usize::MAX);
    if limit < 1 << 20 {
        let put = ns.put_of(vec![b'k'; limit + 1], "v", cx.version());
        let result = ns.raw.put(put, WriteOptions::new()).await;
        all.push(("a key that is too long", refused("put", result, ErrorKind::TooLarge)?));
    }
    let long = format!("{nobody}{}", "k".repeat(pinstate_core::control::MAX_CONTROL_KEY_BYTES));
    let result = store.control_set(&long, Expect::Absent, b"v").await;
    let kinds = [ErrorKind::TooLarge, ErrorKind::InvalidInput];
    all.push(("a control key that is too long", refused_as("control_set", result, &kinds)?));
    let large = vec![0; pinstate_core::control::MAX_CONTROL_VALUE_BYTES + 1];
    let result = store.control_set(nobody.as_str(), Expect::Absent, &large).await;
    all.push(("a control value that is too long", refused_as("control_set", result, &kinds)?));
    Ok(all)
}

async fn refusals_have_their_kind(cx: Cx) -> Checked {
    let ns = cx.namespace().await?;
    refusals(&cx, &ns).await.map(drop)
}

async fn second_opener_is_locked(cx: Cx) -> Checked {
    let own = cx.own_store().await?;
    let (store, ns) = own.open_new().await?;
    ns.put("k", "v").await?;
    refused("a second opener", own.open().await.map(|_| "a store"), ErrorKind::Locked)?;
    same("the first one afterwards", ns.texts().await?, vec![("k", "v")].into_texts())?;
    store.close().await?;
    let store = own.open().await?;
    store.close().await?;
    Ok(())
}

async fn refusals_are_final_and_not_applied(cx: Cx) -> Checked {
    let ns = cx.namespace().await?;
    for (what, error) in refusals(&cx, &ns).await? {
        same(&format!("the outcome of {what}"), error.outcome(), Outcome::NotApplied)?;
        same(&format!("the retry class of {what}"), error.retry_class(), RetryClass::Never)?;
    }
    Ok(())
}

async fn refused_writes_leave_nothing(cx: Cx) -> Checked {
    let ns = cx.namespace().await?;
    ns.put("k", "v").await?;
    refusals(&cx, &ns).await?;
    let limit = usize::try_from(ns.raw.capabilities().max_value_bytes).unwrap_or(usize::MAX);
    if limit < 64 << 20 {
        let put = pinstate_core::Put::new(
            Key::copy_from(b"k"),
            Bytes::from(vec![b'x'; limit + 1]),
            cx.version(),
        );
        let result = ns.raw.put(put, WriteOptions::new()).await;
        refused("a value that is too long", result, ErrorKind::TooLarge)?;
    }
    for _ in 0..3 {
        same("the list", ns.texts().await?, vec![("k", "v")].into_texts())?;
        same("the count", ns.count().await?, 1)?;
    }
    let control = cx.store().control_list(&format!("{}", cx.name()?)).await?;
    same("control records", control.len(), 0)
}

async fn errors_tell_where(cx: Cx) -> Checked {
    let ns = cx.namespace().await?;
    let backend = cx.store().identity().backend;
    for (what, error) in refusals(&cx, &ns).await? {
        let text = error.to_string();
        holds(!text.contains('\n'), || format!("the error of {what} has many lines: {text}"))?;
        holds(text.contains(error.operation().as_str()), || {
            format!("the error of {what}: expected its operation in '{text}'")
        })?;
        same(&format!("the backend in the error of {what}"), error.backend(), Some(backend))?;
        holds(text.contains(backend), || {
            format!("the error of {what}: expected '{backend}' in '{text}'")
        })?;
        if what == "a key that is too long" {
            let hex = error.key().is_some() && text.contains("6b6b6b");
            holds(hex, || format!("the error of {what}: expected the key in hex in '{text}'"))?;
        }
    }
    Ok(())
}

async fn odd_scans(cx: Cx) -> Checked {
    let ns = cx.namespace().await?;
    ns.fill(pairs(50)).await?;
    let mut rng = cx.rng();
    let scope = ns.raw.scope().clone();
    let mut odd = || {
        let len = rng.usize(..50);
        match rng.u8(..4) {
            0 => None,
            1 => Some(Bytes::new()),
            2 => Some(Bytes::from(vec![0xff; len])),
            _ => Some(std::iter::repeat_with(|| rng.u8(..)).take(len).collect()),
        }
    };
    for page_rows in [0, 1, 2, 1_000, usize::MAX].into_iter().cycle().take(200) {
        let range = Range { scope: scope.clone(), start: odd(), end: odd() };
        let mut options = ScanOptions::new();
        options.page_rows = page_rows;
        options.after = odd().map(|position| Cursor { range: range.clone(), position });
        options.range = Some(range);
        // Refused or read to an end, and no row more than there are.
        if let Ok(scan) = ns.raw.scan(options).await {
            let rows = pinstate_core::CheckedScan::new(scan).collect().await?;
            holds(rows.len() <= 50, || format!("a part of 50 records has {}", rows.len()))?;
        }
    }
    for n in [0, usize::MAX] {
        let ranges = ns.raw.split(n).await?;
        holds(!ranges.is_empty(), || format!("split({n}): expected a range, got none"))?;
    }
    same("the count", ns.count().await?, 50)
}

async fn odd_writes(cx: Cx) -> Checked {
    let ns = cx.namespace().await?;
    ns.put("kept", "v").await?;
    let mut rng = cx.rng();
    for version in [Version::MIN, Version(-1), Version(0), Version::MAX] {
        for key in [&b""[..], b"\0", &[0xff; 300]] {
            let (put, delete) =
                (ns.put_of(key, "x", version), Delete::new(Key::copy_from(key), version));
            // Any answer will do; a panic will not.
            let _ = ns.raw.put(put.clone(), WriteOptions::if_newer()).await;
            let _ = ns.raw.delete(delete.clone(), WriteOptions::if_newer()).await;
            let _ = ns.raw.put(put.clone(), WriteOptions::if_version(version)).await;
            let _ = ns.raw.apply(vec![put.into(), delete.into()], BatchOptions::if_newer()).await;
            let _ = ns.raw.purge_deleted(version).await;
            let _ = ns.raw.get(&Key::copy_from(key), ReadOptions::new()).await;
        }
    }
    let none: [Key; 0] = [];
    same("get_many of nothing", ns.raw.get_many(&none, ReadOptions::new()).await?.len(), 0)?;
    // Futures that are polled once and dropped leave the handle as good as before.
    for i in 0..50 {
        let put = ns.put_of(format!("dropped {i}"), "x", cx.version());
        let _ = ns.raw.put(put, WriteOptions::new()).now_or_never();
        if rng.bool() {
            let _ = ns.raw.count(pinstate_core::CountOptions::new()).now_or_never();
        }
    }
    same("the record that stays", ns.value("kept").await?, Some(Bytes::from_static(b"v")))?;
    // What was dropped may still apply, but not behind a later write and a barrier.
    ns.put("settled", "v").await?;
    cx.store().sync().await?;
    let count = ns.count().await?;
    same("count and list", ns.map(ScanOptions::new()).await?.len() as u64, count)
}

async fn odd_names_and_control_records(cx: Cx) -> Checked {
    let store = cx.store();
    let prefix = cx.name()?;
    for key in ["", "\0", "a/b", "ü\n", "'; DROP"] {
        let key = format!("{prefix}{key}");
        if let Ok(written) = store.control_set(&key, Expect::Absent, &[0xff, 0]).await {
            holds(written.is_applied(), || format!("a new control record: got {written:?}"))?;
            let record = store.control_get(&key).await?;
            same(
                "a control record",
                record.as_ref().map(|r| r.value.to_vec()),
                Some(vec![0xff, 0]),
            )?;
            let listed = store.control_list(&key).await?;
            holds(listed.iter().any(|(listed, _)| *listed == key), || {
                format!("control records of prefix {key:?}: expected it among {listed:?}")
            })?;
            if let Some(record) = record {
                let deleted = store.control_delete(&key, Expect::Revision(record.revision)).await?;
                holds(deleted.is_applied(), || format!("its deletion: got {deleted:?}"))?;
            }
        }
    }
    same("control records left", store.control_list(prefix.as_str()).await?.len(), 0)
}
