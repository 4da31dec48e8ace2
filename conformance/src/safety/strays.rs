//! Folders and mounts that a run has on the machine, and what a killed one has left of them.
//!
//! A folder of the suite's has a file that says so, and the process that made it holds a lock
//! on that file as long as it lives. The file gets its name only once it is locked, so
//! whoever finds one that is not locked knows that its owner is dead.

use std::fs::{DirEntry, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// What the names of folders begin with.
const PREFIX: &str = "pinstate-conformance-";
/// The file that says whose a folder is.
const OWNER: &str = "owner";
/// What is in that file. No other file of this name says so.
const WORDS: &str = "made by the conformance suite of pinstate: 'pinstate conformance gc' removes \
                     the folder once the process that holds a lock on this file is dead\n";
/// The folder that a case works in, beside that file and not with it.
const INSIDE: &str = "in";

/// A temporary folder, removed when it is dropped.
pub(crate) struct Folder {
    inside: PathBuf,
    // Before the lock, so that it is locked while it is removed.
    _folder: TempDir,
    _lock: Option<File>,
}

impl Folder {
    pub(crate) fn new() -> io::Result<Self> {
        Self::new_in(&std::env::temp_dir())
    }

    fn new_in(parent: &Path) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent)?;
        let inside = folder.path().join(INSIDE);
        std::fs::create_dir(&inside)?;
        let unnamed = folder.path().join("owner.new");
        let lock = OpenOptions::new().write(true).create_new(true).open(&unnamed)?;
        io::Write::write_all(&mut &lock, WORDS.as_bytes())?;
        // Where there are no locks nothing says that the owner is dead: it stays unnamed.
        let lock = match lock.try_lock() {
            Ok(()) => {
                std::fs::rename(&unnamed, folder.path().join(OWNER))?;
                Some(lock)
            }
            Err(_) => None,
        };
        Ok(Self { inside, _folder: folder, _lock: lock })
    }

    /// Where it is: empty, and nobody else's.
    pub(crate) fn path(&self) -> &Path {
        &self.inside
    }
}

/// A folder, or a mount, of a run of the suite that was killed.
#[derive(Debug)]
pub struct Stray {
    path: PathBuf,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// Locked until it is removed, so that nobody else does so meanwhile.
    Folder { _lock: File },
    /// One that nobody serves any more.
    Mount,
}

/// What runs of the suite that were killed have left in the folder for temporary files: their
/// folders, and disks that are mounted and that nobody serves any more. What a living process
/// has is not among it, nor what only looks like it.
///
/// # Errors
/// The folder, or the list of mounts, cannot be read.
pub fn strays() -> io::Result<Vec<Stray>> {
    strays_in(&std::env::temp_dir())
}

fn strays_in(parent: &Path) -> io::Result<Vec<Stray>> {
    let mut strays = mounts::dead_in(parent)?;
    for entry in std::fs::read_dir(parent)? {
        strays.extend(stray(&entry?));
    }
    strays.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(strays)
}

/// The folder of an owner who is dead. What cannot be looked at is not judged.
fn stray(entry: &DirEntry) -> Option<Stray> {
    let named = entry.file_name().to_string_lossy().starts_with(PREFIX);
    if !named || !entry.file_type().ok()?.is_dir() {
        return None;
    }
    let path = entry.path();
    let owner = path.join(OWNER);
    if !owner.symlink_metadata().ok()?.is_file() || std::fs::read(&owner).ok()? != WORDS.as_bytes()
    {
        return None;
    }
    let lock = File::open(&owner).ok()?;
    match lock.try_lock() {
        Ok(()) => Some(Stray { path, kind: Kind::Folder { _lock: lock } }),
        Err(TryLockError::WouldBlock | TryLockError::Error(_)) => None,
    }
}

impl Stray {
    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes it: a folder with all that is in it; a mount, and the empty folder that it
    /// was mounted on.
    ///
    /// # Errors
    /// The file system's.
    pub fn remove(self) -> io::Result<()> {
        match self.kind {
            Kind::Folder { _lock } => std::fs::remove_dir_all(&self.path),
            Kind::Mount => {
                mounts::unmount(&self.path)?;
                // Only an empty one goes.
                std::fs::remove_dir(&self.path)
            }
        }
    }
}

#[cfg(target_os = "linux")]
mod mounts {
    use std::io;
    use std::path::{Path, PathBuf};

    use rustix::io::Errno;
    use rustix::mount::UnmountFlags;

    use super::{Kind, Stray};
    use crate::disk::SOURCE;

    /// Mounts of the suite's disks in this folder whose process is dead. The kernel then
    /// answers for them that nobody is connected, and for no other mount.
    pub(super) fn dead_in(parent: &Path) -> io::Result<Vec<Stray>> {
        let table = std::fs::read_to_string("/proc/self/mountinfo")?;
        let prefix = format!("{SOURCE}-");
        let ours = table.lines().filter_map(mounted).filter(|path| {
            let named =
                path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&prefix));
            named && path.parent() == Some(parent)
        });
        let dead = ours.filter(|path| {
            let error = path.symlink_metadata().err().and_then(|error| error.raw_os_error());
            error == Some(Errno::NOTCONN.raw_os_error())
        });
        Ok(dead.map(|path| Stray { path, kind: Kind::Mount }).collect())
    }

    /// Where a line of the table has one of the suite's disks mounted. See `proc(5)`.
    pub(super) fn mounted(line: &str) -> Option<PathBuf> {
        let (place, source) = line.split_once(" - ")?;
        let mut source = source.split(' ');
        let (kind, source) = (source.next()?, source.next()?);
        let fuse = kind == "fuse" || kind.starts_with("fuse.");
        let path = place.split(' ').nth(4)?;
        let escapes = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
        let path = escapes.iter().fold(path.to_owned(), |path, (from, to)| path.replace(from, to));
        (fuse && source == SOURCE).then(|| path.into())
    }

    pub(super) fn unmount(path: &Path) -> io::Result<()> {
        match rustix::mount::unmount(path, UnmountFlags::DETACH) {
            // Whoever was allowed to mount it by this program may unmount it by it.
            Err(Errno::PERM) => {
                let done =
                    std::process::Command::new("fusermount3").arg("-u").arg(path).status()?;
                if done.success() { Ok(()) } else { Err(Errno::PERM.into()) }
            }
            done => Ok(done?),
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod mounts {
    use std::io;
    use std::path::Path;

    use super::Stray;

    /// Disks are mounted on Linux alone.
    pub(super) fn dead_in(_: &Path) -> io::Result<Vec<Stray>> {
        Ok(Vec::new())
    }

    pub(super) fn unmount(_: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(parent: &Path) -> Vec<PathBuf> {
        strays_in(parent).unwrap().into_iter().map(|stray| stray.path).collect()
    }

    #[test]
    fn a_folder_is_a_stray_once_its_owner_is_dead() {
        let parent = tempfile::tempdir().unwrap();
        let folder = Folder::new_in(parent.path()).unwrap();
        std::fs::write(folder.path().join("data"), "x").unwrap();
        assert_eq!(found(parent.path()), [""; 0].map(PathBuf::from));
        // The death of a process takes its locks and leaves its folders.
        let Folder { _folder, _lock, .. } = folder;
        let path = _folder.keep();
        drop(_lock);
        assert_eq!(found(parent.path()), std::slice::from_ref(&path));
        // Whoever has found it keeps others from it.
        let held = strays_in(parent.path()).unwrap();
        assert_eq!(found(parent.path()), [""; 0].map(PathBuf::from));
        held.into_iter().for_each(|stray| stray.remove().unwrap());
        assert!(!path.exists());
        // One that was in use to the end leaves nothing.
        drop(Folder::new_in(parent.path()).unwrap());
        assert_eq!(parent.path().read_dir().unwrap().count(), 0);
    }

    #[test]
    fn what_only_looks_like_a_stray_is_none() {
        let parent = tempfile::tempdir().unwrap();
        let folder = |name: &str| {
            let path = parent.path().join(name);
            std::fs::create_dir(&path).unwrap();
            path
        };
        folder("pinstate-conformance-unmarked");
        std::fs::write(folder("pinstate-conformance-other").join(OWNER), "mine").unwrap();
        std::fs::write(folder("of-another-name").join(OWNER), WORDS).unwrap();
        std::fs::write(parent.path().join("pinstate-conformance-file"), WORDS).unwrap();
        #[cfg(unix)]
        {
            let marked = folder("marked");
            std::fs::write(marked.join(OWNER), WORDS).unwrap();
            let link = parent.path().join("pinstate-conformance-link");
            std::os::unix::fs::symlink(&marked, link).unwrap();
            let linked = folder("pinstate-conformance-linked").join(OWNER);
            std::os::unix::fs::symlink(marked.join(OWNER), linked).unwrap();
        }
        assert_eq!(found(parent.path()), [""; 0].map(PathBuf::from));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn mounts_are_read_from_the_table() {
        let line =
            r"36 35 0:51 / /tmp/a\040b/lossyfs-x rw,nosuid shared:1 - fuse lossyfs rw,user_id=0";
        assert_eq!(mounts::mounted(line), Some("/tmp/a b/lossyfs-x".into()));
        for other in [
            "36 35 0:51 / /tmp/lossyfs-x rw - fuse sshfs rw",
            "36 35 0:51 / /tmp/lossyfs-x rw - tmpfs lossyfs rw",
            "36 35",
        ] {
            assert_eq!(mounts::mounted(other), None);
        }
    }
}
