//! Rows that a scan shows where they stand.

use pinstate_core::{
    CheckedScan, Cursor, Delete, Key, Record, Result, ScanOptions, WriteOptions, Written,
};

use super::list::{cut_off, pairs};
use crate::case::{Cx, Ns};
use crate::check::{Checked, holds, same};
use crate::clause::clauses;

clauses! {
    L15: "rows that a scan shows where they stand are those that its pages give",
        "a list that is read in place must tell the same pins as an export",
        [shown_as_given, cut_off_rows_are_not_the_end];
}

/// Reads the next page, where it stands if it is to be `shown` and the store does that: its
/// rows and the place after them.
pub(super) async fn step(
    scan: &mut CheckedScan,
    shown: bool,
) -> Result<Option<(Vec<Record>, Cursor)>> {
    let mut rows = Vec::new();
    if shown && let Some(cursor) = scan.show_page(&mut |row| rows.push(row.to_record())) {
        return Ok(cursor?.map(|cursor| (rows, cursor)));
    }
    // What was shown by a scan that says it shows none comes too often now.
    Ok(scan.next_page().await?.map(|page| {
        rows.extend(page.items.into_iter().flatten());
        (rows, page.cursor)
    }))
}

/// All rows, of which some pages are shown and some given, and once by a new scan from the
/// place after one that was shown.
async fn mixed(ns: &Ns, options: &ScanOptions, pattern: u32) -> Checked<Vec<Record>> {
    let mut scan = CheckedScan::new(ns.raw.scan(options.clone()).await?);
    let (mut records, mut turn) = (Vec::new(), 0);
    while let Some((rows, cursor)) = step(&mut scan, pattern >> (turn % 8) & 1 == 1).await? {
        holds(rows.len() <= options.page_rows, || {
            format!("a page: expected at most {} rows, got {}", options.page_rows, rows.len())
        })?;
        records.extend(rows);
        turn += 1;
        if turn == 5 {
            let rest = options.clone().with_after(cursor);
            scan = CheckedScan::new(ns.raw.scan(rest).await?);
        }
    }
    same("whether an end comes again", step(&mut scan, true).await?.is_none(), true)?;
    Ok(records)
}

async fn shown_as_given(cx: Cx) -> Checked {
    let ns = cx.namespace().await?;
    ns.fill(pairs(120)).await?;
    // Empty and long values, and some that are gone, with and without a trace.
    let most = usize::try_from(cx.capabilities().max_value_bytes).unwrap_or(usize::MAX);
    for (key, len) in [("empty", 0), ("long", 5_000), ("longer", most.min(70_000))] {
        ns.put(key, vec![b'v'; len]).await?;
    }
    let keys: Vec<Key> = pairs(12).map(|(key, _)| Key::new(key)).collect();
    for (i, key) in keys.iter().enumerate() {
        if i % 2 == 0 {
            ns.delete(key).await?;
        } else {
            let delete = Delete::new(key.clone(), cx.version());
            let written = ns.raw.delete(delete, WriteOptions::if_newer()).await?;
            holds(matches!(written, Written::Applied | Written::Resolved), || {
                format!("a delete if newer: got {written:?}")
            })?;
        }
    }
    cx.settled().await;
    let mut rng = cx.rng();
    for options in
        [ScanOptions::new(), ScanOptions::new().keys_only(), ScanOptions::new().include_deleted()]
    {
        let sorted = |mut records: Vec<Record>| {
            records.sort_by(|one, other| one.key.cmp(&other.key));
            records
        };
        let given = sorted(ns.scan(options.clone()).await?);
        for page_rows in [1, 7, 20, 1_000] {
            let options = options.clone().with_page_rows(page_rows);
            for pattern in [u32::MAX, rng.u32(..)] {
                let records = sorted(mixed(&ns, &options, pattern).await?);
                same("how many rows are shown", records.len(), given.len())?;
                for (shown, given) in records.iter().zip(&given) {
                    same("a row that is shown", shown, given)?;
                }
            }
        }
    }
    Ok(())
}

async fn cut_off_rows_are_not_the_end(cx: Cx) -> Checked {
    cut_off(cx, true).await
}
