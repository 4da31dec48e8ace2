//! Whether a history is linearizable, key by key, and where it is not, why.

use std::collections::BTreeMap;
use std::fmt;

use pinstate_core::Key;

use super::event::{End, Event, History, Shown};
use super::model::{Slot, Values};
use super::search::{NEVER, Op, Outcome, search, search_plainly};
use super::shrink::shrink;

/// Places that a search may try before it gives up, for each key. A legal history takes some
/// for each operation.
const BUDGET: u64 = 20_000_000;

/// Places that may be tried for an explanation that is easier to follow.
const PLAINLY: u64 = 100_000;

/// What a check came to.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// There is an order of the operations on each key that explains all answers.
    Legal,
    /// There is none for one key.
    Illegal(Box<Counterexample>),
    /// The search for one key was given up: too many operations at the same time.
    Undecided {
        /// The key.
        key: Key,
        /// Operations on it.
        operations: usize,
    },
}

/// Operations on one key that no order explains: a small part of the history that is wrong
/// by itself.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Counterexample {
    /// The key.
    pub key: Key,
    /// The operations, in the order in which they were begun.
    pub events: Vec<Event>,
    /// The operations that fit, in the longest order that does, as places in `events`.
    pub order: Vec<usize>,
    /// What is stored after those, in words.
    pub stored: String,
    /// The operation that had returned and fits no more, as a place in `events`.
    pub culprit: Option<usize>,
    /// Other operations on the key: the ones that are shown cannot be explained whatever
    /// became of these.
    pub others: usize,
}

/// Whether for each key there is an order of the operations that explains all answers, in
/// which each takes effect between its call and its return, and
///
/// * one that failed with an unknown outcome, or has no end, takes effect at any time after
///   its call, or never;
/// * one whose future was dropped takes effect before the end of a barrier that began
///   afterwards, or never;
/// * one that was not applied never does.
///
/// Keys are empty at the beginning. What a write does is what the contract says: see
/// [`Precondition`](pinstate_core::Precondition); where it leaves something open, all is
/// legal.
#[must_use]
pub fn check(history: &History) -> Verdict {
    let mut keys: BTreeMap<&Key, Vec<usize>> = BTreeMap::new();
    for (place, event) in history.events.iter().enumerate() {
        keys.entry(&event.key).or_default().push(place);
    }
    for (key, places) in keys {
        let ops = operations(history, &places);
        match search(&ops, &mut BUDGET.clone()) {
            Outcome::Legal => {}
            Outcome::Illegal(stuck) => {
                let example = counterexample(history, key, &ops, stuck.at, places.len());
                return Verdict::Illegal(Box::new(example));
            }
            Outcome::Undecided => {
                return Verdict::Undecided { key: key.clone(), operations: places.len() };
            }
        }
    }
    Verdict::Legal
}

/// What matters of the operations at these places, which are of one key.
fn operations(history: &History, places: &[usize]) -> Vec<Op> {
    let event = |place: &usize| Some((*place, history.events.get(*place)?));
    let events: Vec<(usize, &Event)> = places.iter().filter_map(event).collect();
    let values = Values::of(&events.iter().map(|(_, event)| *event).collect::<Vec<_>>());
    let op = |(place, event): (usize, &Event)| {
        let act = values.act(event)?;
        let (returned, optional) = match &event.end {
            End::Answered { at, .. } | End::NotApplied { at, .. } => (*at, false),
            End::Unknown { .. } | End::Open => (NEVER, false),
            End::Dropped { at } => {
                let barriers = history.barriers.iter().filter(|barrier| barrier.invoked > *at);
                match barriers.map(|barrier| barrier.returned).min() {
                    Some(returned) => (returned, true),
                    None => (NEVER, false),
                }
            }
        };
        Some(Op { act, invoked: event.invoked, returned, optional, event: place })
    };
    events.into_iter().filter_map(op).collect()
}

/// The small part of the operations that is wrong by itself, and why it is.
fn counterexample(
    history: &History,
    key: &Key,
    ops: &[Op],
    at: u64,
    operations: usize,
) -> Counterexample {
    let shown = shrink(ops, at);
    let events: Vec<&Event> = shown.iter().filter_map(|op| history.events.get(op.event)).collect();
    let (mut order, mut slots, mut culprit) = (Vec::new(), Vec::new(), None);
    let mut outcome = search_plainly(&shown, &mut PLAINLY.clone());
    if matches!(outcome, Outcome::Undecided) {
        outcome = search(&shown, &mut BUDGET.clone());
    }
    if let Outcome::Illegal(stuck) = outcome {
        culprit = shown.iter().position(|op| op.returned == stuck.at);
        (order, slots) = (stuck.order, stuck.slots);
    }
    let mut stored: Vec<String> = slots.iter().map(|slot| in_words(*slot, &events)).collect();
    stored.dedup();
    Counterexample {
        key: key.clone(),
        events: events.iter().copied().cloned().collect(),
        order,
        stored: stored.join(", or "),
        culprit,
        others: operations - shown.len(),
    }
}

fn in_words(slot: Slot, events: &[&Event]) -> String {
    use super::event::Call;
    match slot {
        Slot::Nothing => "nothing".to_owned(),
        Slot::Marker(i64::MIN, high) => format!("a marker of v{high} or older"),
        Slot::Marker(low, high) if low == high => format!("a marker of v{low}"),
        Slot::Marker(low, high) => format!("a marker of v{low} to v{high}"),
        Slot::Live(version, _) => {
            let value = events.iter().find_map(|event| match &event.call {
                Call::Put { value, version: of, .. } if of.0 == version => Some(value),
                _ => None,
            });
            value.map_or_else(
                || format!("v{version}"),
                |value| format!("{} v{version}", Shown(value)),
            )
        }
    }
}

impl Verdict {
    /// Whether the history is linearizable.
    #[must_use]
    pub fn is_legal(&self) -> bool {
        matches!(self, Self::Legal)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Legal => f.write_str("linearizable"),
            Self::Illegal(example) => example.fmt(f),
            Self::Undecided { key, operations } => write!(
                f,
                "key {key}: undecided, the search among {operations} operations was given up"
            ),
        }
    }
}

impl fmt::Display for Counterexample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "key {}: no order of these operations explains their answers",
            Shown(self.key.as_bytes())
        )?;
        for (place, event) in self.events.iter().enumerate() {
            let mark = if self.culprit == Some(place) { '!' } else { ' ' };
            writeln!(f, "  {mark} {:>2}. {event}", place + 1)?;
        }
        let order: Vec<String> = self.order.iter().map(|place| format!("{}", place + 1)).collect();
        if order.is_empty() {
            write!(f, "  nothing is stored at first")?;
        } else {
            write!(f, "  in the longest order that fits, {}, this is stored", order.join(" "))?;
            write!(f, " then: {}", self.stored)?;
        }
        if let Some(culprit) = self.culprit {
            write!(f, "; number {} does not fit there or before", culprit + 1)?;
        }
        if self.others > 0 {
            write!(f, "; whatever {} other operations on the key did", self.others)?;
        }
        Ok(())
    }
}
