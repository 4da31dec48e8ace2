//! Dead letters: showing them, and bringing them home after all.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use pinstate_core::{Error, ErrorKind, Key, Operation, Result};

use super::folder::JobFolder;
use super::ledger::{DeadLetter, Event, Ledger, Phase};
use super::run::{Job, Report};
use super::settings::MaxErrors;
use super::source::{SourcePage, SourceRow};
use crate::files::private;

/// Letters that are tried together.
const GROUP: usize = 500;

impl JobFolder {
    /// Gives each dead letter of the job that has not been brought home.
    ///
    /// # Errors
    /// If the ledger cannot be read, and the first error of `take`.
    pub fn dead_letters(&self, take: impl FnMut(DeadLetter) -> Result<()>) -> Result<()> {
        Ledger::letters(&self.ledger(), take)
    }

    /// The file that dead letters are written to, a JSON document a line, whenever the job
    /// comes to a stop; it is not there where there are none.
    #[must_use]
    pub fn letters(&self) -> PathBuf {
        self.path().join("dead-letters.jsonl")
    }

    /// Writes that file.
    pub(super) fn write_letters(&self) -> Result<()> {
        let path = self.letters();
        let wrong = |error| {
            let message = format!("{} cannot be written", path.display());
            Error::new(ErrorKind::Io, Operation::Migrate, message).with_source(error)
        };
        let mut file = None;
        self.dead_letters(|letter| {
            let to = match &mut file {
                Some(to) => to,
                None => {
                    let options = private().write(true).create(true).truncate(true).open(&path);
                    file.insert(BufWriter::new(options.map_err(wrong)?))
                }
            };
            let line = serde_json::to_string(&letter).unwrap_or_default();
            writeln!(to, "{line}").map_err(wrong)
        })?;
        match file {
            Some(mut to) => to.flush().and_then(|()| to.get_ref().sync_all()).map_err(wrong),
            // All were brought home.
            None => match std::fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(wrong(error)),
                _ => Ok(()),
            },
        }
    }
}

impl Job {
    /// Tries once more to move what became dead letters: what the source has under their keys
    /// *now*. Those without a key cannot be found again, and stay.
    ///
    /// # Errors
    /// What keeps the source from being read or the target from being written.
    pub async fn retry_dead(mut self) -> Result<Report> {
        if self.standing.phase != Phase::Done {
            let message = format!(
                "the job is {}: only one that is done has dead letters to try again",
                self.standing.phase.name()
            );
            return Err(Error::new(ErrorKind::InvalidInput, Operation::Migrate, message));
        }
        // Those that fail again are dead letters already.
        self.tuning.max_errors = MaxErrors::Rows(u64::MAX);
        let mut keys = Vec::new();
        self.folder.dead_letters(|letter| {
            keys.extend(letter.key);
            Ok(())
        })?;
        let namespace = self.target.prepare(None).await?;
        let copier = self.copier(namespace).await?;
        for group in keys.chunks(GROUP) {
            let wanted: Vec<Key> =
                group.iter().map(|key| bytes_of(key).map(Key::new)).collect::<Result<_>>()?;
            let found = self.source.find(&wanted).await?;
            let mut rows = Vec::new();
            let mut gone = Vec::new();
            let mut newest = i64::MIN;
            for (key, row) in group.iter().zip(found) {
                match row {
                    Some(row @ SourceRow::Record { .. }) => rows.push((key.clone(), row)),
                    Some(SourceRow::Unreadable { .. }) => {}
                    // The source has no such record any more: there is nothing to move.
                    None => gone.push(key.clone()),
                }
            }
            for (key, row) in rows {
                // One at a time: there are few, and each has its own answer.
                let page = SourcePage { rows: vec![row], after: String::new() };
                if let Some(version) = copier.bring(page).await? {
                    newest = newest.max(version);
                    gone.push(key);
                }
            }
            self.target.store.sync().await?;
            self.raise_clock(newest).await?;
            self.remember(gone.into_iter().map(Event::Brought).collect()).await?;
        }
        self.folder.write_letters()?;
        self.certify()?;
        Ok(self.report(Vec::new()))
    }
}

/// The bytes behind hexadecimal digits of a ledger.
pub(super) fn bytes_of(hex: &str) -> Result<Vec<u8>> {
    data_encoding::HEXLOWER.decode(hex.as_bytes()).map_err(|error| {
        let message = "the ledger has something that is not hexadecimal";
        Error::new(ErrorKind::Corrupt, Operation::Migrate, message).with_source(error)
    })
}
