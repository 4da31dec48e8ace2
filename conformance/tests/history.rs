//! The checker of histories against one that simply tries everything, and against histories
//! whose verdict is known.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "history/dropping.rs"]
mod dropping;
#[path = "history/known.rs"]
mod known;
#[path = "history/oracle.rs"]
mod oracle;
#[path = "history/sessions.rs"]
mod sessions;
#[path = "history/simulation.rs"]
mod simulation;

use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use pinstate_conformance::history::{
    Answer, Barrier, Call, Condition, End, Event, Found, History, Reply, Verdict, check,
};
use pinstate_core::{Key, Version};
use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, Strategy, any};
use proptest::test_runner::TestRunner;

/// Random histories that are compared. Trying everything takes its time.
const HISTORIES: u32 = 20_000;

/// What an operation of a random history is drawn from.
#[derive(Clone, Debug)]
struct Draw {
    kind: u8,
    version: i64,
    value: u8,
    invoked: u64,
    length: u64,
    /// Where in its time it takes effect, and which of the legal answers is given.
    point: u64,
    choice: usize,
    end: u8,
}

/// For a history of cancelled writes, barriers and reads.
fn cancelling(draw: &mut Draw) {
    draw.kind = if draw.kind < 6 { 0 } else { 4 };
    draw.end = if draw.kind == 4 && draw.end < 10 { 2 } else { 9 };
    draw.length %= 3;
}

fn draw() -> impl Strategy<Value = Draw> {
    (0..12_u8, 1..6_i64, 0..3_u8, 0..24_u64, 0..14_u64, any::<u64>(), any::<usize>(), 0..14_u8)
        .prop_map(|(kind, version, value, invoked, length, point, choice, end)| Draw {
            kind,
            version,
            value,
            invoked,
            length,
            point,
            choice,
            end,
        })
}

fn key() -> Key {
    Key::copy_from(b"k")
}

fn call(draw: &Draw) -> Call {
    let version = Version(draw.version);
    let value = Bytes::copy_from_slice(&[b'a' + draw.value]);
    let put = |condition| Call::Put { value: value.clone(), version, condition };
    match draw.kind {
        0..=2 => Call::Get,
        3 => Call::Has,
        4 | 5 => put(Condition::None),
        6 => put(Condition::IfNewer),
        7 => put(Condition::IfAbsent),
        8 => put(Condition::IfVersion(Version(1 + draw.point as i64 % 5))),
        9 => Call::Delete { version, condition: Condition::None },
        10 => Call::Delete { version, condition: Condition::IfNewer },
        _ => Call::Delete {
            version,
            condition: Condition::IfVersion(Version(1 + draw.point as i64 % 5)),
        },
    }
}

/// A history as a store may have given it: operations take effect one after the other, each
/// at some moment between its call and its return, or some time later where that may be.
fn legal(draws: &[Draw], barriers: &[(u64, u64)]) -> History {
    let mut order: Vec<(u64, usize)> = draws
        .iter()
        .enumerate()
        .map(|(place, draw)| {
            let late = if (1..=4).contains(&draw.end) { 16 } else { 0 };
            (draw.invoked + draw.point % (draw.length + 1 + late), place)
        })
        .collect();
    order.sort_unstable();
    let mut world = oracle::World::Nothing;
    let mut events = vec![None; draws.len()];
    for (_, place) in order {
        let draw = &draws[place];
        let call = call(draw);
        let legal = oracle::outcomes(&world, &call);
        let (next, answer) = legal[draw.choice % legal.len()].clone();
        let at = draw.invoked + draw.length;
        let applied = draw.choice.is_multiple_of(2);
        let (end, effect) = match draw.end {
            0 => (End::NotApplied { at, error: "refused".to_owned() }, false),
            1 => (End::Unknown { at, error: "no answer".to_owned() }, applied),
            2 | 3 => (End::Dropped { at }, applied),
            4 => (End::Open, applied),
            _ => (End::Answered { at, answer }, true),
        };
        if effect {
            world = next;
        }
        let client = place as u32;
        events[place] = Some(Event { client, key: key(), call, invoked: draw.invoked, end });
    }
    let barrier = |&(invoked, length): &(u64, u64)| Barrier {
        client: 0,
        invoked,
        returned: invoked + length,
    };
    History {
        events: events.into_iter().flatten().collect(),
        barriers: barriers.iter().map(barrier).collect(),
    }
}

/// Another answer than the one that was given.
fn spoil(history: &mut History, place: usize, other: i64) {
    let count = history.events.len().max(1);
    let Some(event) = history.events.get_mut(place % count) else { return };
    let End::Answered { answer, .. } = &mut event.end else { return };
    let version = Version(other % 6);
    *answer = match answer {
        Answer::Present(present) => Answer::Present(!*present),
        Answer::Record(None) => {
            Answer::Record(Some(Found { version, value: Bytes::from_static(b"a") }))
        }
        Answer::Record(Some(_)) if other % 2 == 0 => Answer::Record(None),
        Answer::Record(Some(found)) => {
            Answer::Record(Some(Found { version, value: found.value.clone() }))
        }
        Answer::Written(Reply::Applied) if other % 2 == 0 => {
            Answer::Written(Reply::Superseded { current: version })
        }
        Answer::Written(Reply::Applied) => Answer::Written(Reply::Refused { current: None }),
        Answer::Written(_) => Answer::Written(Reply::Applied),
    };
}

fn runner() -> TestRunner {
    let env = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    let cases = env.unwrap_or(HISTORIES).max(1_000);
    TestRunner::new(ProptestConfig { cases, failure_persistence: None, ..Default::default() })
}

#[test]
fn agrees_with_trying_everything() {
    let (legals, illegals, by_barrier) = (AtomicU32::new(0), AtomicU32::new(0), AtomicU32::new(0));
    let barriers = vec((0..30_u64, 0..6_u64), 0..3);
    let draws = (vec(draw(), 0..7), any::<bool>()).prop_map(|(mut draws, cancelled)| {
        draws.iter_mut().filter(|_| cancelled).for_each(cancelling);
        draws
    });
    let histories = (draws, barriers, proptest::option::of((any::<usize>(), 0..50_i64)));
    runner()
        .run(&histories, |(draws, barriers, spoiled)| {
            let mut history = legal(&draws, &barriers);
            if let Some((place, other)) = spoiled {
                spoil(&mut history, place, other);
            }
            let expected = oracle::is_legal(&history);
            let verdict = check(&history);
            let counter = if expected { &legals } else { &illegals };
            counter.fetch_add(1, Ordering::Relaxed);
            if !expected {
                let mut without = history.clone();
                without.barriers.clear();
                by_barrier.fetch_add(u32::from(oracle::is_legal(&without)), Ordering::Relaxed);
            }
            match verdict {
                Verdict::Legal if expected => {}
                // What is shown is wrong by itself.
                Verdict::Illegal(example) if !expected => {
                    let others = history.events.len() - example.events.len();
                    proptest::prop_assert_eq!(example.others, others);
                    proptest::prop_assert!(example.culprit.is_some(), "{}", example);
                    let explained = oracle::is_legal_whatever(&history, &example.events);
                    proptest::prop_assert!(!explained, "{}", example);
                }
                verdict => {
                    proptest::prop_assert!(
                        false,
                        "expected {}, got {verdict}",
                        if expected { "a legal one" } else { "an illegal one" }
                    );
                }
            }
            Ok(())
        })
        .unwrap();
    let (legals, illegals) = (legals.into_inner(), illegals.into_inner());
    println!(
        "{legals} legal, {illegals} illegal, {} of them by a barrier",
        by_barrier.load(Ordering::Relaxed)
    );
    assert!(legals > 300 && illegals > 200, "{legals} legal, {illegals} illegal");
    assert!(by_barrier.into_inner() > 0, "no barrier made a difference");
}
