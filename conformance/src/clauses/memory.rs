//! How much memory a store takes for what it does, beside what it keeps.
//!
//! These cases run alone in the process and compare the peak of what was allocated with what
//! was allocated when they began. They are cases of `L2` and `P1`.

use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use pinstate_core::{RetryClass, ScanOptions, ScanStep, WriteOptions};

use super::list::cid_like;
use crate::case::{Cx, Ns};
use crate::check::{Checked, holds, same};

/// Rows of a page.
const PAGE: usize = 50;
/// Bytes of a value in a scan.
const VALUE: usize = 4 << 10;
/// Pages that a scan may hold at one time: the one that is read, some that were read ahead,
/// each as it was stored and as it is given.
const PAGES: usize = 8;
/// What the process may take meanwhile for other things.
const OTHER: usize = 1 << 20;

pub(super) async fn scan_holds_a_few_pages(cx: Cx) -> Checked {
    let meter = cx.meter()?;
    let rows = cx.size(3_000, 100_000);
    let ns = cx.namespace().await?;
    let value = vec![7; VALUE];
    // Piece by piece, so that the case itself does not hold all of it.
    for from in (0..rows).step_by(1_000) {
        ns.fill((from..rows.min(from + 1_000)).map(|i| (cid_like(i), &value))).await?;
    }
    // A cache may keep what was read, up to its size, and is no part of a scan.
    scan_all(&ns, rows).await?;
    let growth = meter.begin();
    scan_all(&ns, rows).await?;
    let most = growth.most();
    // Where there is much, the cache comes and goes meanwhile.
    let bound = (PAGES * PAGE * VALUE + OTHER).max(rows * VALUE / 4);
    holds(most <= bound, || {
        format!(
            "a scan of {rows} rows of {VALUE} bytes in pages of {PAGE}: expected at most {bound} \
             bytes allocated for it at one time, got {most}"
        )
    })
}

/// Reads every row, and keeps none.
async fn scan_all(ns: &Ns, rows: usize) -> Checked {
    let mut scan = ns.raw.scan(ScanOptions::new().with_page_rows(PAGE)).await?;
    let mut given = 0;
    while let ScanStep::Page(page) = scan.next().await? {
        for record in page.items.iter().flatten() {
            same("the length of a value", record.value.len(), VALUE)?;
        }
        given += page.items.len();
    }
    same("rows", given, rows)
}

/// Bytes of a value that many write at once.
const WRITTEN: usize = 64 << 10;
/// Bytes for each call that is under way: half of what is written. A bounded queue, of which
/// an engine that commits many writes together holds every write two or three times, is well
/// below what they come to in all.
const CALL: usize = WRITTEN / 2;
/// Keys that they write to: what is kept in the end is little.
const KEYS: usize = 4;

pub(super) async fn puts_at_once_are_not_copied(cx: Cx) -> Checked {
    let meter = cx.meter()?;
    let calls = cx.size(1_500, 5_000);
    let ns = cx.namespace().await?;
    // One value for all, which the caller holds.
    let value = Bytes::from(vec![7; WRITTEN]);
    ns.fill((0..KEYS).map(|key| (cid_like(key), &value))).await?;
    // What the engine takes for writes that hardly press it.
    let growth = meter.begin();
    put_all(&ns, &value, calls / 8, 4).await?;
    let few = growth.most();
    let growth = meter.begin();
    put_all(&ns, &value, calls, calls).await?;
    let most = growth.most();
    let bound = few + calls * CALL + OTHER;
    holds(most <= bound, || {
        format!(
            "puts of {WRITTEN} bytes to {KEYS} keys, four at a time, allocated {few} bytes; {calls} at \
             once: expected at most {bound} at one time, got {most}"
        )
    })
}

/// Makes so many puts, of which so many are under way at a time; each must be answered.
async fn put_all(ns: &Ns, value: &Bytes, calls: usize, at_once: usize) -> Checked {
    let put = |i| {
        let mut put = ns.put_of(cid_like(i % KEYS), "", ns.version());
        put.value = value.clone();
        let raw = Arc::clone(&ns.raw);
        async move { raw.put(put, WriteOptions::new()).await }
    };
    let mut rest = 0..calls;
    let mut puts: FuturesUnordered<_> = rest.by_ref().take(at_once).map(put).collect();
    let (mut stored, mut ended) = (0, 0);
    while let Some(result) = puts.next().await {
        ended += 1;
        puts.extend(rest.next().map(put));
        match result {
            Ok(_) => stored += 1,
            Err(error) => holds(error.retry_class() != RetryClass::Never, || {
                format!("a refusal under pressure: expected one to be tried again, got: {error}")
            })?,
        }
    }
    same("puts that were answered", ended, calls)?;
    holds(stored > 0, || format!("of {calls} puts, {at_once} at once, none was stored"))
}
