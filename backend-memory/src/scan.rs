//! One scan under way.

use std::ops::Bound;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use pinstate_core::{Cursor, Operation, Page, Range, Result, Scan, ScanEnd, ScanOptions, ScanStep};

use crate::namespace::Space;
use crate::table::{Shown, Snapshot};

/// Reads a snapshot in pages. Writers do not wait for it, nor does it wait for them.
pub(crate) struct MemoryScan {
    space: Arc<Space>,
    /// Let go of at the end, so that a scan that is kept does not keep old rows.
    snapshot: Option<Snapshot>,
    range: Range,
    /// The last row that was looked at.
    position: Option<Bytes>,
    page_rows: usize,
    shown: Shown,
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
            shown: Shown { keys_only: options.keys_only, markers: options.include_deleted },
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
}

#[async_trait]
impl Scan for MemoryScan {
    async fn next(&mut self) -> Result<ScanStep> {
        if let Err(error) = self.space.check(Operation::Scan) {
            self.snapshot = None;
            return Err(error);
        }
        let rows = self.snapshot.as_ref().map(|snapshot| {
            snapshot.page(self.start(), self.range.end.as_deref(), self.page_rows, self.shown)
        });
        let Some((items, last)) = rows.and_then(|rows| Some((rows.items, rows.last?))) else {
            self.snapshot = None;
            return Ok(ScanStep::End(ScanEnd::new(self.given)));
        };
        self.given += items.len() as u64;
        self.position = Some(last.clone());
        let cursor = Cursor { range: self.range.clone(), position: last };
        Ok(ScanStep::Page(Page::new(items, cursor)))
    }
}
