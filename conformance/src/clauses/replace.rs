//! Replacing records, and writes with conditions.

use std::collections::BTreeMap;

use bytes::Bytes;
use pinstate_core::{
    Contender, ControlWritten, Delete, Expect, IfNewer, Key, ScanOptions, Version, WriteOptions,
    Written,
};

use crate::case::{Cx, Ns};
use crate::check::{Checked, Violation, holds, refused, same, some};
use crate::clause::clauses;
use crate::gate::IntoTexts;

clauses! {
    R1: "a put replaces the whole record, and a namespace is replaced as a whole",
        "what is left of an old pin (metadata, an expiry) acts on the new one",
        [namespace_is_replaced_whole];
    R2: "a shorter value leaves nothing of a longer one",
        "a tail of the old bytes makes the new pin unreadable",
        [shorter_over_longer];
    R3: "replacing keeps the count",
        "a count that drifts is one that nobody can use to verify a copy",
        [count_after_replacing];
    R4: "a write with a condition says what it did, and does nothing where the condition fails",
        "two writers that each believe to have won lose one another's pins",
        [
            if_absent if IF_ABSENT,
            if_version if IF_VERSION,
            if_version_deletes if IF_VERSION,
            if_newer_answers if IF_NEWER_EXACT,
            control_compare_and_set,
        ];
    R5: "of two writes of one version the same wins, whatever came first",
        "replicas that decide differently stay different",
        [equal_versions];
    R6: "an older put 'if newer' does not bring back what was conditionally deleted",
        "a copy that runs beside live deletes would undo them",
        [older_put_stays_out, purged_markers_are_gone];
}

async fn namespace_is_replaced_whole(cx: Cx) -> Checked {
    let (live, staged) = (cx.namespace().await?, cx.namespace().await?);
    live.fill([("old", "1"), ("both", "1")]).await?;
    staged.fill([("new", "2"), ("both", "2")]).await?;
    cx.store().replace_namespace(&live.name, &staged.name).await?;
    let now = cx.open(cx.store(), &live.name).await?;
    same("the new records", now.texts().await?, vec![("both", "2"), ("new", "2")].into_texts())?;
    same("their count", now.count().await?, 2)?;
    let gone = cx.store().open_namespace(&staged.name).await;
    refused("the staged name", gone, pinstate_core::ErrorKind::NoNamespace)?;
    for (what, handle) in [("the old handle", &live), ("the staged handle", &staged)] {
        let put = handle.put_of("late", "x", cx.version());
        let late = handle.raw.put(put, WriteOptions::new()).await;
        refused(what, late, pinstate_core::ErrorKind::NoNamespace)?;
    }
    same("the new records' count after late writes", now.count().await?, 2)?;
    // The place need not have been taken.
    let fresh = cx.own_name().await?;
    cx.store().replace_namespace(&fresh, &live.name).await?;
    let moved = cx.open(cx.store(), &fresh).await?;
    same("the records under a new name", moved.count().await?, 2)
}

async fn shorter_over_longer(cx: Cx) -> Checked {
    let ns = cx.namespace().await?;
    for (long, short) in [(1_000, 10), (10, 0), (5_000, 4_999)] {
        ns.put("k", vec![b'a'; long]).await?;
        ns.put("k", vec![b'b'; short]).await?;
        same("the value", ns.value("k").await?, Some(Bytes::from(vec![b'b'; short])))?;
        let listed = ns.map(ScanOptions::new()).await?;
        let expected = BTreeMap::from([(b"k".to_vec(), Bytes::from(vec![b'b'; short]))]);
        same("the value in a scan", listed, expected)?;
    }
    Ok(())
}

async fn count_after_replacing(cx: Cx) -> Checked {
    let ns = cx.namespace().await?;
    for round in 0..3 {
        ns.fill((0..30).map(|i| (format!("k{i}"), format!("{round}")))).await?;
        ns.put("k0", "again").await?;
        same("the count", ns.count().await?, 30)?;
    }
    Ok(())
}

async fn if_absent(cx: Cx) -> Checked {
    let ns = cx.namespace().await?;
    let put = |value: &str| ns.put_of("k", value, cx.version());
    let first = put("first");
    let version = first.version;
    let written = ns.raw.put(first, WriteOptions::if_absent()).await?;
    same("the first 'if absent'", written, Written::Applied)?;
    let written = ns.raw.put(put("second"), WriteOptions::if_absent()).await?;
    same("the second 'if absent'", written, Written::Refused { current: Some(version) })?;
    same("the record", ns.value("k").await?, Some(Bytes::from_static(b"first")))?;
    ns.delete("k").await?;
    let written = ns.raw.put(put("third"), WriteOptions::if_absent()).await?;
    same("'if absent' after a delete", written, Written::Applied)?;
    let delete = Delete::new(Key::copy_from(b"k"), cx.version());
    let refusal = ns.raw.delete(delete, WriteOptions::if_absent()).await;
    refused("a delete 'if absent'", refusal, pinstate_core::ErrorKind::InvalidInput)?;
    same("the record", ns.value("k").await?, Some(Bytes::from_static(b"third")))?;
    one_of_many_wins(&cx, &ns, WriteOptions::if_absent(), "race").await
}

async fn if_version(cx: Cx) -> Checked {
    let ns = cx.namespace().await?;
    let first = ns.put("k", "first").await?;
    let second = ns.put_of("k", "second", cx.version());
    let second_version = second.version;
    let written = ns.raw.put(second, WriteOptions::if_version(first)).await?;
    same("'if version' that holds", written, Written::Applied)?;
    let third = ns.put_of("k", "third", cx.version());
    let written = ns.raw.put(third, WriteOptions::if_version(first)).await?;
    same("'if version' of old", written, Written::Refused { current: Some(second_version) })?;
    let other = ns.put_of("absent", "x", cx.version());
    let written = ns.raw.put(other, WriteOptions::if_version(first)).await?;
    same("'if version' without a record", written, Written::Refused { current: None })?;
    same("the namespace", ns.texts().await?, vec![("k", "second")].into_texts())?;
    one_of_many_wins(&cx, &ns, WriteOptions::if_version(second_version), "k").await
}

/// Of eight writers with the same condition exactly one must win.
async fn one_of_many_wins(cx: &Cx, ns: &Ns, options: WriteOptions, key: &str) -> Checked {
    let attempts = (0..8).map(|i| {
        let put = ns.put_of(key, format!("writer {i}"), cx.version());
        let raw = std::sync::Arc::clone(&ns.raw);
        tokio::spawn(async move { raw.put(put, options).await })
    });
    let mut winners = Vec::new();
    for (i, attempt) in futures::future::join_all(attempts).await.into_iter().enumerate() {
        let written = attempt.map_err(|error| Violation::new(error.to_string()))??;
        if written == Written::Applied {
            winners.push(i);
        } else {
            holds(written.was_refused(), || format!("expected a refusal, got {written:?}"))?;
        }
    }
    same("winners among eight writers", winners.len(), 1)?;
    let winner = winners.first().map(|i| Bytes::from(format!("writer {i}")));
    same("the winner's record", ns.value(key).await?, winner)
}

async fn if_version_deletes(cx: Cx) -> Checked {
    let ns = cx.namespace().await?;
    let first = ns.put("k", "first").await?;
    let second = ns.put("k", "second").await?;
    let delete = |version| Delete::new(Key::copy_from(b"k"), version);
    let written = ns.raw.delete(delete(cx.version()), WriteOptions::if_version(first)).await?;
    same("a delete of an old version", written, Written::Refused { current: Some(second) })?;
    same("the record", ns.value("k").await?, Some(Bytes::from_static(b"second")))?;
    let written = ns.raw.delete(delete(cx.version()), WriteOptions::if_version(second)).await?;
    same("a delete of this version", written, Written::Applied)?;
    same("the record", ns.value("k").await?, None)?;
    let written = ns.raw.delete(delete(cx.version()), WriteOptions::if_version(second)).await?;
    same("the delete once more", written, Written::Refused { current: None })
}

async fn if_newer_answers(cx: Cx) -> Checked {
    let ns = cx.namespace().await?;
    let if_newer = WriteOptions::if_newer();
    let put = |value: &str, version| ns.raw.put(ns.put_of("k", value, Version(version)), if_newer);
    same("onto nothing", put("a", 10).await?, Written::Applied)?;
    same("newer", put("b", 20).await?, Written::Applied)?;
    let current = Version(20);
    same("older", put("c", 15).await?, Written::Superseded { current })?;
    same("the record", ns.value("k").await?, Some(Bytes::from_static(b"b")))?;
    let delete =
        |version| ns.raw.delete(Delete::new(Key::copy_from(b"k"), Version(version)), if_newer);
    same("an older delete", delete(19).await?, Written::Superseded { current })?;
    same("the record", ns.value("k").await?, Some(Bytes::from_static(b"b")))?;
    same("a newer delete", delete(30).await?, Written::Applied)?;
    same("the record", ns.value("k").await?, None)?;
    let current = Version(30);
    same("a put older than the delete", put("d", 25).await?, Written::Superseded { current })?;
    same("a put newer than the delete", put("e", 31).await?, Written::Applied)?;
    same("the record", ns.value("k").await?, Some(Bytes::from_static(b"e")))
}

async fn control_compare_and_set(cx: Cx) -> Checked {
    let store = cx.store();
    let key = format!("{}/cas", cx.name()?);
    let absent = store.control_delete(&key, Expect::Absent).await?;
    holds(absent.is_applied(), || format!("deleting nothing, expecting nothing: got {absent:?}"))?;
    let ControlWritten::Applied { revision: first } =
        store.control_set(&key, Expect::Absent, b"1").await?
    else {
        return Err(Violation::new("the first write of a control record did not apply"));
    };
    let conflict = store.control_set(&key, Expect::Absent, b"x").await?;
    let expected = some("the control record", store.control_get(&key).await?)?;
    same("its value", expected.value.as_ref(), b"1".as_slice())?;
    same("its revision", expected.revision, first)?;
    same("a second 'absent'", conflict, ControlWritten::Conflict { current: Some(expected) })?;
    let ControlWritten::Applied { revision: second } =
        store.control_set(&key, Expect::Revision(first), b"2").await?
    else {
        return Err(Violation::new("a write over the current revision did not apply"));
    };
    holds(second != first, || format!("two writes have the revision {first}"))?;
    for (what, late) in [
        (
            "a write over an old revision",
            store.control_set(&key, Expect::Revision(first), b"x").await?,
        ),
        ("a delete of an old revision", store.control_delete(&key, Expect::Revision(first)).await?),
        ("a delete, expecting nothing", store.control_delete(&key, Expect::Absent).await?),
    ] {
        holds(!late.is_applied(), || format!("{what}: expected a conflict, got {late:?}"))?;
    }
    let current = some("the control record", store.control_get(&key).await?)?;
    same("its value", current.value.as_ref(), b"2".as_slice())?;
    let deleted = store.control_delete(&key, Expect::Revision(second)).await?;
    holds(deleted.is_applied(), || format!("a delete of this revision: got {deleted:?}"))?;
    same("after the delete", store.control_get(&key).await?, None)?;
    let ControlWritten::Applied { revision: third } =
        store.control_set(&key, Expect::Absent, b"3").await?
    else {
        return Err(Violation::new("a control record could not be made again"));
    };
    let deleted = store.control_delete(&key, Expect::Revision(third)).await?;
    holds(deleted.is_applied(), || format!("a delete of this revision: got {deleted:?}"))?;
    holds(third != first && third != second, || {
        format!("the revision {third} was used before its record was deleted")
    })
}

async fn equal_versions(cx: Cx) -> Checked {
    let ns = cx.namespace().await?;
    let if_newer = WriteOptions::if_newer();
    let writes: [(&str, Option<&[u8]>); 4] =
        [("a delete", None), ("b", Some(b"b")), ("ab", Some(b"ab")), ("empty", Some(b""))];
    let mut number = 0;
    for (one_name, one) in writes {
        for (two_name, two) in writes {
            number += 1;
            let key = format!("k{number}");
            for value in [one, two] {
                let version = Version(1_000);
                match value {
                    Some(value) => ns.raw.put(ns.put_of(&key, value, version), if_newer).await?,
                    None => {
                        let delete = Delete::new(Key::copy_from(key.as_bytes()), version);
                        ns.raw.delete(delete, if_newer).await?
                    }
                };
            }
            let contender = |value| Contender { version: Version(1_000), value };
            let winner = if contender(two).beats(&contender(one)) { two } else { one };
            let what = format!("{one_name}, then {two_name}, of one version");
            same(&what, ns.value(&key).await?.as_deref(), winner)?;
        }
    }
    Ok(())
}

async fn older_put_stays_out(cx: Cx) -> Checked {
    let ns = cx.namespace().await?;
    let if_newer = WriteOptions::if_newer();
    let delete = |version| Delete::new(Key::copy_from(b"k"), Version(version));
    // With a record before it, and with none.
    ns.raw.put(ns.put_of("k", "old", Version(10)), if_newer).await?;
    for round in [20, 21] {
        ns.raw.delete(delete(round), if_newer).await?;
        let written = ns.raw.put(ns.put_of("k", "late", Version(15)), if_newer).await?;
        let answer_fits = match ns.raw.capabilities().if_newer {
            IfNewer::Exact => written == Written::Superseded { current: Version(round) },
            _ => written == Written::Resolved,
        };
        holds(answer_fits, || format!("a put older than the delete: got {written:?}"))?;
        same("get", ns.value("k").await?, None)?;
        same("has", ns.has("k").await?, false)?;
        same("count", ns.count().await?, 0)?;
        same("the list", ns.texts().await?, Vec::new())?;
    }
    let shown = ns.scan(ScanOptions::new().include_deleted()).await?;
    let shown: Vec<_> =
        shown.iter().map(|row| (row.deleted, row.version, row.value.len())).collect();
    same("the scan that shows markers", shown, vec![(true, Version(21), 0)])?;
    let newer = cx.version();
    ns.raw.put(ns.put_of("k", "new", newer), if_newer).await?;
    same("after a newer put", ns.texts().await?, vec![("k", "new")].into_texts())?;
    let shown = ns.scan(ScanOptions::new().include_deleted()).await?;
    same("markers after a newer put", shown.iter().filter(|row| row.deleted).count(), 0)
}

async fn purged_markers_are_gone(cx: Cx) -> Checked {
    let ns = cx.namespace().await?;
    let if_newer = WriteOptions::if_newer();
    ns.put("live", "v").await?;
    for (key, version) in [("a", 10), ("b", 20), ("c", 30)] {
        let delete = Delete::new(Key::copy_from(key.as_bytes()), Version(version));
        ns.raw.delete(delete, if_newer).await?;
    }
    same("markers purged", ns.raw.purge_deleted(Version(30)).await?, 2)?;
    let rows = ns.scan(ScanOptions::new().include_deleted()).await?;
    let left: Vec<_> = rows.iter().filter(|row| row.deleted).map(|row| row.version).collect();
    same("markers left", left, vec![Version(30)])?;
    same("live records", ns.texts().await?, vec![("live", "v")].into_texts())?;
    same("count", ns.count().await?, 1)
}
