//! `meta.json`: which log position a snapshot stands for, who the peers are, and the size
//! and checksum of the state.

use data_encoding::BASE64;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::format::snapshot::{write_array_head, write_raw_head};

/// The content of a `meta.json`, in the order in which Go writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct RaftMeta {
    /// Version of this file: 0 or 1.
    #[serde(default)]
    pub version: i64,
    /// The folder's name: term, index and milliseconds since 1970 when it was made.
    #[serde(default, rename = "ID")]
    pub id: String,
    /// Index of the last log entry that is in the state.
    #[serde(default)]
    pub index: u64,
    /// Term of that log entry.
    #[serde(default)]
    pub term: u64,
    /// The voting peers in msgpack, as version 0 had them.
    #[serde(default, with = "base64_or_null")]
    pub(super) peers: Option<Vec<u8>>,
    #[serde(default)]
    configuration: Configuration,
    /// Index of the log entry that set the peers.
    #[serde(default)]
    pub configuration_index: u64,
    /// Size of `state.bin` in bytes.
    #[serde(default)]
    pub size: i64,
    /// CRC-64 of `state.bin`, big-endian.
    #[serde(default, rename = "CRC", with = "base64_or_null")]
    pub(super) crc: Option<Vec<u8>>,
}

/// The peers as version 1 has them. Go writes `null` for a list that was never made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Configuration {
    #[serde(default)]
    servers: Option<Vec<RaftServer>>,
}

/// A member of the raft cluster. In ipfs-cluster both ID and address are the peer ID.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RaftServer {
    /// Whether it votes.
    #[serde(default)]
    pub suffrage: Suffrage,
    /// Its name for all time.
    #[serde(rename = "ID")]
    pub id: String,
    /// Where it is reached.
    pub address: String,
}

/// Whether a server votes: a number in `meta.json`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Suffrage(i64);

impl Suffrage {
    /// It votes, as every ipfs-cluster peer does.
    pub const VOTER: Self = Self(0);
}

impl RaftMeta {
    /// The meta of a snapshot without its size and checksum.
    pub(super) fn new(
        id: String,
        term: u64,
        index: u64,
        configuration_index: u64,
        servers: Vec<RaftServer>,
    ) -> Self {
        Self {
            version: super::NEWEST_VERSION,
            id,
            index,
            term,
            peers: Some(old_peers(&servers)),
            configuration: Configuration { servers: Some(servers) },
            configuration_index,
            size: 0,
            crc: None,
        }
    }

    /// The members of the raft cluster; none in a version 0 file.
    #[must_use]
    pub fn servers(&self) -> &[RaftServer] {
        self.configuration.servers.as_deref().unwrap_or_default()
    }
}

/// The addresses of the voters as an array of raw strings; nil if there are none.
fn old_peers(servers: &[RaftServer]) -> Vec<u8> {
    let voters: Vec<_> =
        servers.iter().filter(|server| server.suffrage == Suffrage::VOTER).collect();
    if voters.is_empty() {
        return vec![0xc0];
    }
    let mut out = Vec::new();
    write_array_head(voters.len(), &mut out);
    for voter in voters {
        write_raw_head(voter.address.len(), &mut out);
        out.extend_from_slice(voter.address.as_bytes());
    }
    out
}

/// Bytes as Go writes them in JSON: standard base64 with padding, or `null`.
mod base64_or_null {
    use super::{BASE64, Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        bytes: &Option<Vec<u8>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match bytes {
            Some(bytes) => serializer.serialize_str(&BASE64.encode(bytes)),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Vec<u8>>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        let bytes = text.map(|text| BASE64.decode(text.as_bytes())).transpose();
        bytes.map_err(|error| serde::de::Error::custom(format!("no base64: {error}")))
    }
}
