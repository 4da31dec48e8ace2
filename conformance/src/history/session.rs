//! What a store promises that is not linearizable: that a handle reads its own writes, and
//! that all handles agree in the end.
//!
//! Both are checked by what certainly came before what. A write *is gone* for a client that
//! knows of another one which began after the first was acknowledged, and which took effect
//! or is the newer one: both orders in which a store may take writes, as they arrive and by
//! their versions, agree on those two.

use std::collections::BTreeMap;
use std::fmt;

use super::event::{Answer, Call, Condition, End, Event, Found, History, Reply, Shown};

/// A read that no store can have given which keeps its promise.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Broken {
    /// The read.
    pub read: Event,
    /// What was wrong with it.
    pub why: String,
    /// The operations that prove it.
    pub proof: Vec<Event>,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key {}: {}\n  ! {}", Shown(self.read.key.as_bytes()), self.why, self.read)?;
        for event in &self.proof {
            write!(f, "\n    {event}")?;
        }
        Ok(())
    }
}

/// Whether each client reads its own writes, or newer ones, and nothing that nobody wrote.
///
/// # Errors
/// The first read that does not.
pub fn check_sessions(history: &History) -> Result<(), Box<Broken>> {
    check(history, |read, write| read.client == write.client)
}

/// Whether, beside that, no client reads of a key what was replaced by something that it has
/// read before.
///
/// # Errors
/// The first read that does not.
pub fn check_monotonic(history: &History) -> Result<(), Box<Broken>> {
    check(history, |read, write| {
        let has_read = |earlier: &Event| {
            earlier.client == read.client
                && earlier.key == read.key
                && earlier
                    .answered()
                    .is_some_and(|(at, answer)| at < read.invoked && is_source(write, answer))
        };
        read.client == write.client || history.events.iter().any(has_read)
    })
}

/// Whether what was read is what this put wrote.
fn is_source(write: &Event, answer: &Answer) -> bool {
    matches!((&write.call, answer), (Call::Put { value, version, .. }, Answer::Record(Some(found)))
        if *value == found.value && *version == found.version)
}

/// Whether the reads of `observers`, made when all else had ended, give for each key one and
/// the same record, which is one of those that may stay.
///
/// # Errors
/// The first read that does not.
pub fn check_settled(history: &History, observers: &[u32]) -> Result<(), Box<Broken>> {
    let observes = |event: &Event| observers.contains(&event.client);
    check(history, |read, _| observes(read))?;
    let mut agreed: BTreeMap<_, (&Event, Option<&Found>)> = BTreeMap::new();
    for event in history.events.iter().filter(|event| observes(event)) {
        let Some((_, Answer::Record(found))) = event.answered() else { continue };
        let (first, seen) = *agreed.entry(&event.key).or_insert((event, found.as_ref()));
        if seen != found.as_ref() {
            return Err(Box::new(Broken {
                read: event.clone(),
                why: "handles do not agree when all has ended".to_owned(),
                proof: vec![first.clone()],
            }));
        }
    }
    Ok(())
}

/// When an operation had certainly taken effect, where it did.
fn done(event: &Event) -> Option<(u64, Reply)> {
    match event.answered()? {
        (at, Answer::Written(reply)) => Some((at, *reply)),
        _ => None,
    }
}

/// Checks each read against the writes that its client knows of.
fn check(history: &History, knows: impl Fn(&Event, &Event) -> bool) -> Result<(), Box<Broken>> {
    let mut keys: BTreeMap<_, Vec<&Event>> = BTreeMap::new();
    for event in &history.events {
        keys.entry(&event.key).or_default().push(event);
    }
    for events in keys.values() {
        for read in events {
            let Some((at, answer)) = read.answered() else { continue };
            let known = events.iter().copied().filter(|write| {
                done(write).is_some_and(|(done, _)| done < read.invoked) && knows(read, write)
            });
            let before = events.iter().copied();
            let before = before.filter(|write| may_apply(write) && write.invoked < at);
            check_read(read, answer, &known.collect::<Vec<_>>(), &before.collect::<Vec<_>>())?;
        }
    }
    Ok(())
}

/// Checks one read against the writes that its client knows of, and those that began before
/// it ended.
fn check_read(
    read: &Event,
    answer: &Answer,
    known: &[&Event],
    before: &[&Event],
) -> Result<(), Box<Broken>> {
    let broken = |why: &str, proof: &[&Event]| {
        let proof = proof.iter().copied().cloned().collect();
        Err(Box::new(Broken { read: read.clone(), why: why.to_owned(), proof }))
    };
    let is_put = |write: &&Event| matches!(write.call, Call::Put { .. });
    match answer {
        Answer::Record(Some(_)) => {
            let source = before.iter().copied().find(|write| is_source(write, answer));
            let Some(source) = source else {
                return broken("a record was read that nobody had written", &[]);
            };
            if let Some(over) = known.iter().copied().find(|over| replaces(over, source)) {
                return broken("a record was read that was replaced before", &[source, over]);
            }
        }
        Answer::Record(None) | Answer::Present(false) => {
            // A put after which nothing can have deleted it.
            let stays = |put: &&Event| {
                let lasting = matches!(done(put), Some((_, Reply::Applied | Reply::Resolved)));
                let mut deletes = before.iter().filter(|write| !is_put(write));
                lasting && is_put(put) && deletes.all(|delete| replaces(put, delete))
            };
            if let Some(put) = known.iter().copied().find(stays) {
                return broken("nothing was read where a record must be", &[put]);
            }
        }
        Answer::Present(true) => {
            let stays = |delete: &&Event| {
                let lasting = matches!(done(delete), Some((_, Reply::Applied | Reply::Resolved)));
                let mut puts = before.iter().filter(|write| is_put(write));
                lasting && !is_put(delete) && puts.all(|put| replaces(delete, put))
            };
            if let Some(delete) = known.iter().copied().find(stays) {
                return broken("a record was seen where none can be", &[delete]);
            }
        }
        Answer::Written(_) => {}
    }
    Ok(())
}

/// Whether one write, which took effect or found a newer one, certainly came after another,
/// so that the other is gone.
fn replaces(later: &Event, earlier: &Event) -> bool {
    let (Some((at, _)), Some((_, replied))) = (done(earlier), done(later)) else {
        return false;
    };
    if at >= later.invoked {
        return false;
    }
    let newer = later.call.version() > earlier.call.version();
    match replied {
        // A condition that held was checked against what was stored.
        Reply::Applied => newer || !is_plain(later),
        Reply::Resolved => newer,
        Reply::Superseded { current } => Some(current) > earlier.call.version(),
        Reply::Refused { .. } => false,
    }
}

fn is_plain(write: &Event) -> bool {
    matches!(
        write.call,
        Call::Put { condition: Condition::None, .. }
            | Call::Delete { condition: Condition::None, .. }
    )
}

/// Whether an operation is a write that may have taken effect.
fn may_apply(event: &Event) -> bool {
    let refused =
        matches!(done(event), Some((_, Reply::Superseded { .. } | Reply::Refused { .. })));
    event.call.is_write() && !refused && !matches!(event.end, End::NotApplied { .. })
}
