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

//!
//! # The end of the log
//!
//! Where a message near the end of its log is damaged, the engine takes it for the place
//! where a crash came, and silently goes on without what follows. So that nothing
//! acknowledged disappears that way, each barrier first writes its number as a row of the
//! engine, behind all that it covers, and when it is done into a small file beside the log.
//! A store whose log has not got as far as that file says is refused. The file need not be
//! synced: it is never ahead of what is durable.
//!
//! What this does not find: in the part of the log that was written since the store was
//! last opened, the engine may also pass over a damaged message and the rest of its segment
//! (512 KiB), and go on with the next. Older parts are found by an index with a checksum,
//! and damage in them is an error. So `detects_damage` is not declared: with one bit turned
//! in a log of three segments, the conformance suite (D9) saw records that had been deleted
//! come back, and never bytes that were not stored.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use pinstate_core::{Error, ErrorKind, Operation};
use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{error, from_engine, from_io};
use crate::format::KEY_BARRIER;

/// What an acknowledged write is safe from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Safety {
    /// The loss of power.
    #[default]
    Power,
    /// The death of the process, but not of the machine.
    Process,
}

/// A folder whose modification time is this recent is read again: the clock of a file
/// system ticks more coarsely than two files can appear (4 ms on common kernels).
const COARSE_CLOCK: Duration = Duration::from_millis(100);

/// The file with the number of the last barrier.
const BARRIER: &str = "pinstate.barrier";

/// The store's files, open for making them durable.
pub(crate) struct Files {
    safety: Safety,
    log: File,
    blobs: Blobs,
    synchronous: bool,
    barrier: File,
    /// The number of the last barrier.
    number: u64,
}

impl Files {
    /// Opens the files of an opened engine and makes their present state durable: opening
    /// may have created and renamed some. `number` is that of the last barrier.
    pub(crate) fn open(folder: &Path, safety: Safety, number: u64) -> io::Result<Self> {
        let log = File::open(folder.join("db"))?;
        let blobs = Blobs::open(folder.join("blobs"))?;
        let mut options = OpenOptions::new();
        let barrier =
            options.write(true).create(true).truncate(false).open(folder.join(BARRIER))?;
        let mut files = Self { safety, log, blobs, synchronous: false, barrier, number };
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
        let failed = |error| from_engine(error, Operation::Sync);
        let number = self.number + 1;
        engine.insert(KEY_BARRIER, &number.to_be_bytes()).map_err(failed)?;
        engine.flush().map_err(failed)?;
        if self.safety == Safety::Power {
            self.sync().map_err(|error| from_io(error, Operation::Sync))?;
        }
        self.number = number;
        let note = Note { number, safety: self.safety };
        self.barrier
            .write_all_at(&note.encode(), 0)
            .map_err(|error| from_io(error, Operation::Sync))
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

/// What the barrier file says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Note {
    number: u64,
    safety: Safety,
}

impl Note {
    /// Number, safety, and all of that once more with every bit turned, against tearing.
    fn encode(self) -> [u8; 18] {
        let mut bytes = [0; 18];
        let once = self.number.to_be_bytes().into_iter().chain([u8::from(self.is_power())]);
        for (to, from) in bytes.iter_mut().zip(once.clone().chain(once.map(|byte| !byte))) {
            *to = from;
        }
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let number = u64::from_be_bytes(*bytes.first_chunk()?);
        let safety = if bytes.get(8) == Some(&1) { Safety::Power } else { Safety::Process };
        let note = Self { number, safety };
        (note.encode() == bytes).then_some(note)
    }

    fn is_power(self) -> bool {
        self.safety == Safety::Power
    }
}

/// Refuses a log that does not reach as far as the last barrier; `reached` is the number of
/// the last barrier in it. A store that was only to outlive its process may have lost
/// that much with the power, and is used as it is.
pub(crate) fn check_end(folder: &Path, reached: u64) -> Result<(), Error> {
    let bytes = match std::fs::read(folder.join(BARRIER)) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(from_io(e, Operation::Open)),
    };
    match Note::decode(&bytes) {
        Some(note) if note.number > reached && note.is_power() => Err(error(
            ErrorKind::Corrupt,
            Operation::Open,
            "acknowledged writes at the end of the engine's log are damaged or missing: restore \
             a backup, or remove the file 'pinstate.barrier' to use what is left",
        )
        .with_context("barriers lost", note.number - reached)),
        Some(note) if note.number > reached => {
            tracing::warn!(barriers = note.number - reached, "the last writes were lost");
            Ok(())
        }
        _ => Ok(()),
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
    fn a_torn_note_says_nothing() {
        let note = Note { number: 0x0102, safety: Safety::Power };
        let bytes = note.encode();
        assert_eq!(Note::decode(&bytes), Some(note));
        assert_eq!(Note::decode(&bytes[..17]), None);
        for i in 0..bytes.len() {
            let mut torn = bytes;
            torn[i] ^= 4;
            assert_eq!(Note::decode(&torn), None, "{i}");
        }
    }

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
