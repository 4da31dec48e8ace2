//! The search for an order of operations on one key that explains their answers: the
//! algorithm of Wing and Gong ("Testing and verifying concurrent objects", 1993) with the
//! memory of Lowe ("Testing for linearizability", 2017).
//!
//! What is stored is a *set* of what may be stored, so that what the contract leaves open
//! takes no branch of its own.
//!
//! A write of which it is not known whether it took effect may be left out, which makes as
//! many orders as there are sets of such writes. Two things keep the search from trying them
//! all: such a write has no place where [another order](Search::is_wasted) comes to the same,
//! and no record may be [overwritten](Unread) that is still to be read.

use std::collections::HashSet;

use super::model::{Act, Slot};
use super::moments::{Moment, Moments};
use super::sets::Sets;
use super::unread::Unread;

/// No end: the operation may take effect at any later time.
pub(super) const NEVER: u64 = u64::MAX;

/// An operation of a search.
#[derive(Clone, Copy, Debug)]
pub(super) struct Op {
    pub(super) act: Act,
    pub(super) invoked: u64,
    /// When it had taken effect if it ever does; [`NEVER`] where that is open.
    pub(super) returned: u64,
    /// Whether it may have no effect at all.
    pub(super) optional: bool,
    /// Its place in the history.
    pub(super) event: usize,
}

impl Op {
    /// Whether it need not have a place.
    pub(super) fn may_be_left_out(&self) -> bool {
        self.optional || self.returned == NEVER
    }
}

/// What a search came to.
#[derive(Debug)]
pub(super) enum Outcome {
    /// There is an order.
    Legal,
    /// There is none.
    Illegal(Stuck),
    /// It was given up.
    Undecided,
}

/// How far a search came that found no order.
#[derive(Debug)]
pub(super) struct Stuck {
    /// The longest order that fits, as places among the operations.
    pub(super) order: Vec<usize>,
    /// What may be stored after it.
    pub(super) slots: Vec<Slot>,
    /// No order explains all operations that had returned at this moment.
    pub(super) at: u64,
}

/// Which operations have their place, for the memory: without the words that are full at
/// the beginning, or empty at the end.
fn shortened(words: &[u64], set: u32) -> (usize, Box<[u64]>, u32) {
    let full = words.iter().take_while(|word| **word == u64::MAX).count();
    let rest = words.get(full..).unwrap_or_default();
    let used = rest.iter().rposition(|word| *word != 0).map_or(0, |last| last + 1);
    (full, rest.get(..used).unwrap_or_default().into(), set)
}

/// An operation that was given its place, or left out for good.
struct Step {
    op: usize,
    /// The set before it.
    before: u32,
    /// Nothing is lost by doing this, so that nothing else need be tried.
    forced: bool,
    left_out: bool,
}

/// A search under way.
struct Search<'a> {
    ops: &'a [Op],
    moments: Moments,
    sets: Sets<'a>,
    /// For a search that looks ahead.
    unread: Option<Unread>,
    /// The set of what may be stored.
    now: u32,
    steps: Vec<Step>,
    /// Operations of the steps, as bits.
    placed: Vec<u64>,
    /// Operations that are to have an end, and are in no step.
    missing: usize,
}

#[expect(clippy::indexing_slicing, reason = "numbers of operations are the list's own")]
impl<'a> Search<'a> {
    fn new(ops: &'a [Op], ahead: bool) -> Self {
        Self {
            ops,
            moments: Moments::new(ops),
            sets: Sets::new(ops),
            unread: ahead.then(|| Unread::new(ops)),
            now: 0,
            steps: Vec::new(),
            placed: vec![0; ops.len().div_ceil(64)],
            missing: ops.iter().filter(|op| op.returned != NEVER).count(),
        }
    }

    fn step(&mut self, step: Step, next: u32) {
        let op = step.op;
        self.placed[op / 64] |= 1 << (op % 64);
        self.missing -= usize::from(self.ops[op].returned != NEVER);
        self.moments.lift(op);
        self.steps.push(step);
        self.now = next;
    }

    /// Takes the last step back; gives it, and the place after its operation.
    fn step_back(&mut self) -> Option<(Step, usize)> {
        let step = self.steps.pop()?;
        let op = step.op;
        self.placed[op / 64] &= !(1 << (op % 64));
        self.missing += usize::from(self.ops[op].returned != NEVER);
        self.now = step.before;
        let after = self.moments.unlift(op);
        Some((step, after))
    }

    /// When the first operation had returned that cannot fit in any more after the last step,
    /// where the search looks ahead.
    fn lost(&self) -> Option<u64> {
        let last = self.steps.last()?;
        let sets = (self.sets.set(last.before), self.sets.set(self.now));
        let is_placed = |op: usize| self.placed[op / 64] & 1 << (op % 64) != 0;
        self.unread.as_ref()?.lost(last.op, sets, is_placed)
    }

    /// Whether it was of no use to give the last operation a place right before this one: all
    /// that comes of both may come of orders that are tried as well, in which fewer of those
    /// have a place that may be left out, or the last one has a later place.
    fn is_wasted(&mut self, then: usize, next: u32) -> bool {
        let Some(last) = self.steps.iter().rfind(|step| !step.left_out) else { return false };
        let (first, before) = (last.op, last.before);
        if !self.ops[first].may_be_left_out() {
            return false;
        }
        let only_then = self.sets.step(before, then);
        let third = if self.ops[then].may_be_left_out() {
            Some(self.now)
        } else if self.ops[first].returned > self.ops[then].invoked {
            only_then.and_then(|set| self.sets.step(set, first))
        } else {
            None
        };
        self.sets.is_within(next, &[only_then, third])
    }
}

/// Looks for an order. `budget` is how many places may be tried, and is used up.
pub(super) fn search(ops: &[Op], budget: &mut u64) -> Outcome {
    look(ops, budget, true)
}

/// Looks for an order in which operations stand as long as nothing speaks against it that had
/// returned before: an order that others can follow. It takes longer.
pub(super) fn search_plainly(ops: &[Op], budget: &mut u64) -> Outcome {
    look(ops, budget, false)
}

#[expect(clippy::indexing_slicing, reason = "numbers of operations are the list's own")]
fn look(ops: &[Op], budget: &mut u64, ahead: bool) -> Outcome {
    let mut ops: Vec<(usize, &Op)> = ops.iter().enumerate().collect();
    // Those that must have their place first, in the order of their calls, so that the
    // memory of them is short.
    ops.sort_by_key(|(_, op)| (op.returned == NEVER, op.invoked));
    let origin: Vec<usize> = ops.iter().map(|(origin, _)| *origin).collect();
    let ops: Vec<Op> = ops.into_iter().map(|(_, op)| *op).collect();
    let mut search = Search::new(&ops, ahead);
    let mut seen = HashSet::new();
    let mut stuck = Stuck { order: Vec::new(), slots: Vec::new(), at: 0 };
    let mut place = search.moments.first();
    while search.missing > 0 {
        // When an operation had returned that is certain to fit in no more.
        let end = match search.moments.at(place) {
            Some(Moment { op, is_return: false, after, .. }) => {
                if *budget == 0 {
                    return Outcome::Undecided;
                }
                *budget -= 1;
                place = after;
                let Some(next) = search.sets.step(search.now, op) else { continue };
                if search.is_wasted(op, next) {
                    continue;
                }
                let before = search.now;
                let forced = next == before && ops[op].act.is_pure();
                search.step(Step { op, before, forced, left_out: false }, next);
                let lost = search.lost();
                if lost.is_none() && !forced && !seen.insert(shortened(&search.placed, next)) {
                    search.step_back();
                    continue;
                }
                lost
            }
            // Its time is over, so that it is left out.
            Some(Moment { op, .. }) if ops[op].optional => {
                let now = search.now;
                search.step(Step { op, before: now, forced: true, left_out: true }, now);
                search.lost()
            }
            // An operation that had returned has no place: one of those before it is wrong.
            returned => Some(returned.map_or(NEVER, |moment| moment.at)),
        };
        let Some(at) = end else {
            place = search.moments.first();
            continue;
        };
        if at > stuck.at || stuck.slots.is_empty() {
            let order = search.steps.iter().filter(|step| !step.left_out);
            let slots = search.sets.set(search.now).to_vec();
            stuck = Stuck { order: order.map(|step| origin[step.op]).collect(), slots, at };
        }
        loop {
            let Some((step, after)) = search.step_back() else { return Outcome::Illegal(stuck) };
            if !step.forced {
                place = after;
                break;
            }
        }
    }
    Outcome::Legal
}
