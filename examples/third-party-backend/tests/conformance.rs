use std::{path::PathBuf, process::ExitCode, sync::Arc};

use logstore::{LogStore, error};
use pinstate_conformance::{Plug, Site, Suite};
use pinstate_core::{Operation, Result, Store};

struct Log;
struct Folder((PathBuf, Option<tempfile::TempDir>));
#[async_trait::async_trait]
impl Plug for Log {
    fn name(&self) -> &str {
        "logstore"
    }
    async fn site(&self) -> Result<Box<dyn Site>> {
        let own = tempfile::tempdir().map_err(|e| error(e, Operation::Open))?;
        Ok(Box::new(Folder((own.path().join("store"), Some(own)))))
    }
    fn site_in(&self, folder: &std::path::Path) -> Option<Box<dyn Site>> {
        Some(Box::new(Folder((folder.join("store"), None))))
    }
}
#[async_trait::async_trait]
impl Site for Folder {
    async fn open(&self) -> Result<Arc<dyn Store>> {
        Ok(Arc::new(LogStore::open(&self.0.0, true)?))
    }
}
fn main() -> ExitCode {
    Suite::new(Log).disks(lossyfs::LossyDisks::new()).main()
}
