//! What ipfs-cluster lets through although storage then says something else.

/// One thing that a strict reader refuses and a compatible one counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quirk {
    NoType,
    UnknownType,
    AllType,
    NoDepth,
    UnknownMode,
    ModeAgainstDepth,
    CutNumber,
    Replaced,
    NullMetadata,
    UserAllocations,
    ImproperTime,
    TimeLost,
    UnknownKey,
    KeyCase,
    KeyTwice,
}

impl Quirk {
    /// The name under which it is counted.
    pub(super) fn kind(self) -> &'static str {
        match self {
            Self::NoType => "no type",
            Self::UnknownType => "unknown type",
            Self::AllType => "type all",
            Self::NoDepth => "no max_depth",
            Self::UnknownMode => "unknown mode",
            Self::ModeAgainstDepth => "mode against max_depth",
            Self::CutNumber => "number above 32 bits",
            Self::Replaced => "broken text",
            Self::NullMetadata => "metadata value null",
            Self::UserAllocations => "user_allocations",
            Self::ImproperTime => "improper time",
            Self::TimeLost => "time that is stored as none",
            Self::UnknownKey => "unknown key",
            Self::KeyCase => "key in another case",
            Self::KeyTwice => "key twice",
        }
    }

    /// Why a strict reader refuses it.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::NoType => "is missing; ipfs-cluster would store a bad-type pin",
            Self::UnknownType => "is no type of pin; ipfs-cluster would store another",
            Self::AllType => "means every type; ipfs-cluster would store a shard-pin",
            Self::NoDepth => "is missing; ipfs-cluster would store a direct pin",
            Self::UnknownMode => "is neither recursive nor direct",
            Self::ModeAgainstDepth => {
                "contradicts max_depth, which is 0 for direct and -1 for recursive"
            }
            Self::CutNumber => "is above 32 bits; ipfs-cluster would cut it",
            Self::Replaced => "is no Unicode text; ipfs-cluster would replace a part of it",
            Self::NullMetadata => "has a value of null; ipfs-cluster would store an empty one",
            Self::UserAllocations => "are not stored; put the peers into allocations",
            Self::ImproperTime => "is no RFC 3339 time, though ipfs-cluster takes it for one",
            Self::TimeLost => "is stored as no time at all",
            Self::UnknownKey => "is no key of a pin; ipfs-cluster would drop it",
            Self::KeyCase => "is to be written exactly so, in lower case",
            Self::KeyTwice => "has a key twice; ipfs-cluster would keep the last",
        }
    }
}
