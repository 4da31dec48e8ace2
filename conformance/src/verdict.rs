//! What became of a case.

use std::fmt;
use std::time::Duration;

use crate::clause::Clause;
use crate::evidence::Evidence;

/// What became of one case.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// It ran, and the clause holds as far as it looked.
    Passed,
    /// The clause is broken: what was expected, what came, where, and the seed.
    Failed(String),
    /// It gave no answer in the time that a case has, which breaks its clause.
    Hung {
        /// The clause, the case, and the seed.
        message: String,
        /// How long the case had been running.
        age: Duration,
        /// The calls on the store that had not come back.
        pending: Vec<Pending>,
    },
    /// The suite or its plug could not do their part: nothing is known of the clause.
    Harness(String),
    /// It did not run, for this reason.
    Skipped(String),
    /// It failed, and that is known.
    Waived {
        /// Why that is accepted.
        reason: String,
        /// The last day on which it is, `YYYY-MM-DD`.
        until: String,
        /// How it failed.
        failure: String,
    },
}

impl Outcome {
    /// Whether the case ran, to whatever end.
    #[must_use]
    pub fn is_executed(&self) -> bool {
        !matches!(self, Self::Skipped(_) | Self::Harness(_))
    }

    /// Whether a run with it has failed.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        matches!(self, Self::Failed(_) | Self::Hung { .. } | Self::Harness(_))
    }

    /// What there is to say of it.
    #[must_use]
    pub fn message(&self) -> Option<String> {
        match self {
            Self::Passed => None,
            Self::Failed(text) | Self::Harness(text) | Self::Skipped(text) => Some(text.clone()),
            Self::Hung { message, pending, .. } => {
                let calls: Vec<String> = pending.iter().map(Pending::to_string).collect();
                Some(match calls.as_slice() {
                    [] => format!("{message}; no call on the store was pending"),
                    calls => format!("{message}; pending: {}", calls.join(", ")),
                })
            }
            Self::Waived { reason, until, failure } => {
                Some(format!("waived until {until} ({reason}): {failure}"))
            }
        }
    }
}

/// A call on the store that has not come back.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Pending {
    /// The operation.
    pub operation: &'static str,
    /// How long it has been under way.
    pub age: Duration,
}

impl fmt::Display for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} for {:.1} s", self.operation, self.age.as_secs_f64())
    }
}

/// One case with what became of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Verdict {
    /// The leg.
    pub leg: &'static str,
    /// The clause.
    pub clause: &'static Clause,
    /// The case.
    pub case: &'static str,
    /// The capability that the case is about. Where it is not declared and the case ran all
    /// the same, it was the negative one: the call must be refused.
    pub capability: Option<&'static str>,
    /// What became of it.
    pub outcome: Outcome,
    /// The seed that it ran with.
    pub seed: u64,
    /// How long it took.
    pub took: Duration,
    /// What there is to show beside the message.
    pub evidence: Evidence,
}
