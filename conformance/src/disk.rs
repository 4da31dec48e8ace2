//! Disks that lose power, fill up and fail: what cases about that need from outside.
//!
//! The suite itself has none; the workspace's `lossyfs` is one.

use std::io;
use std::path::Path;

/// What disks that are file systems of their own are mounted from, and, before a `-`, what
/// their folders in the one for temporary files are called: by that a killed run's are found,
/// see [`strays`](crate::strays).
pub const SOURCE: &str = "lossyfs";

/// Makes disks for cases: see [`Suite::disks`](crate::Suite::disks).
pub trait Disks: Send + Sync + 'static {
    /// A new, empty disk.
    ///
    /// # Errors
    /// Why there can be none here, in words; the cases that need one are skipped with it.
    fn disk(&self) -> Result<Box<dyn Disk>, String>;
}

/// A disk with a file system on it, mounted until it is dropped.
pub trait Disk: Send + Sync {
    /// Where it is mounted.
    fn path(&self) -> &Path;

    /// Looks at what is on it, while nothing is done to it.
    fn look(&self, look: &mut dyn FnMut(&dyn Platter));

    /// Looks at it each time right before a file or a folder is synced, until another is
    /// set. What is looked at then is not changed meanwhile, so whoever has something
    /// promised to them by then finds it there.
    fn before_each_sync(&self, look: Option<Look>);

    /// Makes it fail from now on; `None` makes it well again.
    fn fail(&self, fault: Option<Fault>);
}

/// What looks at a disk.
pub type Look = Box<dyn FnMut(&dyn Platter) + Send>;

/// What is on a disk at one moment.
pub trait Platter {
    /// Writes what the disk would have if it lost power at this moment, as ordinary files
    /// and folders.
    ///
    /// # Errors
    /// Writing them failed.
    fn after(&self, loss: Loss, into: &Path) -> io::Result<()>;
}

/// What becomes of that which was not synced when the power goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Loss {
    /// All of it is gone.
    Unsynced,
    /// Of pages of files, of lengths, and of changes of folders some are there, in no order.
    Some {
        /// Chooses them.
        seed: u64,
    },
    /// The last write is there up to some point in it; what was written before it is
    /// there, or all gone.
    Torn {
        /// Chooses the point.
        seed: u64,
    },
}

/// How a disk fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Fault {
    /// Files can grow by so many bytes in all, and after that not at all: `ENOSPC`.
    Full {
        /// What is left.
        room: u64,
    },
    /// The sync after so many others fails once, with `EIO`. What it was to make durable
    /// never will be, though later syncs succeed: so do kernels that mark pages as clean
    /// when writing them has failed.
    SyncFails {
        /// How many succeed before.
        after: u64,
    },
    /// Every write fails with `EIO`.
    WritesFail,
}
