//! How far a migration is, and the records in both stores that say so.

use std::fmt;
use std::time::Duration;

use pinstate_core::{ControlWritten, Error, ErrorKind, Expect, Operation, Outcome, Result};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::side::{Pair, Role};

/// How far a migration is. Each phase can stand beside the one before and after it: a crash
/// between the records of both stores is no matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Claimed; the source alone is written.
    Idle,
    /// Every write goes to both.
    Mirror,
    /// What was there before is copied.
    Backfill,
    /// Both are compared, and what differs is made the same.
    Verify,
    /// Some reads are made on both, and compared.
    Shadow,
    /// The target answers, and every write goes back to the source as well.
    Reverse,
    /// The target alone is left.
    Finalised,
    /// The source alone is left.
    Aborted,
}

impl Phase {
    const ALL: [Self; 8] = [
        Self::Idle,
        Self::Mirror,
        Self::Backfill,
        Self::Verify,
        Self::Shadow,
        Self::Reverse,
        Self::Finalised,
        Self::Aborted,
    ];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Mirror => "mirror",
            Self::Backfill => "backfill",
            Self::Verify => "verify",
            Self::Shadow => "shadow",
            Self::Reverse => "reverse",
            Self::Finalised => "finalised",
            Self::Aborted => "aborted",
        }
    }

    /// Which store answers reads, and is written first.
    #[must_use]
    pub const fn primary(self) -> Role {
        match self {
            Self::Reverse | Self::Finalised => Role::Target,
            _ => Role::Source,
        }
    }

    /// Whether writes go to both stores.
    #[must_use]
    pub const fn mirrors(self) -> bool {
        !matches!(self, Self::Idle) && !self.has_ended()
    }

    /// Whether the migration is over.
    #[must_use]
    pub const fn has_ended(self) -> bool {
        matches!(self, Self::Finalised | Self::Aborted)
    }

    pub(super) fn number(self) -> u8 {
        self as u8
    }

    pub(super) fn of(number: u8) -> Self {
        Self::ALL.get(usize::from(number)).copied().unwrap_or(Self::Idle)
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What the record of a store says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    /// Who moves it.
    pub(super) job: Uuid,
    /// The store that is left.
    pub(super) source: Uuid,
    /// The store that is entered.
    pub(super) target: Uuid,
    pub(super) phase: Phase,
    /// Grows with every step, whoever makes it.
    pub(super) epoch: u64,
    /// For people: where the process was.
    pub(super) holder: String,
}

/// Pauses between tries to write a record whose fate is unknown.
const PAUSES: [Duration; 2] = [Duration::from_millis(20), Duration::from_secs(1)];

/// How a write of a record may fail.
pub(super) enum Stopped {
    /// It is not there, and the step is not made.
    NotMade(Error),
    /// Another job has taken the store over.
    Lost(Error),
}

impl Stopped {
    pub(super) fn into_error(self) -> Error {
        match self {
            Self::NotMade(error) | Self::Lost(error) => error,
        }
    }
}

impl Pair {
    pub(super) async fn read_place(&self, role: Role) -> Result<Option<(Place, u64)>> {
        let side = self.side(role);
        let key = record_of(&side.name);
        let Some(record) = side.store.control_get(&key).await? else { return Ok(None) };
        let place = serde_json::from_slice(&record.value).map_err(|error| {
            Error::new(ErrorKind::Incompatible, Operation::Mirror, "the mirror's record is unknown")
                .with_context("control record", &key)
                .with_source(error)
        })?;
        Ok(Some((place, record.revision)))
    }

    /// Writes the place into both stores, that of `first` first.
    ///
    /// A step that changes which store is the primary must stand in both or in none before
    /// anybody writes again, since whoever opens the stores next goes on from where either of
    /// them is: once it may stand in one, it is tried until it stands in both.
    pub(super) async fn write_place(
        &self,
        place: &Place,
        first: Role,
        flips: bool,
    ) -> Result<(), Stopped> {
        self.write_into(first, place, flips, false).await?;
        self.write_into(first.other(), place, flips, true).await
    }

    async fn write_into(
        &self,
        role: Role,
        place: &Place,
        flips: bool,
        mut begun: bool,
    ) -> Result<(), Stopped> {
        let value = serde_json::to_vec(place).map_err(|error| {
            let what = "the mirror's record cannot be written";
            let error = Error::new(ErrorKind::Internal, Operation::Mirror, what).with_source(error);
            Stopped::NotMade(error)
        })?;
        let [mut pause, longest] = PAUSES;
        loop {
            match self.try_into(role, place, &value).await {
                Tried::Stands => return Ok(()),
                Tried::TakenOver(error) => return Err(Stopped::Lost(error)),
                Tried::Raced => continue,
                Tried::Failed(error) => {
                    begun |= error.outcome() == Outcome::Unknown;
                    if !begun || !flips {
                        return Err(Stopped::NotMade(error));
                    }
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(longest);
        }
    }

    async fn try_into(&self, role: Role, place: &Place, value: &[u8]) -> Tried {
        let expect = match self.read_place(role).await {
            Ok(Some((found, _))) if found == *place => return Tried::Stands,
            Ok(Some((found, _))) if found.is_ahead_of(place) => {
                return Tried::TakenOver(found.taken_over());
            }
            Ok(Some((_, revision))) => Expect::Revision(revision),
            Ok(None) => Expect::Absent,
            // Looking changes nothing.
            Err(error) => return Tried::Failed(error.with_outcome(Outcome::NotApplied)),
        };
        let side = self.side(role);
        match side.store.control_set(&record_of(&side.name), expect, value).await {
            Ok(ControlWritten::Applied { .. }) => Tried::Stands,
            // Somebody was faster, or an earlier try of this call: the next look tells.
            Ok(ControlWritten::Conflict { .. }) => Tried::Raced,
            Err(error) => Tried::Failed(error),
        }
    }
}

/// What a try to write a record came to.
enum Tried {
    Stands,
    TakenOver(Error),
    Raced,
    Failed(Error),
}

impl Place {
    /// Whether this is another job's, or a later step than `wanted`.
    fn is_ahead_of(&self, wanted: &Self) -> bool {
        let others = self.job != wanted.job && !self.phase.has_ended();
        others || self.epoch > wanted.epoch
    }

    pub(super) fn taken_over(&self) -> Error {
        let message = "another mirror has these stores: end it first, or open its folder";
        Error::new(ErrorKind::Locked, Operation::Mirror, message)
            .with_context("job", self.job)
            .with_context("phase", self.phase)
            .with_context("held by", &self.holder)
    }
}

/// The control record of the namespace's mirror.
fn record_of(namespace: &pinstate_core::NamespaceName) -> String {
    format!("mirror/{namespace}")
}

/// Which process this is, for people.
pub(super) fn holder() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = host.trim();
    let host = if host.is_empty() { "an unknown host" } else { host };
    format!("process {} on {host}", std::process::id())
}
