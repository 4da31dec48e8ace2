//! Moving a whole pinset between a namespace and a file or stream.
//!
//! ```text
//! import:  reader ─bytes→ decoder thread ─entries→ sorted runs ─batches→ namespace
//! export:  scan ─pages→ encoder threads ─bytes→ writer
//! ```
//!
//! Every arrow is a bounded queue, so memory does not grow with the pinset, and the stages
//! keep several cores busy at once.

mod export;
mod import;
mod runs;
mod source;
mod stream;

pub use export::{
    ExportEnd, ExportOptions, ExportReport, Records, Skipped, export, export_records,
};
pub use import::{ImportEnd, ImportOptions, ImportReport, check, import};
pub use stream::Entries;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

use crate::format::Entry;

/// Asks a transfer to stop at the next boundary of a record.
#[derive(Clone, Debug, Default)]
pub struct StopFlag(Arc<Asked>);

#[derive(Debug, Default)]
struct Asked {
    asked: AtomicBool,
    waiting: Notify,
}

impl StopFlag {
    /// A flag that is not set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks to stop.
    pub fn stop(&self) {
        self.0.asked.store(true, Ordering::Release);
        self.0.waiting.notify_waiters();
    }

    /// Whether stopping was asked for.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.0.asked.load(Ordering::Acquire)
    }

    /// Waits until stopping is asked for: for whoever else is waiting, as for an input that
    /// may never go on.
    pub async fn stopped(&self) {
        let asked = self.0.waiting.notified();
        tokio::pin!(asked);
        // Registered before the look at the flag: one of the two sees the asking.
        asked.as_mut().enable();
        if !self.is_set() {
            asked.await;
        }
    }
}

/// Who watches a transfer: progress and what is left out.
pub trait Watch: Send {
    /// So many more pins and bytes went through.
    fn advance(&mut self, pins: u64, bytes: u64);

    /// An entry of the input was not stored.
    fn rejected(&mut self, entry: &Entry);

    /// A stored record was not written.
    fn skipped(&mut self, record: &Skipped);
}

/// Nobody watches.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unwatched;

impl Watch for Unwatched {
    fn advance(&mut self, _pins: u64, _bytes: u64) {}

    fn rejected(&mut self, _entry: &Entry) {}

    fn skipped(&mut self, _record: &Skipped) {}
}
