//! What an opened store can do, as one flat value that can be printed and compared.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

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
    /// What readers see of writes of records.
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

/// What readers see of writes of records. Namespaces and control records are no matter of it:
/// they change one at a time in every store.
///
/// As JSON `"linearizable"`, `"read-your-writes"`, or `{"eventual": {"settle_ms": 500}}` with
/// `null` for no bound.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Consistency {
    /// Each key behaves as if operations happened one at a time, within their call.
    Linearizable,
    /// A handle reads its own writes; others may lag.
    ReadYourWrites,
    /// Readers may lag, also behind what their own handle wrote, each of them by another time.
    Eventual {
        /// The time in which they settle: a read that begins so long after a write was
        /// acknowledged sees that write, or one that came over it, through every handle and
        /// whatever is written meanwhile. To the millisecond.
        ///
        /// `None` promises that they settle, and not when: what a store must say that does not
        /// itself see to it that a write arrives everywhere, as where copies that missed it get
        /// it from a repair that somebody has to run.
        #[serde(rename = "settle_ms", with = "milliseconds")]
        settle: Option<Duration>,
    },
}

impl Consistency {
    /// What holds where either of two may be read from: the weaker promise, and of two times to
    /// settle the longer.
    #[must_use]
    pub fn weaker(self, other: Self) -> Self {
        match (self, other) {
            (Self::Eventual { settle: a }, Self::Eventual { settle: b }) => {
                Self::Eventual { settle: a.zip(b).map(|(a, b)| a.max(b)) }
            }
            (eventual @ Self::Eventual { .. }, _) | (_, eventual @ Self::Eventual { .. }) => {
                eventual
            }
            (Self::Linearizable, Self::Linearizable) => Self::Linearizable,
            _ => Self::ReadYourWrites,
        }
    }
}

impl fmt::Display for Consistency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Linearizable => f.write_str("linearizable"),
            Self::ReadYourWrites => f.write_str("reads its own writes"),
            Self::Eventual { settle: Some(settle) } => write!(f, "eventual, within {settle:?}"),
            Self::Eventual { settle: None } => f.write_str("eventual, with no bound"),
        }
    }
}

/// A time as whole milliseconds, rounded up: a promise is not made stronger by being written.
mod milliseconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(
        time: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let whole = |time: &Duration| time.as_nanos().div_ceil(1_000_000);
        time.as_ref()
            .map(|time| u64::try_from(whole(time)).unwrap_or(u64::MAX))
            .serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(deserializer)?.map(Duration::from_millis))
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

#[cfg(test)]
mod tests {
    use super::{Consistency, Duration};

    const LINEARIZABLE: Consistency = Consistency::Linearizable;
    const OWN: Consistency = Consistency::ReadYourWrites;
    const UNBOUNDED: Consistency = Consistency::Eventual { settle: None };

    fn within(ms: u64) -> Consistency {
        Consistency::Eventual { settle: Some(Duration::from_millis(ms)) }
    }

    #[test]
    fn consistency_has_one_form_as_json_and_one_in_words() {
        for (consistency, json, words) in [
            (LINEARIZABLE, r#""linearizable""#, "linearizable"),
            (OWN, r#""read-your-writes""#, "reads its own writes"),
            (within(500), r#"{"eventual":{"settle_ms":500}}"#, "eventual, within 500ms"),
            (UNBOUNDED, r#"{"eventual":{"settle_ms":null}}"#, "eventual, with no bound"),
        ] {
            assert_eq!(serde_json::to_string(&consistency).unwrap(), json);
            assert_eq!(serde_json::from_str::<Consistency>(json).unwrap(), consistency);
            assert_eq!(consistency.to_string(), words);
        }
    }

    #[test]
    fn a_time_to_settle_is_never_written_shorter_than_it_is() {
        let odd = Consistency::Eventual { settle: Some(Duration::from_micros(1_001)) };
        assert_eq!(serde_json::to_string(&odd).unwrap(), r#"{"eventual":{"settle_ms":2}}"#);
    }

    #[test]
    fn of_two_promises_the_weaker_holds() {
        for (a, b, both) in [
            (LINEARIZABLE, LINEARIZABLE, LINEARIZABLE),
            (LINEARIZABLE, OWN, OWN),
            (OWN, OWN, OWN),
            (OWN, within(5), within(5)),
            (within(5), within(9), within(9)),
            (within(5), UNBOUNDED, UNBOUNDED),
            (LINEARIZABLE, UNBOUNDED, UNBOUNDED),
        ] {
            assert_eq!((a.weaker(b), b.weaker(a)), (both, both));
        }
    }
}
