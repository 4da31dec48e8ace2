//! One key as the contract has it, as a sequential object that may decide as it likes where
//! the contract leaves it open.

use std::collections::HashMap;

use super::event::{Answer, Call, Condition, Event, Reply};

/// The place of a value among the values of its key, in the order of their bytes.
pub(super) type ValueId = u32;

/// What may be stored under a key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) enum Slot {
    /// Nothing.
    Nothing,
    /// A hidden marker with a version from the first to the second, both included. After a
    /// plain delete a store may have left one or not.
    Marker(i64, i64),
    /// A live record.
    Live(i64, ValueId),
}

impl Slot {
    /// Whether whatever may come of the other may come of this.
    pub(super) fn holds(self, other: Self) -> bool {
        match (self, other) {
            (Self::Marker(low, high), Self::Marker(from, to)) => low <= from && to <= high,
            _ => self == other,
        }
    }
}

/// An operation on one key with its answer, reduced to what matters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Act {
    /// A read that gave a record or none.
    Read(Option<(i64, ValueId)>),
    /// A look whether there is a record.
    Look(bool),
    /// A write: a put of a value, or a delete. Without a reply, whatever it may have come to.
    Write { version: i64, value: Option<ValueId>, condition: Condition, reply: Option<Reply> },
}

impl Act {
    /// Whether it certainly leaves what is stored as it is.
    pub(super) fn is_pure(self) -> bool {
        match self {
            Self::Read(_) | Self::Look(_) => true,
            Self::Write { reply, .. } => {
                matches!(reply, Some(Reply::Superseded { .. } | Reply::Refused { .. }))
            }
        }
    }

    /// What may be stored after it, for one thing that may be stored before it; nothing is
    /// added where its answer does not fit.
    pub(super) fn step(self, slot: Slot, after: &mut Vec<Slot>) {
        match self {
            Self::Read(expected) => {
                let live = match slot {
                    Slot::Live(version, value) => Some((version, value)),
                    Slot::Nothing | Slot::Marker(..) => None,
                };
                if live == expected {
                    after.push(slot);
                }
            }
            Self::Look(expected) => {
                if matches!(slot, Slot::Live(..)) == expected {
                    after.push(slot);
                }
            }
            Self::Write { version, value, condition, reply } => {
                let write = Write { version, value };
                match condition {
                    Condition::None => write.plain(slot, reply, after),
                    Condition::IfNewer => write.if_newer(slot, reply, after),
                    Condition::IfAbsent => write.if_live_is(None, slot, reply, after),
                    Condition::IfVersion(asked) => {
                        write.if_live_is(Some(asked.0), slot, reply, after);
                    }
                }
            }
        }
    }
}

/// What a write wants to store.
#[derive(Clone, Copy)]
struct Write {
    version: i64,
    value: Option<ValueId>,
}

impl Write {
    /// What a conditional write leaves where it applies.
    fn stored(self) -> Slot {
        match self.value {
            Some(value) => Slot::Live(self.version, value),
            None => Slot::Marker(self.version, self.version),
        }
    }

    /// A plain write always says that it applied. A store takes it as it arrives or by its
    /// version, and leaves a marker for a delete or none.
    fn plain(self, slot: Slot, reply: Option<Reply>, after: &mut Vec<Slot>) {
        if !matches!(reply, None | Some(Reply::Applied)) {
            return;
        }
        let version = self.version;
        match (self.value, slot) {
            (Some(value), slot) => {
                after.push(Slot::Live(version, value));
                match slot {
                    Slot::Marker(low, high) if high >= version => {
                        after.push(Slot::Marker(low.max(version), high));
                    }
                    Slot::Live(stored, old) if (stored, old) > (version, value) => after.push(slot),
                    _ => {}
                }
            }
            (None, slot) => {
                after.push(Slot::Nothing);
                let (low, high) = match slot {
                    Slot::Marker(low, high) => (low, high.max(version)),
                    Slot::Nothing | Slot::Live(..) => (i64::MIN, version),
                };
                after.push(Slot::Marker(low.min(version), high));
                if matches!(slot, Slot::Live(stored, _) if stored > version) {
                    after.push(slot);
                }
            }
        }
    }

    /// Applies where it beats what is stored. One that is there already may be told either.
    fn if_newer(self, slot: Slot, reply: Option<Reply>, after: &mut Vec<Slot>) {
        let version = self.version;
        let undecided = matches!(reply, None | Some(Reply::Resolved));
        let applied = undecided || reply == Some(Reply::Applied);
        let superseded_by = match reply {
            Some(Reply::Superseded { current }) => Some(current.0),
            _ => None,
        };
        match slot {
            Slot::Nothing if applied => after.push(self.stored()),
            Slot::Nothing => {}
            Slot::Live(stored, old) => {
                let beats = match version.cmp(&stored) {
                    std::cmp::Ordering::Equal => self.value.is_none_or(|value| value > old),
                    order => order.is_gt(),
                };
                let repeated = version == stored && self.value == Some(old);
                if beats {
                    if applied {
                        after.push(self.stored());
                    }
                } else if undecided
                    || superseded_by == Some(stored)
                    || (repeated && reply == Some(Reply::Applied))
                {
                    after.push(slot);
                }
            }
            Slot::Marker(low, high) => {
                // A marker of the same version beats a put, and is what a delete leaves.
                let over = match self.value {
                    Some(_) => low < version,
                    None => low <= version,
                };
                if over && applied {
                    after.push(self.stored());
                }
                if undecided && high >= version {
                    after.push(Slot::Marker(low.max(version), high));
                }
                if let Some(current) = superseded_by
                    && current >= version
                    && (low..=high).contains(&current)
                {
                    after.push(Slot::Marker(current, current));
                }
            }
        }
    }

    /// Applies where the live record has the version asked for, or where there is none.
    fn if_live_is(
        self,
        asked: Option<i64>,
        slot: Slot,
        reply: Option<Reply>,
        after: &mut Vec<Slot>,
    ) {
        let live = match slot {
            Slot::Live(version, _) => Some(version),
            Slot::Nothing | Slot::Marker(..) => None,
        };
        let (stored, answer) = if live == asked {
            (self.stored(), Reply::Applied)
        } else {
            (slot, Reply::Refused { current: live.map(pinstate_core::Version) })
        };
        if reply.is_none_or(|reply| reply == answer) {
            after.push(stored);
        }
    }
}

/// The values of one key. Their order is that of their bytes.
pub(super) struct Values(HashMap<Vec<u8>, ValueId>);

impl Values {
    pub(super) fn of(events: &[&Event]) -> Self {
        let mut all: Vec<&[u8]> = Vec::new();
        for event in events {
            if let Call::Put { value, .. } = &event.call {
                all.push(value);
            }
            if let Some((_, Answer::Record(Some(found)))) = event.answered() {
                all.push(&found.value);
            }
        }
        all.sort_unstable();
        all.dedup();
        let place = |(place, value): (usize, &[u8])| {
            (value.to_vec(), ValueId::try_from(place).unwrap_or(ValueId::MAX))
        };
        Self(all.into_iter().enumerate().map(place).collect())
    }

    fn id(&self, value: &[u8]) -> ValueId {
        self.0.get(value).copied().unwrap_or(ValueId::MAX)
    }

    /// What matters of an operation; `None` for a read that tells nothing, and for a write
    /// that certainly did nothing.
    pub(super) fn act(&self, event: &Event) -> Option<Act> {
        use super::event::End;
        let answer = match &event.end {
            End::NotApplied { .. } => return None,
            End::Answered { answer, .. } => Some(answer),
            End::Unknown { .. } | End::Dropped { .. } | End::Open => None,
        };
        let (version, value, condition) = match &event.call {
            Call::Get | Call::Has => {
                return Some(match answer? {
                    Answer::Record(found) => Act::Read(
                        found.as_ref().map(|found| (found.version.0, self.id(&found.value))),
                    ),
                    Answer::Present(present) => Act::Look(*present),
                    Answer::Written(_) => return None,
                });
            }
            Call::Put { value, version, condition } => (version.0, Some(self.id(value)), condition),
            Call::Delete { version, condition } => (version.0, None, condition),
        };
        let reply = match answer {
            Some(Answer::Written(reply)) => Some(*reply),
            _ => None,
        };
        Some(Act::Write { version, value, condition: *condition, reply })
    }
}
