//! The store's folder: what marks it, who holds it, and what a crash left in it.
//!
//! | file | what |
//! |---|---|
//! | `pinstate.store` | the marker: format version and UUID; written last at creation |
//! | `pinstate.lock` | locked (flock(2)) by the process that has the store open; its number |
//! | `pinstate.creating` | there from the beginning of creation until the marker stands |
//! | `pinstate.barrier` | the number of the last barrier, see `durability.rs` |
//! | `conf`, `db`, `blobs/`, `snap.*` | the engine's |
//!
//! The marker is read before the engine touches anything, so that a folder of a newer
//! format or of another program stays as it is.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use pinstate_core::{Error, ErrorKind, Operation};
use pinstate_embedded::{Lock, Refused};
use uuid::Uuid;

use crate::error::{error, from_io};
use crate::format::FORMAT;

const MARKER: &str = "pinstate.store";
const LOCK: &str = "pinstate.lock";
const CREATING: &str = "pinstate.creating";
const MARKER_TITLE: &str = "pinstate sled store";

/// What the marker says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Marker {
    pub(crate) format: u32,
    pub(crate) uuid: Uuid,
}

impl Marker {
    /// The marker of a store that is created now.
    pub(crate) fn new() -> Self {
        Self { format: FORMAT, uuid: Uuid::new_v4() }
    }

    /// Its text.
    pub(crate) fn text(&self) -> String {
        format!("{MARKER_TITLE}\nformat {}\nuuid {}\n", self.format, self.uuid)
    }

    /// Reads the text. A newer format may have more lines.
    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        (lines.next()? == MARKER_TITLE).then_some(())?;
        let format = lines.next()?.strip_prefix("format ")?.parse().ok()?;
        let uuid = lines.next()?.strip_prefix("uuid ")?.parse().ok()?;
        Some(Self { format, uuid })
    }
}

/// Whether the folder holds a store of this backend, in whatever format.
pub(crate) fn is_at(folder: &Path) -> bool {
    let mut title = [0; MARKER_TITLE.len()];
    let read = File::open(folder.join(MARKER)).and_then(|mut file| file.read_exact(&mut title));
    read.is_ok() && title == *MARKER_TITLE.as_bytes()
}

/// A store's folder, held by this process.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    /// Locked until this is dropped, also when the process is killed.
    _lock: Lock,
    /// What the marker says; none where the store is to be created now.
    pub(crate) marker: Option<Marker>,
}

impl Directory {
    /// Takes the folder for this process, and with `create` makes it where there is none.
    pub(crate) fn open(path: &Path, create: bool) -> Result<Self, Error> {
        let at = |e: Error| e.with_context("path", path.display());
        let io = |e: io::Error| at(from_io(e, Operation::Open));
        let found = look(path).map_err(at)?;
        if matches!(found, Found::Nothing | Found::HalfCreated) {
            if !create {
                return Err(at(error(
                    ErrorKind::NoStore,
                    Operation::Open,
                    "nothing is here: check the path, or open it with create=true",
                )));
            }
            make_folder(path).map_err(io)?;
        }
        let lock = take_lock(path)?;
        // Somebody else may have created the store, or begun to, before the lock was ours.
        let marker = match look(path).map_err(at)? {
            Found::Store(marker) => Some(marker),
            Found::HalfCreated => {
                remove_half_created(path).map_err(io)?;
                None
            }
            Found::Nothing => None,
        };
        if marker.is_none() {
            // Durable before the engine makes its first file: a folder with those and without
            // this mark is taken for somebody else's.
            File::create(path.join(CREATING)).map_err(io)?;
            File::open(path).and_then(|folder| folder.sync_all()).map_err(io)?;
        } else {
            remove_mark(path).map_err(io)?;
        }
        remove_torn_snapshots(path).map_err(io)?;
        Ok(Self { path: path.to_owned(), _lock: lock, marker })
    }

    /// The folder.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the marker: from here on there is a store.
    pub(crate) fn finish_creation(&mut self, marker: Marker) -> io::Result<()> {
        let temporary = self.path.join("pinstate.store.new");
        let mut file = File::create(&temporary)?;
        file.write_all(marker.text().as_bytes())?;
        file.sync_all()?;
        // The engine's files stand beside the marker, and neither order is promised.
        File::open(&self.path)?.sync_all()?;
        fs::rename(&temporary, self.path.join(MARKER))?;
        // The one must not go before the other has come.
        File::open(&self.path)?.sync_all()?;
        remove_mark(&self.path)?;
        self.marker = Some(marker);
        Ok(())
    }
}

enum Found {
    Nothing,
    HalfCreated,
    Store(Marker),
}

/// Looks at a folder without changing it.
fn look(path: &Path) -> Result<Found, Error> {
    match fs::read_to_string(path.join(MARKER)) {
        Ok(text) => {
            let marker = Marker::parse(&text).ok_or_else(|| {
                error(
                    ErrorKind::Corrupt,
                    Operation::Open,
                    "the store's marker file cannot be read: restore it from a backup",
                )
                .with_context("file", MARKER)
            })?;
            if marker.format > FORMAT {
                return Err(error(
                    ErrorKind::Incompatible,
                    Operation::Open,
                    "the store was written by a newer version of this program: use that one",
                )
                .with_context("format", marker.format)
                .with_context("newest known", FORMAT));
            }
            return Ok(Found::Store(marker));
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) if e.kind() == io::ErrorKind::InvalidData => {
            return Err(error(
                ErrorKind::Corrupt,
                Operation::Open,
                "the store's marker file is no text: restore it from a backup",
            ));
        }
        Err(e) => return Err(from_io(e, Operation::Open)),
    }
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(e) => return Err(from_io(e, Operation::Open)),
    };
    let (mut creating, mut others) = (false, false);
    for entry in entries {
        let name = entry.map_err(|e| from_io(e, Operation::Open))?.file_name();
        creating |= name == CREATING;
        others |= name != LOCK;
    }
    match (creating, others) {
        (true, _) => Ok(Found::HalfCreated),
        (false, false) => Ok(Found::Nothing),
        (false, true) => Err(error(
            ErrorKind::Incompatible,
            Operation::Open,
            "this folder has files and is no store of this program: choose another path",
        )),
    }
}

/// Makes the folder and those above it, each entry durable in its parent.
fn make_folder(path: &Path) -> io::Result<()> {
    let mut missing = Vec::new();
    let mut above = Some(path);
    while let Some(folder) = above.filter(|folder| !folder.as_os_str().is_empty()) {
        if folder.try_exists()? {
            break;
        }
        missing.push(folder);
        above = folder.parent();
    }
    fs::create_dir_all(path)?;
    for folder in missing {
        let parent = match folder.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        File::open(parent)?.sync_all()?;
    }
    Ok(())
}

/// Locks the folder, also against other handles in this process.
fn take_lock(path: &Path) -> Result<Lock, Error> {
    Lock::take(&path.join(LOCK)).map_err(|refused| {
        let (failure, holder) = match refused {
            Refused::Held(holder) => {
                let message = "the store is open elsewhere: close it there first";
                (error(ErrorKind::Locked, Operation::Open, message), holder)
            }
            Refused::Io(e) => (from_io(e, Operation::Open), None),
        };
        let failure = failure.with_context("path", path.display());
        match holder {
            Some(process) => failure.with_context("process", process),
            None => failure,
        }
    })
}

/// Removes what an interrupted creation left. There were no records yet.
fn remove_half_created(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name == "blobs" {
            fs::remove_dir_all(entry.path())?;
        } else if ["db", "conf", "pinstate.barrier"].iter().any(|file| name == *file)
            || name.starts_with("snap.")
        {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Removes the mark of a creation that is complete. Should it come back with the power, the
/// next opening removes it.
fn remove_mark(path: &Path) -> io::Result<()> {
    match fs::remove_file(path.join(CREATING)) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// Removes index snapshots that the engine was killed over while writing: it would take
/// such a file for the newest snapshot, find it torn, and refuse to open.
fn remove_torn_snapshots(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(result: Result<Directory, Error>) -> ErrorKind {
        let error = result.unwrap_err();
        assert!(!error.to_string().contains('\n'), "{error}");
        error.kind()
    }

    #[test]
    fn a_missing_store_is_made_only_on_demand() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a/b");
        assert_eq!(kind(Directory::open(&path, false)), ErrorKind::NoStore);
        assert!(!root.path().join("a").exists());
        let directory = Directory::open(&path, true).unwrap();
        assert_eq!(directory.marker, None);
        drop(directory);
        // Creation did not get far enough for there to be a store.
        assert_eq!(kind(Directory::open(&path, false)), ErrorKind::NoStore);
        fs::write(path.join("db"), b"half").unwrap();
        let mut directory = Directory::open(&path, true).unwrap();
        assert!(!path.join("db").exists());
        let marker = Marker::new();
        directory.finish_creation(marker).unwrap();
        drop(directory);
        assert_eq!(Directory::open(&path, false).unwrap().marker, Some(marker));
    }

    #[test]
    fn a_second_opener_is_told_who_holds_the_store() {
        let root = tempfile::tempdir().unwrap();
        let held = Directory::open(root.path(), true).unwrap();
        let error = Directory::open(root.path(), true).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Locked);
        assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
        drop(held);
        Directory::open(root.path(), true).unwrap();
    }

    #[test]
    fn other_folders_and_newer_formats_stay_as_they_are() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("db"), b"not ours").unwrap();
        assert_eq!(kind(Directory::open(root.path(), true)), ErrorKind::Incompatible);
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);

        let root = tempfile::tempdir().unwrap();
        let newer = Marker { format: FORMAT + 1, ..Marker::new() };
        fs::write(root.path().join(MARKER), newer.text() + "more\n").unwrap();
        assert_eq!(kind(Directory::open(root.path(), true)), ErrorKind::Incompatible);
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);

        for damage in [b"".as_slice(), b"\xff", b"pinstate sled store\nformat x\n"] {
            fs::write(root.path().join(MARKER), damage).unwrap();
            assert_eq!(kind(Directory::open(root.path(), true)), ErrorKind::Corrupt);
        }
    }

    #[test]
    fn torn_snapshots_are_removed_before_the_engine_sees_them() {
        let root = tempfile::tempdir().unwrap();
        let mut directory = Directory::open(root.path(), true).unwrap();
        directory.finish_creation(Marker::new()).unwrap();
        drop(directory);
        fs::write(root.path().join("snap.01.generating"), b"torn").unwrap();
        fs::write(root.path().join("snap.00"), b"whole").unwrap();
        drop(Directory::open(root.path(), false).unwrap());
        assert!(!root.path().join("snap.01.generating").exists());
        assert!(root.path().join("snap.00").exists());
    }
}
