//! One scan under way.

use std::ops::Bound;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use pinstate_core::{
    Cursor, Operation, Page, Range, RecordView, Result, Scan, ScanEnd, ScanOptions, ScanStep, Shown,
};

use crate::namespace::Space;
use crate::table::{Parts, Snapshot, page, show};
use crate::tree::Entry;

/// Reads a snapshot in pages. Writers do not wait for it, nor does it wait for them.
pub(crate) struct MemoryScan {
    space: Arc<Space>,
    /// Let go of at the end, so that a scan that is kept does not keep old rows.
    snapshot: Option<Snapshot>,
    range: Range,
    /// The last row that was looked at.
    position: Option<Bytes>,
    page_rows: usize,
    shown: Parts,
    given: u64,
}

impl MemoryScan {
    /// A scan with options whose range and cursor were found to belong to `space`.
    pub(crate) fn new(space: Arc<Space>, snapshot: Snapshot, options: ScanOptions) -> Self {
        let (range, position) = match options.after {
            Some(cursor) => (cursor.range, Some(cursor.position)),
            None => (options.range.unwrap_or_else(|| Range::all(space.scope().clone())), None),
        };
        Self {
            space,
            snapshot: Some(snapshot),
            range,
            position,
            page_rows: options.page_rows.max(1),
            shown: Parts { keys_only: options.keys_only, markers: options.include_deleted },
            given: 0,
        }
    }

    /// Where the next page begins: after the last row, and never before the range.
    fn start(&self) -> Bound<&[u8]> {
        match (&self.position, &self.range.start) {
            (Some(after), Some(start)) if after < start => Bound::Included(start),
            (Some(after), _) => Bound::Excluded(after),
            (None, Some(start)) => Bound::Included(start),
            (None, None) => Bound::Unbounded,
        }
    }

    /// The next rows, as they are `read` where there are any, with the place after them; at
    /// the end `None`.
    fn advance<T>(&mut self, read: impl FnOnce(&[&Entry]) -> T) -> Result<Option<(T, Cursor)>> {
        if let Err(error) = self.space.check(Operation::Scan) {
            self.snapshot = None;
            return Err(error);
        }
        let (start, end) = (self.start(), self.range.end.as_deref());
        let rows = self.snapshot.as_ref().map(|snapshot| snapshot.rows(start, end, self.page_rows));
        let rows = rows.unwrap_or_default();
        let Some((last, _)) = rows.last() else {
            self.snapshot = None;
            return Ok(None);
        };
        let (read, position) = (read(&rows), last.to_bytes());
        self.position = Some(position.clone());
        Ok(Some((read, Cursor { range: self.range.clone(), position })))
    }

    fn end(&self) -> ScanEnd {
        ScanEnd::new(self.given)
    }
}

#[async_trait]
impl Scan for MemoryScan {
    async fn next(&mut self) -> Result<ScanStep> {
        let shown = self.shown;
        let Some((items, cursor)) = self.advance(|rows| page(rows, shown))? else {
            return Ok(ScanStep::End(self.end()));
        };
        self.given += items.len() as u64;
        Ok(ScanStep::Page(Page::new(items, cursor)))
    }

    fn show(&mut self, look: &mut dyn FnMut(RecordView<'_>)) -> Option<Result<Shown>> {
        if self.shown.keys_only || self.shown.markers {
            return None;
        }
        let shown = self.advance(|rows| show(rows, look));
        Some(shown.map(|shown| match shown {
            Some((rows, cursor)) => {
                self.given += rows;
                Shown::Rows(rows, cursor)
            }
            None => Shown::End(self.end()),
        }))
    }
}
