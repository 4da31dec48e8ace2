//! Histories whose verdict is known.

use bytes::Bytes;
use pinstate_conformance::history::{
    Answer, Barrier, Call, Condition, Counterexample, End, Event, Found, History, Reply, Verdict,
    check,
};
use pinstate_core::{Key, Version};

use crate::{dropping, simulation};

/// A history in the making.
#[derive(Default)]
pub(crate) struct Story(History);

pub(crate) fn put(version: i64) -> Call {
    put_if(version, Condition::None)
}

pub(crate) fn put_if(version: i64, condition: Condition) -> Call {
    Call::Put { value: value(version), version: Version(version), condition }
}

pub(crate) fn delete(version: i64) -> Call {
    delete_if(version, Condition::None)
}

pub(crate) fn delete_if(version: i64, condition: Condition) -> Call {
    Call::Delete { version: Version(version), condition }
}

fn value(version: i64) -> Bytes {
    Bytes::from(format!("value {version}"))
}

pub(crate) const APPLIED: Answer = Answer::Written(Reply::Applied);
pub(crate) const NOTHING: Answer = Answer::Record(None);

pub(crate) fn superseded(version: i64) -> Answer {
    Answer::Written(Reply::Superseded { current: Version(version) })
}

pub(crate) fn record(version: i64) -> Answer {
    Answer::Record(Some(Found { version: Version(version), value: value(version) }))
}

impl Story {
    fn event(mut self, client: u32, call: Call, invoked: u64, end: End) -> Self {
        let key = Key::copy_from(b"k");
        self.0.events.push(Event { client, key, call, invoked, end });
        self
    }

    /// An operation from one moment to another.
    pub(crate) fn told(self, client: u32, call: Call, from: u64, to: u64, answer: Answer) -> Self {
        self.event(client, call, from, End::Answered { at: to, answer })
    }

    pub(crate) fn unknown(self, client: u32, call: Call, from: u64, to: u64) -> Self {
        self.event(client, call, from, End::Unknown { at: to, error: "no answer".to_owned() })
    }

    pub(crate) fn not_applied(self, client: u32, call: Call, from: u64, to: u64) -> Self {
        self.event(client, call, from, End::NotApplied { at: to, error: "full".to_owned() })
    }

    pub(crate) fn dropped(self, client: u32, call: Call, from: u64, to: u64) -> Self {
        self.event(client, call, from, End::Dropped { at: to })
    }

    pub(crate) fn barrier(mut self, invoked: u64, returned: u64) -> Self {
        self.0.barriers.push(Barrier { client: 0, invoked, returned });
        self
    }

    pub(crate) fn history(self) -> History {
        self.0
    }

    #[track_caller]
    fn legal(self) {
        let verdict = check(&self.0);
        assert!(verdict.is_legal(), "{verdict}");
    }

    /// It is illegal, and this many operations are enough to show it.
    #[track_caller]
    fn illegal(self, shown: usize) -> Counterexample {
        match check(&self.0) {
            Verdict::Illegal(example) => {
                assert_eq!(example.events.len(), shown, "{example}");
                *example
            }
            verdict => panic!("{verdict}"),
        }
    }
}

#[test]
fn a_stale_read() {
    let story = || {
        Story::default().told(1, put(10), 1, 2, APPLIED).told(2, put(20), 3, 6, APPLIED).told(
            1,
            Call::Get,
            4,
            5,
            record(20),
        )
    };
    // A read that overlaps the one that saw the new record may still see the old one.
    story().told(3, Call::Get, 4, 7, record(10)).legal();
    let example = story().told(3, Call::Get, 6, 7, record(10)).illegal(4);
    assert_eq!(example.culprit, Some(3));
    let text = example.to_string();
    assert_eq!(
        text,
        "key \"k\": no order of these operations explains their answers\n     \
         1. client 1       1 to 2       put \"value 10\" v10 → applied\n     \
         2. client 2       3 to 6       put \"value 20\" v20 → applied\n     \
         3. client 1       4 to 5       get → \"value 20\" v20\n  \
         !  4. client 3       6 to 7       get → \"value 10\" v10\n  \
         in the longest order that fits, 1 2 3, this is stored then: \"value 20\" v20; \
         number 4 does not fit there or before"
    );
}

#[test]
fn a_lost_update() {
    let if_10 = Condition::IfVersion(Version(10));
    let story = || {
        Story::default().told(1, put(10), 1, 2, APPLIED).told(1, put_if(20, if_10), 3, 6, APPLIED)
    };
    let current = Some(Version(20));
    let refused = Answer::Written(Reply::Refused { current });
    story().told(2, put_if(21, if_10), 4, 5, refused).legal();
    story().told(2, put_if(21, if_10), 4, 5, APPLIED).illegal(2);
    // Two writers if newer, where the older one was stored last.
    Story::default()
        .told(1, put_if(20, Condition::IfNewer), 1, 4, APPLIED)
        .told(2, put_if(10, Condition::IfNewer), 2, 3, APPLIED)
        .told(1, Call::Get, 5, 6, record(10))
        .illegal(3);
}

#[test]
fn told_before_it_was_done() {
    Story::default()
        .told(1, put(10), 1, 2, APPLIED)
        .told(2, Call::Get, 3, 4, NOTHING)
        .told(2, Call::Get, 5, 6, record(10))
        .illegal(2);
}

#[test]
fn an_unknown_outcome_may_come_late_or_never() {
    let story = || Story::default().told(1, put(10), 1, 2, APPLIED).unknown(2, put(20), 3, 4);
    story().told(1, Call::Get, 5, 6, record(10)).legal();
    story()
        .told(1, Call::Get, 5, 6, record(10))
        .told(1, Call::Get, 7, 8, record(20))
        .told(1, put(30), 9, 10, APPLIED)
        .told(1, Call::Get, 11, 12, record(30))
        .legal();
    // But only once.
    story()
        .told(1, Call::Get, 5, 6, record(20))
        .told(1, put(30), 7, 8, APPLIED)
        .told(1, Call::Get, 9, 10, record(30))
        .told(1, Call::Get, 11, 12, record(20))
        .illegal(4);
}

#[test]
fn what_was_not_applied_is_never_seen() {
    let story = || Story::default().told(1, put(10), 1, 2, APPLIED).not_applied(2, put(20), 3, 4);
    story().told(1, Call::Get, 5, 6, record(10)).legal();
    story().told(1, Call::Get, 5, 6, record(20)).illegal(1);
    // Not even by what a condition tells.
    story().told(1, put_if(15, Condition::IfNewer), 5, 6, superseded(20)).illegal(1);
}

#[test]
fn what_was_cancelled_is_done_before_a_barrier_or_never() {
    let story = || {
        Story::default().told(1, put(10), 1, 2, APPLIED).dropped(2, put(20), 3, 4).told(
            1,
            Call::Get,
            7,
            8,
            record(10),
        )
    };
    story().told(1, Call::Get, 9, 10, record(20)).legal();
    // A barrier that had begun before the future was dropped says nothing.
    story().barrier(3, 6).told(1, Call::Get, 9, 10, record(20)).legal();
    story().barrier(5, 6).told(1, Call::Get, 9, 10, record(20)).illegal(4);
    story().barrier(5, 8).told(1, Call::Get, 9, 10, record(20)).legal();
    story().barrier(5, 6).told(1, Call::Get, 9, 10, record(10)).legal();
}

#[test]
fn deleted_records_do_not_come_back() {
    let story = |condition| {
        Story::default().told(1, put(10), 1, 2, APPLIED).told(
            1,
            delete_if(20, condition),
            3,
            4,
            APPLIED,
        )
    };
    story(Condition::None).told(2, Call::Get, 5, 6, record(10)).illegal(3);
    story(Condition::None).told(2, Call::Has, 5, 6, Answer::Present(true)).illegal(2);
    // An older put is held off by the marker of a conditional delete, and after a plain one
    // it may be or not.
    let late = put_if(15, Condition::IfNewer);
    story(Condition::IfNewer).told(2, late.clone(), 5, 6, superseded(20)).legal();
    story(Condition::IfNewer).told(2, late.clone(), 5, 6, APPLIED).illegal(2);
    story(Condition::None).told(2, late.clone(), 5, 6, superseded(20)).legal();
    story(Condition::None).told(2, late.clone(), 5, 6, APPLIED).legal();
    // A marker beats a put of its own version.
    let same = put_if(20, Condition::IfNewer);
    story(Condition::IfNewer).told(2, same.clone(), 5, 6, superseded(20)).legal();
    story(Condition::IfNewer).told(2, same, 5, 6, APPLIED).illegal(2);
    // What the store could not say shows in what is read, and stays.
    let resolved =
        || story(Condition::None).told(2, late.clone(), 5, 6, Answer::Written(Reply::Resolved));
    resolved().told(3, Call::Get, 7, 8, record(15)).legal();
    resolved().told(3, Call::Get, 7, 8, NOTHING).legal();
    resolved().told(3, Call::Get, 7, 8, NOTHING).told(3, Call::Get, 9, 10, record(15)).illegal(3);
}

#[test]
fn plain_writes_may_be_taken_as_they_arrive_or_by_version() {
    let story = || {
        Story::default().told(1, put(10), 1, 6, APPLIED).told(2, put(20), 2, 3, APPLIED).told(
            2,
            Call::Get,
            4,
            5,
            record(20),
        )
    };
    story().told(2, Call::Get, 7, 8, record(10)).legal();
    story().told(2, Call::Get, 7, 8, record(20)).legal();
}

#[test]
fn what_has_no_end_may_come_first_and_be_the_newer_one() {
    for condition in [Condition::None, Condition::IfNewer, Condition::IfAbsent] {
        Story::default()
            .event(1, put_if(20, condition), 1, End::Open)
            .told(2, put(10), 2, 3, APPLIED)
            .told(2, Call::Get, 4, 5, record(20))
            .legal();
    }
}

#[test]
fn keys_are_checked_apart() {
    let mut history = Story::default()
        .told(1, put(10), 1, 2, APPLIED)
        .told(1, Call::Get, 3, 4, record(10))
        .history();
    let mut other = Story::default().told(2, Call::Get, 5, 6, NOTHING).history();
    other.events[0].key = Key::copy_from(b"other");
    history.events.extend(other.events);
    assert!(check(&history).is_legal());
}

#[test]
fn many_cancelled_writes_are_no_burden() {
    let mut story = Story::default().told(1, put(1), 1, 2, APPLIED);
    for i in 0..60 {
        story = story.dropped(2, put(100 + i), 3, 4);
    }
    for i in 0..40 {
        let at = 10 + 4 * i as u64;
        story = story.told(1, Call::Get, at, at + 1, record(100 + i));
    }
    story.legal();
}

/// Each may be left out, and there are as many orders as sets of them.
#[test]
fn many_dropped_writes_that_others_see_are_no_burden() {
    for seed in 0..200 {
        let verdict = check(&dropping::legal(4, 160, seed));
        assert!(verdict.is_legal(), "seed {seed}: {verdict}");
    }
}

#[test]
fn one_wrong_read_among_thousands_is_shown_with_little_else() {
    for seed in 0..5 {
        let mut history = simulation::legal(8, 1_000, seed);
        assert!(check(&history).is_legal(), "seed {seed}");
        simulation::make_stale(&mut history, 0.9);
        match check(&history) {
            Verdict::Illegal(example) => {
                assert!(example.events.len() <= 6, "seed {seed}: {example}");
                assert_eq!(example.others + example.events.len(), 1_000);
            }
            verdict => panic!("seed {seed}: {verdict}"),
        }
    }
}

#[test]
fn histories_are_saved_whole() {
    let refused = Answer::Written(Reply::Refused { current: None });
    let history = Story::default()
        .told(1, put_if(10, Condition::IfAbsent), 1, 2, APPLIED)
        .told(1, put_if(11, Condition::IfVersion(Version(9))), 1, 2, refused)
        .told(1, Call::Get, 1, 2, record(10))
        .told(1, Call::Has, 1, 2, Answer::Present(true))
        .told(1, delete(12), 3, 4, superseded(13))
        .unknown(2, delete_if(14, Condition::IfNewer), 5, 6)
        .not_applied(2, put(15), 5, 6)
        .dropped(2, put(16), 5, 6)
        .event(2, Call::Get, 7, End::Open)
        .barrier(8, 9)
        .history();
    let mut file = Vec::new();
    history.write(&mut file).unwrap();
    assert_eq!(History::read(file.as_slice()).unwrap(), history);
    let text = String::from_utf8(file).unwrap();
    assert_eq!(text.lines().count(), 12);
    let lines: Vec<&str> = text.lines().collect();
    for (lines, expected) in [
        (lines[..11].to_vec(), "line 12 of a history: expected the end"),
        (lines[1..].to_vec(), "line 1 of a history: expected the header"),
        ([&lines[..3], &lines[4..]].concat(), "line 11 of a history: the counts"),
        ([&lines[..], &lines[1..2]].concat(), "line 13 of a history: expected nothing"),
        (vec!["{\"pinstate-history\":{\"format\":2}}"], "line 1 of a history: format 2"),
        (vec![], "line 1 of a history: expected the end"),
    ] {
        let error = History::read(lines.join("\n").as_bytes()).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}
