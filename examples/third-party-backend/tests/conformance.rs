use pinstate_conformance::{Meter, Plug, Site, Suite};
use pinstate_core::{Operation, Result, Store};
use std::{path::PathBuf, process::ExitCode, sync::Arc};
#[global_allocator]
static HEAP: peak_alloc::PeakAlloc = peak_alloc::PeakAlloc;
struct Log;
struct Folder((PathBuf, Option<tempfile::TempDir>));
#[async_trait::async_trait]
impl Plug for Log {
    fn name(&self) -> &str {
        "logstore"
    }
    async fn site(&self) -> Result<Box<dyn Site>> {
        let own = tempfile::tempdir().map_err(|e| logstore::error(e, Operation::Open))?;
        Ok(Box::new(Folder((own.path().join("store"), Some(own)))))
    }
    fn site_in(&self, folder: &std::path::Path) -> Option<Box<dyn Site>> {
        Some(Box::new(Folder((folder.join("store"), None))))
    }
}
#[async_trait::async_trait]
impl Site for Folder {
    async fn open(&self) -> Result<Arc<dyn Store>> {
        Ok(Arc::new(logstore::LogStore::open(&self.0.0, true)?))
    }
}
fn main() -> ExitCode {
    let meter = Meter::new(|| HEAP.reset_peak_usage(), || HEAP.peak_usage());
    Suite::new(Log).disks(lossyfs::LossyDisks::new()).memory(meter).main()
}
