//! Which pins a job moves, and what it changes in them.

use std::collections::BTreeMap;

use bytes::Bytes;
use pinstate_core::pin::{Cid, PeerId, PinType, PinView, UnixSeconds, encode};
use pinstate_core::{Error, ErrorKind, Operation, PinFilter, Result};
use serde::{Deserialize, Serialize};

/// Conditions that a moved pin meets, all of them, and what is set in it. Without any, records
/// are moved as the bytes that they are, whether they are pins or not.
///
/// A pin in which something is changed is written anew, as ipfs-cluster v1.1.6 would write it:
/// fields that it does not know are gone. All others keep their bytes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rules {
    /// Names of types of which one is moved; empty for all.
    pub types: Vec<String>,
    /// A pattern for names: `*`, `?`, `[a-z]`, `{a,b}`.
    pub name: Option<String>,
    /// Metadata that a pin has.
    pub metadata: BTreeMap<String, String>,
    /// Whether it has expired, at [`now`](Self::now).
    pub expired: Option<bool>,
    /// The moment that expiry is measured against, in seconds since the Unix epoch.
    pub now: Option<i64>,
    /// How the CID's text begins.
    pub cid_prefix: Option<String>,
    /// The smallest number of peers that is set in every pin.
    pub replication_min: Option<i32>,
    /// The largest number of peers that is set in every pin.
    pub replication_max: Option<i32>,
    /// Peers that others take the place of, in allocations.
    pub peers: BTreeMap<String, String>,
}

/// What becomes of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ruled {
    /// It is moved, with this value.
    Moved(Bytes),
    /// It is none of those that are.
    Left,
    /// Nobody can say, since it is no pin.
    NoPin(String),
}

/// Rules that are ready to be followed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Compiled {
    nothing: bool,
    filter: PinFilter,
    metadata: Vec<(String, String)>,
    cid_prefix: Option<String>,
    replication: (Option<i32>, Option<i32>),
    peers: BTreeMap<Vec<u8>, PeerId>,
}

impl Rules {
    /// Whether everything is moved as it is.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self { now: self.now, ..Self::default() }
    }

    pub(crate) fn compile(&self) -> Result<Compiled> {
        let mut filter = PinFilter::new();
        for name in &self.types {
            let known = PinType::from_name(name);
            filter = filter.with_type(known.ok_or_else(|| wrong(name, "is no type of a pin"))?);
        }
        if let Some(pattern) = &self.name {
            filter = filter.with_name(pattern)?;
        }
        if let Some(expired) = self.expired {
            let now =
                self.now.ok_or_else(|| wrong("expired", "wants a moment to be held against"))?;
            filter = filter.with_expired(expired, UnixSeconds(now));
        }
        let peer = |text: &String| {
            text.parse::<PeerId>().map_err(|fault| wrong(text, &format!("is no peer: {fault}")))
        };
        let mut peers = BTreeMap::new();
        for (from, to) in &self.peers {
            peers.insert(peer(from)?.as_bytes().to_vec(), peer(to)?);
        }
        Ok(Compiled {
            nothing: self.is_nothing(),
            filter,
            metadata: self.metadata.clone().into_iter().collect(),
            cid_prefix: self.cid_prefix.clone(),
            replication: (self.replication_min, self.replication_max),
            peers,
        })
    }
}

impl Compiled {
    /// What becomes of a record.
    pub(crate) fn apply(&self, key: &[u8], value: Bytes) -> Ruled {
        if self.nothing {
            return Ruled::Moved(value);
        }
        let view = match PinView::new(key, &value) {
            Ok(view) => view,
            Err(fault) => return Ruled::NoPin(fault.to_string()),
        };
        if !self.keeps(key, &view) {
            return Ruled::Left;
        }
        match self.changed(&view) {
            Some(changed) => Ruled::Moved(changed),
            None => Ruled::Moved(value),
        }
    }

    fn keeps(&self, key: &[u8], pin: &PinView<'_>) -> bool {
        let begins = |prefix: &String| {
            Cid::from_bytes(key).is_ok_and(|cid| cid.to_string().starts_with(prefix))
        };
        self.filter.matches(pin)
            && self.cid_prefix.as_ref().is_none_or(begins)
            && self
                .metadata
                .iter()
                .all(|(name, text)| pin.metadata().any(|(key, value)| key == name && value == text))
    }

    /// The pin with what is set in it, if that changes anything.
    fn changed(&self, view: &PinView<'_>) -> Option<Bytes> {
        let (min, max) = self.replication;
        let moves = |peer: &[u8]| self.peers.contains_key(peer);
        let differs = min.is_some_and(|min| min != view.replication_factor_min())
            || max.is_some_and(|max| max != view.replication_factor_max())
            || (!self.peers.is_empty() && view.allocations().any(moves));
        if !differs {
            return None;
        }
        let mut pin = view.to_pin();
        pin.replication_factor_min = min.unwrap_or(pin.replication_factor_min);
        pin.replication_factor_max = max.unwrap_or(pin.replication_factor_max);
        for peer in &mut pin.allocations {
            if let Some(other) = self.peers.get(peer.as_bytes()) {
                *peer = other.clone();
            }
        }
        let mut value = Vec::new();
        encode(&pin, &mut value);
        Some(value.into())
    }
}

fn wrong(what: &str, why: &str) -> Error {
    let message = format!("'{}' {why}", what.escape_debug());
    Error::new(ErrorKind::InvalidInput, Operation::Configure, message)
}
