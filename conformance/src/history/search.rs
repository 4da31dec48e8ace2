//! The search for an order of operations on one key that explains their answers: the
//! algorithm of Wing and Gong ("Testing and verifying concurrent objects", 1993) with the
//! memory of Lowe ("Testing for linearizability", 2017).
//!
//! What is stored is a *set* of what may be stored, so that what the contract leaves open
//! takes no branch of its own. An operation that may have had no effect adds to the set.

use std::collections::{HashMap, HashSet};

use super::event::Condition;
use super::model::{Act, Slot};

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

/// An end of the list.
const NONE: usize = usize::MAX;

/// A moment in the list of calls and returns, which are joined in both directions.
#[derive(Clone, Copy)]
struct Moment {
    at: u64,
    op: usize,
    is_return: bool,
    before: usize,
    after: usize,
}

/// Calls and returns in order of time. Entry 0 is the head.
struct Moments {
    list: Vec<Moment>,
    /// The return of each operation, or `NONE`.
    returns: Vec<usize>,
}

#[expect(clippy::indexing_slicing, reason = "all places were made together with the list")]
impl Moments {
    fn new(ops: &[Op]) -> Self {
        let moment = |at, op, is_return| Moment { at, op, is_return, before: NONE, after: NONE };
        let mut list: Vec<Moment> = Vec::with_capacity(2 * ops.len() + 1);
        for (op, Op { invoked, returned, .. }) in ops.iter().enumerate() {
            list.push(moment(*invoked, op, false));
            if *returned != NEVER {
                list.push(moment(*returned, op, true));
            }
        }
        // Calls first where moments are the same, which makes operations overlap.
        list.sort_by_key(|moment| (moment.at, moment.is_return));
        list.insert(0, moment(0, NONE, false));
        let mut returns = vec![NONE; ops.len()];
        let last = list.len() - 1;
        for (place, moment) in list.iter_mut().enumerate() {
            moment.before = if place == 0 { NONE } else { place - 1 };
            moment.after = if place == last { NONE } else { place + 1 };
            if moment.is_return {
                returns[moment.op] = place;
            }
        }
        Self { list, returns }
    }

    fn first(&self) -> usize {
        self.list[0].after
    }

    fn cut(&mut self, place: usize) {
        let Moment { before, after, .. } = self.list[place];
        self.list[before].after = after;
        if after != NONE {
            self.list[after].before = before;
        }
    }

    fn mend(&mut self, place: usize) {
        let Moment { before, after, .. } = self.list[place];
        self.list[before].after = place;
        if after != NONE {
            self.list[after].before = place;
        }
    }

    /// Takes a call and its return out.
    fn lift(&mut self, call: usize) {
        self.cut(call);
        let end = self.returns[self.list[call].op];
        if end != NONE {
            self.cut(end);
        }
    }

    /// Puts them back: the last that was taken out first.
    fn unlift(&mut self, call: usize) {
        let end = self.returns[self.list[call].op];
        if end != NONE {
            self.mend(end);
        }
        self.mend(call);
    }
}

/// Sets of what may be stored, each with a number.
struct Sets {
    numbers: HashMap<Vec<Slot>, u32>,
    sets: Vec<Vec<Slot>>,
}

impl Sets {
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

    fn set(&self, number: u32) -> &[Slot] {
        self.sets.get(number as usize).map_or(&[], Vec::as_slice)
    }

    /// The set after an operation, or nothing where its answer fits none of the set.
    fn step(&mut self, number: u32, op: &Op) -> Option<u32> {
        let mut after = Vec::with_capacity(4);
        for slot in self.set(number) {
            op.act.step(*slot, &mut after);
        }
        if op.optional {
            after.extend_from_slice(self.set(number));
        }
        if after.is_empty() { None } else { Some(self.number(after)) }
    }
}

/// Which operations have their place, for the memory: without the words that are full at
/// the beginning, or empty at the end.
fn shortened(words: &[u64], set: u32) -> (usize, Box<[u64]>, u32) {
    let full = words.iter().take_while(|word| **word == u64::MAX).count();
    let rest = words.get(full..).unwrap_or_default();
    let used = rest.iter().rposition(|word| *word != 0).map_or(0, |last| last + 1);
    (full, rest.get(..used).unwrap_or_default().into(), set)
}

/// An operation that was given its place.
struct Step {
    call: usize,
    /// The set before it.
    before: u32,
    /// Nothing is lost by giving it its place here, so that nothing else need be tried.
    forced: bool,
    /// See [`is_idle`].
    idle: bool,
}

/// Whether an operation need not have a place at all, and needs none right before one that
/// [`covers`] it. One whose condition may hold only there is none of these.
fn is_idle(op: &Op) -> bool {
    let anywhere =
        matches!(op.act, Act::Write { condition: Condition::None | Condition::IfNewer, .. });
    op.returned == NEVER && anywhere
}

/// Whether nobody can see what was stored right before this operation. (Where a store takes
/// the older of the two by its version, the other order gives the same.)
fn covers(op: &Op) -> bool {
    matches!(op.act, Act::Write { value: Some(_), condition: Condition::None, .. }) && !op.optional
}

/// Looks for an order. `budget` is about how many places may be given, and is
/// used up.
#[expect(clippy::indexing_slicing, reason = "places and numbers of operations are the list's own")]
pub(super) fn search(ops: &[Op], budget: &mut u64) -> Outcome {
    let mut ops: Vec<(usize, &Op)> = ops.iter().enumerate().collect();
    // Those that must have their place first, in the order of their calls, so that the
    // memory of them is short.
    ops.sort_by_key(|(_, op)| (op.returned == NEVER, op.invoked));
    let origin: Vec<usize> = ops.iter().map(|(origin, _)| *origin).collect();
    let ops: Vec<Op> = ops.into_iter().map(|(_, op)| *op).collect();
    let mut moments = Moments::new(&ops);
    let mut sets = Sets { numbers: HashMap::new(), sets: Vec::new() };
    let mut now = sets.number(vec![Slot::Nothing]);
    let mut seen = HashSet::new();
    let mut placed = vec![0_u64; ops.len().div_ceil(64)];
    let mut steps: Vec<Step> = Vec::new();
    // Operations that must have their place, and have none.
    let mut missing = ops.iter().filter(|op| op.returned != NEVER).count();
    let mut stuck = Stuck { order: Vec::new(), slots: Vec::new(), at: 0 };
    let mut place = moments.first();
    while missing > 0 {
        let moment = (place != NONE).then(|| moments.list[place]);
        match moment {
            Some(Moment { op, is_return: false, after, .. }) => {
                if covers(&ops[op]) && steps.last().is_some_and(|step| step.idle) {
                    place = after;
                    continue;
                }
                let Some(next) = sets.step(now, &ops[op]) else {
                    place = after;
                    continue;
                };
                let forced = next == now && ops[op].act.is_pure() && !ops[op].optional;
                placed[op / 64] |= 1 << (op % 64);
                if !forced && !seen.insert(shortened(&placed, next)) {
                    placed[op / 64] &= !(1 << (op % 64));
                    place = after;
                    continue;
                }
                // A large set takes longer.
                let cost = 1 + sets.set(next).len() as u64 / 16;
                if *budget < cost {
                    return Outcome::Undecided;
                }
                *budget -= cost;
                let idle = is_idle(&ops[op]);
                steps.push(Step { call: place, before: now, forced, idle });
                now = next;
                missing -= usize::from(ops[op].returned != NEVER);
                moments.lift(place);
                place = moments.first();
            }
            // An operation that had returned has no place: one of those before it is wrong.
            returned => {
                let at = returned.map_or(NEVER, |moment| moment.at);
                if at > stuck.at || stuck.slots.is_empty() {
                    let order = steps.iter().map(|step| origin[moments.list[step.call].op]);
                    let slots = sets.set(now).to_vec();
                    stuck = Stuck { order: order.collect(), slots, at };
                }
                loop {
                    let Some(step) = steps.pop() else { return Outcome::Illegal(stuck) };
                    let op = moments.list[step.call].op;
                    placed[op / 64] &= !(1 << (op % 64));
                    missing += usize::from(ops[op].returned != NEVER);
                    now = step.before;
                    moments.unlift(step.call);
                    if !step.forced {
                        place = moments.list[step.call].after;
                        break;
                    }
                }
            }
        }
    }
    Outcome::Legal
}
