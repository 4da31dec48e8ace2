//! What is done over a whole namespace: counting it, and purging its markers.

use std::sync::Arc;

use futures::stream::{self, StreamExt, TryStreamExt};
use pinstate_core::{
    CheckedScan, Count, Error, ErrorKind, Operation, Outcome, Range, Record, Result, ScanOptions,
    Version,
};

use crate::core::Core;
use crate::error::{Work, error};
use crate::page::{Place, Want, read};
use crate::ring::{LAST, encode, parts};
use crate::room::Room;
use crate::scan::ScyllaScan;

/// Ranges that are read at a time.
const AT_ONCE: usize = 4;
/// Ranges of a count: the progress is told after each.
const RANGES: usize = 64;
/// Of so many ranges a sample is counted for an estimate.
const SAMPLED_OF: usize = 4_096;
/// How many ranges the sample has.
const SAMPLE: usize = 32;

fn as_operation(operation: Operation) -> impl Fn(Error) -> Error {
    move |error| error.with_operation(operation)
}

/// Counts live records, range by range.
pub(crate) async fn exact(core: &Arc<Core>, room: &Arc<Room>) -> Result<u64> {
    let first = first_page(core, room).await.map_err(as_operation(Operation::Count))?;
    if let (count, None) = first {
        return Ok(count);
    }
    let counts = parts(RANGES).into_iter().map(|part| count_part(core, room, part));
    let mut counts = stream::iter(counts).buffer_unordered(AT_ONCE);
    let (mut total, mut done) = (0, 0);
    while let Some(count) = counts.next().await {
        total += count.map_err(as_operation(Operation::Count))?;
        done += 1;
        tracing::debug!(
            namespace = room.scope.namespace.as_str(),
            "counted {done} of {RANGES} ranges, {total} records so far"
        );
    }
    Ok(total)
}

/// The live records of the first page, and where the rest begins if there is any.
async fn first_page(core: &Core, room: &Room) -> Result<(u64, Option<Place>)> {
    let want = Want { keys_only: true, include_deleted: false, most: core.config.page_size };
    let from = Place { token: crate::ring::FIRST, key: None };
    let page = read(core, room, &from, LAST, want).await?;
    Ok((page.items.len() as u64, page.rest))
}

async fn count_part(core: &Arc<Core>, room: &Arc<Room>, (first, last): (i64, i64)) -> Result<u64> {
    let range = Range {
        start: Some(encode(first).to_vec().into()),
        end: last.checked_add(1).map(|end| encode(end).to_vec().into()),
        ..Range::all(room.scope.clone())
    };
    let options = ScanOptions::new().with_range(range).with_page_rows(usize::MAX).keys_only();
    let scan = ScyllaScan::new(Arc::clone(core), Arc::clone(room), options)?;
    let mut scan = CheckedScan::new(Box::new(scan));
    while scan.next_page().await?.is_some() {}
    Ok(scan.seen())
}

/// Counts a sample of ranges. What servers themselves estimate is wrong by up to 150 times.
pub(crate) async fn estimate(core: &Arc<Core>, room: &Arc<Room>) -> Result<Count> {
    let told = as_operation(Operation::Count);
    let first = first_page(core, room).await.map_err(&told)?;
    if let (count, None) = first {
        return Ok(Count::Estimate(count));
    }
    let all = parts(SAMPLED_OF);
    // Evenly spread, and another sample each time.
    let step = all.len() / SAMPLE;
    let shift = fastrand::usize(..step.max(1));
    let sample: Vec<(i64, i64)> = all.iter().skip(shift).step_by(step).copied().collect();
    let sampled = sample.len() as u64;
    let counts = sample.into_iter().map(|part| count_part(core, room, part));
    let counts = stream::iter(counts).buffer_unordered(AT_ONCE);
    let counts: Vec<u64> = counts.try_collect().await.map_err(&told)?;
    let counted: u64 = counts.iter().sum();
    Ok(Count::Estimate(counted * all.len() as u64 / sampled.max(1)))
}

/// Turns markers that are older than `before` into plain deletes of their version: the row
/// is deleted at the version of its marker, so that nothing newer is touched, and an older
/// put that the marker hid does not come back.
pub(crate) async fn purge(core: &Arc<Core>, room: &Arc<Room>, before: Version) -> Result<u64> {
    let options = ScanOptions::new().keys_only().include_deleted();
    let scan = ScyllaScan::new(Arc::clone(core), Arc::clone(room), options)?;
    let mut scan = CheckedScan::new(Box::new(scan));
    let told = as_operation(Operation::Purge);
    let mut purged = 0;
    while let Some(page) = scan.next_page().await.map_err(&told)? {
        let old =
            page.items.into_iter().flatten().filter(|row| row.deleted && row.version < before);
        let deletes = old.map(|row| purge_one(core, room, row));
        let done: Result<Vec<()>> = stream::iter(deletes).buffer_unordered(64).try_collect().await;
        let done = match done {
            Ok(done) => done,
            Err(error) => {
                let error = room.found(core, error).await;
                return Err(error.with_context("markers purged before", purged));
            }
        };
        purged += done.len() as u64;
    }
    Ok(purged)
}

async fn purge_one(core: &Core, room: &Room, row: Record) -> Result<()> {
    if row.version < Version::MIN {
        return Err(error(ErrorKind::Corrupt, Operation::Purge, "a marker has no legal version")
            .with_outcome(Outcome::NotApplied)
            .with_key(row.key));
    }
    let values = (row.version.micros(), row.key.as_bytes());
    core.run(Operation::Purge, Work::Write, &room.statements.delete, values).await?;
    Ok(())
}
