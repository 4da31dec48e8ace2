//! Which records are still to be read, in a search.

use std::collections::HashMap;

use super::model::{Act, Slot};
use super::search::Op;

/// What is still to be read: a record that an operation is yet to find, and none to write,
/// must not be lost.
pub(super) struct Unread {
    /// Those on each record.
    records: HashMap<Slot, Users>,
    /// The record that each operation finds or may write.
    of_op: Vec<Option<Slot>>,
}

/// The operations on one record.
#[derive(Default)]
struct Users {
    /// Those that find it, each with when it had returned.
    readers: Vec<(usize, u64)>,
    writers: Vec<usize>,
}

impl Unread {
    pub(super) fn new(ops: &[Op]) -> Self {
        let mut records: HashMap<Slot, Users> = HashMap::new();
        let mut of_op = Vec::with_capacity(ops.len());
        for (place, op) in ops.iter().enumerate() {
            of_op.push(match op.act {
                Act::Read(Some((version, value))) => {
                    let record = Slot::Live(version, value);
                    records.entry(record).or_default().readers.push((place, op.returned));
                    Some(record)
                }
                Act::Write { version, value: Some(value), .. } => {
                    let record = Slot::Live(version, value);
                    records.entry(record).or_default().writers.push(place);
                    Some(record)
                }
                _ => None,
            });
        }
        Self { records, of_op }
    }

    /// When the first operation had returned that cannot find its record any more, after `op`
    /// made one set of what may be stored of another. It may have been the last one to write
    /// its own.
    pub(super) fn lost(
        &self,
        op: usize,
        (before, after): (&[Slot], &[Slot]),
        is_placed: impl Fn(usize) -> bool,
    ) -> Option<u64> {
        let own = self.of_op.get(op).copied().flatten();
        let gone = before.iter().copied().chain(own).filter(|slot| !after.contains(slot));
        let users = gone.filter_map(|slot| self.records.get(&slot));
        let unwritten = users.filter(|users| users.writers.iter().all(|op| is_placed(*op)));
        let readers = unwritten.flat_map(|users| &users.readers);
        readers.filter(|(op, _)| !is_placed(*op)).map(|(_, returned)| *returned).min()
    }
}
