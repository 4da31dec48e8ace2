//! The engine alone, with the barrier that the backend has.

use std::fs::File;
use std::path::Path;

use pinstate_core::config::ByteSize;

/// A tree of sled, and its log for the barrier.
pub(crate) struct Raw {
    pub(crate) db: sled::Db,
    pub(crate) tree: sled::Tree,
    log: File,
}

impl Raw {
    pub(crate) fn open(path: &Path, cache: ByteSize) -> Self {
        let db = sled::Config::new().path(path).cache_capacity(cache.0).open().unwrap();
        let tree = db.open_tree("rows").unwrap();
        let log = File::open(path.join("db")).unwrap();
        // Where the file system has it; where not, the backend does without it as well.
        if let Ok(flags) = rustix::fs::ioctl_getflags(&log) {
            let _ = rustix::fs::ioctl_setflags(&log, flags | rustix::fs::IFlags::SYNC);
        }
        Self { db, tree, log }
    }

    /// Writes rows in the order of their keys, which is the faster one, and waits for the disk.
    pub(crate) fn put<'a>(&self, rows: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) {
        let mut rows: Vec<_> = rows.into_iter().collect();
        rows.sort_unstable();
        for (key, value) in rows {
            self.tree.insert(key, value).unwrap();
        }
        self.barrier();
    }

    pub(crate) fn barrier(&self) {
        self.db.flush().unwrap();
        self.log.sync_data().unwrap();
    }
}

/// Waits until the engine's threads have let go of the files in a folder, which is a little after
/// it was closed.
pub(crate) fn until_free(path: &Path) {
    let log = File::open(path.join("db")).unwrap();
    while rustix::fs::flock(&log, rustix::fs::FlockOperation::NonBlockingLockExclusive).is_err() {
        std::thread::yield_now();
    }
}
