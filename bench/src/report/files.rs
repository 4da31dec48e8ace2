//! Files that are there whole or not at all.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

/// Puts a file into its place, over what was there. When this returns, it survives a loss of
/// power.
///
/// # Errors
/// What the file system says, with the path. What was there is then still there.
pub(super) fn put(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = OsString::from(path);
    name.push(".new");
    let temporary = Path::new(&name);
    let written = (|| {
        let mut file = File::create(temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(temporary, path)?;
        match path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            Some(folder) => File::open(folder)?.sync_all(),
            None => File::open(".")?.sync_all(),
        }
    })();
    written.map_err(|error| {
        // What is left of it helps nobody; that it cannot be removed neither.
        let _ = fs::remove_file(temporary);
        io::Error::new(error.kind(), format!("cannot write {}: {error}", path.display()))
    })
}
