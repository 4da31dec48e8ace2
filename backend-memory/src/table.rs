//! The rows of a namespace: how many there are, and pages of them.

use std::ops::Bound;

use bytes::Bytes;
use pinstate_core::{Key, Record, RecordView, ScanItem};

use crate::key::{INLINE_KEY_BYTES, TreeKey};
use crate::row::{Row, SHARED_VALUE_BYTES, shared};
use crate::tree::{Entry, Tree};

/// The rows of one namespace, with their number.
#[derive(Default)]
pub(crate) struct Table {
    rows: Tree,
    live: u64,
}

impl Table {
    pub(crate) fn get(&self, key: &TreeKey) -> Option<&Row> {
        self.rows.get(key)
    }

    /// Live rows.
    pub(crate) fn live(&self) -> u64 {
        self.live
    }

    /// Markers of conditional deletes.
    pub(crate) fn markers(&self) -> u64 {
        self.rows.len() as u64 - self.live
    }

    /// Puts a row in the place of whatever is there.
    pub(crate) fn set(&mut self, key: TreeKey, row: Row) {
        let now = u64::from(row.is_live());
        let before = self.rows.insert(key, row).is_some_and(|old| old.is_live());
        self.live = self.live + now - u64::from(before);
    }

    /// Removes a row without a trace.
    pub(crate) fn remove(&mut self, key: &TreeKey) {
        if self.rows.remove(key).is_some_and(|old| old.is_live()) {
            self.live -= 1;
        }
    }

    /// The rows as they are now, at the cost of one counted pointer.
    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot { rows: self.rows.clone() }
    }
}

/// The rows as they were at one moment.
pub(crate) struct Snapshot {
    rows: Tree,
}

/// What of each row a scan gives.
#[derive(Clone, Copy)]
pub(crate) struct Parts {
    pub(crate) keys_only: bool,
    pub(crate) markers: bool,
}

impl Snapshot {
    /// All keys with their rows, markers included, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &(TreeKey, Row)> {
        self.rows.iter()
    }

    /// The keys that divide the rows into `parts` of equal size, in order.
    pub(crate) fn quantiles(&self, parts: usize) -> Vec<&TreeKey> {
        self.rows.quantiles(parts)
    }

    /// No more than `limit` rows from `start` on and before `end`, in the order of keys.
    pub(crate) fn rows(
        &self,
        start: Bound<&[u8]>,
        end: Option<&[u8]>,
        limit: usize,
    ) -> Vec<&Entry> {
        let (start, end) = (start.map(TreeKey::new), end.map(TreeKey::new));
        self.rows.rows(start.as_ref(), end.as_ref(), limit)
    }
}

/// Those of the rows that are to be shown, as a scan gives them.
///
/// Keys and short values of a page are copied into one piece of memory. Sharing each of them
/// would write to a counter beside every row, all over memory, and cost more than half of the
/// scan's speed.
pub(crate) fn page(rows: &[&Entry], shown: Parts) -> Vec<ScanItem> {
    let copied = |row: &Row| match &row.value {
        Some(value) if !shown.keys_only && value.len() < SHARED_VALUE_BYTES => value.len(),
        _ => 0,
    };
    let size: usize = rows.iter().map(|(key, row)| key.len() + copied(row)).sum();
    let mut memory = Vec::with_capacity(size + INLINE_KEY_BYTES);
    for (key, row) in rows {
        key.push(&mut memory);
        if copied(row) > 0 {
            memory.extend_from_slice(row.value.as_deref().unwrap_or_default());
        }
    }
    let mut memory = Bytes::from(memory);
    let mut items = Vec::with_capacity(rows.len());
    for (key, row) in rows {
        let key = Key::new(memory.split_to(key.len()));
        let copy = memory.split_to(copied(row));
        let record = match &row.value {
            Some(_) if shown.keys_only => Record::live(key, Bytes::new(), row.version),
            Some(value) => Record::live(key, shared(value).unwrap_or(copy), row.version),
            None if shown.markers => Record::marker(key, row.version),
            None => continue,
        };
        items.push(Ok(record));
    }
    items
}

/// Rows whose values are touched together.
const TOUCHED: usize = 64;
/// Bytes that come from memory together, and how many times as many of a value are touched:
/// what looks at the rest of a longer one has time to fetch it.
const LINE: usize = 64;
const TOUCHED_LINES: usize = 8;

/// Shows the live ones of the rows where they stand; gives how many those are.
///
/// Whoever looks at a value reads it bit by bit, and would wait for memory at each. So the
/// values of some rows are touched beforehand, all at once: that halves the time.
pub(crate) fn show(rows: &[&Entry], look: &mut dyn FnMut(RecordView<'_>)) -> u64 {
    let mut live = 0;
    let mut memory = Vec::with_capacity(INLINE_KEY_BYTES);
    for rows in rows.chunks(TOUCHED) {
        let values = rows.iter().filter_map(|(_, row)| row.value.as_deref());
        let lines = values.flat_map(|value| value.iter().step_by(LINE).take(TOUCHED_LINES));
        std::hint::black_box(lines.fold(0, |sum, byte| sum ^ byte));
        for (key, row) in rows {
            if let Some(value) = &row.value {
                memory.clear();
                key.push(&mut memory);
                look(RecordView::new(&memory, value, row.version));
                live += 1;
            }
        }
    }
    live
}
