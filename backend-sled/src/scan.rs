//! Reading a range in pages, one page ahead of the consumer.

use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use pinstate_core::scan::DEFAULT_PAGE_ROWS;
use pinstate_core::{
    Cursor, Damaged, Key, Operation, Page, Range, Record, Result, Scan, ScanEnd, ScanItem,
    ScanOptions, ScanStep, Version,
};
use tokio::sync::oneshot;

use crate::engine::Engine;
use crate::error::{from_engine, panicked};
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
}

/// One row in a page's buffer.
struct Span {
    key: usize,
    value: usize,
    end: usize,
    row: std::result::Result<(Version, bool), &'static str>,
}

fn read_page(tree: &sled::Tree, start: &Bound<Bytes>, plan: &Plan) -> Result<Read> {
    let end = plan.end.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
    let nothing = Read { items: Vec::new(), last: None };
    if let (Bound::Included(start) | Bound::Excluded(start), Bound::Excluded(end)) = (start, &end)
        && start >= *end
    {
        return Ok(nothing);
    }
    let mut buffer = Vec::new();
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
    Ok(Read { items: spans.into_iter().map(item).collect(), last })
}

/// A scan of a range of one namespace.
pub(crate) struct SledScan {
    engine: Arc<Engine>,
    room: Arc<Room>,
    range: Range,
    plan: Arc<Plan>,
    /// Where the next page begins, or `None` once all was read.
    next: Option<Bound<Bytes>>,
    /// The next page, being read.
    ahead: Option<oneshot::Receiver<Result<Read>>>,
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
        let next = match (start, &range.start) {
            // A cursor from before the beginning of its range is none that we gave out.
            (Some(Bound::Excluded(position)), Some(start)) if position < *start => first,
            (Some(start), _) => start,
            (None, _) => first,
        };
        let plan = Arc::new(Plan {
            end: range.end.clone(),
            rows: options.page_rows.max(1),
            keys_only: options.keys_only,
            include_deleted: options.include_deleted,
        });
        Ok(Self { engine, room, range, plan, next: Some(next), ahead: None, rows: 0 })
    }

    /// The work of reading a page.
    fn page_at(&self, start: Bound<Bytes>) -> impl FnOnce() -> Result<Read> + Send + 'static {
        let (room, plan) = (Arc::clone(&self.room), Arc::clone(&self.plan));
        move || room.enter(Operation::Scan, |tree| read_page(tree, &start, &plan))
    }
}

#[async_trait]
impl Scan for SledScan {
    async fn next(&mut self) -> Result<ScanStep> {
        if self.ahead.is_none()
            && let Some(start) = self.next.clone()
        {
            self.ahead = Some(self.engine.start_scan(self.page_at(start)).await?);
        }
        let Some(ahead) = self.ahead.as_mut() else {
            return Ok(ScanStep::End(ScanEnd::new(self.rows)));
        };
        let answer = ahead.await;
        self.ahead = None;
        let Read { items, last } = answer.map_err(|_| panicked(Operation::Scan))??;
        self.rows += items.len() as u64;
        let position = match (&last, items.last()) {
            (Some(last), _) => last.clone(),
            (None, Some(Ok(Record { key, .. }) | Err(Damaged { key, .. }))) => {
                Bytes::copy_from_slice(key.as_bytes())
            }
            (None, None) => {
                self.next = None;
                return Ok(ScanStep::End(ScanEnd::new(self.rows)));
            }
        };
        self.next = last.map(Bound::Excluded);
        // Read while the consumer is busy with this page. Without room in the queue the
        // next call does it.
        if let Some(start) = self.next.clone() {
            self.ahead = self.engine.try_start_scan(self.page_at(start));
        }
        Ok(ScanStep::Page(Page::new(items, Cursor { range: self.range.clone(), position })))
    }
}

impl fmt::Debug for SledScan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SledScan").field("range", &self.range).finish_non_exhaustive()
    }
}
