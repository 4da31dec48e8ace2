//! Scans that are broken on purpose.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use pinstate_core::{
    CheckedScan, Cursor, Namespace, Page, Range, RecordView, Result, Scan, ScanEnd, ScanItem,
    ScanOptions, ScanStep, Shown,
};

use crate::{Bug, pins};

pub(crate) struct BrokenScan {
    inner: Box<dyn Scan>,
    namespace: Arc<dyn Namespace>,
    options: ScanOptions,
    bug: Bug,
    /// Rows that come first and should not.
    first: Vec<ScanItem>,
    /// A page that was read and not yet given.
    ahead: Option<Page>,
    last: Option<ScanItem>,
    given: u64,
    turn: u64,
    ended: bool,
    /// How many scans are under way, this one included.
    scans: Option<Arc<AtomicUsize>>,
    /// Values that are held and not needed.
    held: Vec<Vec<u8>>,
}

impl Drop for BrokenScan {
    fn drop(&mut self) {
        let kept = self.bug == Bug::BrokenExportBlocks && !self.ended;
        if let Some(scans) = self.scans.as_ref().filter(|_| !kept) {
            scans.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

impl BrokenScan {
    pub(crate) fn new(
        inner: Box<dyn Scan>,
        namespace: Arc<dyn Namespace>,
        options: ScanOptions,
        bug: Bug,
        first: Vec<ScanItem>,
    ) -> Self {
        Self {
            inner,
            namespace,
            options,
            bug,
            first,
            ahead: None,
            last: None,
            given: 0,
            turn: 0,
            ended: false,
            scans: None,
            held: Vec::new(),
        }
    }

    /// Counts the scan among those under way until it is dropped.
    pub(crate) fn counted(mut self, scans: Arc<AtomicUsize>) -> Self {
        scans.fetch_add(1, Ordering::SeqCst);
        self.scans = Some(scans);
        self
    }

    fn end(&self, hidden: usize) -> ScanStep {
        ScanStep::End(ScanEnd::new(self.given + hidden as u64))
    }

    fn give(&mut self, mut page: Page) -> ScanStep {
        if !self.first.is_empty() {
            let mut items = std::mem::take(&mut self.first);
            items.append(&mut page.items);
            items.truncate(self.options.page_rows.max(1));
            page.items = items;
        }
        match self.bug {
            Bug::PageRepeatsRow => {
                let last = std::mem::replace(&mut self.last, page.items.last().cloned());
                if let Some(last) = last {
                    page.items.insert(0, last);
                    page.items.truncate(self.options.page_rows.max(1));
                }
            }
            Bug::UndecodableSkipped | Bug::TypesLostInLists => {
                let bug = self.bug;
                page.items.retain(|row| row.as_ref().map_or(true, |row| pins::is_listed(bug, row)));
                page.items.iter_mut().flatten().for_each(|row| pins::listed(bug, row));
            }
            Bug::LongValuesInKeyScans if self.options.keys_only => {
                for row in page.items.iter_mut().flatten().filter(|row| row.value.len() < 1_024) {
                    row.value = Bytes::new();
                }
            }
            Bug::PagesBackwards => page.items.reverse(),
            Bug::ScansShareRows => {
                let scans = self.scans.as_ref().map_or(1, |scans| scans.load(Ordering::SeqCst));
                if scans > 1 && self.turn > 1 {
                    page.items.pop();
                }
            }
            Bug::ScanTearsRows => {
                if let [Ok(one), Ok(two), ..] = page.items.as_mut_slice() {
                    std::mem::swap(&mut one.value, &mut two.value);
                }
            }
            Bug::ScanStopsAtAThousand => {
                let left = 1_000_u64.saturating_sub(self.given);
                page.items.truncate(usize::try_from(left).unwrap());
                if page.items.is_empty() {
                    return self.end(0);
                }
            }
            _ => {}
        }
        self.given += page.items.len() as u64;
        ScanStep::Page(page)
    }
}

#[async_trait]
impl Scan for BrokenScan {
    fn show(&mut self, look: &mut dyn FnMut(RecordView<'_>)) -> Option<Result<Shown>> {
        let mut first = true;
        match self.bug {
            Bug::ShowLosesRow => self.inner.show(&mut |row| {
                if !std::mem::take(&mut first) {
                    look(row);
                }
            }),
            Bug::ShowStaysBehind => self.inner.show(&mut |row| {
                self.first = vec![Ok(row.to_record())];
                look(row);
            }),
            Bug::CutOffShowEnds => match self.inner.show(look)? {
                Ok(Shown::Rows(rows, cursor)) => {
                    self.given += rows;
                    Some(Ok(Shown::Rows(rows, cursor)))
                }
                _ => Some(Ok(Shown::End(ScanEnd::new(self.given)))),
            },
            _ => None,
        }
    }

    async fn next(&mut self) -> Result<ScanStep> {
        self.turn += 1;
        if self.bug == Bug::TinyPages && !self.ended && self.turn.is_multiple_of(2) {
            let range = Range::all(self.namespace.scope().clone());
            let cursor = self.options.after.clone().unwrap_or_else(|| Cursor {
                range: self.options.range.clone().unwrap_or(range),
                position: Bytes::new(),
            });
            return Ok(ScanStep::Page(Page::new(Vec::new(), cursor)));
        }
        if self.bug == Bug::ScanCopiesAll && self.turn == 1 {
            let whole = CheckedScan::new(self.namespace.scan(self.options.clone()).await?);
            let rows = whole.collect().await?;
            self.held = rows.into_iter().flatten().map(|row| row.value.to_vec()).collect();
        }
        if self.bug == Bug::ScanOfManyMoments {
            self.inner = self.namespace.scan(self.options.clone()).await?;
        }
        if self.bug == Bug::PagesByOffset {
            self.options.after = None;
            let rows = self.namespace.scan(self.options.clone()).await?;
            let rows = CheckedScan::new(rows).collect().await?;
            let given = usize::try_from(self.given).unwrap();
            let items: Vec<ScanItem> =
                rows.into_iter().skip(given).take(self.options.page_rows.max(1)).collect();
            let Some(Ok(last)) = items.last() else { return Ok(self.end(0)) };
            let cursor = self.namespace.cursor_after(&last.key);
            return Ok(self.give(Page::new(items, cursor)));
        }
        if self.bug == Bug::ScanIsOnePage && self.turn == 1 {
            let whole = CheckedScan::new(self.namespace.scan(self.options.clone()).await?);
            let items = whole.collect().await?;
            let Some(Ok(last)) = items.last() else { return Ok(self.end(0)) };
            let cursor = self.namespace.cursor_after(&last.key);
            return Ok(self.give(Page::new(items, cursor)));
        }
        if self.bug == Bug::ScanIsOnePage {
            return Ok(self.end(0));
        }
        let step = match self.inner.next().await {
            Err(_) if self.bug == Bug::CutOffScanEnds => return Ok(self.end(0)),
            step => step?,
        };
        match step {
            ScanStep::Page(page) => {
                self.options.after = Some(page.cursor.clone());
                if self.bug == Bug::DroppedPageIsLost {
                    tokio::task::yield_now().await;
                }
                if matches!(self.bug, Bug::ScanEndsEarly | Bug::ScanEndsShort) {
                    return match self.ahead.replace(page) {
                        Some(page) => Ok(self.give(page)),
                        None => self.next().await,
                    };
                }
                Ok(self.give(page))
            }
            ScanStep::End(end) => {
                self.ended = true;
                if let Some(left_out) = self.ahead.take() {
                    let hidden =
                        if self.bug == Bug::ScanEndsShort { left_out.items.len() } else { 0 };
                    return Ok(self.end(hidden));
                }
                Ok(match self.bug {
                    Bug::UndecodableSkipped
                    | Bug::DroppedPageIsLost
                    | Bug::ScansShareRows
                    | Bug::CursorInclusive
                    | Bug::PageRepeatsRow
                    | Bug::DeletedIsListed
                    | Bug::ScanEndsEarly
                    | Bug::ScanEndsShort
                    | Bug::ScanStopsAtAThousand
                    | Bug::ScanOfManyMoments => self.end(0),
                    _ => ScanStep::End(end),
                })
            }
        }
    }
}
