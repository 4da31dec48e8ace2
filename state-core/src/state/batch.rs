//! Many writes in one commit.

use bytes::{Bytes, BytesMut};

use super::{State, encode, key_of};
use crate::batch::{BatchItem, BatchOptions};
use crate::error::{Error, Result};
use crate::pin::{Cid, Pin};
use crate::record::{Key, Version};
use crate::write::{Delete, Put};

/// Writes that are not visible before they are committed, and gone when dropped.
///
/// `commit` writes them in order, in pieces that the store takes; each write stands for
/// itself. The batch is empty after a commit that succeeded and can be used again. After
/// one that failed it holds the writes that did not certainly succeed, and what was
/// committed is not written again: call `commit` once more, or drop it.
#[derive(Debug)]
pub struct StateBatch {
    state: State,
    writes: Vec<BatchItem>,
    room: Room,
    /// How many writes, from the front, have their version already.
    stamped: usize,
}

/// Writes that go to the store in one call.
const PIECE: usize = 1_000;

/// Memory that keys and values share: each of their own would be taken and given back for every
/// write, and once more for the copy that the store is given.
#[derive(Debug, Default)]
struct Room {
    free: BytesMut,
    value: Vec<u8>,
}

/// Bytes of memory that are taken at a time.
const ROOM: usize = 16 << 10;

impl Room {
    fn encode(&mut self, pin: &Pin) -> Result<(Key, Bytes)> {
        let Self { free, value } = self;
        value.clear();
        encode(pin, value)?;
        let cid = pin.cid.as_bytes();
        let needed = cid.len() + value.len();
        if free.capacity() < needed {
            *free = BytesMut::with_capacity(ROOM.max(needed));
        }
        let mut part = |bytes: &[u8]| {
            free.extend_from_slice(bytes);
            free.split().freeze()
        };
        Ok((Key::new(part(cid)), part(value)))
    }
}

impl StateBatch {
    pub(super) fn new(state: State) -> Self {
        Self { state, writes: Vec::new(), room: Room::default(), stamped: 0 }
    }

    /// Adds a pin to the batch.
    ///
    /// # Errors
    /// `InvalidInput` as [`State::add`]; the batch is as it was.
    pub fn add(&mut self, pin: &Pin) -> Result<()> {
        let (key, value) = self.room.encode(pin)?;
        self.writes.push(Put::new(key, value, Version::MIN).into());
        Ok(())
    }

    /// Adds the removal of a pin to the batch.
    pub fn rm(&mut self, cid: &Cid) {
        self.writes.push(Delete::new(key_of(cid), Version::MIN).into());
    }

    /// Writes in the batch.
    #[must_use]
    pub fn len(&self) -> usize {
        self.writes.len()
    }

    /// Whether there is nothing to commit.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// Writes everything, in order. Returns how many writes were committed.
    ///
    /// # Errors
    /// The first write's that failed; the batch holds those that did not certainly succeed.
    pub async fn commit(&mut self) -> Result<usize> {
        self.stamp().await?;
        let mut committed = 0;
        while !self.writes.is_empty() {
            let piece: Vec<BatchItem> = self.writes.iter().take(PIECE).cloned().collect();
            let taken = piece.len();
            let outcome = self.state.namespace.apply(piece, BatchOptions::new()).await?;
            let mut first: Option<Error> = None;
            let mut index = 0;
            let mut results = outcome.items.into_iter();
            // A later write of a key of which an earlier one failed is kept as well.
            let mut failed_keys = std::collections::HashSet::new();
            self.writes.retain(|write| {
                index += 1;
                if index > taken {
                    return true;
                }
                match results.next() {
                    Some(Ok(_)) if !failed_keys.contains(write.key()) => {
                        committed += 1;
                        false
                    }
                    Some(Ok(_)) | None => true,
                    Some(Err(error)) => {
                        failed_keys.insert(write.key().clone());
                        first.get_or_insert(error);
                        true
                    }
                }
            });
            self.stamped = self.writes.len();
            if let Some(error) = first {
                return Err(error);
            }
        }
        self.stamped = 0;
        Ok(committed)
    }

    /// Gives every write its version, once, so that a commit that is tried again cannot
    /// overwrite what came in between.
    async fn stamp(&mut self) -> Result<()> {
        let open = self.writes.len() - self.stamped;
        if open == 0 {
            return Ok(());
        }
        let first = self.state.clock.draw_many(open).await?;
        for (write, version) in self.writes.iter_mut().skip(self.stamped).zip(first.micros()..) {
            match write {
                BatchItem::Put(put) => put.version = Version(version),
                BatchItem::Delete(delete) => delete.version = Version(version),
            }
        }
        self.stamped = self.writes.len();
        Ok(())
    }
}
