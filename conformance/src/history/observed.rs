//! What a history shows by itself of how readers stand to writers, whatever was promised.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::event::History;
use super::promise::Promise;
use super::session::{check_monotonic, check_sessions, check_settled};
use super::verdict::check;

/// How readers stand to writers; each of them includes those before it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Observed {
    /// Not even what follows.
    Nothing,
    /// Readers who ask when all has ended agree.
    Eventual,
    /// Each client reads its own writes, or newer ones.
    ReadYourWrites,
    /// And of each key none reads what is older than what it has read before.
    MonotonicReads,
    /// Each key behaves as if operations happened one at a time, within their call.
    Linearizable,
}

impl Observed {
    /// The strongest that a history shows. Where a search is given up it shows less.
    #[must_use]
    pub fn of(history: &History, promise: &Promise) -> Self {
        if check(history).is_legal() {
            Self::Linearizable
        } else if check_monotonic(history).is_ok() {
            Self::MonotonicReads
        } else if check_sessions(history).is_ok() {
            Self::ReadYourWrites
        } else if let Promise::Settled { observers } = promise
            && check_settled(history, observers).is_ok()
        {
            Self::Eventual
        } else {
            Self::Nothing
        }
    }
}

impl fmt::Display for Observed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "not even eventual",
            Self::Eventual => "eventual",
            Self::ReadYourWrites => "read your writes",
            Self::MonotonicReads => "read your writes, monotonic for each key",
            Self::Linearizable => "linearizable",
        })
    }
}
