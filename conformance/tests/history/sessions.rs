//! The weaker promises: reading one's own writes, and agreeing in the end.

use pinstate_conformance::history::{
    Answer, Call, Condition, History, Observed, Promise, Reply, check, check_monotonic,
    check_sessions, check_settled,
};

use crate::known::{APPLIED, NOTHING, Story, delete, delete_if, put, put_if, record, superseded};
use crate::simulation;

const RESOLVED: Answer = Answer::Written(Reply::Resolved);
const IF_NEWER: Condition = Condition::IfNewer;

#[track_caller]
fn keeps(history: &History) {
    if let Err(broken) = check_sessions(history) {
        panic!("{broken}");
    }
}

#[track_caller]
fn breaks(history: &History, why: &str) {
    let broken = check_sessions(history).unwrap_err().to_string();
    assert!(broken.contains(why), "{broken}");
    assert!(!check(history).is_legal(), "what breaks the weaker promise breaks the stronger one");
}

#[test]
fn a_handle_reads_its_own_writes_or_newer_ones() {
    let story = || Story::default().told(1, put(10), 1, 2, APPLIED).told(2, put(20), 3, 4, APPLIED);
    // Others may lag, and that is all they may.
    keeps(&story().told(1, Call::Get, 5, 6, record(10)).history());
    keeps(&story().told(3, Call::Get, 5, 6, NOTHING).history());
    keeps(&story().told(1, Call::Get, 5, 6, record(20)).history());
    breaks(&story().told(2, Call::Get, 5, 6, record(10)).history(), "replaced before");
    breaks(&story().told(2, Call::Get, 5, 6, NOTHING).history(), "nothing was read");
    let absent = Answer::Present(false);
    breaks(&story().told(2, Call::Has, 5, 6, absent).history(), "nothing was read");
    breaks(&story().told(3, Call::Get, 5, 6, record(30)).history(), "nobody had written");
}

#[test]
fn deletes_are_writes_too() {
    let story =
        || Story::default().told(1, put(10), 1, 2, APPLIED).told(1, delete(20), 3, 4, APPLIED);
    keeps(&story().told(1, Call::Get, 5, 6, NOTHING).history());
    breaks(&story().told(1, Call::Get, 5, 6, record(10)).history(), "replaced before");
    let present = Answer::Present(true);
    breaks(&story().told(1, Call::Has, 5, 6, present.clone()).history(), "where none can be");
    // A put that was under way at the same time may have come later.
    keeps(&story().told(2, put(15), 1, 6, APPLIED).told(1, Call::Has, 7, 8, present).history());
}

#[test]
fn writes_by_version() {
    let story = |first, second| {
        Story::default().told(1, put_if(first, IF_NEWER), 1, 2, RESOLVED).told(
            2,
            put_if(second, IF_NEWER),
            3,
            4,
            RESOLVED,
        )
    };
    breaks(&story(10, 20).told(2, Call::Get, 5, 6, record(10)).history(), "replaced before");
    keeps(&story(20, 10).told(2, Call::Get, 5, 6, record(20)).history());
    let deleted = Story::default().told(1, delete_if(20, IF_NEWER), 1, 2, RESOLVED).told(
        2,
        put_if(10, IF_NEWER),
        3,
        4,
        RESOLVED,
    );
    keeps(&deleted.told(2, Call::Get, 5, 6, NOTHING).history());
    let told = Story::default()
        .told(1, put(10), 1, 2, APPLIED)
        .told(1, put(20), 3, 4, APPLIED)
        .told(2, put_if(15, IF_NEWER), 5, 6, superseded(20));
    breaks(&told.told(2, Call::Get, 7, 8, record(10)).history(), "replaced before");
}

#[test]
fn what_was_not_applied_is_nobodys_write() {
    let story = Story::default().not_applied(1, put(10), 1, 2).told(2, Call::Get, 3, 4, record(10));
    breaks(&story.history(), "nobody had written");
    keeps(
        &Story::default().unknown(1, put(10), 1, 2).told(2, Call::Get, 3, 4, record(10)).history(),
    );
}

#[test]
fn all_agree_in_the_end_on_what_may_stay() {
    let story = || Story::default().told(1, put(10), 1, 2, APPLIED).told(2, put(20), 3, 4, APPLIED);
    let settled = |story: Story| check_settled(&story.history(), &[8, 9]);
    let both = |answer: Answer| {
        story().told(8, Call::Get, 9, 10, answer.clone()).told(9, Call::Get, 11, 12, answer)
    };
    settled(both(record(20))).unwrap();
    assert!(settled(both(record(10))).unwrap_err().why.contains("replaced before"));
    assert!(settled(both(NOTHING)).unwrap_err().why.contains("nothing was read"));
    let late = story().unknown(3, delete(25), 3, 4);
    let late = late.told(8, Call::Get, 9, 10, NOTHING).told(9, Call::Get, 11, 12, record(20));
    assert!(settled(late).unwrap_err().why.contains("do not agree"));
}

#[test]
fn what_is_measured_is_the_strongest_that_was_shown() {
    let observed = |story: Story| Observed::of(&story.history(), &Promise::OwnWrites);
    let story = || Story::default().told(1, put(10), 1, 2, APPLIED).told(2, put(20), 3, 4, APPLIED);
    let reads = |first, second| {
        story().told(3, Call::Get, 5, 6, record(first)).told(3, Call::Get, 7, 8, record(second))
    };
    assert_eq!(observed(reads(20, 20)), Observed::Linearizable);
    assert_eq!(observed(reads(10, 20)), Observed::MonotonicReads);
    assert_eq!(observed(reads(20, 10)), Observed::ReadYourWrites);
    let broken = check_monotonic(&reads(20, 10).history()).unwrap_err().to_string();
    assert!(broken.contains("replaced before"), "{broken}");
    let lost = || story().told(2, Call::Get, 5, 6, record(10));
    assert_eq!(observed(lost()), Observed::Nothing);
    let settled =
        lost().told(8, Call::Get, 9, 10, record(20)).told(9, Call::Get, 11, 12, record(20));
    let promise = Promise::Settled { observers: vec![8, 9] };
    assert_eq!(Observed::of(&settled.history(), &promise), Observed::Eventual);
}

#[test]
fn a_linearizable_history_keeps_the_weaker_promises() {
    for seed in 0..20 {
        let history = simulation::legal(4, 300, seed);
        keeps(&history);
        check_monotonic(&history).unwrap();
    }
}
