//! What a case has to show beside its message: the operations that broke it, and what
//! clients did at the same time.

use std::sync::{Arc, Mutex, PoisonError};

use crate::history::{History, Observed, Origin, Promise, Saved, Timeline};

/// Which histories a run keeps for its report.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum Keep {
    /// Those that broke a promise.
    #[default]
    Failing,
    /// Every one that was judged.
    Every,
}

/// What a case has to show beside its message.
#[derive(Clone, PartialEq, Debug, Default)]
#[non_exhaustive]
pub struct Evidence {
    /// The fewest operations found that break the clause, in words, in their order.
    pub operations: Vec<String>,
    /// What clients did at the same time, as far as it is wrong by itself, to be drawn.
    pub timeline: Option<Timeline>,
    /// The histories that were judged and kept.
    pub histories: Vec<Saved>,
    /// What each history showed, kept or not.
    pub observed: Vec<Observed>,
}

/// Where a case puts its evidence.
#[derive(Clone)]
pub(crate) struct Desk {
    keep: Keep,
    origin: Origin,
    evidence: Arc<Mutex<Evidence>>,
}

impl Desk {
    pub(crate) fn new(keep: Keep, origin: Origin) -> Self {
        Self { keep, origin, evidence: Arc::default() }
    }

    /// Judges a history, and keeps it where that is asked for; gives what is wrong with it.
    pub(crate) fn judge(&self, history: &History, promise: Promise) -> Result<(), String> {
        let judged = promise.judge(history);
        let observed = match (&judged, &promise) {
            (Ok(()), Promise::Linearizable) => Observed::Linearizable,
            _ => Observed::of(history, &promise),
        };
        self.lock().observed.push(observed);
        if judged.is_err() || self.keep == Keep::Every {
            let mut evidence = self.lock();
            if let Err(broken) = &judged {
                evidence.timeline = broken.timeline.clone();
            }
            let mut origin = self.origin.clone();
            origin.number = evidence.histories.len();
            evidence.histories.push(Saved { origin, promise, history: history.clone() });
        }
        judged.map_err(|broken| broken.message)
    }

    /// Takes the operations that break the clause.
    pub(crate) fn operations(&self, operations: Vec<String>) {
        self.lock().operations = operations;
    }

    /// What there is, which is taken away.
    pub(crate) fn take(&self) -> Evidence {
        std::mem::take(&mut self.lock())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Evidence> {
        self.evidence.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
