//! Files that a job or a mirror keeps: nobody else may read them, and whatever happens there
//! is the old one or the new one.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use pinstate_core::{Error, ErrorKind, Operation, Outcome, Result};

/// Makes a folder, and those above it, whose name is on the disk then.
pub(crate) fn make_folder(path: &Path) -> Result<()> {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "other systems have no such modes"))]
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    let made = builder.recursive(true).create(path).and_then(|()| sync_folder(path));
    made.map_err(|error| failed(path, "cannot be made", error))
}

/// Reads a file, if it is there.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        read => read.map(Some).map_err(|error| failed(path, "cannot be read", error)),
    }
}

/// Writes a file whole: whoever reads it finds the old one or the new one. Where it is not to
/// be `durable`, a loss of power may leave either.
pub(crate) fn write(path: &Path, bytes: &[u8], durable: bool) -> Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let written = || -> io::Result<()> {
        let mut file = private().write(true).create(true).truncate(true).open(&beside)?;
        file.write_all(bytes)?;
        if durable {
            file.sync_all()?;
        }
        fs::rename(&beside, path)?;
        if durable { sync_folder(path) } else { Ok(()) }
    };
    written().map_err(|error| failed(path, "cannot be written", error))
}

/// A file that is locked until this is dropped, or the process is gone.
///
/// It is unlocked, and not only closed: a process that is being started at the moment has a
/// copy of it for a while.
#[derive(Debug)]
pub(crate) struct Locked(File);

impl Locked {
    /// Of a file whose lock this process has.
    pub(crate) fn new(file: File) -> Self {
        Self(file)
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        // Where it fails, closing the file does it.
        drop(self.0.unlock());
    }
}

/// Removes a file, if it is there.
pub(crate) fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path).and_then(|()| sync_folder(path)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(failed(path, "cannot be removed", error))
        }
        _ => Ok(()),
    }
}

/// Options of a file that nobody else may read.
pub(crate) fn private() -> OpenOptions {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "other systems have no such modes"))]
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Waits until the name of a file is on the disk.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}

/// The error for a file that something cannot be done with.
pub(crate) fn failed(path: &Path, what: &str, error: io::Error) -> Error {
    // A reader that knows better has said it.
    error.downcast::<Error>().unwrap_or_else(|error| {
        let kind = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::Full,
            io::ErrorKind::PermissionDenied => ErrorKind::PermissionDenied,
            _ => ErrorKind::Io,
        };
        let message = format!("{} {what}", path.display());
        Error::new(kind, Operation::Migrate, message)
            .with_outcome(Outcome::Unknown)
            .with_source(error)
    })
}
