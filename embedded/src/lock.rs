//! Who has a store open.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::Path;

/// A lock that one handle in all processes of the machine has, until it is dropped or its
/// process is dead.
///
/// It is `flock(2)` on a file of its own, which stays where it is. Being dropped unlocks it, and
/// does not only close the file: a process that this one is starting at the moment has a copy of
/// every open file until it has become another program, and a lock that is left to closing
/// stays until then. Whoever opened the store again at once would be told that it is in use.
#[derive(Debug)]
pub struct Lock(File);

/// Why there is no [`Lock`].
#[derive(Debug)]
pub enum Refused {
    /// Another handle has it: in the process of this number, where its holder could be read.
    Held(Option<u32>),
    /// The file cannot be made, opened or locked.
    Io(io::Error),
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Lock {
    /// Takes the lock whose file is at `path`, which is made where it is missing, and writes
    /// the number of this process into it. Does not wait.
    ///
    /// # Errors
    /// [`Refused::Held`] while another handle has it, in this process or in another one.
    pub fn take(path: &Path) -> Result<Self, Refused> {
        let mut options = OpenOptions::new();
        let mut file = options.read(true).write(true).create(true).truncate(false).open(path)?;
        match file.try_lock() {
            Ok(()) => {
                // Only for whoever is refused, so a failure to write it is no failure.
                drop(file.set_len(0).and_then(|()| write!(file, "{}", std::process::id())));
                Ok(Self(file))
            }
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                drop(file.read_to_string(&mut holder));
                Err(Refused::Held(holder.trim().parse().ok()))
            }
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Where it fails, closing the file does it.
        drop(self.0.unlock());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_handle_has_it_and_the_other_is_told_which() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let lock = Lock::take(&path).unwrap();
        let Err(Refused::Held(Some(process))) = Lock::take(&path) else { panic!("two have it") };
        assert_eq!(process, std::process::id());
        drop(lock);
        Lock::take(&path).unwrap();
    }

    #[test]
    fn it_ends_though_a_copy_of_the_file_stays_open() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let lock = Lock::take(&path).unwrap();
        let copy = lock.0.try_clone().unwrap();
        drop(lock);
        Lock::take(&path).unwrap();
        drop(copy);
    }

    #[test]
    fn a_file_that_cannot_be_made_is_no_lock_of_others() {
        let folder = tempfile::tempdir().unwrap();
        let refused = Lock::take(&folder.path().join("missing/lock")).unwrap_err();
        assert!(matches!(refused, Refused::Io(error) if error.kind() == io::ErrorKind::NotFound));
    }
}
