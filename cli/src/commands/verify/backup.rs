//! A file for what a repair replaces or deletes.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use pinstate_core::format::Encoder;
use pinstate_core::format::snapshot::SnapshotEncoder;
use pinstate_core::{Error, ErrorKind, Operation, Record, Result};
use pinstate_migrate::Backup;

use crate::exit::{Failure, Outcome};
use crate::outfile::sync_folder;

/// A snapshot that grows: each group of records is on the disk before they are changed.
pub(super) struct SnapshotBackup {
    path: Option<PathBuf>,
    file: Option<File>,
    encoder: SnapshotEncoder,
}

impl SnapshotBackup {
    /// One in a new file, or none.
    pub(super) fn new(path: Option<PathBuf>) -> Self {
        Self { path, file: None, encoder: SnapshotEncoder::new() }
    }

    /// Says so if nothing was to be kept, by making no file.
    pub(super) fn finish(self) -> Outcome<()> {
        match (self.file, self.path) {
            (Some(file), Some(path)) => file.sync_all().map_err(|error| {
                let message = format!("cannot write {}", path.display());
                Failure::file(Operation::Export, message, error)
            }),
            _ => Ok(()),
        }
    }

    fn write(&mut self, path: &PathBuf, bytes: &[u8]) -> std::io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                let file = File::create_new(path)?;
                sync_folder(path)?;
                self.file.insert(file)
            }
        };
        file.write_all(bytes)?;
        file.sync_data()
    }
}

impl Backup for SnapshotBackup {
    fn keep(&mut self, records: &[Record]) -> Result<()> {
        let Some(path) = self.path.clone() else { return Ok(()) };
        if records.is_empty() {
            return Ok(());
        }
        let mut bytes = Vec::new();
        for record in records {
            let key = record.key.as_bytes();
            self.encoder.encode(key, &record.value, &mut bytes).map_err(|fault| {
                let message = format!("a record cannot be kept in {}: {fault}", path.display());
                Error::new(ErrorKind::InvalidInput, Operation::Export, message)
                    .with_key(record.key.clone())
            })?;
        }
        self.write(&path, &bytes).map_err(|error| {
            let message = format!("cannot write {}: nothing was changed", path.display());
            Error::new(ErrorKind::Io, Operation::Export, message).with_source(error)
        })
    }
}
