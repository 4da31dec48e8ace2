//! The book that checks are written into.

use serde::{Deserialize, Serialize};

use super::answer::Answer;

/// What a check came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// As it was seen before.
    AsExpected,
    /// Otherwise: what relies on it must be looked at.
    Differs,
    /// This cluster cannot show it; `observed` says why.
    CannotBeShown,
}

/// One fact, and what this cluster makes of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Check {
    /// Unique, and the same in every run.
    pub id: String,
    /// The room it belongs to.
    pub group: String,
    /// What it shows.
    pub shows: String,
    /// What was seen on this kind of server before.
    pub expected: String,
    /// What was seen now, or why nothing was.
    pub observed: String,
    /// What that comes to.
    pub verdict: Verdict,
}

/// An expectation: its words, and whether an answer meets it.
pub(super) type Expected = (&'static str, fn(&Answer) -> bool);

/// A fact before it is looked at.
pub(super) struct Fact {
    pub(super) id: &'static str,
    pub(super) shows: &'static str,
    pub(super) scylla: Expected,
    /// `None` where the fact is about ScyllaDB alone.
    pub(super) cassandra: Option<Expected>,
}

pub(super) struct Book {
    scylla: bool,
    group: &'static str,
    checks: Vec<Check>,
}

impl Book {
    pub(super) fn new(scylla: bool) -> Self {
        Self { scylla, group: "", checks: Vec::new() }
    }

    /// The checks that follow belong to this group.
    pub(super) fn group(&mut self, group: &'static str) {
        self.group = group;
    }

    /// Looks at a fact, unless it is about another kind of server.
    pub(super) async fn see(&mut self, fact: Fact, look: impl Future<Output = Answer>) {
        let expected = if self.scylla { Some(fact.scylla) } else { fact.cassandra };
        let (expected, observed, verdict) = match expected {
            None => {
                let why = "not ScyllaDB: cannot be shown here".to_owned();
                (fact.scylla.0, why, Verdict::CannotBeShown)
            }
            Some((words, met)) => match look.await {
                Answer::Cannot(why) => (words, why, Verdict::CannotBeShown),
                answer if met(&answer) => (words, answer.to_string(), Verdict::AsExpected),
                answer => (words, answer.to_string(), Verdict::Differs),
            },
        };
        self.checks.push(Check {
            id: fact.id.to_owned(),
            group: self.group.to_owned(),
            shows: fact.shows.to_owned(),
            expected: expected.to_owned(),
            observed,
            verdict,
        });
    }

    pub(super) fn into_checks(self) -> Vec<Check> {
        self.checks
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ready::block_on;

    fn fact(cassandra: Option<Expected>) -> Fact {
        let scylla: Expected = ("done", Answer::ok);
        Fact { id: "x", shows: "x", scylla, cassandra }
    }

    fn verdict(scylla: bool, cassandra: Option<Expected>, answer: Answer) -> Verdict {
        let mut book = Book::new(scylla);
        block_on(book.see(fact(cassandra), async { answer })).unwrap();
        book.into_checks()[0].verdict
    }

    #[test]
    fn verdicts() {
        let done = || Answer::Done(Vec::new());
        let refused = || Answer::Refused("2200".to_owned(), "no".to_owned());
        let no: Expected = ("2200", |answer| answer.refused("2200", ""));
        assert_eq!(verdict(true, None, done()), Verdict::AsExpected);
        assert_eq!(verdict(true, None, refused()), Verdict::Differs);
        assert_eq!(verdict(true, None, Answer::Cannot("one node".into())), Verdict::CannotBeShown);
        assert_eq!(verdict(false, None, done()), Verdict::CannotBeShown);
        assert_eq!(verdict(false, Some(no), refused()), Verdict::AsExpected);
        assert_eq!(verdict(false, Some(no), done()), Verdict::Differs);
    }
}
