//! The conformance suite over the sled backend.

use std::process::ExitCode;
use std::sync::Arc;

use async_trait::async_trait;
use pinstate_conformance::{Plug, Site, Suite};
use pinstate_core::{Error, ErrorKind, Operation, Result, Store};
use pinstate_sled::{SledConfig, SledStore};

struct Sled;

struct Folder(tempfile::TempDir);

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
        Ok(Box::new(Folder(folder)))
    }
}

#[async_trait]
impl Site for Folder {
    async fn open(&self) -> Result<Arc<dyn Store>> {
        let config = SledConfig::new(self.0.path().join("store")).create();
        Ok(Arc::new(SledStore::open(config).await?))
    }
}

fn main() -> ExitCode {
    Suite::new(Sled).main()
}
