//! The typed form of a pin.

use std::collections::BTreeMap;
use std::fmt;

use crate::format::Fault;

use super::fault::{element, fault};
use super::{Cid, Origin, PeerId, UnixSeconds};

/// What a pin stands for.
///
/// Storage holds a number; 0 to 4 have names. Others up to 63 are kept, and any beyond is
/// read as [`PinType::BAD`], as in Go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PinType(u8);

impl PinType {
    /// No type; also that of a number without meaning.
    pub const BAD: Self = Self(0);
    /// A whole DAG, or its root alone.
    pub const DATA: Self = Self(1);
    /// The root of a DAG that is pinned in shards; not itself pinned on IPFS.
    pub const META: Self = Self(2);
    /// The DAG whose leaves are the roots of the shards.
    pub const CLUSTER_DAG: Self = Self(3);
    /// One shard.
    pub const SHARD: Self = Self(4);

    /// The type of the number that is stored.
    pub fn from_stored(number: i32) -> Self {
        Self(u8::try_from(number).ok().filter(|&n| n < 64).unwrap_or(0))
    }

    /// The number that is stored.
    pub fn stored(self) -> u8 {
        self.0
    }

    /// The type's bit in a set of types, as Go's filters use it.
    pub fn bit(self) -> u64 {
        1 << self.0
    }

    /// The type of a name; `None` for a name of no type.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "bad-type" => Some(Self::BAD),
            "pin" => Some(Self::DATA),
            "meta-pin" => Some(Self::META),
            "clusterdag-pin" => Some(Self::CLUSTER_DAG),
            "shard-pin" => Some(Self::SHARD),
            _ => None,
        }
    }

    /// The name; `bad-type` for a type without one.
    pub fn name(self) -> &'static str {
        match self {
            Self::DATA => "pin",
            Self::META => "meta-pin",
            Self::CLUSTER_DAG => "clusterdag-pin",
            Self::SHARD => "shard-pin",
            _ => "bad-type",
        }
    }
}

impl fmt::Display for PinType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How much of a DAG is pinned. It is not stored but follows from the depth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PinMode {
    /// The whole DAG, or as deep as the depth says.
    Recursive,
    /// The root alone.
    Direct,
}

impl PinMode {
    /// The mode of a depth.
    pub fn from_depth(max_depth: i32) -> Self {
        if max_depth == 0 { Self::Direct } else { Self::Recursive }
    }

    /// The depth of a mode.
    pub fn depth(self) -> i32 {
        match self {
            Self::Recursive => -1,
            Self::Direct => 0,
        }
    }

    /// `recursive` or `direct`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Recursive => "recursive",
            Self::Direct => "direct",
        }
    }
}

impl fmt::Display for PinMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A pin: a CID, and what ipfs-cluster keeps with it.
///
/// The types of the fields leave no room for what would vanish in storage: an undefined
/// CID, an allocation that is no multihash, an origin that is no multiaddress, text that
/// is not UTF-8, a fraction of a second. [`Pin::validate`] checks the little that is left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    /// What is pinned; its bytes are the record's key.
    pub cid: Cid,
    /// What the pin stands for.
    pub pin_type: PinType,
    /// The peers that hold the content.
    pub allocations: Vec<PeerId>,
    /// How many levels are pinned: -1 for all, 0 for the root alone.
    pub max_depth: i32,
    /// The pin that this one hangs on, where it is part of a sharded DAG.
    pub reference: Option<Cid>,
    /// When the pin was submitted.
    pub timestamp: Option<UnixSeconds>,
    /// The smallest number of peers to hold the content; -1 for all peers, 0 for the
    /// cluster's default.
    pub replication_factor_min: i32,
    /// The largest number of peers to hold the content; as above.
    pub replication_factor_max: i32,
    /// A name, which need not be unique.
    pub name: String,
    /// Bytes in a shard, where the DAG is sharded.
    pub shard_size: u64,
    /// The peers that the user asked for. Not stored: an option of the request alone.
    pub user_allocations: Vec<PeerId>,
    /// When the pin ends; `None` for never.
    pub expire_at: Option<UnixSeconds>,
    /// Names and values of the user's own.
    pub metadata: BTreeMap<String, String>,
    /// The pin that this one takes over from.
    pub pin_update: Option<Cid>,
    /// Where the content may be fetched from.
    pub origins: Vec<Origin>,
}

impl Pin {
    /// A recursive pin of data, with nothing else set.
    pub fn new(cid: Cid) -> Self {
        Self {
            cid,
            pin_type: PinType::DATA,
            allocations: Vec::new(),
            max_depth: -1,
            reference: None,
            timestamp: None,
            replication_factor_min: 0,
            replication_factor_max: 0,
            name: String::new(),
            shard_size: 0,
            user_allocations: Vec::new(),
            expire_at: None,
            metadata: BTreeMap::new(),
            pin_update: None,
            origins: Vec::new(),
        }
    }

    /// The mode, which follows from the depth.
    pub fn mode(&self) -> PinMode {
        PinMode::from_depth(self.max_depth)
    }

    /// Whether the pin has ended by `now`.
    pub fn expired(&self, now: UnixSeconds) -> bool {
        self.expire_at.is_some_and(|end| end <= now)
    }

    /// Checks that storage keeps what the pin says.
    ///
    /// # Errors
    /// If there are user allocations, which are not stored, or a time that storage cannot
    /// tell from none.
    pub fn validate(&self) -> Result<(), Fault> {
        if !self.user_allocations.is_empty() {
            return Err(fault(
                element("user_allocations", 0),
                "is not stored; put the peers into allocations",
            ));
        }
        for (field, time) in [("expire_at", self.expire_at), ("timestamp", self.timestamp)] {
            if time.is_some() && UnixSeconds::stored(time) == 0 {
                return Err(fault(
                    field,
                    "the first second of 1970 and of year 1 are stored as no time at all",
                ));
            }
        }
        Ok(())
    }

    /// The pin that ipfs-cluster v1.1.6 reads back after it stored this one: no user
    /// allocations, and no time where storage cannot tell it from none.
    #[must_use]
    pub fn canonical(mut self) -> Self {
        self.user_allocations.clear();
        self.expire_at = UnixSeconds::from_stored(UnixSeconds::stored(self.expire_at));
        self.timestamp = UnixSeconds::from_stored(UnixSeconds::stored(self.timestamp));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pin() -> Pin {
        Pin::new(Cid::from_bytes(&[1, 0x55, 0, 1, 9]).unwrap())
    }

    #[test]
    fn a_new_pin_is_valid_and_canonical() {
        assert_eq!(pin().validate(), Ok(()));
        assert_eq!(pin().canonical(), pin());
        assert_eq!(pin().mode(), PinMode::Recursive);
    }

    #[test]
    fn what_storage_would_drop_is_refused_and_canonically_gone() {
        let mut dropped = pin();
        dropped.user_allocations = vec![PeerId::from_bytes(&[0, 1, 5]).unwrap()];
        assert!(dropped.validate().is_err());
        assert_eq!(dropped.canonical(), pin());
        for seconds in [0, UnixSeconds::GO_ZERO.0] {
            let mut dropped = pin();
            dropped.expire_at = Some(UnixSeconds(seconds));
            let error = dropped.validate().unwrap_err();
            assert_eq!(error.field, "expire_at");
            assert_eq!(dropped.canonical(), pin());
        }
    }

    #[test]
    fn types_have_the_numbers_and_names_of_go() {
        for (number, name) in
            [(0, "bad-type"), (1, "pin"), (2, "meta-pin"), (3, "clusterdag-pin"), (4, "shard-pin")]
        {
            let pin_type = PinType::from_stored(number);
            assert_eq!(pin_type.name(), name);
            assert_eq!(PinType::from_name(name), Some(pin_type));
        }
        assert_eq!(PinType::from_stored(63).stored(), 63);
        assert_eq!(PinType::from_stored(63).name(), "bad-type");
        assert_eq!(PinType::from_stored(64), PinType::BAD);
        assert_eq!(PinType::from_stored(-1), PinType::BAD);
        assert_eq!(PinType::from_name("all"), None);
        assert_eq!(PinType::SHARD.bit(), 16);
    }

    #[test]
    fn a_pin_expires_at_its_second() {
        let mut pin = pin();
        assert!(!pin.expired(UnixSeconds(i64::MAX)));
        pin.expire_at = Some(UnixSeconds(100));
        assert!(!pin.expired(UnixSeconds(99)));
        assert!(pin.expired(UnixSeconds(100)));
    }
}
