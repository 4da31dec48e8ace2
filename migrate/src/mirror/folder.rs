//! The job's folder: whose it is, and that one process has it.

use std::fs::TryLockError;
use std::path::{Path, PathBuf};

use pinstate_core::{Error, ErrorKind, Operation, Result};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::files::{self, Locked, failed, make_folder, private};

/// What a folder is about. Another pair of stores is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct About {
    pub(super) job: Uuid,
    /// UUID and namespace of the store that is left.
    pub(super) source: (Uuid, String),
    /// UUID and namespace of the store that is entered.
    pub(super) target: (Uuid, String),
}

/// A folder that this process alone has open.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    _lock: Locked,
}

impl Folder {
    /// Opens the folder, or makes it.
    pub(super) fn open(path: &Path) -> Result<Self> {
        make_folder(path)?;
        let lock = path.join("lock");
        let opened = private().write(true).create(true).truncate(false).open(&lock);
        let file = opened.map_err(|error| failed(&lock, "cannot be opened", error))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { path: path.to_path_buf(), _lock: Locked::new(file) }),
            Err(TryLockError::WouldBlock) => {
                let message = format!("another process runs the mirror in {}", path.display());
                Err(Error::new(ErrorKind::Locked, Operation::Open, message))
            }
            Err(TryLockError::Error(error)) => Err(failed(&lock, "cannot be locked", error)),
        }
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub(super) fn about(&self) -> Result<Option<About>> {
        let path = self.file("job.json");
        let Some(bytes) = files::read(&path)? else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(|error| {
            let message = format!("{} is not what a mirror wrote", path.display());
            Error::new(ErrorKind::Corrupt, Operation::Open, message).with_source(error)
        })
    }

    pub(super) fn set_about(&self, about: &About) -> Result<()> {
        let path = self.file("job.json");
        let bytes = serde_json::to_vec(about)
            .map_err(|error| failed(&path, "cannot be written", error.into()))?;
        files::write(&path, &bytes, true)
    }

    /// Removes a file that is of no more use, or of another job.
    pub(super) fn remove(&self, name: &str) -> Result<()> {
        files::remove(&self.file(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_the_first_format_is_read() {
        let place = tempfile::tempdir().unwrap();
        let fixture = include_bytes!("../../tests/fixtures/mirror-1/job.json");
        std::fs::write(place.path().join("job.json"), fixture).unwrap();
        let about = Folder::open(place.path()).unwrap().about().unwrap().unwrap();
        assert_eq!((about.source.1.as_str(), about.target.1.as_str()), ("default", "default"));
        let job = std::str::from_utf8(fixture).unwrap().split('"').nth(3).unwrap();
        assert_eq!(about.job.to_string(), job);
    }
}
