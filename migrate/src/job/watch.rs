//! The steps of a job, for whoever wants to know when each is behind it.

/// A step that is done. What comes after it has not begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Step {
    /// The job has its folder and its ledger.
    Begun,
    /// The target has its namespace.
    Prepared,
    /// A page was read.
    Read,
    /// A page was given to the target.
    Written,
    /// What was given to the target is durable.
    Synced,
    /// That is in the ledger.
    Remembered,
    /// A part is complete.
    PartComplete,
    /// Everything is copied, and that is in the ledger.
    Copied,
    /// The target was compared.
    Compared,
    /// What was copied is about to take its place, and that is in the ledger.
    Replacing,
    /// It has taken its place.
    Replaced,
    /// The job is over, and that is in the ledger.
    Over,
}

/// Is told of each step of a job, by the task that does it.
pub trait Watch: Send + Sync {
    /// Is told of a step.
    fn at(&self, step: Step);
}

/// Does not want to know.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unwatched;

impl Watch for Unwatched {
    fn at(&self, _step: Step) {}
}
