//! The folders that jobs live in, and who is at work in them.
//!
//! Each job has a folder of its own, which nobody else may read, with `ledger`, `lock`,
//! `orders.json` (what the one at work is told), `status.json` (what it says),
//! `dead-letters.jsonl`, and at the end `certificate.json` and `certificate.html`.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use pinstate_core::{Error, ErrorKind, Operation, Result};
use uuid::Uuid;

use super::ledger::{Ledger, Standing};
use super::source::Identity;
use crate::files::{self, Locked, failed, make_folder, private};

/// How often a lock is tried that may be held by somebody who only asks, and how long between.
const ASKED: usize = 25;
const MOMENT: Duration = Duration::from_millis(20);

/// The folder of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobFolder(PathBuf);

impl JobFolder {
    /// Makes one among `jobs`.
    pub(super) fn create(jobs: &Path, job: Uuid) -> Result<Self> {
        let path = jobs.join(job.to_string());
        make_folder(&path)?;
        Ok(Self(path))
    }

    /// Removes it: it is no job yet, or none any more.
    pub(super) fn discard(&self) {
        let ledger = self.ledger();
        if !ledger.exists() || fs::remove_file(&ledger).is_ok() {
            // What stays is no job without its ledger.
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    /// Removes the folders among `jobs` that a process has begun to fill and died before they
    /// were jobs: a stream may have been put there.
    pub(super) fn sweep(jobs: &Path) {
        let Ok(entries) = fs::read_dir(jobs) else { return };
        for entry in entries.flatten() {
            let folder = Self(entry.path());
            let named = entry.file_name().to_str().is_some_and(|n| Uuid::try_parse(n).is_ok());
            let begun = named && !folder.ledger().exists() && folder.0.join("lock").exists();
            if begun && folder.is_worked_on().is_ok_and(|worked_on| !worked_on) {
                folder.discard();
            }
        }
    }

    /// The jobs among `jobs`, or the one whose folder that is.
    ///
    /// # Errors
    /// What keeps the folder from being read; one that is not there has no jobs.
    pub fn all(jobs: &Path) -> Result<Vec<Self>> {
        if jobs.join("ledger").exists() {
            return Ok(vec![Self(jobs.to_path_buf())]);
        }
        let wrong = |error| failed(jobs, "cannot be read", error);
        let entries = match fs::read_dir(jobs) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(wrong)?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let path = entry.map_err(wrong)?.path();
            if path.join("ledger").exists() {
                found.push(Self(path));
            }
        }
        found.sort_by(|left, right| left.0.cmp(&right.0));
        Ok(found)
    }

    /// The unfinished job from `source` to `target` among `jobs`, and where it stands.
    pub(super) fn unfinished(
        jobs: &Path,
        source: &Identity,
        target: &Identity,
    ) -> Result<Option<(Self, Standing)>> {
        for folder in Self::all(jobs)? {
            let standing = Ledger::peek(&folder.ledger())?;
            let header = &standing.header;
            let same = header.target.is(target) && header.source.is_about(source);
            if same && !standing.phase.is_over() {
                return Ok(Some((folder, standing)));
            }
        }
        Ok(None)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn ledger(&self) -> PathBuf {
        self.0.join("ledger")
    }

    /// Makes this process the one that works on the job.
    ///
    /// # Errors
    /// `Locked` while another does, with its process and host.
    pub(super) async fn lock(&self) -> Result<Locked> {
        let path = self.0.join("lock");
        let wrong = |error| failed(&path, "cannot be locked", error);
        let file = private().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = file.map_err(wrong)?;
        // Whoever only asks holds it for a moment.
        for _ in 0..ASKED {
            match file.try_lock() {
                Ok(()) => {
                    let holder = format!("process {} on {}\n", std::process::id(), host());
                    let told = file.set_len(0).and_then(|()| file.rewind());
                    told.and_then(|()| file.write_all(holder.as_bytes())).map_err(wrong)?;
                    return Ok(Locked::new(file));
                }
                Err(TryLockError::WouldBlock) => tokio::time::sleep(MOMENT).await,
                Err(TryLockError::Error(error)) => return Err(wrong(error)),
            }
        }
        let mut holder = String::new();
        file.read_to_string(&mut holder).map_err(wrong)?;
        let message = format!("another process works on the job in {}", self.0.display());
        Err(Error::new(ErrorKind::Locked, Operation::Migrate, message)
            .with_context("holder", holder.trim()))
    }

    /// Waits until nobody else has a file of that name locked, and has it locked until what it
    /// gives is dropped.
    pub(super) fn alone(&self, name: &str) -> Result<Locked> {
        let path = self.0.join(name);
        let file = private().write(true).create(true).truncate(false).open(&path);
        let locked = file.and_then(|file| file.lock().map(|()| Locked::new(file)));
        locked.map_err(|error| failed(&path, "cannot be locked", error))
    }

    /// Whether somebody works on the job now.
    ///
    /// # Errors
    /// If that cannot be found out.
    pub fn is_worked_on(&self) -> Result<bool> {
        let path = self.0.join("lock");
        let file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            file => file.map_err(|error| failed(&path, "cannot be opened", error))?,
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(failed(&path, "cannot be locked", error)),
        }
    }

    /// Writes a file whole: whoever reads it finds the old one or the new one.
    pub(super) fn write(&self, name: &str, bytes: &[u8], durable: bool) -> Result<()> {
        files::write(&self.0.join(name), bytes, durable)
    }

    /// Removes a file that [`write`](Self::write) has written, if it has.
    pub(super) fn remove(&self, name: &str) -> Result<()> {
        files::remove(&self.0.join(name))
    }

    /// Reads a file that [`write`](Self::write) has written, if it has.
    pub(super) fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        files::read(&self.0.join(name))
    }
}

/// The name of this host, for people.
pub(super) fn host() -> String {
    fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| "an unnamed host".to_owned(), |name| name.trim().to_owned())
}
