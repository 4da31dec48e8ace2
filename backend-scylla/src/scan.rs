//! Scanning a range: slices of it are read ahead, several at a time where the consumer is
//! faster than the servers, and given out in order.
//!
//! A slice is about a page of rows, by how densely rows lay so far, and ends where other
//! replicas begin. A slice that holds more than was thought is read to its end before the
//! next one is given out. What is remembered between pages is the last token and key, and
//! never a server's mark, which any other query would take as well.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use pinstate_core::{
    Cursor, Error, ErrorKind, Operation, Outcome, Page, Range, Result, Scan, ScanEnd, ScanItem,
    ScanOptions, ScanStep,
};
use tokio::task::JoinHandle;

use crate::core::Core;
use crate::error::error;
use crate::page::{Place, Read, Want, read};
use crate::ring::{FIRST, LAST, decode, encode};
use crate::room::Room;

/// Most slices that are read ahead.
const MOST_AHEAD: usize = 4;

/// A scan of a range of one namespace.
pub(crate) struct ScyllaScan {
    core: Arc<Core>,
    room: Arc<Room>,
    range: Range,
    want: Want,
    page_rows: usize,
    /// The last token of the range.
    last: i64,
    /// Where the first slice that was not begun starts.
    next: Option<Place>,
    /// What was begun, in order.
    ahead: VecDeque<Slice>,
    /// Rows that are there, to be given out.
    ready: std::vec::IntoIter<ScanItem>,
    /// Everything up to this token was read once `ready` is given out.
    read_up_to: Option<i64>,
    /// How many slices to read ahead.
    depth: usize,
    density: Density,
    rows: u64,
}

/// A part of the range that is being read.
struct Slice {
    from: Place,
    last: i64,
    task: Option<JoinHandle<Result<Read>>>,
}

impl Drop for Slice {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

/// How densely rows lay so far.
#[derive(Debug, Default)]
struct Density {
    rows: f64,
    tokens: f64,
}

impl Density {
    fn saw(&mut self, rows: u64, from: i64, to: i64) {
        self.rows += rows as f64;
        self.tokens += from.abs_diff(to) as f64 + 1.0;
    }

    /// How many tokens hold about so many rows; all of them as long as nothing is known.
    fn width(&self, rows: u32) -> u64 {
        if self.rows < 1.0 {
            return u64::MAX;
        }
        // A little less, so that most slices are done in one page.
        let width = 0.9 * f64::from(rows) * self.tokens / self.rows;
        // Casting a number that is too large gives the largest.
        (width as u64).max(1)
    }
}

fn bad(what: &'static str) -> Error {
    error(ErrorKind::InvalidInput, Operation::Scan, what).with_outcome(Outcome::NotApplied)
}

/// The first and the last token of a range, or `None` where it is empty.
fn bounds(range: &Range) -> Result<Option<(i64, i64)>> {
    let token = |bytes: &Bytes| {
        decode(bytes).map(|(token, _)| token).ok_or_else(|| bad("the range's bounds are no tokens"))
    };
    let first = range.start.as_ref().map(token).transpose()?.unwrap_or(FIRST).max(FIRST);
    let last = match range.end.as_ref().map(token).transpose()? {
        None => LAST,
        Some(end) if end <= FIRST => return Ok(None),
        Some(end) => end - 1,
    };
    Ok((first <= last).then_some((first, last)))
}

/// Where a scan goes on from a cursor's position; `None` behind the last token.
fn place_after(position: &Bytes) -> Result<Option<Place>> {
    let (token, key) = decode(position).ok_or_else(|| bad("the cursor's position is no token"))?;
    if token < FIRST {
        return Ok(Some(Place { token: FIRST, key: None }));
    }
    if key.is_empty() {
        return Ok(token.checked_add(1).map(|token| Place { token, key: None }));
    }
    Ok(Some(Place { token, key: Some(Bytes::copy_from_slice(key)) }))
}

/// The position of a cursor right behind a key.
pub(crate) fn position_of(key: &[u8]) -> Bytes {
    let token = encode(crate::ring::token_of(key));
    [&token[..], key].concat().into()
}

impl ScyllaScan {
    /// Begins a scan, having checked that range and cursor belong here.
    pub(crate) fn new(core: Arc<Core>, room: Arc<Room>, options: ScanOptions) -> Result<Self> {
        let (range, after) = match options.after {
            Some(Cursor { range, position }) => (range, Some(position)),
            None => (options.range.unwrap_or_else(|| Range::all(room.scope.clone())), None),
        };
        room.scope
            .check(&range.scope)
            .map_err(|error| error.with_backend(crate::error::BACKEND))?;
        let bounds = bounds(&range)?;
        let after = after.map(|position| place_after(&position)).transpose()?;
        let (mut next, mut last) = (None, FIRST);
        if let Some((first, end)) = bounds {
            last = end;
            let begin = Some(Place { token: first, key: None });
            next = match after {
                None => begin,
                // A cursor from before its range is none that we gave out.
                Some(Some(place)) if place.token < first => begin,
                Some(place) => place.filter(|place| place.token <= end),
            };
        }
        let want = Want {
            keys_only: options.keys_only,
            include_deleted: options.include_deleted,
            most: core.config.page_size,
        };
        Ok(Self {
            core,
            room,
            range,
            want,
            page_rows: options.page_rows.max(1),
            last,
            next,
            ahead: VecDeque::new(),
            ready: Vec::new().into_iter(),
            read_up_to: None,
            depth: 1,
            density: Density::default(),
            rows: 0,
        })
    }

    fn start(&self, from: &Place, last: i64) -> JoinHandle<Result<Read>> {
        let (core, room) = (Arc::clone(&self.core), Arc::clone(&self.room));
        let (from, want) = (from.clone(), self.want);
        tokio::spawn(async move { read(&core, &room, &from, last, want).await })
    }

    /// Begins slices until there are as many as wanted.
    async fn fill(&mut self) -> Result<()> {
        while self.ahead.len() < self.depth {
            let Some(from) = self.next.clone() else { return Ok(()) };
            let session = self.core.session(Operation::Scan)?;
            let ring = self.room.ring(&self.core, &session).await;
            let rows = self.room.pace.of(self.want.keys_only).rows(self.want.most);
            let width = self.density.width(rows);
            // Nothing is known yet: all that is left, of which one page will come.
            let last = if width == u64::MAX { self.last } else { ring.cut(from.token, width) };
            let last = last.min(self.last);
            let task = Some(self.start(&from, last));
            self.next = (last < self.last).then(|| Place { token: last + 1, key: None });
            self.ahead.push_back(Slice { from, last, task });
        }
        Ok(())
    }

    /// Takes over the first slice that was begun. An error leaves it there, to be begun
    /// again; so does dropping the future.
    async fn take(&mut self) -> Result<()> {
        let Some(slice) = self.ahead.front_mut() else { return Ok(()) };
        let task = match slice.task.as_mut() {
            Some(task) => task,
            None => {
                let (from, last) = (slice.from.clone(), slice.last);
                let task = self.start(&from, last);
                let Some(slice) = self.ahead.front_mut() else { return Ok(()) };
                slice.task.insert(task)
            }
        };
        if !task.is_finished() {
            // The consumer waits, so more should be under way.
            self.depth = (self.depth + 1).min(MOST_AHEAD);
        }
        let done = task.await;
        slice_done(&mut self.ahead);
        let read = done.map_err(|cause| {
            error(ErrorKind::Internal, Operation::Scan, "the task that read a page broke down")
                .with_outcome(Outcome::NotApplied)
                .with_source(cause)
        })??;
        let Some(slice) = self.ahead.pop_front() else { return Ok(()) };
        let reached = read.rest.as_ref().map_or(slice.last, |rest| rest.token);
        self.density.saw(read.rows, slice.from.token, reached);
        self.ready = read.items.into_iter();
        match read.rest {
            None => self.read_up_to = Some(slice.last),
            Some(rest) if self.ahead.is_empty() => {
                // Nothing behind it was begun: what is left is cut anew.
                self.read_up_to = None;
                self.next = Some(rest);
            }
            Some(rest) => {
                self.read_up_to = None;
                let task = Some(self.start(&rest, slice.last));
                self.ahead.push_front(Slice { from: rest, last: slice.last, task });
            }
        }
        Ok(())
    }

    /// The next rows that are there, with the place behind them.
    fn give(&mut self) -> Option<Page> {
        if self.ready.as_slice().is_empty() {
            return None;
        }
        let items: Vec<ScanItem> = self.ready.by_ref().take(self.page_rows).collect();
        self.rows += items.len() as u64;
        let done = self.ready.as_slice().is_empty();
        let position = match (self.read_up_to.filter(|_| done), items.last()) {
            (Some(token), _) => Bytes::copy_from_slice(&encode(token)),
            (None, Some(Ok(record))) => position_of(record.key.as_bytes()),
            (None, Some(Err(damaged))) => position_of(damaged.key.as_bytes()),
            (None, None) => return None,
        };
        Some(Page::new(items, Cursor { range: self.range.clone(), position }))
    }
}

/// The task of the first slice has ended: one that failed is begun anew the next time.
fn slice_done(ahead: &mut VecDeque<Slice>) {
    if let Some(slice) = ahead.front_mut() {
        slice.task = None;
    }
}

#[async_trait]
impl Scan for ScyllaScan {
    async fn next(&mut self) -> Result<ScanStep> {
        loop {
            self.room.enter(Operation::Scan)?;
            self.core.session(Operation::Scan)?;
            if let Some(page) = self.give() {
                return Ok(ScanStep::Page(page));
            }
            self.fill().await?;
            if self.ahead.is_empty() {
                return Ok(ScanStep::End(ScanEnd::new(self.rows)));
            }
            self.take().await?;
            // What follows is read while the consumer is busy.
            self.fill().await?;
        }
    }
}

impl fmt::Debug for ScyllaScan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScyllaScan").field("range", &self.range).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: Option<i64>, end: Option<i64>) -> Range {
        let scope = pinstate_core::Scope {
            store: uuid::Uuid::nil(),
            format: 1,
            namespace: pinstate_core::NamespaceName::default(),
        };
        let bytes = |token: i64| Bytes::copy_from_slice(&encode(token));
        Range { start: start.map(bytes), end: end.map(bytes), ..Range::all(scope) }
    }

    #[test]
    fn bounds_never_become_the_number_that_means_none() {
        for (start, end, expected) in [
            (None, None, Some((FIRST, LAST))),
            (Some(0), Some(10), Some((0, 9))),
            (Some(i64::MIN), Some(FIRST + 1), Some((FIRST, FIRST))),
            (None, Some(FIRST), None),
            (None, Some(i64::MIN), None),
            (Some(10), Some(10), None),
            (Some(11), Some(10), None),
            (Some(LAST), None, Some((LAST, LAST))),
        ] {
            assert_eq!(bounds(&range(start, end)).unwrap(), expected, "{start:?} {end:?}");
        }
        let mut short = range(Some(0), None);
        short.start = Some(Bytes::from_static(b"short"));
        assert_eq!(bounds(&short).unwrap_err().kind(), ErrorKind::InvalidInput);
    }

    #[test]
    fn positions_lead_on_behind_a_key_or_a_whole_token() {
        let behind = |token: i64, key: &'static [u8]| {
            place_after(&[&encode(token)[..], key].concat().into()).unwrap()
        };
        let place = |token, key| Some(Place { token, key });
        assert_eq!(behind(5, b"k"), place(5, Some(Bytes::from_static(b"k"))));
        assert_eq!(behind(5, b""), place(6, None));
        assert_eq!(behind(LAST, b""), None);
        assert_eq!(behind(i64::MIN, b"k"), place(FIRST, None));
        assert!(place_after(&Bytes::from_static(b"1234567")).is_err());
    }

    #[test]
    fn slices_are_about_a_page() {
        let mut density = Density::default();
        assert_eq!(density.width(1_000), u64::MAX);
        density.saw(1_000, 0, 999_999);
        assert_eq!(density.width(1_000), 900_000);
        // A part that is empty makes the next ones longer.
        density.saw(0, 1_000_000, 10_000_000);
        assert!(density.width(1_000) > 8_900_000);
    }
}
