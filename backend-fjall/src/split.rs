//! Passes over all rows of a namespace that give none of them: its quantiles, its number of
//! records, its markers.

use std::ops::Bound;

use bytes::Bytes;
use fjall::Readable;
use pinstate_core::{Operation, Result, Version};

use crate::error::engine as engine_error;
use crate::format::{Head, record_key};
use crate::rows::Look;

/// Markers that are purged at a time.
const PURGED_AT_ONCE: usize = 4_096;

/// The engine's keys and the rows behind a place.
fn rows(
    look: &Look<'_>,
    operation: Operation,
    after: Option<Bytes>,
) -> impl Iterator<Item = Result<(Bytes, Bytes)>> {
    let start = after.map_or(Bound::Unbounded, Bound::Excluded);
    let rows = look.snapshot.range(&look.tables.rows, (start, Bound::Unbounded));
    rows.map(move |row| {
        let (key, row) = row.into_inner().map_err(|error| engine_error(error, operation))?;
        Ok((key.into(), row.into()))
    })
}

/// How many live records there are, damaged ones included. Long values are not read.
pub(crate) fn count(look: &Look<'_>) -> Result<u64> {
    let mut count = 0;
    for row in rows(look, Operation::Count, None) {
        let (key, row) = row?;
        count += u64::from(Head::decode(&key, &row).map_or(true, |head| head.is_live()));
    }
    Ok(count)
}

/// The keys that divide the rows into at most `parts` of about the same size, in order.
///
/// Every key is looked at, and one of so many kept, more sparsely the more there are: what is
/// kept is never more than a few thousand keys.
pub(crate) fn quantiles(look: &Look<'_>, parts: usize) -> Result<Vec<Bytes>> {
    if parts < 2 {
        return Ok(Vec::new());
    }
    let most = parts.saturating_mul(64).clamp(1_024, 1 << 20);
    let (mut kept, mut every): (Vec<Bytes>, usize) = (Vec::new(), 1);
    for (at, row) in rows(look, Operation::Split, None).enumerate() {
        let (key, _) = row?;
        if at % every == 0 {
            if kept.len() == most {
                let mut number = 0;
                kept.retain(|_| {
                    number += 1;
                    number % 2 == 1
                });
                every *= 2;
                if at % every != 0 {
                    continue;
                }
            }
            // A slice would keep its block.
            kept.push(Bytes::copy_from_slice(&key));
        }
    }
    let parts = parts.min(kept.len());
    let bounds = (1..parts).filter_map(|part| kept.get(part * kept.len() / parts));
    Ok(bounds.map(|key| record_key(key).into_bytes()).collect())
}

/// The engine's keys of some markers older than `before`, behind a place.
pub(crate) fn markers(
    look: &Look<'_>,
    after: Option<Bytes>,
    before: Version,
) -> Result<Vec<Bytes>> {
    let old = |(key, row): &(Bytes, Bytes)| {
        Head::decode(key, row).is_ok_and(|head| !head.is_live() && head.version < before)
    };
    rows(look, Operation::Purge, after)
        .filter(|row| row.as_ref().map_or(true, old))
        .take(PURGED_AT_ONCE)
        .map(|row| Ok(Bytes::copy_from_slice(&row?.0)))
        .collect()
}
