//! One scan under way.

use std::ops::Bound;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use fjall::{Iter, Readable};
use parking_lot::Mutex;
use pinstate_core::{
    Cursor, Damaged, Operation, Page, Range, Result, Scan, ScanEnd, ScanItem, ScanOptions, ScanStep,
};

use crate::config::MAX_KEY_BYTES;
use crate::error::engine as engine_error;
use crate::format::{Body, engine_key, record_key};
use crate::room::Space;
use crate::rows::{Look, Tables, decode};
use crate::store::Core;

/// A page has no more rows once it has so many bytes.
const PAGE_BYTES: usize = 4 << 20;

/// Reads a snapshot in pages. Writers do not wait for it, nor does it wait for them.
pub(crate) struct FjallScan {
    core: Arc<Core>,
    space: Arc<Space>,
    /// Where the reading stands; nothing once it has ended. Behind a lock since a page that
    /// nobody waits for any more may still be read.
    reading: Arc<Mutex<Option<Reading>>>,
    range: Range,
    /// The last row that was given or passed over.
    position: Option<Bytes>,
    page_rows: usize,
    shown: Shown,
    given: u64,
}

#[derive(Clone, Copy)]
struct Shown {
    keys_only: bool,
    markers: bool,
}

/// A snapshot, and how far an iterator over it has come. It holds no handle on the store, which
/// can be closed meanwhile.
struct Reading {
    snapshot: fjall::Snapshot,
    /// The engine's iterator, and the row that it stands behind.
    rows: Option<(Iter, Option<Bytes>)>,
}

impl FjallScan {
    /// A scan with options whose range and cursor were found to belong to `space`.
    pub(crate) fn new(
        core: Arc<Core>,
        space: Arc<Space>,
        tables: &Tables,
        options: ScanOptions,
    ) -> Self {
        let (range, position) = match options.after {
            Some(cursor) => (cursor.range, Some(cursor.position)),
            None => (options.range.unwrap_or_else(|| Range::all(space.scope().clone())), None),
        };
        let reading = Reading { snapshot: tables.db.snapshot(), rows: None };
        Self {
            core,
            space,
            reading: Arc::new(Mutex::new(Some(reading))),
            range,
            position,
            page_rows: options.page_rows.max(1),
            shown: Shown { keys_only: options.keys_only, markers: options.include_deleted },
            given: 0,
        }
    }
}

/// Where the reading begins and ends, in the engine's keys: after the last row, and never
/// before the range. Nothing where there is no room between them.
fn bounds(range: &Range, position: Option<&Bytes>) -> Option<(Bound<Bytes>, Bound<Bytes>)> {
    let start = match (position, &range.start) {
        (Some(after), Some(start)) if after < start => place(start, false),
        (Some(after), _) => place(after, true),
        (None, Some(start)) => place(start, false),
        (None, None) => Bound::Unbounded,
    };
    let end = match range.end.as_ref().map(|end| place(end, false)) {
        None => Bound::Unbounded,
        Some(Bound::Excluded(cut)) => Bound::Included(cut),
        Some(Bound::Included(end)) => Bound::Excluded(end),
        Some(Bound::Unbounded) => Bound::Unbounded,
    };
    let empty = match (&start, &end) {
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
        (Bound::Included(start), Bound::Included(end)) => start > end,
        (
            Bound::Included(start) | Bound::Excluded(start),
            Bound::Included(end) | Bound::Excluded(end),
        ) => start >= end,
    };
    (!empty).then_some((start, end))
}

/// The engine's keys from a place on, or behind it. One that is longer than any key lies
/// behind the longest key that it begins with, and the engine could not take it.
fn place(key: &[u8], behind: bool) -> Bound<Bytes> {
    match usize::try_from(MAX_KEY_BYTES).ok().and_then(|most| key.split_at_checked(most)) {
        Some((cut, rest)) if !rest.is_empty() => Bound::Excluded(engine_key(cut)),
        _ if behind => Bound::Excluded(engine_key(key)),
        _ => Bound::Included(engine_key(key)),
    }
}

/// The next rows, and the last one that was looked at; none where there are no more.
fn page(
    reading: &mut Reading,
    tables: &Tables,
    range: &Range,
    position: Option<Bytes>,
    page_rows: usize,
    shown: Shown,
) -> Result<Option<(Vec<ScanItem>, Bytes)>> {
    let failed = |error| engine_error(error, Operation::Scan);
    let look = Look { snapshot: reading.snapshot.clone(), tables };
    // After a page that was not taken, or an error, it begins where the scan stands.
    let rows = reading.rows.take().filter(|(_, at)| *at == position);
    let mut rows = match rows {
        Some((rows, _)) => rows,
        None => match bounds(range, position.as_ref()) {
            Some(bounds) => look.snapshot.range(&tables.rows, bounds),
            None => return Ok(None),
        },
    };
    let mut items = Vec::new();
    let (mut seen, mut bytes, mut last) = (0, 0, None);
    while seen < page_rows && bytes < PAGE_BYTES {
        let Some(row) = rows.next() else { break };
        let (key, row) = row.into_inner().map_err(failed)?;
        let key = Bytes::from(key);
        seen += 1;
        bytes += key.len() + row.len();
        let name = record_key(&key);
        let item = match decode(&key, row.into()) {
            Err((raw, reason)) => Err(Damaged::new(name, raw, reason)),
            Ok(head) if !head.is_live() && !shown.markers => {
                last = Some(key);
                continue;
            }
            Ok(head) if shown.keys_only => Ok(head.record(name, Bytes::new())),
            Ok(head) => match look.value(&key, &head).map_err(failed)? {
                Ok(value) => {
                    if matches!(head.body, Body::Apart { .. }) {
                        bytes += value.len();
                    }
                    Ok(head.record(name, value))
                }
                Err(reason) => Err(Damaged::new(name, Bytes::new(), reason)),
            },
        };
        items.push(item);
        last = Some(key);
    }
    let Some(last) = last else { return Ok(None) };
    let last = record_key(&last).into_bytes();
    reading.rows = Some((rows, Some(last.clone())));
    Ok(Some((items, last)))
}

#[async_trait]
impl Scan for FjallScan {
    async fn next(&mut self) -> Result<ScanStep> {
        let operation = Operation::Scan;
        let tables = match self.space.tables(operation) {
            Ok(tables) => tables,
            Err(error) => {
                *self.reading.lock() = None;
                return Err(error);
            }
        };
        let reading = Arc::clone(&self.reading);
        let (range, position) = (self.range.clone(), self.position.clone());
        let (page_rows, shown) = (self.page_rows, self.shown);
        let read = move || {
            let mut reading = reading.lock();
            let Some(open) = reading.as_mut() else { return Ok(None) };
            let page = page(open, &tables, &range, position, page_rows, shown)?;
            if page.is_none() {
                // So that a scan that is kept does not keep old rows.
                *reading = None;
            }
            Ok(page)
        };
        let Some((items, last)) = self.core.readers.pass(operation, read).await? else {
            return Ok(ScanStep::End(ScanEnd::new(self.given)));
        };
        self.given += items.len() as u64;
        self.position = Some(last.clone());
        let cursor = Cursor { range: self.range.clone(), position: last };
        Ok(ScanStep::Page(Page::new(items, cursor)))
    }
}
