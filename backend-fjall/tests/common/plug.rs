//! The backend as the conformance suite wants it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use pinstate_conformance::{About, Plug, Site};
use pinstate_core::config::ByteSize;
use pinstate_core::{Error, ErrorKind, Operation, Result, Store};
use pinstate_fjall::{FjallConfig, FjallStore, Safety};

pub(crate) struct Fjall(pub(crate) Safety);

struct Folder {
    durability: Safety,
    path: PathBuf,
    /// Removed with the site, where it is the site's own.
    _own: Option<tempfile::TempDir>,
}

#[async_trait]
impl Plug for Fjall {
    fn name(&self) -> &str {
        pinstate_fjall::BACKEND
    }

    async fn site(&self) -> Result<Box<dyn Site>> {
        let own = tempfile::tempdir().map_err(|error| {
            Error::new(ErrorKind::Io, Operation::Open, "no temporary folder").with_source(error)
        })?;
        let path = own.path().join("store");
        Ok(Box::new(Folder { durability: self.0, path, _own: Some(own) }))
    }

    fn site_in(&self, folder: &Path) -> Option<Box<dyn Site>> {
        Some(Box::new(Folder { durability: self.0, path: folder.join("store"), _own: None }))
    }

    fn fixtures(&self) -> Vec<PathBuf> {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
        (1..=1).map(|format| fixtures.join(format!("format-{format}"))).collect()
    }

    fn about(&self) -> About {
        About::version(env!("CARGO_PKG_VERSION"))
            .with_setting("durability", format!("{:?}", self.0))
    }
}

impl Folder {
    async fn open(&self, create: bool) -> Result<Arc<dyn Store>> {
        let mut config = FjallConfig::new(&self.path);
        config.durability = self.durability;
        config.create = create;
        // So small that what the suite writes is written out and compacted meanwhile.
        config.write_buffer = ByteSize(64 << 10);
        // What it keeps of blocks that were read counts among the memory that is measured.
        config.cache = ByteSize(1 << 20);
        // No longer than what the quick profile tries: B7 goes one beyond it.
        config.max_atomic_batch = 2_000;
        Ok(Arc::new(FjallStore::open(&config).await?))
    }
}

#[async_trait]
impl Site for Folder {
    async fn open(&self) -> Result<Arc<dyn Store>> {
        self.open(true).await
    }

    async fn open_existing(&self) -> Option<Result<Arc<dyn Store>>> {
        Some(self.open(false).await)
    }

    async fn make_newer(&self) -> Option<Result<()>> {
        let path = self.path.join("format");
        let newer = std::fs::read_to_string(&path).and_then(|text| {
            let body = text.split("crc32").next().unwrap_or_default();
            let body = body.replace("\nformat 1\n", "\nformat 2\n");
            let sum = crc32fast::hash(body.as_bytes());
            std::fs::write(path, format!("{body}crc32 {sum:08x}\n"))
        });
        Some(newer.map_err(|error| {
            Error::new(ErrorKind::Io, Operation::Open, "no format file").with_source(error)
        }))
    }
}
