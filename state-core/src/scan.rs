//! Reading a range in pages, with an end that cannot be mistaken.

use async_trait::async_trait;
use bytes::Bytes;

use crate::error::{Error, ErrorKind, Operation, Result};
use crate::range::{Cursor, Range};
use crate::record::{Key, Record, RecordView};

/// Rows in a page unless asked otherwise.
pub const DEFAULT_PAGE_ROWS: usize = 1_000;

/// A row whose stored bytes the backend cannot read.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Damaged {
    /// Its key.
    pub key: Key,
    /// What is stored, as it is.
    pub raw: Bytes,
    /// What is wrong with it.
    pub reason: String,
}

impl Damaged {
    /// A damaged row.
    #[must_use]
    pub fn new(key: Key, raw: Bytes, reason: impl Into<String>) -> Self {
        Self { key, raw, reason: reason.into() }
    }
}

/// One row of a scan. A damaged row does not end the scan and is never left out.
pub type ScanItem = std::result::Result<Record, Damaged>;

/// Consecutive rows.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Page {
    /// The rows; none is legal and does not mean the end.
    pub items: Vec<ScanItem>,
    /// The place after the last row: a scan `after` it goes on without loss or repetition,
    /// also when that row has been deleted, after reopening, and in another process.
    pub cursor: Cursor,
}

impl Page {
    /// A page.
    #[must_use]
    pub fn new(items: Vec<ScanItem>, cursor: Cursor) -> Self {
        Self { items, cursor }
    }
}

/// The end of a scan: the only thing that means "complete".
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct ScanEnd {
    /// How many rows this scan gave, damaged ones included.
    pub rows: u64,
}

impl ScanEnd {
    /// The end after so many rows.
    #[must_use]
    pub const fn new(rows: u64) -> Self {
        Self { rows }
    }
}

/// What [`Scan::next`] gives.
#[derive(Clone, Debug)]
pub enum ScanStep {
    /// More rows.
    Page(Page),
    /// All rows were given.
    End(ScanEnd),
}

/// What [`Scan::show`] gives.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Shown {
    /// So many rows were shown, the last before this place.
    Rows(u64, Cursor),
    /// All rows were given or shown.
    End(ScanEnd),
}

/// A scan under way. Dropping it frees what it holds.
#[async_trait]
pub trait Scan: Send {
    /// The next page, or the end.
    ///
    /// There is no way to stop without saying so: what is neither a page nor an end is an
    /// error. An error leaves the scan where it was, so that calling again tries the same
    /// page; so does dropping the future. After the end it gives the end again.
    async fn next(&mut self) -> Result<ScanStep>;

    /// Shows the rows of the next page where they stand, each once and in order, and goes on
    /// after them as [`next`](Self::next) does; an error too is as there.
    ///
    /// For a store that has its rows in memory: it copies nothing, and must not wait. `None`,
    /// which is what all others say, shows nothing and means that only `next` can go on; so
    /// whoever forgets this in a wrapper is slower, and as right as before. A scan may show
    /// one page and give the other, and say `None` at any time, as where it is to give more
    /// than live records, or less than whole ones.
    fn show(&mut self, look: &mut dyn FnMut(RecordView<'_>)) -> Option<Result<Shown>> {
        _ = look;
        None
    }
}

/// Options of [`scan`](crate::Namespace::scan).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ScanOptions {
    /// The part to read; `None` for the whole namespace.
    pub range: Option<Range>,
    /// Go on after this place. Its own range takes the place of `range`.
    pub after: Option<Cursor>,
    /// Most rows in a page, at least 1; a store may give fewer.
    pub page_rows: usize,
    /// Leave values out.
    pub keys_only: bool,
    /// Give delete markers too.
    pub include_deleted: bool,
}

impl Default for ScanOptions {
    fn default() -> Self {
        Self {
            range: None,
            after: None,
            page_rows: DEFAULT_PAGE_ROWS,
            keys_only: false,
            include_deleted: false,
        }
    }
}

impl ScanOptions {
    /// The whole namespace, with values, in pages of [`DEFAULT_PAGE_ROWS`].
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads this part only.
    #[must_use]
    pub fn with_range(mut self, range: Range) -> Self {
        self.range = Some(range);
        self
    }

    /// Goes on after a place.
    #[must_use]
    pub fn with_after(mut self, after: Cursor) -> Self {
        self.after = Some(after);
        self
    }

    /// Sets the page size in rows; 0 counts as 1.
    #[must_use]
    pub fn with_page_rows(mut self, rows: usize) -> Self {
        self.page_rows = rows.max(1);
        self
    }

    /// Leaves values out.
    #[must_use]
    pub fn keys_only(mut self) -> Self {
        self.keys_only = true;
        self
    }

    /// Gives delete markers too.
    #[must_use]
    pub fn include_deleted(mut self) -> Self {
        self.include_deleted = true;
        self
    }
}

/// A scan whose end is checked against the rows that were seen.
pub struct CheckedScan {
    inner: Box<dyn Scan>,
    seen: u64,
}

impl CheckedScan {
    /// Watches `inner`.
    #[must_use]
    pub fn new(inner: Box<dyn Scan>) -> Self {
        Self { inner, seen: 0 }
    }

    /// The next page, or `None` once the scan is complete. An end that does not fit the
    /// rows seen is a `Corrupt` error.
    pub async fn next_page(&mut self) -> Result<Option<Page>> {
        match self.inner.next().await? {
            ScanStep::Page(page) => {
                self.seen += page.items.len() as u64;
                Ok(Some(page))
            }
            ScanStep::End(end) => self.check(end).map(|()| None),
        }
    }

    /// Shows the rows of the next page where they stand and gives the place after them, or
    /// `Some(None)` once the scan is complete; `None` where the store [cannot](Scan::show).
    pub fn show_page(
        &mut self,
        look: &mut dyn FnMut(RecordView<'_>),
    ) -> Option<Result<Option<Cursor>>> {
        Some(match self.inner.show(look)? {
            Ok(Shown::Rows(rows, cursor)) => {
                self.seen += rows;
                Ok(Some(cursor))
            }
            Ok(Shown::End(end)) => self.check(end).map(|()| None),
            Err(error) => Err(error),
        })
    }

    fn check(&self, end: ScanEnd) -> Result<()> {
        if end.rows == self.seen {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Corrupt,
            Operation::Scan,
            format!("the scan ended after {} rows and says it gave {}", self.seen, end.rows),
        ))
    }

    /// How many rows were seen.
    #[must_use]
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// Reads to the end and gives every row: for small namespaces and tests.
    pub async fn collect(mut self) -> Result<Vec<ScanItem>> {
        let mut items = Vec::new();
        while let Some(page) = self.next_page().await? {
            items.extend(page.items);
        }
        Ok(items)
    }
}

impl std::fmt::Debug for CheckedScan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CheckedScan").field("seen", &self.seen).finish_non_exhaustive()
    }
}
