//! The backend as the conformance suite wants it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use pinstate_conformance::{Plug, Site};
use pinstate_core::{Error, ErrorKind, Operation, Result, Store};
use pinstate_sled::{Safety, SledConfig, SledStore};

pub(crate) struct Sled(pub(crate) Safety);

struct Folder {
    config: SledConfig,
    // What is removed at the end, where that is ours to do.
    _own: Option<tempfile::TempDir>,
}

impl Folder {
    fn at(path: PathBuf, safety: Safety, own: Option<tempfile::TempDir>) -> Box<dyn Site> {
        Box::new(Self { config: SledConfig::new(path).with_durability(safety), _own: own })
    }
}

#[async_trait]
impl Plug for Sled {
    fn name(&self) -> &str {
        "sled"
    }

    async fn site(&self) -> Result<Box<dyn Site>> {
        let folder = tempfile::tempdir().map_err(|e| {
            Error::new(ErrorKind::Io, Operation::Open, "no temporary folder could be made")
                .with_source(e)
        })?;
        Ok(Folder::at(folder.path().join("store"), self.0, Some(folder)))
    }

    fn site_in(&self, folder: &Path) -> Option<Box<dyn Site>> {
        Some(Folder::at(folder.join("store"), self.0, None))
    }

    fn fixtures(&self) -> Vec<PathBuf> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
        let fixtures = std::fs::read_dir(folder).into_iter().flatten();
        fixtures.filter_map(|fixture| Some(fixture.ok()?.path())).collect()
    }
}

#[async_trait]
impl Site for Folder {
    async fn open(&self) -> Result<Arc<dyn Store>> {
        Ok(Arc::new(SledStore::open(&self.config.clone().create()).await?))
    }

    async fn open_existing(&self) -> Option<Result<Arc<dyn Store>>> {
        let opened = SledStore::open(&self.config).await;
        Some(opened.map(|store| Arc::new(store) as Arc<dyn Store>))
    }

    async fn make_newer(&self) -> Option<Result<()>> {
        // As the marker is documented; a later version may write more lines into it.
        let path = self.config.path.join("pinstate.store");
        let newer = std::fs::read_to_string(&path).and_then(|text| {
            std::fs::write(&path, text.replace("\nformat 1\n", "\nformat 2\n") + "more of it\n")
        });
        Some(newer.map_err(|e| {
            Error::new(ErrorKind::Io, Operation::Open, "the marker cannot be rewritten")
                .with_source(e)
        }))
    }
}
