//! What makes a write safe from the loss of power.
//!
//! The engine's own flush writes its buffer and waits for `sync_file_range`, which moves
//! data pages to the device and neither the file's length nor its block map, and does not
//! empty the device's cache (see sync_file_range(2)). That outlives the process and not
//! the power. So at level `power` a barrier is the engine's flush, then `fsync` of blob
//! files that are new and of their folder, then `fdatasync` of the log, through descriptors
//! of our own on the same files. Blobs come first: the log points to them.
//!
//! Between two barriers the engine moves pages and writes new data over the segments they
//! left, trusting that what it wrote before is safe. So that this trust is justified, its
//! files get the attribute that makes every write to them synchronous (`chattr +S`), where
//! the file system has it. ext4, XFS, Btrfs and F2FS do.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use pinstate_core::{Error, Operation};
use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};
use serde::{Deserialize, Serialize};

use crate::error::{from_engine, from_io};

/// What an acknowledged write is safe from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Safety {
    /// The loss of power: the default.
    #[default]
    Power,
    /// The death of the process, but not of the machine.
    Process,
}

/// A folder whose modification time is this recent is read again: the clock of a file
/// system ticks more coarsely than two files can appear (4 ms on common kernels).
const COARSE_CLOCK: Duration = Duration::from_millis(100);

/// The store's files, open for making them durable.
pub(crate) struct Files {
    safety: Safety,
    log: File,
    blobs: Blobs,
    synchronous: bool,
}

impl Files {
    /// Opens the files of an opened engine and makes their present state durable: opening
    /// may have created and renamed some.
    pub(crate) fn open(folder: &Path, safety: Safety) -> io::Result<Self> {
        let log = File::open(folder.join("db"))?;
        let blobs = Blobs::open(folder.join("blobs"))?;
        let mut files = Self { safety, log, blobs, synchronous: false };
        files.synchronous = files.set_synchronous(safety == Safety::Power);
        if safety == Safety::Power {
            files.sync()?;
            File::open(folder.join("conf"))?.sync_all()?;
            File::open(folder)?.sync_all()?;
        }
        Ok(files)
    }

    /// Whether the file system makes every single write of the engine durable.
    pub(crate) fn are_synchronous(&self) -> bool {
        self.synchronous
    }

    /// Makes every write that was handed to the engine before the call durable.
    pub(crate) fn barrier(&mut self, engine: &sled::Db) -> Result<(), Error> {
        engine.flush().map_err(|error| from_engine(error, Operation::Sync))?;
        if self.safety == Safety::Power {
            self.sync().map_err(|error| from_io(error, Operation::Sync))?;
        }
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.blobs.sync()?;
        rustix::fs::fdatasync(&self.log)?;
        Ok(())
    }

    /// Sets or clears the attribute; false where the file system has none.
    fn set_synchronous(&self, on: bool) -> bool {
        let set = |file: &File| -> rustix::io::Result<()> {
            let mut flags = ioctl_getflags(file)?;
            if flags.contains(IFlags::SYNC) != on {
                flags.set(IFlags::SYNC, on);
                ioctl_setflags(file, flags)?;
            }
            Ok(())
        };
        // A new file takes the attribute over from its folder.
        let done = set(&self.log).and_then(|()| set(&self.blobs.folder));
        on && done.is_ok()
    }
}

/// The folder where the engine puts what is too large for its log, a file each.
struct Blobs {
    path: PathBuf,
    folder: File,
    /// Files known to be durable. The engine never writes a file twice.
    durable: HashSet<OsString>,
    /// The folder's modification time when it was last read, if it can be relied on.
    seen: Option<SystemTime>,
}

impl Blobs {
    fn open(path: PathBuf) -> io::Result<Self> {
        let folder = File::open(&path)?;
        Ok(Self { path, folder, durable: HashSet::new(), seen: None })
    }

    fn sync(&mut self) -> io::Result<()> {
        let changed = self.folder.metadata()?.modified()?;
        if self.seen == Some(changed) {
            return Ok(());
        }
        let now = SystemTime::now();
        let mut present = HashSet::new();
        for entry in fs::read_dir(&self.path)? {
            let name = entry?.file_name();
            if !self.durable.contains(&name) {
                match File::open(self.path.join(&name)) {
                    Ok(file) => file.sync_all()?,
                    // The engine drops a blob that nothing points to any more.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    Err(error) => return Err(error),
                }
            }
            present.insert(name);
        }
        self.folder.sync_all()?;
        self.durable = present;
        let settled = now.duration_since(changed).is_ok_and(|age| age > COARSE_CLOCK);
        self.seen = settled.then_some(changed);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_blobs_are_found_and_old_ones_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let mut blobs = Blobs::open(folder.path().to_owned()).unwrap();
        blobs.sync().unwrap();
        assert!(blobs.durable.is_empty());
        fs::write(folder.path().join("1"), b"x").unwrap();
        blobs.sync().unwrap();
        fs::write(folder.path().join("2"), b"x").unwrap();
        // Within one tick of the file system's clock, so that its time may not show it.
        blobs.sync().unwrap();
        assert_eq!(blobs.durable.len(), 2);
        fs::remove_file(folder.path().join("1")).unwrap();
        blobs.sync().unwrap();
        assert_eq!(blobs.durable, HashSet::from([OsString::from("2")]));
    }
}
