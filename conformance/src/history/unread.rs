//! Which records are still to be read, in a search.

use std::collections::HashMap;

use super::model::{Act, Slot, ValueId};
use super::search::Op;

/// A record: its version and value.
type Found = (i64, ValueId);

/// What is still to be read: a record that an operation is yet to find, and none to write,
/// must not be lost.
pub(super) struct Unread {
    numbers: HashMap<Found, usize>,
    records: Vec<Users>,
    /// The record that each operation finds or may write.
    of_op: Vec<Option<usize>>,
    /// Whether each operation has its place, or none for good.
    is_placed: Vec<bool>,
}

/// The operations on one record.
#[derive(Default)]
struct Users {
    /// Those that find it, each with when it had returned.
    readers: Vec<(usize, u64)>,
    writers: Vec<usize>,
}

#[expect(clippy::indexing_slicing, reason = "numbers of operations and records are its own")]
impl Unread {
    pub(super) fn new(ops: &[Op]) -> Self {
        let (mut numbers, mut records) = (HashMap::new(), Vec::new());
        let mut of_op = vec![None; ops.len()];
        for (place, op) in ops.iter().enumerate() {
            let (found, reads) = match op.act {
                Act::Read(Some(found)) => (found, true),
                Act::Write { version, value: Some(value), .. } => ((version, value), false),
                _ => continue,
            };
            let number = *numbers.entry(found).or_insert(records.len());
            if number == records.len() {
                records.push(Users::default());
            }
            if reads {
                records[number].readers.push((place, op.returned));
            } else {
                records[number].writers.push(place);
            }
            of_op[place] = Some(number);
        }
        Self { numbers, records, of_op, is_placed: vec![false; ops.len()] }
    }

    /// Whether an operation has its place, or none for good.
    pub(super) fn place(&mut self, op: usize, is_placed: bool) {
        self.is_placed[op] = is_placed;
    }

    /// When the first operation had returned that cannot find its record any more, after `op`
    /// made one set of what may be stored of another.
    pub(super) fn lost(&self, op: usize, before: &[Slot], after: &[Slot]) -> Option<u64> {
        let stored = before.iter().filter(|slot| !after.contains(slot)).filter_map(|slot| {
            let Slot::Live(version, value) = slot else { return None };
            self.numbers.get(&(*version, *value)).copied()
        });
        // It may have been the last one to write its own.
        let own = self.of_op[op].filter(|own| {
            let is_own = |slot: &Slot| match slot {
                Slot::Live(version, value) => self.numbers.get(&(*version, *value)) == Some(own),
                Slot::Nothing | Slot::Marker(..) => false,
            };
            !after.iter().any(is_own)
        });
        stored.chain(own).filter_map(|record| self.first_reader(record)).min()
    }

    /// When the first operation had returned that is yet to find a record which none is to
    /// write.
    fn first_reader(&self, record: usize) -> Option<u64> {
        let Users { readers, writers } = &self.records[record];
        if writers.iter().any(|op| !self.is_placed[*op]) {
            return None;
        }
        let waiting = readers.iter().filter(|(op, _)| !self.is_placed[*op]);
        waiting.map(|(_, returned)| *returned).min()
    }
}
