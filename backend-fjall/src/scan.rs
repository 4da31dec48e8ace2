//! Reading a range of a snapshot in pages, a few of them ahead of the consumer.

use std::ops::Bound;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use fjall::{Iter, Readable, Slice};
use parking_lot::Mutex;
use pinstate_core::scan::DEFAULT_PAGE_ROWS;
use pinstate_core::{
    Cursor, Damaged, Error, Key, Operation, Page, Range, Record, Result, Scan, ScanEnd, ScanItem,
    ScanOptions, ScanStep, Version,
};
use pinstate_embedded::Ahead;

use crate::config::MAX_KEY_BYTES;
use crate::error::engine as engine_error;
use crate::format::{Body, Head, Reason, engine_key, record_part};
use crate::readers::lost;
use crate::room::Space;
use crate::rows::{Look, Tables};
use crate::store::Core;

/// A page has no more rows once it has so many bytes.
const PAGE_BYTES: usize = 1 << 20;

/// Reads a snapshot in pages. Writers do not wait for it, nor does it wait for them.
pub(crate) struct FjallScan {
    space: Arc<Space>,
    range: Range,
    reading: Arc<Mutex<Option<Reading>>>,
    pages: Ahead<Read, Error>,
    given: u64,
}

/// What is read into pages.
struct Plan {
    range: Range,
    rows: usize,
    keys_only: bool,
    markers: bool,
}

/// A snapshot, and how far an iterator over it has come. It holds no handle on the store, which
/// can be closed meanwhile; there is none any more once the scan has ended.
struct Reading {
    snapshot: fjall::Snapshot,
    rows: Option<Iter>,
}

/// A page that was read. Its items are made by whoever takes it, who has less to do than the thread
/// that reads.
struct Read {
    /// Keys and values, one behind the other.
    bytes: Bytes,
    rows: Vec<Span>,
    /// The last key that was looked at.
    last: Bytes,
}

impl Read {
    fn items(self) -> Vec<ScanItem> {
        let bytes = self.bytes;
        let item = |Span { key, value, end, what }| {
            let key = Key::new(bytes.slice(key..value));
            match what {
                What::Here(version) => Ok(Record::live(key, bytes.slice(value..end), version)),
                What::Apart(version, value) => Ok(Record::live(key, value, version)),
                What::Marker(version) => Ok(Record::marker(key, version)),
                What::Damaged(reason) => Err(Damaged::new(key, bytes.slice(value..end), reason)),
            }
        };
        self.rows.into_iter().map(item).collect()
    }
}

/// One row in a page's buffer: where its key begins, its value, and where that ends.
struct Span {
    key: usize,
    value: usize,
    end: usize,
    what: What,
}

enum What {
    /// A live record, with its value in the buffer.
    Here(Version),
    /// One whose value stands apart.
    Apart(Version, Bytes),
    Marker(Version),
    Damaged(Reason),
}

impl FjallScan {
    /// A scan with options whose range and cursor were found to belong to `space`.
    pub(crate) fn new(
        core: &Core,
        space: Arc<Space>,
        tables: &Tables,
        options: ScanOptions,
    ) -> Self {
        let (range, mut position) = match options.after {
            Some(cursor) => (cursor.range, Some(cursor.position)),
            None => (options.range.unwrap_or_else(|| Range::all(space.scope().clone())), None),
        };
        let plan = Plan {
            range: range.clone(),
            rows: options.page_rows.max(1),
            keys_only: options.keys_only,
            markers: options.include_deleted,
        };
        let reading = Reading { snapshot: tables.moments.now(), rows: None };
        let reading = Arc::new(Mutex::new(Some(reading)));
        let mut expected = 0;
        let (source, room) = (Arc::clone(&reading), Arc::clone(&space));
        let read = move || {
            let mut source = source.lock();
            let Some(open) = source.as_mut() else { return Ok(None) };
            let tables = room.tables(Operation::Scan)?;
            let page = page(open, &tables, &plan, position.as_ref(), expected)?;
            match &page {
                Some(page) => {
                    position = Some(page.last.clone());
                    // Rows of one pinset are of much the same size.
                    let bytes = page.bytes.len();
                    expected = (bytes + bytes / 16).min(PAGE_BYTES + PAGE_BYTES / 16);
                }
                // So that a scan that is kept does not keep old rows.
                None => *source = None,
            }
            Ok(page)
        };
        let passes = Arc::clone(core.readers.passes());
        let pages = Ahead::new(passes, Box::new(read), |gone| lost(gone, Operation::Scan));
        Self { space, range, reading, pages, given: 0 }
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

/// Reads the page behind a place; `None` where there are no more rows. `expected` is how many
/// bytes it is likely to have.
fn page(
    reading: &mut Reading,
    tables: &Tables,
    plan: &Plan,
    position: Option<&Bytes>,
    expected: usize,
) -> Result<Option<Read>> {
    let failed = |error| engine_error(error, Operation::Scan);
    let look = Look { snapshot: reading.snapshot.clone(), tables };
    // After an error it begins where the page before has ended.
    let mut rows = match reading.rows.take() {
        Some(rows) => rows,
        None => match bounds(&plan.range, position) {
            Some(bounds) => look.snapshot.range(&tables.rows, bounds),
            None => return Ok(None),
        },
    };
    // What is read is copied at once: rows that others keep would keep their blocks, and whoever
    // frees those on another thread takes them from the one that reads the next.
    let mut buffer = Vec::with_capacity(expected);
    let mut spans: Vec<Span> = Vec::with_capacity(plan.rows.min(DEFAULT_PAGE_ROWS));
    let (mut seen, mut bytes, mut last) = (0, 0, None::<Slice>);
    while seen < plan.rows && bytes < PAGE_BYTES {
        let Some(row) = rows.next() else { break };
        let (name, row) = row.into_inner().map_err(failed)?;
        seen += 1;
        bytes += name.len() + row.len();
        let (what, value) = match Head::decode(&name, &row) {
            Err(reason) => (What::Damaged(reason), &row[..]),
            Ok(Head { body: Body::Marker, .. }) if !plan.markers => {
                last = Some(name);
                continue;
            }
            Ok(Head { body: Body::Marker, version }) => (What::Marker(version), &[][..]),
            Ok(Head { version, .. }) if plan.keys_only => (What::Here(version), &[][..]),
            Ok(Head { body: Body::Here(value), version }) => (What::Here(version), value),
            Ok(Head { body: Body::Apart { len, sum }, version }) => {
                match look.apart(&name, (len, sum)).map_err(failed)? {
                    Ok(value) => {
                        bytes += value.len();
                        (What::Apart(version, value), &[][..])
                    }
                    Err(reason) => (What::Damaged(reason), &[][..]),
                }
            }
        };
        let key = buffer.len();
        buffer.extend_from_slice(record_part(&name));
        let value_at = buffer.len();
        buffer.extend_from_slice(value);
        spans.push(Span { key, value: value_at, end: buffer.len(), what });
        last = Some(name);
    }
    let Some(last) = last else { return Ok(None) };
    reading.rows = Some(rows);
    let last = Bytes::copy_from_slice(record_part(&last));
    Ok(Some(Read { bytes: Bytes::from(buffer), rows: spans, last }))
}

#[async_trait]
impl Scan for FjallScan {
    async fn next(&mut self) -> Result<ScanStep> {
        if let Err(error) = self.space.tables(Operation::Scan) {
            *self.reading.lock() = None;
            return Err(error);
        }
        let Some(page) = self.pages.next().await? else {
            return Ok(ScanStep::End(ScanEnd::new(self.given)));
        };
        self.given += page.rows.len() as u64;
        let cursor = Cursor { range: self.range.clone(), position: page.last.clone() };
        Ok(ScanStep::Page(Page::new(page.items(), cursor)))
    }
}
