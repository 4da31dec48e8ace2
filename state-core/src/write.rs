//! Writing one record: preconditions and what came of them.

use bytes::Bytes;

use crate::record::{Contender, Key, Version};

/// What must hold for a write to apply.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum Precondition {
    /// Nothing: the write replaces whatever is there. Its version must have just been
    /// drawn from the clock; stores may then apply such writes in the order of arrival.
    #[default]
    None,
    /// The write beats what is stored by the [order of writes](crate::Contender::beats),
    /// hidden delete markers included. The only condition under which a caller may choose
    /// the version.
    IfNewer,
    /// No live record has the key. Puts only.
    IfAbsent,
    /// The live record has exactly this version.
    IfVersion(Version),
}

impl Precondition {
    /// The answer to a write whose condition does not hold over what is stored, delete markers
    /// included; `None` where it holds. For stores that look at what is there themselves.
    #[must_use]
    pub fn refusal(self, new: Contender<'_>, stored: Option<Contender<'_>>) -> Option<Written> {
        let live = stored.filter(|stored| stored.value.is_some()).map(|stored| stored.version);
        match self {
            Self::None => None,
            Self::IfNewer => {
                let stored = stored?;
                // A write that is there already has taken effect: a repeated attempt hears so.
                let repeated = new.version == stored.version && new.value == stored.value;
                (!repeated && !new.beats(&stored))
                    .then_some(Written::Superseded { current: stored.version })
            }
            Self::IfAbsent => live.map(|version| Written::Refused { current: Some(version) }),
            Self::IfVersion(expected) => {
                (live != Some(expected)).then_some(Written::Refused { current: live })
            }
        }
    }
}

/// A put: the whole record is replaced, nothing of the old one is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Put {
    /// The key.
    pub key: Key,
    /// The bytes to store, verbatim. They may be a slice of something much larger: a store
    /// that keeps them for long must copy them, unless it finds that it is their only holder
    /// and that they fill their memory.
    pub value: Bytes,
    /// The version of the write; the same for every attempt.
    pub version: Version,
}

impl Put {
    /// A put.
    #[must_use]
    pub fn new(key: Key, value: impl Into<Bytes>, version: Version) -> Self {
        Self { key, value: value.into(), version }
    }
}

/// A delete. A key that is not there is no error.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Delete {
    /// The key.
    pub key: Key,
    /// The version of the write; the same for every attempt.
    pub version: Version,
}

impl Delete {
    /// A delete.
    #[must_use]
    pub fn new(key: Key, version: Version) -> Self {
        Self { key, version }
    }
}

/// Options of a single put or delete.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct WriteOptions {
    /// What must hold.
    pub precondition: Precondition,
}

impl WriteOptions {
    /// No condition.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the condition.
    #[must_use]
    pub fn with_precondition(mut self, precondition: Precondition) -> Self {
        self.precondition = precondition;
        self
    }

    /// Applies only if newer than what is stored.
    #[must_use]
    pub fn if_newer() -> Self {
        Self::new().with_precondition(Precondition::IfNewer)
    }

    /// Applies only if the key has no live record.
    #[must_use]
    pub fn if_absent() -> Self {
        Self::new().with_precondition(Precondition::IfAbsent)
    }

    /// Applies only if the live record has this version.
    #[must_use]
    pub fn if_version(version: Version) -> Self {
        Self::new().with_precondition(Precondition::IfVersion(version))
    }
}

/// What a write did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Written {
    /// It took effect.
    Applied,
    /// It did not, since what is stored is newer (`if newer`).
    Superseded {
        /// The version that is stored.
        current: Version,
    },
    /// The newer of both is stored, and the store cannot say which that is (`if newer`).
    Resolved,
    /// It did not, since the condition does not hold (`if absent`, `if version`).
    Refused {
        /// The version of the live record, or `None` where there is none.
        current: Option<Version>,
    },
}

impl Written {
    /// Whether the write certainly did not take effect.
    #[must_use]
    pub fn was_refused(self) -> bool {
        matches!(self, Self::Superseded { .. } | Self::Refused { .. })
    }
}
