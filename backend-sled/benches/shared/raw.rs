//! The engine alone, with the barrier that the backend has.

use std::fs::File;
use std::path::Path;

use pinstate_core::config::ByteSize;

use crate::engine::{Engine, look_at};

/// A tree of sled, and its log for the barrier.
pub(crate) struct RawSled {
    db: sled::Db,
    tree: sled::Tree,
    log: File,
}

impl Engine for RawSled {
    fn open(path: &Path, cache: ByteSize) -> Self {
        let db = sled::Config::new().path(path).cache_capacity(cache.0).open().unwrap();
        let tree = db.open_tree("rows").unwrap();
        let log = File::open(path.join("db")).unwrap();
        // Where the file system has it; where not, the backend does without it as well.
        if let Ok(flags) = rustix::fs::ioctl_getflags(&log) {
            let _ = rustix::fs::ioctl_setflags(&log, flags | rustix::fs::IFlags::SYNC);
        }
        Self { db, tree, log }
    }

    /// In the order of the keys, which is the faster one.
    fn put<'a>(&self, rows: impl Iterator<Item = (&'a [u8], &'a [u8])>) {
        let mut rows: Vec<_> = rows.collect();
        rows.sort_unstable();
        for (key, value) in rows {
            self.tree.insert(key, value).unwrap();
        }
        self.db.flush().unwrap();
        self.log.sync_data().unwrap();
    }

    fn get(&self, key: &[u8]) -> u64 {
        look_at(&self.tree.get(key).unwrap().unwrap())
    }

    fn scan(&self, mut look: impl FnMut(&[u8], &[u8])) {
        for row in self.tree.iter() {
            let (key, value) = row.unwrap();
            look(&key, &value);
        }
    }

    /// Its threads let go of the files a little after it was closed.
    fn until_free(path: &Path) {
        use rustix::fs::{FlockOperation, flock};
        let log = File::open(path.join("db")).unwrap();
        while flock(&log, FlockOperation::NonBlockingLockExclusive).is_err() {
            std::thread::yield_now();
        }
    }
}
