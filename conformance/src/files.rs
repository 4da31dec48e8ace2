//! The files of a store, as they lie in a folder.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// The contents of files, by their paths in a folder.
pub(crate) type Files = BTreeMap<PathBuf, Vec<u8>>;

/// The files under a folder.
pub(crate) fn files(folder: &Path) -> io::Result<Files> {
    let (mut files, mut folders) = (Files::new(), vec![folder.to_owned()]);
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(within) = path.strip_prefix(folder) {
                files.insert(within.to_owned(), std::fs::read(&path)?);
            }
        }
    }
    Ok(files)
}

/// Writes files into a folder.
pub(crate) fn lay_out(files: &Files, folder: &Path) -> io::Result<()> {
    for (path, bytes) in files {
        let path = folder.join(path);
        path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
        std::fs::write(path, bytes)?;
    }
    Ok(())
}
