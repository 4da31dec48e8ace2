//! The calls and returns of a search, of which those of operations that have their place are
//! taken out.

use super::search::{NEVER, Op};

/// An end of the list.
pub(super) const NONE: usize = usize::MAX;

/// A moment in the list of calls and returns, which are joined in both directions.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    pub(super) at: u64,
    pub(super) op: usize,
    pub(super) is_return: bool,
    before: usize,
    pub(super) after: usize,
}

/// Calls and returns in order of time. Entry 0 is the head.
pub(super) struct Moments {
    list: Vec<Moment>,
    /// The return of each operation, or `NONE`.
    returns: Vec<usize>,
    /// The call of each operation.
    calls: Vec<usize>,
}

#[expect(clippy::indexing_slicing, reason = "all places were made together with the list")]
impl Moments {
    pub(super) fn new(ops: &[Op]) -> Self {
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
        let mut calls = returns.clone();
        let last = list.len() - 1;
        for (place, moment) in list.iter_mut().enumerate() {
            moment.before = if place == 0 { NONE } else { place - 1 };
            moment.after = if place == last { NONE } else { place + 1 };
            match moment.op {
                NONE => {}
                op if moment.is_return => returns[op] = place,
                op => calls[op] = place,
            }
        }
        Self { list, returns, calls }
    }

    pub(super) fn first(&self) -> usize {
        self.list[0].after
    }

    /// The moment at this place of the list, which may be its end.
    pub(super) fn at(&self, place: usize) -> Option<Moment> {
        self.list.get(place).copied()
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

    /// Takes the call of an operation and its return out.
    pub(super) fn lift(&mut self, op: usize) {
        self.cut(self.calls[op]);
        let end = self.returns[op];
        if end != NONE {
            self.cut(end);
        }
    }

    /// Puts them back, those that were taken out last first; gives what comes after the call.
    pub(super) fn unlift(&mut self, op: usize) -> usize {
        let (call, end) = (self.calls[op], self.returns[op]);
        if end != NONE {
            self.mend(end);
        }
        self.mend(call);
        self.list[call].after
    }
}
