//! The same question answered by trying every order of every choice of operations, with a
//! model of one key that shares nothing with the checker's.

use pinstate_conformance::history::{Answer, Call, Condition, End, Event, Found, History, Reply};
use pinstate_core::{Contender, Version};

/// What is stored: exactly this.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum World {
    Nothing,
    Marker(i64),
    Live(i64, Vec<u8>),
}

impl World {
    fn contender(&self) -> Option<Contender<'_>> {
        match self {
            Self::Nothing => None,
            Self::Marker(version) => Some(Contender { version: Version(*version), value: None }),
            Self::Live(version, value) => {
                Some(Contender { version: Version(*version), value: Some(value) })
            }
        }
    }

    fn live(&self) -> Option<Version> {
        match self {
            Self::Live(version, _) => Some(Version(*version)),
            _ => None,
        }
    }
}

/// All that a call may come to.
pub(crate) fn outcomes(world: &World, call: &Call) -> Vec<(World, Answer)> {
    let same = |answer| vec![(world.clone(), answer)];
    let (version, value, condition) = match call {
        Call::Get => {
            let found = match world {
                World::Live(version, value) => {
                    Some(Found { version: Version(*version), value: value.clone().into() })
                }
                _ => None,
            };
            return same(Answer::Record(found));
        }
        Call::Has => return same(Answer::Present(world.live().is_some())),
        Call::Put { value, version, condition } => (*version, Some(value.to_vec()), condition),
        Call::Delete { version, condition } => (*version, None, condition),
    };
    let written = Answer::Written;
    let new = Contender { version, value: value.as_deref() };
    let stored = match &value {
        Some(value) => World::Live(version.0, value.clone()),
        None => World::Marker(version.0),
    };
    let wins = world.contender().is_none_or(|old| new.beats(&old));
    let loses = world.contender().is_some_and(|old| old.beats(&new));
    match condition {
        Condition::None => {
            let mut all = Vec::new();
            if value.is_some() {
                all.push(stored);
            } else {
                // With a marker or without.
                all.push(World::Nothing);
                let markers = match world {
                    World::Marker(old) => version.0.min(*old)..=version.0.max(*old),
                    _ => 0..=version.0,
                };
                all.extend(markers.map(World::Marker));
            }
            // By version instead of by arrival.
            if loses {
                all.push(world.clone());
            }
            all.into_iter().map(|world| (world, written(Reply::Applied))).collect()
        }
        Condition::IfNewer => {
            if wins {
                vec![(stored.clone(), written(Reply::Applied)), (stored, written(Reply::Resolved))]
            } else {
                let current = world.contender().map(|old| old.version).unwrap_or_default();
                let mut all = vec![
                    (world.clone(), written(Reply::Superseded { current })),
                    (world.clone(), written(Reply::Resolved)),
                ];
                if !loses {
                    all.push((world.clone(), written(Reply::Applied)));
                }
                all
            }
        }
        Condition::IfAbsent | Condition::IfVersion(_) => {
            let asked = match condition {
                Condition::IfVersion(version) => Some(*version),
                _ => None,
            };
            if world.live() == asked {
                vec![(stored, written(Reply::Applied))]
            } else {
                same(written(Reply::Refused { current: world.live() }))
            }
        }
    }
}

/// When an operation has certainly taken effect, if it has one.
fn deadline(history: &History, event: &Event) -> Option<u64> {
    match event.end {
        End::Answered { at, .. } => Some(at),
        End::Dropped { at } => history
            .barriers
            .iter()
            .filter(|barrier| barrier.invoked > at)
            .map(|barrier| barrier.returned)
            .min(),
        _ => None,
    }
}

/// Whether the operations of a history of one key have an order.
pub(crate) fn is_legal(history: &History) -> bool {
    is_legal_whatever(history, &history.events)
}

/// Whether the operations that are named have an order, where the other writes may have
/// taken effect while they were under way, or not.
pub(crate) fn is_legal_whatever(history: &History, named: &[Event]) -> bool {
    let told = |event: &Event| event.answered().is_some() && named.contains(event);
    let events: Vec<&Event> = history
        .events
        .iter()
        .filter(|event| match &event.end {
            End::Answered { answer, .. } => {
                let refused = matches!(
                    answer,
                    Answer::Written(Reply::Superseded { .. } | Reply::Refused { .. })
                );
                told(event) || (event.call.is_write() && !refused)
            }
            End::NotApplied { .. } => false,
            _ => event.call.is_write(),
        })
        .collect();
    let search = Search { history, told: events.iter().map(|event| told(event)).collect(), events };
    let optional: Vec<usize> =
        (0..search.events.len()).filter(|place| !search.told[*place]).collect();
    (0..1_u32 << optional.len()).any(|chosen| {
        let left: Vec<usize> = (0..search.events.len())
            .filter(|place| match optional.iter().position(|optional| optional == place) {
                Some(bit) => chosen & (1 << bit) != 0,
                None => true,
            })
            .collect();
        search.orders(&left, &World::Nothing)
    })
}

struct Search<'a> {
    history: &'a History,
    events: Vec<&'a Event>,
    /// Whether the answer must fit.
    told: Vec<bool>,
}

impl Search<'_> {
    fn orders(&self, left: &[usize], world: &World) -> bool {
        if left.is_empty() {
            return true;
        }
        left.iter().any(|place| {
            let event = self.events[*place];
            let first = left.iter().all(|other| {
                other == place
                    || deadline(self.history, self.events[*other])
                        .is_none_or(|at| at >= event.invoked)
            });
            let rest: Vec<usize> = left.iter().copied().filter(|other| other != place).collect();
            let fits = |answer: &Answer| {
                !self.told[*place] || event.answered().is_some_and(|(_, given)| given == answer)
            };
            first
                && outcomes(world, &event.call)
                    .iter()
                    .any(|(next, answer)| fits(answer) && self.orders(&rest, next))
        })
    }
}
