//! An engine alone, as benchmarks compare backends with it.

use std::path::Path;

use pinstate_core::config::ByteSize;

/// An open engine.
pub(crate) trait Engine: Sync {
    /// Opens it in a folder, or creates it there.
    fn open(path: &Path, cache: ByteSize) -> Self;

    /// Writes rows and waits for the disk.
    fn put<'a>(&self, rows: impl Iterator<Item = (&'a [u8], &'a [u8])>);

    /// Looks at the value under a key that is there.
    fn get(&self, key: &[u8]) -> u64;

    /// Looks at all keys and values.
    fn scan(&self, look: impl FnMut(&[u8], &[u8]));

    /// Waits until the folder of one that was closed can be opened again.
    fn until_free(path: &Path);
}

/// What a caller does with a value at least: it looks at all of it.
pub(crate) fn look_at(value: &[u8]) -> u64 {
    value.iter().copied().map(u64::from).sum()
}
