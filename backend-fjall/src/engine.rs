//! The engine: opened, and the keyspaces that it keeps for a store.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use fjall::config::CompressionPolicy;
use fjall::{
    CompressionType, Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode,
};
use pinstate_core::{Error, ErrorKind, Operation, Outcome, Result};
use pinstate_embedded::Barriers;

use crate::config::{Compression, FjallConfig};
use crate::durability::Safety;
use crate::error::{corrupt, engine, full, poisoned};
use crate::moment::Moments;
use crate::rows::Tables;

/// The name of the catalog's keyspace.
pub(crate) const CATALOG: &str = "catalog";

/// The open engine. A clone is another handle on it, and keeps it open.
#[derive(Clone)]
pub(crate) struct Engine {
    pub(crate) db: Database,
    pub(crate) moments: Moments,
    /// Namespaces and control records.
    pub(crate) catalog: Keyspace,
    /// What a write waits for.
    pub(crate) safety: Safety,
    pub(crate) barriers: Arc<Barriers>,
    compression: Compression,
    write_buffer: u64,
    /// The folder with a folder for each keyspace.
    keyspaces: PathBuf,
}

impl Engine {
    /// Opens the engine in its folder, or creates it there.
    pub(crate) fn open(folder: &Path, new: bool, config: &FjallConfig) -> Result<Self> {
        let failed = |error| engine(error, Operation::Open);
        let open = || {
            let db = Database::builder(folder)
                .cache_size(config.cache.0)
                .journal_compression(CompressionType::None)
                .open()?;
            let options = || {
                KeyspaceCreateOptions::default()
                    .max_memtable_size(config.write_buffer.0)
                    .data_block_compression_policy(CompressionPolicy::all(CompressionType::None))
            };
            // The engine makes a keyspace anew whose folder it does not find.
            if !new && !db.keyspace_exists(CATALOG) {
                return Ok(None);
            }
            let catalog = db.keyspace(CATALOG, options)?;
            let keyspaces = folder.join("keyspaces");
            let write_buffer = config.write_buffer.0;
            let (safety, compression) = (config.durability, config.compression);
            let moments = Moments::new(db.clone());
            Ok(Some(Self {
                db,
                moments,
                catalog,
                safety,
                barriers: Arc::default(),
                compression,
                write_buffer,
                keyspaces,
            }))
        };
        // What the engine does not expect in its files, it panics over.
        catch_unwind(AssertUnwindSafe(open))
            .map_err(|_| corrupt(Operation::Open, "the engine could not read its files"))?
            .map_err(failed)
            .and_then(|opened| {
                opened.ok_or_else(|| corrupt(Operation::Open, "the catalog's files are missing"))
            })
            .map_err(|error| error.with_context("path", folder.display()))
    }

    /// Puts the entries of new keyspaces' folders on the disk. fjall 3.1 syncs what it writes
    /// into such a folder, but not the one that the folder is in: after a loss of power a
    /// keyspace could be gone, and its part of the journal would be passed over in silence.
    pub(crate) fn sync_folders(&self) -> fjall::Result<()> {
        Ok(File::open(&self.keyspaces)?.sync_all()?)
    }

    /// Puts everything that was written on the disk.
    pub(crate) fn sync(&self, operation: Operation) -> Result<()> {
        let began = Instant::now();
        let synced = self.db.persist(PersistMode::SyncAll);
        synced.map_err(|error| self.failed(error, operation))?;
        self.barriers.passed(1, began.elapsed());
        Ok(())
    }

    /// Commits the batch of so many calls. Where that fails it may be in the journal, and there
    /// after the next opening.
    pub(crate) fn commit(
        &self,
        batch: OwnedWriteBatch,
        calls: usize,
        operation: Operation,
    ) -> Result<()> {
        let began = Instant::now();
        self.moments.commit(batch).map_err(|error| self.failed(error, operation))?;
        self.barriers.passed(calls, began.elapsed());
        Ok(())
    }

    /// What a failure of a write means. An engine whose own threads have failed to write a
    /// file does not say why: where the disk has no room for another one, that is why.
    pub(crate) fn failed(&self, error: fjall::Error, operation: Operation) -> Error {
        let error = match error {
            fjall::Error::Poisoned => poisoned(operation),
            error => engine(error, operation).with_outcome(Outcome::Unknown),
        };
        let least = self.write_buffer.saturating_mul(2);
        match rustix::fs::statvfs(&self.keyspaces) {
            Ok(disk)
                if error.kind() == ErrorKind::Closed
                    && disk.f_bavail.saturating_mul(disk.f_frsize) < least =>
            {
                full(operation).with_outcome(error.outcome())
            }
            _ => error,
        }
    }

    /// The keyspaces of a namespace that is to be.
    pub(crate) fn new_tables(&self, id: u64) -> fjall::Result<Tables> {
        let tables = self.tables(id)?;
        self.sync_folders()?;
        Ok(tables)
    }

    /// The keyspaces of a namespace that is there.
    pub(crate) fn tables(&self, id: u64) -> fjall::Result<Tables> {
        let rows = self.db.keyspace(&rows_name(id), || self.options())?;
        let values = OnceLock::new();
        if self.db.keyspace_exists(&values_name(id)) {
            let _first = values.set(self.db.keyspace(&values_name(id), || self.options())?);
        }
        Ok(Tables { id, moments: self.moments.clone(), rows, values: Arc::new(values) })
    }

    /// The keyspace of a namespace's long values, made when the first one is written.
    pub(crate) fn values<'t>(&self, tables: &'t Tables) -> fjall::Result<&'t Keyspace> {
        if let Some(values) = tables.values.get() {
            return Ok(values);
        }
        // Not with the engine's own separation of keys and values: it does not sync the folder
        // that its files of values are in, so that a loss of power could take them after the
        // journal has let go of what is in them.
        let values = self.db.keyspace(&values_name(tables.id), || self.options())?;
        self.sync_folders()?;
        Ok(tables.values.get_or_init(|| values))
    }

    /// Gives up a namespace's keyspaces; their files go with the last handle on them.
    pub(crate) fn discard(&self, tables: &Tables) -> fjall::Result<()> {
        self.db.delete_keyspace(tables.rows.clone())?;
        tables.values.get().map_or(Ok(()), |values| self.db.delete_keyspace(values.clone()))
    }

    fn options(&self) -> KeyspaceCreateOptions {
        let compression = match self.compression {
            Compression::None => CompressionPolicy::all(CompressionType::None),
            // The upper levels are rewritten soon.
            Compression::Lz4 => CompressionPolicy::new([
                CompressionType::None,
                CompressionType::None,
                CompressionType::Lz4,
            ]),
        };
        KeyspaceCreateOptions::default()
            .max_memtable_size(self.write_buffer)
            .data_block_compression_policy(compression)
    }
}

/// The name of a namespace's keyspace of rows.
pub(crate) fn rows_name(id: u64) -> String {
    format!("rows-{id}")
}

/// The name of a namespace's keyspace of long values.
pub(crate) fn values_name(id: u64) -> String {
    format!("values-{id}")
}
