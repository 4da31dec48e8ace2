//! What a history is made of.

use std::fmt;

use bytes::Bytes;
use pinstate_core::{Key, Precondition, Version, Written};
use serde::{Deserialize, Serialize};

/// What some clients did to a namespace that was empty before, and what they were told.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct History {
    /// The operations, in the order in which they were begun.
    pub events: Vec<Event>,
    /// The calls of `sync` that succeeded.
    pub barriers: Vec<Barrier>,
}

/// One operation of one client on one key.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Event {
    /// The client, that is a handle of its own.
    pub client: u32,
    /// The key.
    #[serde(with = "hex_key")]
    pub key: Key,
    /// What was asked.
    pub call: Call,
    /// When it was about to be asked. Moments are numbers from one counter: of two of them
    /// the smaller one came first.
    pub invoked: u64,
    /// How it ended.
    pub end: End,
}

/// A barrier: a `sync` that succeeded.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Barrier {
    /// Who called it.
    pub client: u32,
    /// When it was about to be called.
    pub invoked: u64,
    /// When it had returned.
    pub returned: u64,
}

/// What was asked of one key.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Call {
    /// The record.
    Get,
    /// Whether there is one.
    Has,
    /// To put one.
    Put {
        /// The value.
        #[serde(with = "hex_bytes")]
        value: Bytes,
        /// The version.
        version: Version,
        /// Under which condition.
        condition: Condition,
    },
    /// To delete it.
    Delete {
        /// The version.
        version: Version,
        /// Under which condition.
        condition: Condition,
    },
}

/// The condition of a write.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Condition {
    /// None: a plain write.
    None,
    /// That it is newer than what is there.
    IfNewer,
    /// That no live record is there.
    IfAbsent,
    /// That the live record has this version.
    IfVersion(Version),
}

/// How an operation ended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// With an answer.
    Answered {
        /// When the answer was there.
        at: u64,
        /// The answer.
        answer: Answer,
    },
    /// With an error that says that nothing was done and nothing will be.
    NotApplied {
        /// When the error was there.
        at: u64,
        /// The error.
        error: String,
    },
    /// With an error that leaves open whether it took effect, or will.
    Unknown {
        /// When the error was there.
        at: u64,
        /// The error.
        error: String,
    },
    /// Its future was dropped. It may take effect until a barrier that begins afterwards
    /// has returned.
    Dropped {
        /// When it had been dropped.
        at: u64,
    },
    /// It was under way when the history was taken.
    Open,
}

/// What an operation was told.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// A record, or that there is none.
    Record(Option<Found>),
    /// Whether there is a record.
    Present(bool),
    /// What the write did.
    Written(Reply),
}

/// A record that was read.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Found {
    /// Its version.
    pub version: Version,
    /// Its value.
    #[serde(with = "hex_bytes")]
    pub value: Bytes,
}

/// What a write did: [`Written`], in a form that can be saved.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// It took effect.
    Applied,
    /// What is stored is newer.
    Superseded {
        /// The version of that.
        current: Version,
    },
    /// The newer of both is stored.
    Resolved,
    /// The condition does not hold.
    Refused {
        /// The version of the live record, where there is one.
        current: Option<Version>,
    },
}

impl Reply {
    /// The answer, where it is one that is known to this module.
    pub(crate) fn of(written: Written) -> Option<Self> {
        Some(match written {
            Written::Applied => Self::Applied,
            Written::Superseded { current } => Self::Superseded { current },
            Written::Resolved => Self::Resolved,
            Written::Refused { current } => Self::Refused { current },
            _ => return None,
        })
    }
}

impl Condition {
    /// The condition that is known to this module, of those that the contract may have.
    pub(crate) fn of(precondition: Precondition) -> Option<Self> {
        Some(match precondition {
            Precondition::None => Self::None,
            Precondition::IfNewer => Self::IfNewer,
            Precondition::IfAbsent => Self::IfAbsent,
            Precondition::IfVersion(version) => Self::IfVersion(version),
            _ => return None,
        })
    }
}

impl Call {
    /// Whether it writes.
    #[must_use]
    pub fn is_write(&self) -> bool {
        matches!(self, Self::Put { .. } | Self::Delete { .. })
    }

    /// The version of a write.
    #[must_use]
    pub fn version(&self) -> Option<Version> {
        match self {
            Self::Put { version, .. } | Self::Delete { version, .. } => Some(*version),
            Self::Get | Self::Has => None,
        }
    }
}

impl Event {
    /// When the answer was there, for an operation that has one.
    #[must_use]
    pub fn answered(&self) -> Option<(u64, &Answer)> {
        match &self.end {
            End::Answered { at, answer } => Some((*at, answer)),
            _ => None,
        }
    }
}

/// Longest part of a value that is printed.
const PRINTED: usize = 32;

/// Bytes as text where they are text, else in hex.
pub(crate) struct Shown<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.get(..PRINTED).unwrap_or(self.0);
        let text = std::str::from_utf8(shown).ok();
        match text.filter(|text| text.chars().all(|c| c.is_ascii_graphic() || c == ' ')) {
            Some(text) => write!(f, "\"{text}\"")?,
            None => f.write_str(&data_encoding::HEXLOWER.encode(shown))?,
        }
        if shown.len() < self.0.len() {
            write!(f, "… ({} bytes)", self.0.len())?;
        }
        Ok(())
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Get => f.write_str("get"),
            Self::Has => f.write_str("has"),
            Self::Put { value, version, condition } => {
                write!(f, "put {} v{version}{condition}", Shown(value))
            }
            Self::Delete { version, condition } => write!(f, "delete v{version}{condition}"),
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => Ok(()),
            Self::IfNewer => f.write_str(" if newer"),
            Self::IfAbsent => f.write_str(" if absent"),
            Self::IfVersion(version) => write!(f, " if v{version}"),
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Record(None) => f.write_str("nothing"),
            Self::Record(Some(found)) => write!(f, "{} v{}", Shown(&found.value), found.version),
            Self::Present(present) => write!(f, "{present}"),
            Self::Written(Reply::Applied) => f.write_str("applied"),
            Self::Written(Reply::Superseded { current }) => write!(f, "superseded by v{current}"),
            Self::Written(Reply::Resolved) => f.write_str("resolved"),
            Self::Written(Reply::Refused { current: Some(current) }) => {
                write!(f, "refused, v{current} is there")
            }
            Self::Written(Reply::Refused { current: None }) => {
                f.write_str("refused, nothing is there")
            }
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered { answer, .. } => answer.fmt(f),
            Self::NotApplied { error, .. } => write!(f, "failed, not applied: {error}"),
            Self::Unknown { error, .. } => write!(f, "failed, outcome unknown: {error}"),
            Self::Dropped { .. } => f.write_str("cancelled"),
            Self::Open => f.write_str("no end yet"),
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let until = match &self.end {
            End::Answered { at, .. }
            | End::NotApplied { at, .. }
            | End::Unknown { at, .. }
            | End::Dropped { at } => at.to_string(),
            End::Open => "…".to_owned(),
        };
        write!(
            f,
            "client {:<2} {:>6} to {until:<6}  {} → {}",
            self.client, self.invoked, self.call, self.end
        )
    }
}

/// Keys in hex.
mod hex_key {
    use pinstate_core::Key;
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(key: &Key, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&data_encoding::HEXLOWER.encode(key.as_bytes()))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Key, D::Error> {
        super::hex_bytes::deserialize(from).map(Key::new)
    }
}

/// Bytes in hex.
mod hex_bytes {
    use bytes::Bytes;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &Bytes, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&data_encoding::HEXLOWER.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Bytes, D::Error> {
        let text = String::deserialize(from)?;
        let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(text.as_bytes());
        bytes.map(Bytes::from).map_err(D::Error::custom)
    }
}
