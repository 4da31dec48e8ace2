//! The engine alone, with the barrier that the backend has.

use std::path::Path;

use fjall::config::CompressionPolicy;
use fjall::{
    CompressionType, Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode,
};
use pinstate_core::config::ByteSize;

use crate::engine::{Engine, look_at};

/// A keyspace of fjall.
pub(crate) struct RawFjall {
    db: Database,
    pub(crate) rows: Keyspace,
}

impl RawFjall {
    /// Opens it, or creates it with other options than the backend's.
    pub(crate) fn with(
        path: &Path,
        cache: ByteSize,
        options: impl FnOnce(KeyspaceCreateOptions) -> KeyspaceCreateOptions,
    ) -> Self {
        let builder = Database::builder(path).cache_size(cache.0);
        let db = builder.journal_compression(CompressionType::None).open().unwrap();
        let compression = CompressionPolicy::new([
            CompressionType::None,
            CompressionType::None,
            CompressionType::Lz4,
        ]);
        let usual = || {
            KeyspaceCreateOptions::default()
                .max_memtable_size(16 << 20)
                .data_block_compression_policy(compression)
        };
        let rows = db.keyspace("rows", || options(usual())).unwrap();
        Self { db, rows }
    }
}

impl Engine for RawFjall {
    fn open(path: &Path, cache: ByteSize) -> Self {
        Self::with(path, cache, |options| options)
    }

    /// As one batch.
    fn put<'a>(&self, rows: impl Iterator<Item = (&'a [u8], &'a [u8])>) {
        let batch = OwnedWriteBatch::with_capacity(self.db.clone(), 1_000);
        let mut batch = batch.durability(Some(PersistMode::SyncAll));
        for (key, value) in rows {
            batch.insert(&self.rows, key, value);
        }
        batch.commit().unwrap();
    }

    fn get(&self, key: &[u8]) -> u64 {
        look_at(&self.rows.get(key).unwrap().unwrap())
    }

    fn scan(&self, mut look: impl FnMut(&[u8], &[u8])) {
        for row in self.rows.iter() {
            let (key, value) = row.into_inner().unwrap();
            look(&key, &value);
        }
    }

    fn until_free(_path: &Path) {}
}
