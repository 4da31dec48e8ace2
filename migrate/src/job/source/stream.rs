//! Pins that can be read only as they are at the moment, such as those of a running peer.

use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use pinstate_core::Result;
use pinstate_core::format::Decoder;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

use crate::files::{failed, private, sync_folder};
use crate::pinset::OpenFile;

/// The file in a job's folder that the stream is kept in.
pub(in crate::job) const KEPT: &str = "source";
/// As much of it is held at a time.
const PIECE_BYTES: usize = 256 << 10;

/// A stream that says something else each time. A job reads it once, whole, into a file in its
/// folder, and moves what that has: so it can go on, and compare, whatever became of the
/// stream. Before that, as for a plan, it is read as it comes.
pub(super) struct Kept {
    stream: Arc<dyn OpenFile>,
    file: OnceLock<PathBuf>,
}

impl Kept {
    pub(super) fn new(stream: Arc<dyn OpenFile>) -> Self {
        Self { stream, file: OnceLock::new() }
    }

    /// Puts the stream into a file, unless that is there: with this name it is whole.
    pub(super) async fn fill(&self, path: PathBuf) -> Result<()> {
        if !path.exists() {
            let beside = path.with_extension("new");
            let (mut from, _) = self.stream.open()?;
            let wrong = |error| failed(&beside, "cannot be written", error);
            let file = private().write(true).create(true).truncate(true).open(&beside);
            let mut to = tokio::fs::File::from_std(file.map_err(wrong)?);
            let mut piece = Vec::with_capacity(PIECE_BYTES);
            loop {
                piece.clear();
                let read = from.read_buf(&mut piece).await;
                if read.map_err(|error| failed(&path, "cannot be read to its end", error))? == 0 {
                    break;
                }
                to.write_all(&piece).await.map_err(wrong)?;
            }
            to.flush().await.map_err(wrong)?;
            to.sync_all().await.map_err(wrong)?;
            std::fs::rename(&beside, &path).and_then(|()| sync_folder(&path)).map_err(wrong)?;
        }
        let _ = self.file.set(path);
        Ok(())
    }
}

impl OpenFile for Kept {
    fn open(&self) -> Result<(Box<dyn AsyncRead + Send + Unpin>, Box<dyn Decoder>)> {
        let (stream, decoder) = self.stream.open()?;
        let Some(path) = self.file.get() else { return Ok((stream, decoder)) };
        let file = File::open(path).map_err(|error| failed(path, "cannot be read", error))?;
        Ok((Box::new(tokio::fs::File::from_std(file)), decoder))
    }
}
