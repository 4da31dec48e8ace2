//! From an illegal history of one key to a small part that is illegal by itself.
//!
//! A part counts only if it is illegal *whatever became of the rest*: reads that are left
//! out say nothing, but a write that is left out stays in the search as one that may or may
//! not have taken effect while it was under way. So nothing is blamed on a part that the
//! rest explains.

use std::collections::HashSet;

use super::event::{Condition, Reply};
use super::model::{Act, ValueId};
use super::search::{NEVER, Op, Outcome, search};

/// Places that all searches of one shrinking may give.
const BUDGET: u64 = 1_000_000;

/// Operations of `all` that are illegal by themselves, where no order explains those that
/// had returned at the moment `at`.
pub(super) fn shrink(all: &[Op], at: u64) -> Vec<Op> {
    let asked: Vec<Op> = all.iter().filter_map(|op| cut(op, at)).collect();
    let mut budget = BUDGET;
    // Without conditions the writes that are left out cost less to think of.
    let mut ops: Vec<Op> = asked.iter().map(relaxed).collect();
    let mut shown = near(&ops, at, &mut budget);
    if shown.iter().all(|shown| *shown) && !is_illegal(&ops, &shown, &mut budget) {
        ops = asked;
        shown = near(&ops, at, &mut budget);
    }
    let mut size = ops.len().div_ceil(2);
    while size > 0 {
        let mut less = false;
        for from in (0..ops.len()).step_by(size) {
            let mut fewer = shown.clone();
            let chunk = fewer.get_mut(from..(from + size).min(ops.len())).unwrap_or_default();
            if !chunk.iter().any(|shown| *shown) {
                continue;
            }
            chunk.fill(false);
            keep_sources(&ops, &mut fewer);
            if fewer != shown && is_illegal(&ops, &fewer, &mut budget) {
                shown = fewer;
                less = true;
            }
        }
        // Single ones are tried again until all of them are needed.
        if size > 1 || !less {
            size /= 2;
        }
    }
    let mut kept: Vec<Op> = ops
        .iter()
        .zip(&shown)
        .filter(|(_, shown)| **shown)
        .filter_map(|(op, _)| all.iter().find(|original| original.event == op.event))
        .filter_map(|op| cut(op, at))
        .collect();
    kept.sort_by_key(|op| op.invoked);
    kept
}

/// The operations shortly before the end, as far back as it takes: with the writes of what
/// they read these are mostly enough.
fn near(ops: &[Op], at: u64, budget: &mut u64) -> Vec<bool> {
    let mut latest: Vec<usize> = (0..ops.len()).collect();
    let moment = |place: usize| ops.get(place).map(|op| (op.returned == at, op.invoked));
    latest.sort_by_key(|place| std::cmp::Reverse(moment(*place)));
    // First what is cheapest to check: what asks for more than records, and what found none,
    // makes the writes matter that are left out.
    for keep in [finds, is_simple, |_: &Op| true] {
        let mut count = 4;
        while count < ops.len() {
            let mut shown = vec![false; ops.len()];
            for place in latest.iter().take(count) {
                if let (Some(op), Some(shown)) = (ops.get(*place), shown.get_mut(*place)) {
                    *shown = op.returned == at || keep(op);
                }
            }
            keep_sources(ops, &mut shown);
            if is_illegal(ops, &shown, budget) {
                return shown;
            }
            count *= 4;
        }
    }
    vec![true; ops.len()]
}

/// An operation as it looked at a moment: without its end where that came later.
fn cut(op: &Op, at: u64) -> Option<Op> {
    let mut op = *op;
    if op.invoked > at {
        return None;
    }
    if op.returned > at {
        match &mut op.act {
            Act::Write {
                reply: Some(Reply::Superseded { .. } | Reply::Refused { .. }), ..
            }
            | Act::Read(_)
            | Act::Look(_) => return None,
            Act::Write { reply, .. } => *reply = None,
        }
        op.returned = NEVER;
        op.optional = false;
    }
    Some(op)
}

/// A write that may have applied as one without a condition, which asks less of what is
/// stored and may come to all that this one may come to.
fn relaxed(op: &Op) -> Op {
    let mut op = *op;
    let returned = op.returned;
    if let Act::Write { condition, reply, .. } = &mut op.act {
        match (*reply, *condition) {
            (Some(Reply::Applied), _) => *condition = Condition::None,
            (None | Some(Reply::Resolved), Condition::IfNewer) => {
                (*condition, *reply) = (Condition::None, None);
            }
            // It need not be done at all.
            (None, _) if returned == NEVER => *condition = Condition::None,
            _ => {}
        }
    }
    op
}

/// Shows the writes of all that is read: a value that comes from nowhere would be a riddle.
fn keep_sources(ops: &[Op], shown: &mut [bool]) {
    let read = sources(ops, shown);
    for (op, shown) in ops.iter().zip(shown) {
        if let Act::Write { value: Some(value), .. } = op.act {
            *shown |= read.contains(&value);
        }
    }
}

/// The values that are read by what is shown.
fn sources(ops: &[Op], shown: &[bool]) -> HashSet<ValueId> {
    let read = |(op, shown): (&Op, &bool)| match op.act {
        Act::Read(Some((_, value))) if *shown => Some(value),
        _ => None,
    };
    ops.iter().zip(shown).filter_map(read).collect()
}

/// Whether an operation does not depend on more than the record that is read.
fn is_simple(op: &Op) -> bool {
    matches!(op.act, Act::Read(_) | Act::Write { condition: Condition::None, .. })
}

/// Whether an operation is a plain write, or a read that found something.
fn finds(op: &Op) -> bool {
    is_simple(op) && op.act != Act::Read(None)
}

/// Whether no order explains what is shown, whatever became of the writes that are not.
fn is_illegal(ops: &[Op], shown: &[bool], budget: &mut u64) -> bool {
    let visible = || ops.iter().zip(shown).filter(|(_, shown)| **shown).map(|(op, _)| op);
    // Where records are only read, and written without conditions, a write that nobody read
    // explains nothing. (Those that were read are shown.)
    let simple = visible().all(is_simple);
    let nothing_read = visible().any(|op| op.act == Act::Read(None));
    let relevant = |op: &Op| match op.act {
        Act::Write { value, .. } => !simple || (value.is_none() && nothing_read),
        _ => false,
    };
    let rest = ops.iter().zip(shown).filter(|(op, shown)| !**shown && relevant(op));
    let rest = rest.filter_map(|(op, _)| {
        let mut op = *op;
        match &mut op.act {
            Act::Write {
                reply: Some(Reply::Superseded { .. } | Reply::Refused { .. }), ..
            } => {
                return None;
            }
            Act::Write { reply, .. } => *reply = None,
            _ => return None,
        }
        op.optional = op.returned != NEVER;
        Some(op)
    });
    let part: Vec<Op> = visible().copied().chain(rest).collect();
    // One that takes long is not worth the others.
    let mut share = (*budget).min(100 * part.len() as u64 + 1_000);
    *budget -= share;
    let outcome = search(&part, &mut share);
    *budget += share;
    matches!(outcome, Outcome::Illegal(_))
}
