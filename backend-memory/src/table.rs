//! The engine: an ordered table of rows whose copies are free.

use std::cmp::Ordering;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use imbl::OrdMap;
use pinstate_core::{Contender, Key, Record, ScanItem, Version};

/// Keys up to this long stand in the tree itself; looking one up then follows no pointer
/// but those of the tree. CIDs with 32-byte digests are 34 to 38 bytes long.
const INLINE_KEY_BYTES: usize = 8 * WORDS;
const WORDS: usize = 5;

/// Values from this size on are shared with readers; copying a shorter one costs less than
/// counting one more reader of it.
const SHARED_VALUE_BYTES: usize = 1_024;

/// A key as the tree keeps it. Ordered by its bytes.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum TreeKey {
    /// The bytes as big-endian words, with zeros behind them: the order of words is that of
    /// bytes, and the first word nearly always decides between two CIDs.
    Inline {
        words: [u64; WORDS],
        len: u8,
    },
    Long(Box<[u8]>),
}

impl TreeKey {
    pub(crate) fn new(key: &[u8]) -> Self {
        let mut bytes = [0; INLINE_KEY_BYTES];
        match (bytes.get_mut(..key.len()), u8::try_from(key.len())) {
            (Some(place), Ok(len)) => {
                place.copy_from_slice(key);
                let (chunks, _) = bytes.as_chunks::<8>();
                let mut words = [0; WORDS];
                for (word, chunk) in words.iter_mut().zip(chunks) {
                    *word = u64::from_be_bytes(*chunk);
                }
                Self::Inline { words, len }
            }
            _ => Self::Long(key.into()),
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Inline { len, .. } => usize::from(*len),
            Self::Long(bytes) => bytes.len(),
        }
    }

    /// Appends the key's bytes.
    pub(crate) fn push(&self, out: &mut Vec<u8>) {
        match self {
            Self::Inline { words, .. } => {
                let end = out.len() + self.len();
                for word in words {
                    out.extend_from_slice(&word.to_be_bytes());
                }
                out.truncate(end);
            }
            Self::Long(bytes) => out.extend_from_slice(bytes),
        }
    }

    pub(crate) fn to_bytes(&self) -> Bytes {
        let mut bytes = Vec::with_capacity(self.len().max(INLINE_KEY_BYTES));
        self.push(&mut bytes);
        bytes.into()
    }
}

impl PartialOrd for TreeKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for TreeKey {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            // Equal words are one key, or one that goes on with zeros where the other ends.
            (Self::Inline { words, len }, Self::Inline { words: theirs, len: their_len }) => {
                words.cmp(theirs).then(len.cmp(their_len))
            }
            (Self::Long(bytes), Self::Long(theirs)) => bytes.cmp(theirs),
            _ => self.to_bytes().cmp(&other.to_bytes()),
        }
    }
}

/// What is stored under a key: a live record, or the hidden marker of a conditional delete.
#[derive(Clone)]
pub(crate) struct Row {
    pub(crate) version: Version,
    /// `None` for a marker.
    value: Option<Arc<[u8]>>,
}

impl Row {
    /// A live row with its own copy of the value.
    pub(crate) fn live(value: &[u8], version: Version) -> Self {
        Self { version, value: Some(value.into()) }
    }

    pub(crate) fn marker(version: Version) -> Self {
        Self { version, value: None }
    }

    pub(crate) fn is_live(&self) -> bool {
        self.value.is_some()
    }

    pub(crate) fn contender(&self) -> Contender<'_> {
        Contender { version: self.version, value: self.value.as_deref() }
    }

    /// The live record, under the key that was asked for.
    pub(crate) fn record(&self, key: &Key) -> Option<Record> {
        let value = self.value.as_ref()?;
        let value = shared(value).unwrap_or_else(|| Bytes::copy_from_slice(value));
        Some(Record::live(key.clone(), value, self.version))
    }
}

/// A long value as bytes that share it; `None` for a short one, which is to be copied.
fn shared(value: &Arc<[u8]>) -> Option<Bytes> {
    (value.len() >= SHARED_VALUE_BYTES).then(|| Bytes::from_owner(Arc::clone(value)))
}

/// The rows of one namespace, with their number.
#[derive(Default)]
pub(crate) struct Table {
    rows: OrdMap<TreeKey, Row>,
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
    rows: OrdMap<TreeKey, Row>,
}

/// Consecutive rows out of a snapshot.
pub(crate) struct Rows {
    pub(crate) items: Vec<ScanItem>,
    /// The last row that was looked at, given or not; `None` where there was none.
    pub(crate) last: Option<Bytes>,
}

/// What of each row a scan gives.
#[derive(Clone, Copy)]
pub(crate) struct Shown {
    pub(crate) keys_only: bool,
    pub(crate) markers: bool,
}

impl Snapshot {
    /// Rows, markers included.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// All keys in order, markers included, with their rows.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&TreeKey, &Row)> {
        self.rows.iter()
    }

    /// Looks at no more than `limit` rows from `start` on and before `end`, and gives those
    /// that are to be shown.
    ///
    /// Keys and short values of a page are copied into one piece of memory. Sharing each of
    /// them would write to a counter beside every row, all over memory, and cost more than
    /// half of the scan's speed.
    pub(crate) fn page(
        &self,
        start: Bound<&[u8]>,
        end: Option<&[u8]>,
        limit: usize,
        shown: Shown,
    ) -> Rows {
        let end = end.map(TreeKey::new);
        let rows: Vec<(&TreeKey, &Row)> = self
            .rows
            .range((start.map(TreeKey::new), Bound::Unbounded))
            .take(limit)
            .take_while(|(key, _)| end.as_ref().is_none_or(|end| *key < end))
            .collect();
        let Some((last, _)) = rows.last() else {
            return Rows { items: Vec::new(), last: None };
        };
        let copied = |row: &Row| match &row.value {
            Some(value) if !shown.keys_only && value.len() < SHARED_VALUE_BYTES => value.len(),
            _ => 0,
        };
        let size: usize = rows.iter().map(|(key, row)| key.len() + copied(row)).sum();
        let mut memory = Vec::with_capacity(size + INLINE_KEY_BYTES);
        for (key, row) in &rows {
            key.push(&mut memory);
            if copied(row) > 0 {
                memory.extend_from_slice(row.value.as_deref().unwrap_or_default());
            }
        }
        let last = last.to_bytes();
        let mut memory = Bytes::from(memory);
        let mut items = Vec::with_capacity(rows.len());
        for (key, row) in &rows {
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
        Rows { items, last: Some(last) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tree_keys_have_the_order_and_the_bytes_of_their_keys() {
        let mut keys: Vec<Vec<u8>> = Vec::new();
        for len in [0, 1, 7, 8, 9, 16, 39, 40, 41, 80] {
            for (fill, last) in [(0, 0), (0, 1), (7, 0), (255, 255)] {
                let mut key = vec![fill; len];
                if let Some(byte) = key.last_mut() {
                    *byte = last;
                }
                keys.push(key);
            }
        }
        for a in &keys {
            assert_eq!(TreeKey::new(a).to_bytes(), a);
            for b in &keys {
                assert_eq!(TreeKey::new(a).cmp(&TreeKey::new(b)), a.cmp(b), "{a:?} {b:?}");
            }
        }
    }
}
