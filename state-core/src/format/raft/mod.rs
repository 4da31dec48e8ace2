//! The raft snapshot folder: where an ipfs-cluster peer with raft consensus keeps its pinset.
//!
//! The layout is that of hashicorp/raft v1.7.3 (`file_snapshot.go`), inside the folder that
//! ipfs-cluster v1.1.6 gives it (`consensus/raft/raft.go`):
//!
//! ```text
//! BASE/                       ipfs-cluster's own folder
//!   raft/                     the raft folder
//!     raft.db                 log entries; what came after the newest snapshot is only here
//!     snapshots/
//!       TERM-INDEX-MILLIS/    one snapshot; at most five are kept
//!         meta.json           position in the log, peers, size and checksum
//!         state.bin           the pinset, as a [snapshot](super::snapshot)
//!       TERM-INDEX-MILLIS.tmp/   one that never got finished; nobody reads it
//! ```
//!
//! The checksum in `meta.json` is the CRC-64 of `state.bin` with the ECMA-182 polynomial in
//! reflected form (CRC-64/XZ), big-endian, in base64. It is what tells a whole snapshot from
//! a cut one, so nothing of `state.bin` is handed out before [`RaftSnapshot::verify`] has
//! seen it agree.
//!
//! Unlike the other formats this is a folder, so this module does work on files: it finds,
//! checks and places them. What is in `state.bin` goes through
//! [`SnapshotDecoder`](super::snapshot::SnapshotDecoder) and
//! [`SnapshotEncoder`](super::snapshot::SnapshotEncoder) in the caller's hands.

mod meta;
mod read;
mod write;

use std::io;
use std::path::{Path, PathBuf};

pub use self::meta::{RaftMeta, RaftServer, Suffrage};
pub use self::read::{RaftSnapshot, SkippedSnapshot};
pub use self::write::{RaftSnapshotOptions, RaftSnapshotWriter};

const RAFT: &str = "raft";
const LOG: &str = "raft.db";
const SNAPSHOTS: &str = "snapshots";
const META: &str = "meta.json";
const STATE: &str = "state.bin";
const UNFINISHED: &str = ".tmp";
/// The newest version of `meta.json` that hashicorp/raft knows; the oldest is 0.
const NEWEST_VERSION: i64 = 1;

/// Why a raft folder cannot be read or written. Every message names the path.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RaftError {
    /// The file system refused something.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The path is none of the folders that can be given.
    #[error(
        "{} is no raft folder: it holds neither meta.json nor snapshots/ nor raft/snapshots/; \
         give ipfs-cluster's folder, its raft folder or one snapshot's folder",
        path.display()
    )]
    NotRaft {
        /// The path that was given.
        path: PathBuf,
    },
    /// There is no finished snapshot.
    #[error("{} holds no finished snapshot: the peer has never made one", path.display())]
    Empty {
        /// The folder of the snapshots.
        path: PathBuf,
    },
    /// The snapshot is one that never got finished.
    #[error("{} is a snapshot that was never finished; take another one", path.display())]
    Unfinished {
        /// The snapshot's folder.
        path: PathBuf,
    },
    /// A `meta.json` that cannot be understood.
    #[error("{}: {reason}; to read another snapshot, give its own folder", path.display())]
    Meta {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A `state.bin` of another size than `meta.json` says.
    #[error("{} has {found} bytes, but its meta.json says {expected}: it is damaged", path.display())]
    Size {
        /// The file.
        path: PathBuf,
        /// The size in `meta.json`.
        expected: i64,
        /// The file's size.
        found: u64,
    },
    /// A `state.bin` whose checksum is not the one in `meta.json`.
    #[error(
        "{} has the CRC-64 {found:016x}, but its meta.json says {expected}: it is damaged",
        path.display()
    )]
    Checksum {
        /// The file.
        path: PathBuf,
        /// The checksum in `meta.json`, in hexadecimal.
        expected: String,
        /// The file's checksum.
        found: u64,
    },
    /// The folder to be written is in use.
    #[error(
        "{} is there already: a snapshot is only written into a raft folder without raft data; \
         give a new folder",
        path.display()
    )]
    Occupied {
        /// What was found.
        path: PathBuf,
    },
    /// A write had failed before, so that the snapshot cannot be whole.
    #[error("{} is not whole, since writing to it failed before; it is given up", path.display())]
    Broken {
        /// The unfinished snapshot's folder.
        path: PathBuf,
    },
}

impl RaftError {
    /// For `map_err`: the file system refused to `action` the `path`.
    fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { action, path, source }
    }
}

#[cfg(test)]
mod tests;
