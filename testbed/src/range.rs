//! A loopback range of its own for every cluster: `127.A.B.1` to `127.A.B.8`.
//!
//! All nodes of a cluster share their port numbers, because drivers give every peer the port
//! of the node they asked. So what differs is the address, and clusters that run beside each
//! other must not meet: a range is taken by a lock on a file, by a cluster that stays and
//! left its name in that file, or by anything that listens there.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::RangeInclusive;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::topology::MAX_NODES;

/// The port for clients, on every node.
pub(crate) const CQL_PORT: u16 = 9042;
/// The port for other nodes, on every node.
pub(crate) const STORAGE_PORT: u16 = 7000;

/// The two middle octets of a cluster's addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Range(pub(crate) u8, pub(crate) u8);

impl Range {
    /// The address of node `number`, from 1.
    pub(crate) fn address(self, number: usize) -> Ipv4Addr {
        Ipv4Addr::new(127, self.0, self.1, u8::try_from(number).unwrap_or(u8::MAX))
    }

    /// An address in a network of containers or namespaces: in 198.18.0.0/15, which is set
    /// aside for benchmarks. No other range of [`Reservation::network`] has the same.
    pub(crate) fn outside(self, host: usize) -> Ipv4Addr {
        let host = u8::try_from(host).unwrap_or(u8::MAX);
        Ipv4Addr::new(198, 18 + (self.0 & 1), self.1, host)
    }

    /// Can nodes listen there? A node that is stopped still holds its ports.
    fn is_silent(self) -> bool {
        (1..=MAX_NODES).all(|number| {
            [CQL_PORT, STORAGE_PORT]
                .iter()
                .all(|port| TcpListener::bind((self.address(number), *port)).is_ok())
        })
    }
}

/// A range that this process holds. It is free again when this is dropped, or the process
/// dies, and the nodes are gone.
#[derive(Debug)]
pub(crate) struct Reservation {
    pub(crate) range: Range,
    lock: File,
}

impl Reservation {
    /// Takes a range that nobody has.
    pub(crate) fn any() -> Result<Self> {
        Self::among(66..=250)
    }

    /// Takes a range that also stands for a network outside of loopback: see
    /// [`Range::outside`].
    pub(crate) fn network() -> Result<Self> {
        Self::among(64..=65)
    }

    fn among(first: RangeInclusive<u8>) -> Result<Self> {
        let folder = folder()?;
        for _ in 0..1_000 {
            let range = Range(fastrand::u8(first.clone()), fastrand::u8(1..=250));
            if let Some(reservation) = Self::take(&folder, range)? {
                return Ok(reservation);
            }
        }
        Err(Error::failed(format!("no free loopback range; see the locks in {}", folder.display())))
    }

    fn take(folder: &Path, range: Range) -> Result<Option<Self>> {
        let path = folder.join(format!("{}.{}", range.0, range.1));
        // A file of another user cannot be opened here: that range is theirs.
        let options =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let lock = match options {
            Ok(lock) => lock,
            Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => return Ok(None),
            Err(e) => return Err(Error::io("cannot open", &path)(e)),
        };
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(e)) => return Err(Error::io("cannot lock", &path)(e)),
        }
        let owner = fs::read_to_string(&path).map_err(Error::io("cannot read", &path))?;
        let stays = !owner.is_empty() && Path::new(&owner).exists();
        Ok((!stays && range.is_silent()).then_some(Self { range, lock }))
    }

    /// Leaves the range to a cluster that outlives this process, as long as `owner` exists.
    pub(crate) fn leave_to(&mut self, owner: &Path) -> Result<()> {
        let written = self
            .lock
            .set_len(0)
            .and_then(|()| self.lock.write_all(owner.as_os_str().as_encoded_bytes()));
        written.map_err(Error::io("cannot write the lock for", owner))
    }
}

fn folder() -> Result<PathBuf> {
    let folder = std::env::temp_dir().join("pinstate-testbed-ranges");
    if !folder.is_dir() {
        fs::create_dir_all(&folder).map_err(Error::io("cannot create", &folder))?;
        // As /tmp is: for all users, each with files of their own.
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o1777))
            .map_err(Error::io("cannot open to all users", &folder))?;
    }
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_taken_once() {
        let folder = tempfile::tempdir().unwrap();
        let range = Range(63, 17);
        let first = Reservation::take(folder.path(), range).unwrap().unwrap();
        assert!(Reservation::take(folder.path(), range).unwrap().is_none());
        drop(first);
        assert!(Reservation::take(folder.path(), range).unwrap().is_some());
    }

    #[test]
    fn a_range_where_something_listens_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let range = Range(63, 18);
        let listener = TcpListener::bind((range.address(3), CQL_PORT)).unwrap();
        assert!(Reservation::take(folder.path(), range).unwrap().is_none());
        drop(listener);
        assert!(Reservation::take(folder.path(), range).unwrap().is_some());
    }

    #[test]
    fn a_range_is_left_to_a_cluster_as_long_as_that_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let owner = tempfile::tempdir().unwrap();
        let range = Range(63, 19);
        let mut first = Reservation::take(folder.path(), range).unwrap().unwrap();
        first.leave_to(owner.path()).unwrap();
        drop(first);
        assert!(Reservation::take(folder.path(), range).unwrap().is_none());
        drop(owner);
        assert!(Reservation::take(folder.path(), range).unwrap().is_some());
    }
}
