//! The part of a history that is wrong by itself, as it is drawn: clients as rows, operations
//! as bars.

use pinstate_core::Version;
use serde::{Deserialize, Serialize};

use super::event::{Answer, Call, End, Event, History, Reply, Shown};
use super::session::Broken;
use super::verdict::Counterexample;

/// Other operations on the key that are drawn at most: beside those that matter they only
/// show what else was going on.
const OTHERS: usize = 16;

/// Operations on one key, to be drawn.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Timeline {
    /// The key, in words.
    pub key: String,
    /// What is wrong, in words.
    pub wrong: String,
    /// The operations, in the order in which they were begun.
    pub bars: Vec<Bar>,
    /// Other operations on the key that are not drawn.
    pub left_out: usize,
}

/// One operation.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Bar {
    /// The client.
    pub client: u32,
    /// When it was about to be asked.
    pub from: u64,
    /// When it had ended; `None` where it had not, or where it may take effect later.
    pub to: Option<u64>,
    /// What was asked.
    pub call: String,
    /// What it came to.
    pub end: String,
    /// Whether it writes.
    pub writes: bool,
    /// Its part in what is wrong.
    pub part: Part,
}

/// The part of an operation in what is wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Part {
    /// It fits, and stands at this place, from 1, in the longest order that does.
    Fits(usize),
    /// It is of those that cannot all be explained.
    Matters,
    /// It is the one that fits no more.
    Culprit,
    /// None: it only went on meanwhile.
    None,
}

impl Timeline {
    /// What [`check`](super::check) found.
    #[must_use]
    pub fn of_counterexample(history: &History, example: &Counterexample) -> Self {
        let part = |event: &Event| -> Part {
            let Some(place) = example.events.iter().position(|other| same(other, event)) else {
                return Part::None;
            };
            if example.culprit == Some(place) {
                return Part::Culprit;
            }
            let fits = example.order.iter().position(|ordered| *ordered == place);
            fits.map_or(Part::Matters, |place| Part::Fits(place + 1))
        };
        let wrong = if example.order.is_empty() {
            "nothing is stored at first, and no order explains the answers".to_owned()
        } else {
            format!("after the longest order that fits this is stored: {}", example.stored)
        };
        Self::of(history, &example.events, wrong, part)
    }

    /// What [`check_sessions`](super::check_sessions) or
    /// [`check_settled`](super::check_settled) found.
    #[must_use]
    pub fn of_broken(history: &History, broken: &Broken) -> Self {
        let mut shown = vec![broken.read.clone()];
        shown.extend(broken.proof.iter().cloned());
        let part = |event: &Event| {
            if same(event, &broken.read) {
                Part::Culprit
            } else if broken.proof.iter().any(|other| same(other, event)) {
                Part::Matters
            } else {
                Part::None
            }
        };
        Self::of(history, &shown, broken.why.clone(), part)
    }

    fn of(
        history: &History,
        shown: &[Event],
        wrong: String,
        part: impl Fn(&Event) -> Part,
    ) -> Self {
        // What was read without explanation was written by somebody, who may say otherwise.
        let culprit = shown.iter().find(|event| part(event) == Part::Culprit);
        let told = culprit.and_then(told_version);
        let part = |event: &Event| match part(event) {
            Part::None if told.is_some() && event.call.version() == told => Part::Matters,
            part => part,
        };
        let last = shown.iter().filter_map(until).max().unwrap_or(u64::MAX);
        let key = shown.first().map(|event| event.key.clone()).unwrap_or_default();
        let on_key = || history.events.iter().filter(|event| event.key == key);
        // What went on until then, the latest of it.
        let meanwhile = |event: &&Event| event.invoked <= last;
        let others = on_key().filter(meanwhile).filter(|event| part(event) == Part::None);
        let from = others.clone().count().saturating_sub(OTHERS);
        let earliest = others.clone().nth(from).map_or(u64::MAX, |event| event.invoked);
        let mut bars = Vec::new();
        for event in on_key() {
            let part = part(event);
            if part != Part::None || meanwhile(&event) && event.invoked >= earliest {
                bars.push(Bar {
                    client: event.client,
                    from: event.invoked,
                    to: match event.end {
                        End::Unknown { .. } | End::Open => None,
                        _ => until(event),
                    },
                    call: event.call.to_string(),
                    end: event.end.to_string(),
                    writes: matches!(event.call, Call::Put { .. } | Call::Delete { .. }),
                    part,
                });
            }
        }
        let left_out = on_key().count() - bars.len();
        let mut wrong = wrong;
        shorten(&mut wrong, &mut bars, on_key().filter_map(|event| event.call.version()));
        Self { key: Shown(key.as_bytes()).to_string(), wrong, bars, left_out }
    }
}

/// The version that an operation was told of.
fn told_version(event: &Event) -> Option<Version> {
    match event.answered()?.1 {
        Answer::Record(found) => found.as_ref().map(|found| found.version),
        Answer::Written(Reply::Superseded { current }) => Some(*current),
        Answer::Written(Reply::Refused { current }) => *current,
        _ => None,
    }
}

/// Leaves out of versions what they have in common, which is most of their digits.
fn shorten(wrong: &mut String, bars: &mut [Bar], versions: impl Iterator<Item = Version>) {
    let texts: Vec<String> = versions.map(|version| version.to_string()).collect();
    let Some(first) = texts.first() else { return };
    let common = |len: &usize| {
        let prefix = first.get(..*len);
        texts.iter().all(|text| text.len() == first.len() && text.get(..*len) == prefix)
    };
    // Some digits stay, so that one sees that these are versions.
    let longest = (0..=first.len().saturating_sub(3)).rev().find(common).unwrap_or(0);
    if let Some(prefix) = first.get(..longest).filter(|prefix| prefix.len() > 4) {
        let prefix = format!("v{prefix}");
        *wrong = wrong.replace(&prefix, "v…");
        for bar in bars {
            bar.call = bar.call.replace(&prefix, "v…");
            bar.end = bar.end.replace(&prefix, "v…");
        }
    }
}

/// An event of a history is one of its client at a moment.
fn same(one: &Event, other: &Event) -> bool {
    (one.client, one.invoked, &one.key) == (other.client, other.invoked, &other.key)
}

fn until(event: &Event) -> Option<u64> {
    match &event.end {
        End::Answered { at, .. }
        | End::NotApplied { at, .. }
        | End::Unknown { at, .. }
        | End::Dropped { at } => Some(*at),
        End::Open => None,
    }
}
