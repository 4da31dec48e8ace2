//! Sets of what may be stored, and what operations make of them.

use std::collections::HashMap;

use super::model::Slot;
use super::search::Op;

/// Sets of what may be stored, each with a number.
pub(super) struct Sets<'a> {
    ops: &'a [Op],
    numbers: HashMap<Vec<Slot>, u32>,
    sets: Vec<Vec<Slot>>,
    /// What was asked before: the set after an operation.
    after: HashMap<(u32, usize), Option<u32>>,
}

impl<'a> Sets<'a> {
    /// For operations on a key where nothing is stored at first, which is set 0.
    pub(super) fn new(ops: &'a [Op]) -> Self {
        let mut sets =
            Self { ops, numbers: HashMap::new(), sets: Vec::new(), after: HashMap::new() };
        sets.number(vec![Slot::Nothing]);
        sets
    }

    fn number(&mut self, mut set: Vec<Slot>) -> u32 {
        set.sort_unstable();
        set.dedup();
        if let Some(number) = self.numbers.get(&set) {
            return *number;
        }
        let number = u32::try_from(self.sets.len()).unwrap_or(u32::MAX);
        self.sets.push(set.clone());
        self.numbers.insert(set, number);
        number
    }

    /// The set with this number.
    pub(super) fn set(&self, number: u32) -> &[Slot] {
        self.sets.get(number as usize).map_or(&[], Vec::as_slice)
    }

    /// The set after the operation at this place, or nothing where its answer fits none of
    /// the set.
    pub(super) fn step(&mut self, number: u32, op: usize) -> Option<u32> {
        if let Some(known) = self.after.get(&(number, op)) {
            return *known;
        }
        let mut after = Vec::with_capacity(4);
        if let Some(op) = self.ops.get(op) {
            for slot in self.set(number) {
                op.act.step(*slot, &mut after);
            }
        }
        let next = if after.is_empty() { None } else { Some(self.number(after)) };
        self.after.insert((number, op), next);
        next
    }

    /// Whether all that may be stored in one set may be in one of the others.
    pub(super) fn is_within(&self, number: u32, others: &[Option<u32>]) -> bool {
        self.set(number).iter().all(|slot| {
            let mut slots = others.iter().flatten().flat_map(|other| self.set(*other));
            slots.any(|other| other.holds(*slot))
        })
    }
}
