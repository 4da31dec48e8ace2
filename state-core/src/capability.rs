//! What an opened store can do, as one flat value that can be printed and compared.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The powers of an opened store: what this handle can do now.
///
/// What is declared must work and what is not declared must answer
/// [`Unsupported`](crate::ErrorKind::Unsupported) and change nothing; the conformance
/// suite tests both sides.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Capabilities {
    /// Records outlive the process.
    pub persistent: bool,
    /// One process at a time: a second opener gets `Locked`.
    pub exclusive_open: bool,
    /// The level that an acknowledged write has reached.
    pub ack_durability: Durability,
    /// The level that `sync` reaches.
    pub sync_durability: Durability,
    /// Damage of stored bytes is always found: what was stored is read, or an error. Without it
    /// a record whose bytes are damaged, or that was written behind damaged ones, may also be
    /// absent; what is read is what was stored even so.
    pub detects_damage: bool,
    /// Scans, and the ranges of a split, come in the byte order of keys.
    pub ordered_scan: bool,
    /// A scan shows the namespace as it was at one moment.
    pub snapshot_scan: bool,
    /// `apply` with [`Atomicity::Required`](crate::Atomicity) is all or nothing, also for readers
    /// and across a crash.
    pub atomic_batch: bool,
    /// How `if newer` is answered.
    pub if_newer: IfNewer,
    /// `if absent` works.
    pub if_absent: bool,
    /// `if version matches` works.
    pub if_version: bool,
    /// What readers see of concurrent writes.
    pub consistency: Consistency,
    /// Longest key in bytes.
    pub max_key_bytes: u64,
    /// Longest value in bytes.
    pub max_value_bytes: u64,
    /// Most writes in one atomic batch; 0 where there are none.
    pub max_atomic_batch: u64,
}

impl Capabilities {
    /// A store that keeps nothing and can do nothing beyond what every store must.
    /// Backends start from here and claim what they have.
    #[must_use]
    pub const fn minimal() -> Self {
        Self {
            persistent: false,
            exclusive_open: false,
            ack_durability: Durability::None,
            sync_durability: Durability::None,
            detects_damage: false,
            ordered_scan: false,
            snapshot_scan: false,
            atomic_batch: false,
            if_newer: IfNewer::Resolved,
            if_absent: false,
            if_version: false,
            consistency: Consistency::Linearizable,
            max_key_bytes: 65_533,
            max_value_bytes: 1 << 20,
            max_atomic_batch: 0,
        }
    }
}

/// How a store answers a write made `if newer`. Every store must take such writes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum IfNewer {
    /// `Applied` or `Superseded`, with the current version.
    Exact,
    /// `Resolved`: the newer one is kept, and the store cannot say which that was.
    Resolved,
}

/// What readers see of writes made at the same time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Consistency {
    /// Each key behaves as if operations happened one at a time, within their call.
    Linearizable,
    /// A handle reads its own writes; others may lag.
    ReadYourWrites,
    /// Readers may lag and settle in the end.
    Eventual,
}

impl fmt::Display for Consistency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Linearizable => "linearizable",
            Self::ReadYourWrites => "reads its own writes",
            Self::Eventual => "eventual",
        })
    }
}

/// What a write is safe from once it has reached a level.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Durability {
    /// Nothing: it is gone with the process.
    None,
    /// The death of the process.
    Process,
    /// The loss of power.
    Power,
    /// What replicas at this consistency level are safe from.
    Replicated {
        /// The consistency level's name.
        consistency: Cow<'static, str>,
    },
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Process => f.write_str("process"),
            Self::Power => f.write_str("power"),
            Self::Replicated { consistency } => write!(f, "replicated ({consistency})"),
        }
    }
}
