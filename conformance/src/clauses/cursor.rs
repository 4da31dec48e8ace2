//! Going on from a place, and dividing a namespace.

use std::collections::BTreeSet;

use pinstate_core::{CheckedScan, Cursor, ErrorKind, Key, Range, ReadOptions, ScanOptions, Scope};

use super::list::{cid_like, pairs};
use crate::case::{Cx, Ns};
use crate::check::{Checked, holds, refused, same};
use crate::clause::clauses;

clauses! {
    L9: "a scan after any cursor gives the remainder, also when the cursor's key is gone",
        "a copy that was killed goes on from its last cursor",
        [
            resume_anywhere,
            resume_after_deleted_key,
            resume_after_a_key,
            resume_after_reopening if PERSISTENT,
            foreign_cursors_are_refused,
        ];
    L10: "the ranges of a split are disjoint, cover everything and are of like size",
        "a range that is missed is a part of the pinset that is never copied; one that is far too \
         large makes the others wait",
        [split_covers_everything as long, split_is_balanced, ranges_of_other_namespaces_are_refused];
}

/// Scans to the end; gives the keys and, for each page, how many came before its cursor.
async fn keys_and_cursors(
    ns: &Ns,
    options: ScanOptions,
) -> Checked<(Vec<Key>, Vec<(usize, Cursor)>)> {
    let mut scan = CheckedScan::new(ns.raw.scan(options).await?);
    let (mut keys, mut cursors) = (Vec::new(), Vec::new());
    while let Some(page) = scan.next_page().await? {
        keys.extend(page.items.into_iter().flatten().map(|row| row.key));
        cursors.push((keys.len(), page.cursor));
    }
    Ok((keys, cursors))
}

async fn keys(ns: &Ns, options: ScanOptions) -> Checked<Vec<Key>> {
    Ok(keys_and_cursors(ns, options).await?.0)
}

/// A cursor as it comes back out of a file.
fn stored(cursor: &Cursor) -> Checked<Cursor> {
    let again: Cursor = cursor.to_string().parse()?;
    same("a cursor after its text form", &again, cursor)?;
    Ok(again)
}

async fn resume_anywhere(cx: Cx) -> Checked {
    let ns = cx.namespace().await?;
    ns.fill(pairs(100)).await?;
    for page in [1, 7, 100] {
        let options = ScanOptions::new().with_page_rows(page);
        let (all, cursors) = keys_and_cursors(&ns, options).await?;
        same("records", all.len(), 100)?;
        for (before, cursor) in cursors {
            let after = ScanOptions::new().with_page_rows(9).with_after(stored(&cursor)?);
            let rest = keys(&ns, after).await?;
            let expected = all.get(before..).unwrap_or_default();
            same(&format!("the remainder after {before} records"), rest.as_slice(), expected)?;
        }
    }
    Ok(())
}

async fn resume_after_deleted_key(cx: Cx) -> Checked {
    let ns = cx.namespace().await?;
    ns.fill(pairs(60)).await?;
    let options = ScanOptions::new().with_page_rows(7);
    let (all, cursors) = keys_and_cursors(&ns, options).await?;
    for (before, cursor) in cursors {
        let at = before.checked_sub(1).and_then(|last| all.get(last));
        if let Some(key) = at {
            ns.delete(key.as_bytes()).await?;
        }
        if let Some(key) = at
            && !ns.has(key.as_bytes()).await?
        {
            cx.mark("cursor_of_deleted");
        }
        let rest = keys(&ns, ScanOptions::new().with_after(stored(&cursor)?)).await?;
        let expected = all.get(before..).unwrap_or_default();
        same("the remainder after a deleted key", rest.as_slice(), expected)?;
    }
    Ok(())
}

async fn resume_after_a_key(cx: Cx) -> Checked {
    let ns = cx.namespace().await?;
    ns.fill(pairs(60)).await?;
    let all = keys(&ns, ScanOptions::new()).await?;
    for (i, key) in all.iter().enumerate() {
        let after = ScanOptions::new().with_page_rows(11).with_after(ns.raw.cursor_after(key));
        let rest = keys(&ns, after).await?;
        let expected = all.get(i + 1..).unwrap_or_default();
        same(&format!("the remainder after {key}"), rest.as_slice(), expected)?;
    }
    // A key that is not there: nothing is lost and nothing comes twice.
    let key = Key::copy_from(&cid_like(1_000));
    let rest = keys(&ns, ScanOptions::new().with_after(ns.raw.cursor_after(&key))).await?;
    let before = all.get(..all.len() - rest.len()).unwrap_or_default();
    same("what comes after an absent key", [before, &rest].concat(), all.clone())?;
    if ns.raw.capabilities().ordered_scan {
        let expected: Vec<Key> = all.into_iter().filter(|other| *other > key).collect();
        same("what comes after an absent key", rest, expected)?;
    }
    Ok(())
}

async fn resume_after_reopening(cx: Cx) -> Checked {
    let own = cx.own_store().await?;
    let (store, ns) = own.open_new().await?;
    ns.fill(pairs(60)).await?;
    let (all, cursors) = keys_and_cursors(&ns, ScanOptions::new().with_page_rows(13)).await?;
    let ranges = ns.raw.split(3).await?;
    store.close().await?;
    drop(store);
    let store = own.open().await?;
    let ns = cx.open(&store, &ns.name).await?;
    for (before, cursor) in cursors {
        let rest = keys(&ns, ScanOptions::new().with_after(stored(&cursor)?)).await?;
        let expected = all.get(before..).unwrap_or_default();
        same("the remainder after reopening", rest.as_slice(), expected)?;
    }
    let mut covered = 0;
    for range in ranges {
        covered += keys(&ns, ScanOptions::new().with_range(range)).await?.len();
    }
    same("records in the ranges after reopening", covered, 60)?;
    store.close().await?;
    Ok(())
}

async fn foreign_cursors_are_refused(cx: Cx) -> Checked {
    let (ns, other) = (cx.namespace().await?, cx.namespace().await?);
    ns.put("k", "v").await?;
    let cursor = ns.raw.cursor_after(&Key::copy_from(b"a"));
    let scope = ns.raw.scope();
    let mut scopes = vec![other.raw.scope().clone()];
    scopes.push(Scope { format: scope.format + 1, ..scope.clone() });
    scopes.push(Scope { store: uuid::Uuid::new_v4(), ..scope.clone() });
    for scope in scopes {
        let mut cursor = cursor.clone();
        cursor.range.scope = scope;
        let result = ns.raw.scan(ScanOptions::new().with_after(cursor)).await.map(|_| "a scan");
        refused("a cursor from elsewhere", result, ErrorKind::InvalidInput)?;
    }
    Ok(())
}

async fn split_covers_everything(cx: Cx) -> Checked {
    let ns = cx.namespace().await?;
    let mut stored = 0;
    for count in [0, 1, 5, 300] {
        ns.fill(pairs(count).skip(stored)).await?;
        stored = count;
        // A thousand ranges of hardly anything are a thousand requests to a store far away.
        let most = if count < 300 { cx.size(64, 1_000) } else { 1_000 };
        for n in [1, 2, 7, 64, 1_000].into_iter().filter(|n| *n <= most) {
            let ranges = ns.raw.split(n).await?;
            holds((1..=n).contains(&ranges.len()), || {
                format!("ranges of split({n}): expected 1 to {n}, got {}", ranges.len())
            })?;
            if ranges.len() > 1 {
                cx.mark("several_ranges");
            }
            // Also a key that comes later is in exactly one of them.
            let late = if count == 300 { later_keys() } else { Vec::new() };
            ns.fill(late.iter().map(|key| (key, "late"))).await?;
            let mut seen = BTreeSet::new();
            for range in &ranges {
                let again: Range = range.to_string().parse()?;
                same("a range after its text form", &again, range)?;
                let options = ScanOptions::new().with_page_rows(9).with_range(again);
                for key in keys(&ns, options).await? {
                    holds(seen.insert(key.clone()), || format!("{key} is in two ranges"))?;
                }
            }
            for key in &late {
                let found = seen.remove(&Key::copy_from(key));
                holds(found, || format!("a later key is in no range of split({n}): {key:02x?}"))?;
                ns.delete(key).await?;
            }
            same(&format!("records in the ranges of split({n})"), seen.len(), count)?;
        }
    }
    Ok(())
}

/// Keys at the ends and in the middle of what there may be.
fn later_keys() -> Vec<Vec<u8>> {
    vec![vec![0x00], vec![0xff; 40], cid_like(5_000), vec![0x01, 0x55]]
}

async fn split_is_balanced(cx: Cx) -> Checked {
    let count = cx.size(2_000, 20_000);
    let ns = cx.namespace().await?;
    ns.fill(pairs(count)).await?;
    for n in [2, 8, 16] {
        let ranges = ns.raw.split(n).await?;
        let mut largest = 0;
        for range in &ranges {
            let options = ScanOptions::new().keys_only().with_range(range.clone());
            largest = largest.max(keys(&ns, options).await?.len());
        }
        // "At most about twice the mean": the tenth over is for "about".
        let most = count * 22 / (10 * n);
        holds(largest <= most, || {
            format!(
                "the largest of {} ranges of {count} CIDs: expected at most {most} records, got \
                 {largest}",
                ranges.len()
            )
        })?;
    }
    Ok(())
}

async fn ranges_of_other_namespaces_are_refused(cx: Cx) -> Checked {
    let (ns, other) = (cx.namespace().await?, cx.namespace().await?);
    ns.put("k", "v").await?;
    let options = ScanOptions::new().with_range(Range::all(other.raw.scope().clone()));
    let result = ns.raw.scan(options).await.map(|_| "a scan");
    refused("a range of another namespace", result, ErrorKind::InvalidInput)?;
    let key = Key::copy_from(b"k");
    same("the handle afterwards", ns.raw.has(&key, ReadOptions::new()).await?, true)
}
