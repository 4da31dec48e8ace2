//! Scans.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::Bytes;
use futures::FutureExt;
use pinstate_core::{
    BatchItem, BatchOptions, CheckedScan, Delete, ErrorKind, Key, ScanOptions, ScanStep,
    WriteOptions,
};

use super::memory::scan_holds_a_few_pages;
use super::shown::step;
use crate::case::{Cx, Ns};
use crate::check::{Checked, Violation, holds, same, some};
use crate::clause::clauses;

clauses! {
    L1: "a scan is complete and gives nothing twice",
        "an export that lost pins was the reason for this house",
        [complete_at_page_bounds, complete_when_large, complete_when_few_are_left,
         keys_only_has_no_values];
    L2: "a scan gives pages while it goes on, and holds no more than a few of them",
        "a list that is built whole before its first item does not fit into memory",
        [pages_come_one_by_one, scan_holds_a_few_pages as alone];
    L3: "dropping a scan frees what it held",
        "cursors, threads and snapshots of clients that went away add up",
        [dropped_scans_are_freed as long];
    L4: "a slow reader does not stop writers",
        "a stalled export would stop the cluster from pinning",
        [writers_pass_a_slow_reader];
    L5: "dropping the future of a page loses and repeats nothing",
        "timeouts drop futures in the middle",
        [dropped_page_futures];
    L6: "while others write, a record that stays comes exactly once, whole, and one that never \
         was never comes",
        "a copy made from a live store must be of that store",
        [indelible_keys, one_moment if SNAPSHOT_SCAN];
    L7: "a scan that cannot go on says so and does not end",
        "an error taken for the end made other tools cut over to half a copy",
        [cut_off_scans_do_not_end];
    L11: "an ordered scan comes in the byte order of keys",
        "merges and resumes rest on it",
        [in_byte_order if ORDERED_SCAN];
    L13: "two scans at once do not disturb each other",
        "verification and export run side by side",
        [interleaved_scans];
    L14: "deleting while iterating visits everything",
        "it is how a pinset is cleared",
        [clear_while_iterating];
}

/// Keys and values of `count` records. The keys share their first bytes, as CIDs do.
pub(super) fn pairs(count: usize) -> impl Iterator<Item = (Vec<u8>, String)> {
    (0..count).map(|i| (cid_like(i), format!("value {i}")))
}

/// A key as a CIDv1 of a SHA2-256 digest looks, the digest spread over its whole space.
pub(super) fn cid_like(i: usize) -> Vec<u8> {
    let mut rng = fastrand::Rng::with_seed(i as u64);
    let mut key = vec![0x01, 0x55, 0x12, 0x20];
    key.extend(std::iter::repeat_with(|| rng.u8(..)).take(32));
    key
}

async fn complete(ns: &Ns, count: usize, page: usize) -> Checked {
    let records = ns.scan(ScanOptions::new().with_page_rows(page)).await?;
    let what = format!("records of {count} in pages of {page}");
    same(&what, records.len(), count)?;
    let keys: BTreeSet<&[u8]> = records.iter().map(|record| record.key.as_bytes()).collect();
    same("different keys among them", keys.len(), count)?;
    let expected: BTreeMap<_, _> = pairs(count).collect();
    for record in &records {
        let value = expected.get(record.key.as_bytes());
        same("a value", Some(record.value.as_ref()), value.map(|value| value.as_bytes()))?;
    }
    Ok(())
}

async fn complete_at_page_bounds(cx: Cx) -> Checked {
    const PAGE: usize = 20;
    let ns = cx.namespace().await?;
    let mut stored = 0;
    for count in [0, 1, PAGE - 1, PAGE, PAGE + 1, 10 * PAGE] {
        ns.fill(pairs(count).skip(stored)).await?;
        stored = count;
        for page in [PAGE, 1, 7, 10_000] {
            complete(&ns, count, page).await?;
        }
    }
    Ok(())
}

async fn complete_when_large(cx: Cx) -> Checked {
    let (count, page) = (cx.size(2_000, 100_000), cx.size(100, 1_000));
    let ns = cx.namespace().await?;
    ns.fill(pairs(count)).await?;
    same("count", ns.count().await?, count as u64)?;
    complete(&ns, count, page).await
}

/// What divided its records as they became many puts parts together as they become few.
async fn complete_when_few_are_left(cx: Cx) -> Checked {
    const KEPT: usize = 37;
    let count = cx.size(2_000, 100_000);
    let ns = cx.namespace().await?;
    ns.fill(pairs(count)).await?;
    let gone: Vec<_> = (0..count).filter(|i| i % KEPT != 0).map(cid_like).collect();
    for group in gone.chunks(500) {
        let one = |key: &Vec<u8>| BatchItem::Delete(Delete::new(Key::copy_from(key), cx.version()));
        ns.apply(group.iter().map(one).collect(), BatchOptions::new()).await?;
    }
    let left: BTreeMap<_, _> =
        pairs(count).step_by(KEPT).map(|(key, value)| (key, Bytes::from(value))).collect();
    ns.shows(&left).await?;
    for (key, value) in &left {
        same("a value that was left", ns.value(key).await?.as_ref(), Some(value))?;
    }
    ns.fill(pairs(count)).await?;
    complete(&ns, count, cx.size(100, 1_000)).await
}

async fn keys_only_has_no_values(cx: Cx) -> Checked {
    let ns = cx.namespace().await?;
    ns.fill(pairs(50)).await?;
    // Long values are often kept elsewhere, or shared instead of copied.
    let most = usize::try_from(cx.capabilities().max_value_bytes).unwrap_or(usize::MAX);
    for (key, len) in [(1, 1 << 10), (2, 5_000), (3, most.min(70_000))] {
        ns.put(cid_like(key), vec![b'v'; len]).await?;
    }
    let records = ns.scan(ScanOptions::new().with_page_rows(7).keys_only()).await?;
    same("records", records.len(), 50)?;
    holds(records.iter().all(|record| record.value.is_empty()), || {
        "a scan of keys: expected no values, got some".to_owned()
    })?;
    let whole = ns.scan(ScanOptions::new()).await?;
    let heads = |records: &[pinstate_core::Record]| {
        records.iter().map(|record| (record.key.clone(), record.version)).collect::<BTreeSet<_>>()
    };
    same("keys and versions", heads(&records), heads(&whole))
}

async fn pages_come_one_by_one(cx: Cx) -> Checked {
    let count = cx.size(1_000, 20_000);
    let ns = cx.namespace().await?;
    ns.fill(pairs(count)).await?;
    let mut scan = ns.raw.scan(ScanOptions::new().with_page_rows(10)).await?;
    let (mut pages, mut rows) = (0, 0);
    loop {
        match scan.next().await? {
            ScanStep::Page(page) => {
                pages += 1;
                rows += page.items.len();
                holds(page.items.len() <= 10, || {
                    format!("a page of at most 10 rows: got {}", page.items.len())
                })?;
            }
            ScanStep::End(end) => {
                same("rows at the end", end.rows, rows as u64)?;
                break;
            }
        }
    }
    same("rows", rows, count)?;
    holds(pages >= count / 10, || format!("pages: expected at least {}, got {pages}", count / 10))?;
    match scan.next().await? {
        ScanStep::End(end) => same("rows at the end, asked again", end.rows, count as u64),
        ScanStep::Page(page) => Err(Violation::new(format!(
            "after the end: expected the end again, got a page of {} rows",
            page.items.len()
        ))),
    }
}

async fn dropped_scans_are_freed(cx: Cx) -> Checked {
    let own = cx.own_store().await?;
    let (store, ns) = own.open_new().await?;
    ns.fill(pairs(300)).await?;
    for _ in 0..200 {
        let mut scan = ns.raw.scan(ScanOptions::new().with_page_rows(10)).await?;
        scan.next().await?;
    }
    // What a dropped scan still held would now be in the way.
    ns.fill(pairs(300)).await?;
    same("count", ns.count().await?, 300)?;
    store.close().await?;
    Ok(())
}

async fn writers_pass_a_slow_reader(cx: Cx) -> Checked {
    let ns = cx.namespace().await?;
    ns.fill(pairs(500)).await?;
    let mut scan = CheckedScan::new(ns.raw.scan(ScanOptions::new().with_page_rows(10)).await?);
    let first = some("the first page", scan.next_page().await?)?;
    // The reader waits for us: a writer that waited for it would hang.
    for i in 0..500 {
        ns.put(cid_like(i), "new").await?;
    }
    let mut rows = first.items.len();
    while let Some(page) = scan.next_page().await? {
        rows += page.items.len();
    }
    same("rows of the slow scan", rows, 500)
}

async fn dropped_page_futures(cx: Cx) -> Checked {
    let ns = cx.namespace().await?;
    ns.fill(pairs(200)).await?;
    let mut scan = CheckedScan::new(ns.raw.scan(ScanOptions::new().with_page_rows(10)).await?);
    let mut keys = Vec::new();
    let mut take = |page: pinstate_core::Page| {
        keys.extend(page.items.into_iter().flatten().map(|record| record.key));
    };
    loop {
        // Polled once, then dropped unless it was ready.
        let step = scan.next_page().now_or_never();
        let step = match step {
            Some(step) => step?,
            None => scan.next_page().await?,
        };
        match step {
            Some(page) => take(page),
            None => break,
        }
    }
    let different: BTreeSet<_> = keys.iter().collect();
    same("rows", keys.len(), 200)?;
    same("different rows", different.len(), 200)
}

/// A value that shows whether it is whole.
fn sealed(key: &[u8], round: usize) -> Vec<u8> {
    let mut value = vec![round as u8; 300];
    value.extend_from_slice(key);
    value
}

fn is_whole(key: &[u8], value: &[u8]) -> bool {
    let (body, tail) = value.split_at(value.len().min(300));
    tail == key && body.len() == 300 && body.iter().all(|byte| Some(byte) == body.first())
}

async fn indelible_keys(cx: Cx) -> Checked {
    const KEPT: usize = 16;
    let ns = cx.namespace().await?;
    let keys: Vec<Vec<u8>> = (0..400).map(cid_like).collect();
    ns.fill(keys.iter().map(|key| (key, sealed(key, 0)))).await?;
    let churned = Arc::new(Churned::default());
    let work = churn(ns.clone(), keys.clone(), KEPT, cx.rng(), Arc::clone(&churned));
    let writer = tokio::spawn(work);
    let scanned = async {
        // Some more where the writer had no turn while a scan went on.
        let (enough, most) = (cx.size(15, 100), cx.size(60, 200));
        let known: BTreeSet<&[u8]> = keys.iter().map(Vec::as_slice).collect();
        let (mut replaced, mut deleted) = (false, false);
        for (scans, page) in [1, 3, 10, 50, 1_000].into_iter().cycle().enumerate().take(most) {
            if scans >= enough && replaced && deleted {
                break;
            }
            let before = churned.counts();
            let map = ns.map(ScanOptions::new().with_page_rows(page)).await?;
            let after = churned.counts();
            replaced |= after.0 > before.0;
            deleted |= after.1 > before.1;
            for (i, key) in keys.iter().enumerate().take(KEPT) {
                holds(map.contains_key(key), || format!("a scan missed the kept record {i}"))?;
            }
            for (key, value) in &map {
                holds(known.contains(key.as_slice()), || {
                    format!("a key that never was: {key:02x?}")
                })?;
                holds(is_whole(key, value), || {
                    format!("a torn value of {key:02x?}: {value:02x?}")
                })?;
            }
        }
        if replaced {
            cx.mark("replaced_in_scan");
        }
        if deleted {
            cx.mark("deleted_in_scan");
        }
        Ok(())
    }
    .await;
    churned.stop.store(true, Ordering::SeqCst);
    let written = writer.await.map_err(|error| Violation::new(error.to_string()))?;
    scanned.and(written)
}

/// What the writer has done, and whether it is to stop.
#[derive(Default)]
struct Churned {
    stop: AtomicBool,
    replaced: AtomicUsize,
    deleted: AtomicUsize,
}

impl Churned {
    fn counts(&self) -> (usize, usize) {
        (self.replaced.load(Ordering::SeqCst), self.deleted.load(Ordering::SeqCst))
    }
}

/// Rewrites and removes keys beyond the first `kept` until told to stop, and rewrites those.
async fn churn(
    ns: Ns,
    keys: Vec<Vec<u8>>,
    kept: usize,
    mut rng: fastrand::Rng,
    churned: Arc<Churned>,
) -> Checked {
    let mut round = 0;
    while !churned.stop.load(Ordering::SeqCst) {
        round += 1;
        let i = rng.usize(..keys.len());
        let Some(key) = keys.get(i) else { continue };
        if i >= kept && rng.bool() {
            ns.delete(key).await?;
            churned.deleted.fetch_add(1, Ordering::SeqCst);
        } else {
            ns.put(key, sealed(key, round)).await?;
            churned.replaced.fetch_add(1, Ordering::SeqCst);
        }
        tokio::task::yield_now().await;
    }
    Ok(())
}

async fn one_moment(cx: Cx) -> Checked {
    let ns = cx.namespace().await?;
    ns.fill(pairs(300)).await?;
    let before = ns.map(ScanOptions::new()).await?;
    for read_first in [false, true] {
        let options = ScanOptions::new().with_page_rows(10);
        let mut scan = CheckedScan::new(ns.raw.scan(options).await?);
        let mut rows = Vec::new();
        if read_first && let Some(page) = scan.next_page().await? {
            rows.extend(page.items);
        }
        // From here on the namespace is another.
        for i in (0..300).step_by(2) {
            ns.delete(cid_like(i)).await?;
            ns.put(cid_like(i + 1), "changed").await?;
            ns.put(cid_like(1_000 + i), "added").await?;
        }
        while let Some(page) = scan.next_page().await? {
            rows.extend(page.items);
        }
        let seen: BTreeMap<Vec<u8>, Bytes> = rows
            .into_iter()
            .flatten()
            .map(|record| (record.key.as_bytes().to_vec(), record.value))
            .collect();
        holds(seen == before, || {
            format!(
                "a scan that began before {} records changed: expected the {} records of that \
                 moment, got {} of which {} differ",
                450,
                before.len(),
                seen.len(),
                seen.iter().filter(|(key, value)| before.get(*key) != Some(value)).count()
            )
        })?;
        // Back to what it was.
        for i in (0..300).step_by(2) {
            ns.delete(cid_like(1_000 + i)).await?;
        }
        ns.fill(pairs(300)).await?;
    }
    Ok(())
}

async fn cut_off_scans_do_not_end(cx: Cx) -> Checked {
    cut_off(cx, false).await
}

/// A scan whose rows are shown where they stand, or given, says so when it is cut off.
pub(super) async fn cut_off(cx: Cx, shown: bool) -> Checked {
    for by_drop in [true, false] {
        let own = cx.own_store().await?;
        let (store, ns) = own.open_new().await?;
        ns.fill(pairs(200)).await?;
        let mut scan = CheckedScan::new(ns.raw.scan(ScanOptions::new().with_page_rows(10)).await?);
        let mut rows = some("the first page", step(&mut scan, shown).await?)?.0.len();
        let kind = if by_drop {
            store.drop_namespace(&ns.name).await?;
            ErrorKind::NoNamespace
        } else {
            store.close().await?;
            ErrorKind::Closed
        };
        loop {
            match step(&mut scan, shown).await {
                Ok(Some((page, _))) => rows += page.len(),
                Ok(None) => same("rows of a scan that ended", rows, 200)?,
                Err(error) => {
                    holds(error.kind() == kind, || {
                        format!("the scan's error: expected '{}', got: {error}", kind.as_str())
                    })?;
                    break;
                }
            }
            if rows >= 200 {
                break;
            }
        }
        store.close().await?;
    }
    Ok(())
}

async fn in_byte_order(cx: Cx) -> Checked {
    let ns = cx.namespace().await?;
    let mut rng = cx.rng();
    let mut keys: BTreeSet<Vec<u8>> = (0..=255).map(|byte| vec![byte]).collect();
    for _ in 0..500 {
        let len = rng.usize(..60);
        keys.insert(std::iter::repeat_with(|| rng.u8(..)).take(len).collect());
        // Keys that are the beginning of one another, and that differ late.
        let mut long = vec![0xab; rng.usize(30..60)];
        keys.insert(long.clone());
        long.push(rng.u8(..));
        keys.insert(long);
    }
    keys.remove(&Vec::new());
    ns.fill(keys.iter().map(|key| (key, "v"))).await?;
    let records = ns.scan(ScanOptions::new().with_page_rows(37)).await?;
    let scanned: Vec<Vec<u8>> = records.iter().map(|row| row.key.as_bytes().to_vec()).collect();
    same("the order of keys", scanned, keys.into_iter().collect())
}

async fn interleaved_scans(cx: Cx) -> Checked {
    let ns = cx.namespace().await?;
    ns.fill(pairs(200)).await?;
    let mut scans = Vec::new();
    for page in [7, 10, 50] {
        let options = ScanOptions::new().with_page_rows(page);
        scans.push((CheckedScan::new(ns.raw.scan(options).await?), BTreeSet::new(), false));
    }
    while scans.iter().any(|(_, _, done)| !done) {
        for (scan, keys, done) in scans.iter_mut().filter(|(_, _, done)| !done) {
            match scan.next_page().await? {
                Some(page) => keys.extend(page.items.into_iter().flatten().map(|row| row.key)),
                None => *done = true,
            }
        }
    }
    for (scan, keys, _) in &scans {
        same("rows of one of three scans", scan.seen(), 200)?;
        same("different rows of it", keys.len(), 200)?;
    }
    Ok(())
}

async fn clear_while_iterating(cx: Cx) -> Checked {
    let ns = cx.namespace().await?;
    ns.fill(pairs(500)).await?;
    let mut scan = CheckedScan::new(ns.raw.scan(ScanOptions::new().with_page_rows(13)).await?);
    let mut visited = 0;
    while let Some(page) = scan.next_page().await? {
        for record in page.items.into_iter().flatten() {
            visited += 1;
            // Both kinds of delete.
            let options =
                if visited % 2 == 0 { WriteOptions::new() } else { WriteOptions::if_newer() };
            let key = Key::copy_from(record.key.as_bytes());
            ns.raw.delete(Delete::new(key, cx.version()), options).await?;
        }
    }
    same("records visited", visited, 500)?;
    same("records left", ns.count().await?, 0)?;
    same("the list", ns.texts().await?.len(), 0)
}
