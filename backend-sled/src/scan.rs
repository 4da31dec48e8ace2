//! Reading a range in pages, a few of them ahead of the consumer.

use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use pinstate_core::scan::DEFAULT_PAGE_ROWS;
use pinstate_core::{
    Cursor, Damaged, Error, Key, Operation, Page, Range, Record, Result, Scan, ScanEnd, ScanItem,
    ScanOptions, ScanStep, Version,
};
use pinstate_embedded::Ahead;

use crate::engine::{Engine, explain};
use crate::error::from_engine;
use crate::format::Row;
use crate::room::Room;

/// A page ends after this many bytes of keys and values.
const PAGE_BYTES: usize = 1 << 20;
/// A page ends after looking at this many rows for each that was asked for, so that a run
/// of delete markers does not keep a worker busy for long.
const LOOKED_AT: usize = 16;

/// What a page is made of.
struct Plan {
    end: Option<Bytes>,
    rows: usize,
    keys_only: bool,
    include_deleted: bool,
}

/// A page that was read.
struct Read {
    items: Vec<ScanItem>,
    /// The last key that was looked at, or `None` at the end of the range.
    last: Option<Bytes>,
    /// Bytes of keys and values.
    bytes: usize,
}

/// One row in a page's buffer.
struct Span {
    key: usize,
    value: usize,
    end: usize,
    row: std::result::Result<(Version, bool), &'static str>,
}

/// Reads a page; `expected` is how many bytes it is likely to have.
fn read_page(
    tree: &sled::Tree,
    start: &Bound<Bytes>,
    plan: &Plan,
    expected: usize,
) -> Result<Read> {
    let end = plan.end.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
    let nothing = Read { items: Vec::new(), last: None, bytes: 0 };
    if let (Bound::Included(start) | Bound::Excluded(start), Bound::Excluded(end)) = (start, &end)
        && start >= *end
    {
        return Ok(nothing);
    }
    let mut buffer = Vec::with_capacity(expected);
    let mut spans: Vec<Span> = Vec::with_capacity(plan.rows.min(DEFAULT_PAGE_ROWS));
    let mut last = None;
    let mut looked_at = 0;
    for item in tree.range::<&[u8], _>((start.as_ref().map(|k| &**k), end.map(|k| &**k))) {
        let (key, stored) = item.map_err(|e| from_engine(e, Operation::Scan))?;
        looked_at += 1;
        let (row, value) = match Row::decode(&stored) {
            Ok(Row { value: Some(value), version }) => (Ok((version, false)), value),
            Ok(Row { value: None, version }) => (Ok((version, true)), &[][..]),
            Err(reason) => (Err(reason), &*stored),
        };
        if plan.include_deleted || !matches!(row, Ok((_, true))) {
            let key_at = buffer.len();
            buffer.extend_from_slice(&key);
            let value_at = buffer.len();
            if !plan.keys_only || row.is_err() {
                buffer.extend_from_slice(value);
            }
            spans.push(Span { key: key_at, value: value_at, end: buffer.len(), row });
        }
        let full = spans.len() >= plan.rows || buffer.len() >= PAGE_BYTES;
        if full || looked_at >= plan.rows.saturating_mul(LOOKED_AT) {
            last = Some(Bytes::copy_from_slice(&key));
            break;
        }
    }
    let bytes = buffer.len();
    let buffer = Bytes::from(buffer);
    let item = |span: Span| {
        let key = Key::new(buffer.slice(span.key..span.value));
        let value = buffer.slice(span.value..span.end);
        match span.row {
            Ok((version, false)) => Ok(Record::live(key, value, version)),
            Ok((version, true)) => Ok(Record::marker(key, version)),
            Err(reason) => Err(Damaged::new(key, value, reason)),
        }
    };
    Ok(Read { items: spans.into_iter().map(item).collect(), last, bytes })
}

/// A scan of a range of one namespace.
pub(crate) struct SledScan {
    range: Range,
    /// As long as somebody scans, the store stays open.
    _engine: Arc<Engine>,
    pages: Ahead<Read, Error>,
    rows: u64,
}

impl SledScan {
    /// Begins a scan, having checked that range and cursor belong here.
    pub(crate) fn new(engine: Arc<Engine>, room: Arc<Room>, options: ScanOptions) -> Result<Self> {
        let (range, start) = match options.after {
            Some(Cursor { range, position }) => (range, Some(Bound::Excluded(position))),
            None => (options.range.unwrap_or_else(|| Range::all(room.scope.clone())), None),
        };
        room.scope.check(&range.scope)?;
        let first = range.start.clone().map_or(Bound::Unbounded, Bound::Included);
        let start = match (start, &range.start) {
            // A cursor from before the beginning of its range is none that we gave out.
            (Some(Bound::Excluded(position)), Some(start)) if position < *start => first,
            (Some(start), _) => start,
            (None, _) => first,
        };
        let plan = Plan {
            end: range.end.clone(),
            rows: options.page_rows.max(1),
            keys_only: options.keys_only,
            include_deleted: options.include_deleted,
        };
        let (mut next, mut expected) = (Some(start), 0);
        let read = move || {
            let Some(start) = &next else { return Ok(None) };
            let page =
                room.enter(Operation::Scan, |tree| read_page(tree, start, &plan, expected))?;
            next = page.last.clone().map(Bound::Excluded);
            // Rows of one pinset are of much the same size.
            expected = (page.bytes + page.bytes / 16).min(PAGE_BYTES + PAGE_BYTES / 16);
            Ok(Some(page))
        };
        let scanners = Arc::clone(engine.scanners());
        let pages = Ahead::new(scanners, Box::new(read), |lost| explain(lost, Operation::Scan));
        Ok(Self { range, _engine: engine, pages, rows: 0 })
    }
}

#[async_trait]
impl Scan for SledScan {
    async fn next(&mut self) -> Result<ScanStep> {
        let Some(Read { items, last, .. }) = self.pages.next().await? else {
            return Ok(ScanStep::End(ScanEnd::new(self.rows)));
        };
        self.rows += items.len() as u64;
        let position = match (last, items.last()) {
            (Some(last), _) => last,
            (None, Some(Ok(Record { key, .. }) | Err(Damaged { key, .. }))) => {
                Bytes::copy_from_slice(key.as_bytes())
            }
            (None, None) => return Ok(ScanStep::End(ScanEnd::new(self.rows))),
        };
        Ok(ScanStep::Page(Page::new(items, Cursor { range: self.range.clone(), position })))
    }
}

impl fmt::Debug for SledScan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SledScan").field("range", &self.range).finish_non_exhaustive()
    }
}
