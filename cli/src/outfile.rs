//! Files that are there as a whole or not at all.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};

use pinstate_core::format::manifest::FileHasher;
use tokio::io::AsyncWrite;

/// Bytes collected before they are written: the pages of an export come in blocks of about
/// this size.
const BUFFER_BYTES: usize = 1 << 20;

/// A file under a temporary name beside its own, until [`commit`](Self::commit). Dropped
/// before that, it is removed.
#[derive(Debug)]
pub(crate) struct NewFile {
    to: BufWriter<File>,
    temporary: PathBuf,
    path: PathBuf,
    committed: bool,
}

impl NewFile {
    /// Begins a file that is to be at `path`, or in the place of what a link there leads to.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        let path = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
        let name = path.file_name().ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, "this is no name of a file")
        })?;
        let mut temporary = std::ffi::OsString::from(".");
        temporary.push(name);
        temporary.push(format!(".{:08x}.tmp", fastrand::u32(..)));
        let temporary = path.with_file_name(temporary);
        let to = BufWriter::with_capacity(BUFFER_BYTES, File::create_new(&temporary)?);
        Ok(Self { to, temporary, path, committed: false })
    }

    /// Sets who may read and write it.
    pub(crate) fn set_permissions(&self, permissions: fs::Permissions) -> io::Result<()> {
        self.to.get_ref().set_permissions(permissions)
    }

    /// Makes it durable and puts it in its place.
    pub(crate) fn commit(mut self) -> io::Result<()> {
        self.to.flush()?;
        self.to.get_ref().sync_all()?;
        fs::rename(&self.temporary, &self.path)?;
        self.committed = true;
        sync_folder(&self.path)
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.to.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.committed {
            // Under this name nobody reads it: nothing is lost if it stays.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// Makes the name of a file durable.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    File::open(folder)?.sync_all()
}

/// Something to write to, as the transfer wants it, whose bytes may be counted and hashed.
///
/// Writing blocks the thread that does it, which is the point: a slow file holds up the
/// encoders through their bounded queues, and nothing else runs on this thread.
#[derive(Debug)]
pub(crate) struct Hashed<W> {
    pub(crate) to: W,
    pub(crate) hasher: Option<FileHasher>,
}

impl<W: Write> Hashed<W> {
    /// Begins with nothing written.
    pub(crate) fn new(to: W, hash: bool) -> Self {
        Self { to, hasher: hash.then(FileHasher::new) }
    }
}

impl<W: Write + Unpin> AsyncWrite for Hashed<W> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let written = this.to.write(bytes);
        if let (Ok(written), Some(hasher)) = (&written, &mut this.hasher) {
            hasher.update(bytes.get(..*written).unwrap_or(bytes));
        }
        Poll::Ready(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.to.flush())
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_there_only_after_commit() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("export");
        fs::write(&path, "old").unwrap();
        let mut file = NewFile::create(&path).unwrap();
        file.write_all(b"half").unwrap();
        drop(file);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);

        let mut file = NewFile::create(&path).unwrap();
        file.write_all(b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"old");
        file.commit().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_link_stays_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let (path, link) = (dir.path().join("real"), dir.path().join("link"));
        fs::write(&path, "old").unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let mut file = NewFile::create(&link).unwrap();
        file.write_all(b"new").unwrap();
        file.commit().unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read(&path).unwrap(), b"new");
    }
}
