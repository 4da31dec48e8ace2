//! Listing pins.

use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, Stream, StreamExt};

use super::PinFilter;
use crate::error::{Error, Result};
use crate::format::Fault;
use crate::namespace::Namespace;
use crate::pin::PinView;
use crate::range::{Cursor, Range};
use crate::record::{Key, Record, RecordView, Version};
use crate::scan::{CheckedScan, DEFAULT_PAGE_ROWS, Damaged, ScanOptions};

/// A pin as it is stored; [`view`](StoredPin::view) reads it without copying.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredPin {
    /// The CID's bytes.
    pub key: Key,
    /// The protobuf value, verbatim.
    pub value: Bytes,
    /// The version of the write that stored it.
    pub version: Version,
}

/// A stored record that is no readable pin.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BadPin {
    /// Its key.
    pub key: Key,
    /// What is stored, as it is.
    pub raw: Bytes,
    /// What is wrong with it.
    pub fault: Fault,
}

impl BadPin {
    fn new(record: Record, fault: Fault) -> Self {
        Self { key: record.key, raw: record.value, fault }
    }
}

impl From<Damaged> for BadPin {
    fn from(damaged: Damaged) -> Self {
        Self { key: damaged.key, raw: damaged.raw, fault: Fault::whole(damaged.reason) }
    }
}

/// One item of a list. A bad pin is shown whatever the filter: nobody can say that it does
/// not match.
pub type ListItem = std::result::Result<StoredPin, BadPin>;

/// Options of [`State::list`](super::State::list).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ListOptions {
    /// Which pins.
    pub filter: PinFilter,
    /// Most items; `None` for all.
    pub limit: Option<u64>,
    /// Go on after this place.
    pub after: Option<Cursor>,
    /// A part of the namespace only.
    pub range: Option<Range>,
    /// Records that are read at a time.
    pub page_rows: usize,
}

impl Default for ListOptions {
    fn default() -> Self {
        Self {
            filter: PinFilter::new(),
            limit: None,
            after: None,
            range: None,
            page_rows: DEFAULT_PAGE_ROWS,
        }
    }
}

impl ListOptions {
    /// Every pin.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the filter.
    #[must_use]
    pub fn with_filter(mut self, filter: PinFilter) -> Self {
        self.filter = filter;
        self
    }

    /// Sets the most items.
    #[must_use]
    pub fn with_limit(mut self, limit: u64) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Goes on after a place.
    #[must_use]
    pub fn with_after(mut self, after: Cursor) -> Self {
        self.after = Some(after);
        self
    }

    /// Lists a part of the namespace.
    #[must_use]
    pub fn with_range(mut self, range: Range) -> Self {
        self.range = Some(range);
        self
    }
}

/// Consecutive items of a list.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ListPage {
    /// The items; none is legal and does not mean the end.
    pub items: Vec<ListItem>,
    /// The place after them.
    pub cursor: Cursor,
}

/// A list under way. Dropping it stops it.
#[derive(Debug)]
pub struct PinList {
    namespace: Arc<dyn Namespace>,
    scan: CheckedScan,
    filter: PinFilter,
    left: Option<u64>,
}

impl PinList {
    pub(super) async fn open(namespace: Arc<dyn Namespace>, options: ListOptions) -> Result<Self> {
        let mut scan = ScanOptions::new().with_page_rows(options.page_rows);
        scan.range = options.range;
        scan.after = options.after;
        let scan = CheckedScan::new(namespace.scan(scan).await?);
        Ok(Self { namespace, scan, filter: options.filter, left: options.limit })
    }

    /// The next items, or `None` at the end of the list or at its limit.
    ///
    /// # Errors
    /// The store's; the list stays where it was, and calling again tries again.
    pub async fn next_page(&mut self) -> Result<Option<ListPage>> {
        if self.left == Some(0) {
            return Ok(None);
        }
        let Some(page) = self.scan.next_page().await? else { return Ok(None) };
        let mut cursor = page.cursor;
        let mut items = Vec::with_capacity(page.items.len());
        for item in page.items {
            let item = match item {
                Ok(record) => match PinView::new(record.key.as_bytes(), &record.value) {
                    Ok(view) if !self.filter.matches(&view) => continue,
                    Ok(_) => Ok(StoredPin::from(record)),
                    Err(fault) => Err(BadPin::new(record, fault)),
                },
                Err(damaged) => Err(BadPin::from(damaged)),
            };
            let last = is_last(&mut self.left);
            if last {
                let (Ok(StoredPin { key, .. }) | Err(BadPin { key, .. })) = &item;
                cursor = self.after(key, cursor);
            }
            items.push(item);
            if last {
                break;
            }
        }
        Ok(Some(ListPage { items, cursor }))
    }

    /// Shows the next items to `look`, each as it is read, and gives the place after them;
    /// `None` at the end of the list or at its limit.
    ///
    /// A pin is checked once, and copied nowhere if the store can [show](crate::Scan::show)
    /// its rows: a loop over a whole pinset in memory that looks at a few fields of each pin
    /// is done in half of the time that [`next_page`](Self::next_page) and
    /// [`StoredPin::view`] take.
    ///
    /// # Errors
    /// The store's; the list stays where it was, and calling again tries again.
    pub async fn next_views(
        &mut self,
        mut look: impl FnMut(std::result::Result<PinView<'_>, BadPin>),
    ) -> Result<Option<Cursor>> {
        if self.left == Some(0) {
            return Ok(None);
        }
        // What is behind the limit is passed over, since a page is shown whole.
        let mut last = None;
        let mut show = |row: std::result::Result<RecordView<'_>, &Damaged>| {
            if last.is_some() {
                return;
            }
            let key = match row {
                Ok(row) => {
                    match PinView::new(row.key, row.value) {
                        Ok(view) if !self.filter.matches(&view) => return,
                        Ok(view) => look(Ok(view)),
                        Err(fault) => look(Err(BadPin::new(row.to_record(), fault))),
                    }
                    row.key
                }
                Err(damaged) => {
                    look(Err(BadPin::from(damaged.clone())));
                    damaged.key.as_bytes()
                }
            };
            if is_last(&mut self.left) {
                last = Some(Key::copy_from(key));
            }
        };
        let shown = self.scan.show_page(&mut |row| show(Ok(row)));
        let cursor = match shown {
            Some(cursor) => cursor?,
            None => self.scan.next_page().await?.map(|page| {
                for item in &page.items {
                    show(item.as_ref().map(Record::view));
                }
                page.cursor
            }),
        };
        Ok(cursor.map(|cursor| match last {
            Some(key) => self.after(&key, cursor),
            None => cursor,
        }))
    }

    /// The place after the limit's last item, which is where the page ends: its own cursor is
    /// beyond what was left unread.
    fn after(&self, key: &Key, page: Cursor) -> Cursor {
        Cursor { position: self.namespace.cursor_after(key).position, ..page }
    }

    /// The items one by one. An `Err` ends the stream; a stream that ends without one is
    /// complete.
    pub fn into_stream(self) -> impl Stream<Item = Result<ListItem, Error>> + Send {
        let pages = stream::unfold(Some(self), |list| async move {
            let mut list = list?;
            match list.next_page().await {
                Ok(Some(page)) => {
                    let items: Vec<_> = page.items.into_iter().map(Ok).collect();
                    Some((items, Some(list)))
                }
                Ok(None) => None,
                Err(error) => Some((vec![Err(error)], None)),
            }
        });
        pages.map(stream::iter).flatten()
    }
}

/// Counts an item that is given: whether it is the last one that the limit lets through.
fn is_last(left: &mut Option<u64>) -> bool {
    let Some(left) = left else { return false };
    *left -= 1;
    *left == 0
}
