//! Histories without a store in which most futures of writes are dropped.

use bytes::Bytes;
use pinstate_conformance::history::{
    Answer, Barrier, Call, Condition, End, Event, Found, History, Reply,
};
use pinstate_core::{Key, Version};

/// A legal history of so many operations on one key, of which half are reads. Most futures of
/// the writes are dropped, and what they ask for may take effect until a barrier comes.
pub(crate) fn legal(clients: u32, operations: usize, seed: u64) -> History {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut history = History::default();
    let mut stored: Option<Found> = None;
    // What each client is at, and what was dropped and may still be done.
    let mut called: Vec<Option<usize>> = (0..clients).map(|_| None).collect();
    let mut late: Vec<usize> = Vec::new();
    let write = |call: &Call, stored: &mut Option<Found>| match call {
        Call::Put { value, version, .. } => {
            *stored = Some(Found { version: *version, value: value.clone() });
        }
        Call::Delete { .. } => *stored = None,
        _ => {}
    };
    let mut now = 0;
    while history.events.len() < operations || called.iter().any(Option::is_some) {
        now += 1;
        if !late.is_empty() && rng.u8(..4) == 0 {
            let place = late.swap_remove(rng.usize(..late.len()));
            if rng.bool() {
                write(&history.events[place].call, &mut stored);
            }
        }
        if rng.u8(..60) == 0 {
            late.clear();
            history.barriers.push(Barrier { client: clients, invoked: now, returned: now + 1 });
            now += 1;
        }
        let client = rng.u32(..clients);
        let at_work = &mut called[client as usize];
        let Some(place) = at_work.take() else {
            if history.events.len() == operations {
                continue;
            }
            let version = Version(i64::try_from(now).unwrap_or(i64::MAX));
            let value = Bytes::from(format!("c{client} at {now}"));
            let call = match rng.u8(..12) {
                0..=3 => Call::Get,
                4 | 5 => Call::Has,
                6..=9 => Call::Put { value, version, condition: Condition::None },
                _ => Call::Delete { version, condition: Condition::None },
            };
            *at_work = Some(history.events.len());
            let key = Key::copy_from(b"hot");
            history.events.push(Event { client, key, call, invoked: now, end: End::Open });
            continue;
        };
        let event = &mut history.events[place];
        let is_write = matches!(event.call, Call::Put { .. } | Call::Delete { .. });
        event.end = if is_write && rng.u8(..3) > 0 {
            late.push(place);
            End::Dropped { at: now }
        } else {
            write(&event.call, &mut stored);
            let answer = match event.call {
                Call::Get => Answer::Record(stored.clone()),
                Call::Has => Answer::Present(stored.is_some()),
                _ => Answer::Written(Reply::Applied),
            };
            End::Answered { at: now, answer }
        };
    }
    history
}
