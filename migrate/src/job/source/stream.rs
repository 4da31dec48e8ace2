//! Pins that can be read only as they are at the moment, such as those of a running peer.

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use pinstate_core::format::Decoder;
use pinstate_core::{Capabilities, Key, Result};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

use super::{FileSource, Identity, Pages, Source, SourceRow};
use crate::files::{failed, private, sync_folder};
use crate::pinset::{OpenFile, Pinset};

/// What [`Identity::kind`] says of it.
const STREAM: &str = "stream";

/// The file in a job's folder that the stream is kept in.
pub(in crate::job) const KEPT: &str = "source";
/// As much of it is held at a time.
const PIECE_BYTES: usize = 256 << 10;

/// A stream that says something else each time. A job reads it once, whole, into a file in its
/// folder, and moves what that has: so it can go on, and compare, whatever became of the
/// stream. Before that, as for a plan, it is read as it comes.
pub struct StreamSource {
    id: String,
    kept: Arc<Kept>,
    pins: FileSource,
}

impl StreamSource {
    /// What `stream` gives, of which `id` says where it comes from, called `name` in reports.
    #[must_use]
    pub fn new(name: impl Into<String>, id: impl Into<String>, stream: Arc<dyn OpenFile>) -> Self {
        let id = id.into();
        let kept = Arc::new(Kept { stream, file: OnceLock::new() });
        let file: Arc<dyn OpenFile> = Arc::clone(&kept) as Arc<dyn OpenFile>;
        Self { pins: FileSource::new(name, id.clone(), "", file), id, kept }
    }
}

impl fmt::Debug for StreamSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamSource").field("id", &self.id).finish_non_exhaustive()
    }
}

#[async_trait]
impl Source for StreamSource {
    fn identity(&self) -> Identity {
        Identity { kind: STREAM.to_owned(), ..self.pins.identity() }
    }

    fn capabilities(&self) -> Option<&Capabilities> {
        None
    }

    async fn keep(&self, folder: &Path) -> Result<()> {
        self.kept.fill(folder.join(KEPT)).await
    }

    async fn estimate(&self) -> Result<Option<u64>> {
        self.pins.estimate().await
    }

    async fn parts(&self, n: usize) -> Result<Vec<String>> {
        self.pins.parts(n).await
    }

    async fn open(
        &self,
        part: &str,
        after: Option<&str>,
        page_rows: usize,
    ) -> Result<Box<dyn Pages>> {
        self.pins.open(part, after, page_rows).await
    }

    async fn find(&self, keys: &[Key]) -> Result<Vec<Option<SourceRow>>> {
        self.pins.find(keys).await
    }

    fn pinset(&self) -> Arc<dyn Pinset> {
        self.pins.pinset()
    }
}

/// A stream, and the file that it was put into.
struct Kept {
    stream: Arc<dyn OpenFile>,
    file: OnceLock<PathBuf>,
}

impl Kept {
    /// Puts the stream into a file, unless that is there: with this name it is whole.
    async fn fill(&self, path: PathBuf) -> Result<()> {
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
