//! Jobs of tests.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use pinstate_core::transfer::StopFlag;
use pinstate_core::{Result, Store};
use pinstate_migrate::job::{Job, Report, Settings, Step, Tuning, Watch};
use tempfile::TempDir;

use crate::support::{source, target};

pub(crate) fn tuning() -> Tuning {
    let mut tuning = Tuning::new();
    tuning.page_rows = 50;
    tuning.workers = 3;
    tuning.pause = Duration::from_millis(1);
    tuning
}

pub(crate) async fn job(
    jobs: &Path,
    from: &Arc<dyn Store>,
    to: &Arc<dyn Store>,
    settings: &Settings,
) -> Result<Job> {
    Job::open(jobs, source(from).await, target(to), settings, tuning()).await
}

pub(crate) async fn run(
    from: &Arc<dyn Store>,
    to: &Arc<dyn Store>,
    settings: &Settings,
) -> Result<Report> {
    let jobs = TempDir::new().unwrap();
    job(jobs.path(), from, to, settings).await?.run().await
}

/// Asks to stop when a step is taken for the `after`th time.
pub(crate) struct StopAt {
    pub(crate) step: Step,
    pub(crate) after: AtomicU64,
    pub(crate) stop: StopFlag,
}

impl Watch for StopAt {
    fn at(&self, step: Step) {
        if step == self.step && self.after.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.stop.stop();
        }
    }
}
