//! What has been read of one document, in memory that serves the next one, too.

use std::ops::Range;

use crate::format::Fault;
use crate::pin::PinMode;
use crate::pin::peer::ByteCache;
use crate::pin::proto;

use super::lex::RawString;
use super::unescape::unescape;

/// The parts of a document, and what the reader carries from one to the next.
pub(super) struct Scratch {
    /// The keys that have been met, one bit each.
    pub(super) seen: u16,
    /// The first thing wrong.
    pub(super) fault: Option<Fault>,
    pub(super) let_through: Vec<&'static str>,
    pub(super) cid: Vec<u8>,
    pub(super) pin_type: Option<u8>,
    /// Ready made for the stored value, as are origins and metadata.
    pub(super) allocations: Vec<u8>,
    pub(super) max_depth: Option<i32>,
    pub(super) reference: Vec<u8>,
    pub(super) timestamp: u64,
    pub(super) replication_min: i32,
    pub(super) replication_max: i32,
    pub(super) name: Vec<u8>,
    pub(super) mode: Option<PinMode>,
    pub(super) shard_size: u64,
    pub(super) pin_update: Vec<u8>,
    pub(super) expire_at: u64,
    pub(super) origins: Vec<u8>,
    pub(super) metadata: Vec<u8>,
    /// Keys and values as they came, and their text.
    entries: Vec<(Range<usize>, Range<usize>)>,
    entry_text: Vec<u8>,
    /// For the text of one string.
    pub(super) text: Vec<u8>,
    /// From the text of peer IDs to their bytes.
    pub(super) peers: ByteCache,
}

impl Scratch {
    pub(super) fn new() -> Self {
        Self {
            seen: 0,
            fault: None,
            let_through: Vec::new(),
            cid: Vec::new(),
            pin_type: None,
            allocations: Vec::new(),
            max_depth: None,
            reference: Vec::new(),
            timestamp: 0,
            replication_min: 0,
            replication_max: 0,
            name: Vec::new(),
            mode: None,
            shard_size: 0,
            pin_update: Vec::new(),
            expire_at: 0,
            origins: Vec::new(),
            metadata: Vec::new(),
            entries: Vec::new(),
            entry_text: Vec::new(),
            text: Vec::new(),
            peers: ByteCache::new(),
        }
    }

    /// Forgets the document.
    pub(super) fn clear(&mut self) {
        self.seen = 0;
        self.fault = None;
        self.let_through.clear();
        self.cid.clear();
        self.pin_type = None;
        self.allocations.clear();
        self.max_depth = None;
        self.reference.clear();
        self.timestamp = 0;
        self.replication_min = 0;
        self.replication_max = 0;
        self.name.clear();
        self.mode = None;
        self.shard_size = 0;
        self.pin_update.clear();
        self.expire_at = 0;
        self.origins.clear();
        self.clear_metadata();
    }

    pub(super) fn clear_metadata(&mut self) {
        self.metadata.clear();
        self.entries.clear();
        self.entry_text.clear();
    }

    /// Adds an entry. `false` if some of its text had to be replaced.
    pub(super) fn add_metadata(
        &mut self,
        key: RawString<'_>,
        value: Option<RawString<'_>>,
    ) -> bool {
        let start = self.entry_text.len();
        let mut whole = unescape(key, &mut self.entry_text);
        let middle = self.entry_text.len();
        if let Some(value) = value {
            whole &= unescape(value, &mut self.entry_text);
        }
        let end = self.entry_text.len();
        self.entries.push((start..middle, middle..end));
        whole
    }

    /// Puts the entries in order for storage; of one key the last holds. `false` if there
    /// were several of one key.
    pub(super) fn sort_metadata(&mut self) -> bool {
        let text = |range: &Range<usize>| self.entry_text.get(range.clone()).unwrap_or_default();
        // Equal keys stay in the order in which they came.
        self.entries.sort_by(|(a, _), (b, _)| text(a).cmp(text(b)));
        let mut unique = true;
        let mut entries = self.entries.iter().peekable();
        while let Some((key, value)) = entries.next() {
            if entries.peek().is_some_and(|(next, _)| text(next) == text(key)) {
                unique = false;
                continue;
            }
            proto::push_metadata(text(key), text(value), &mut self.metadata);
        }
        unique
    }
}
