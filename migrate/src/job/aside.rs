//! What goes on beside a job: orders are looked for, and it is told how far it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use pinstate_core::Result;
use pinstate_core::transfer::StopFlag;

use super::certificate::Certificate;
use super::copy::remember;
use super::folder::JobFolder;
use super::ledger::{Event, Ledger, Note, Standing};
use super::orders::Orders;
use super::progress::{Board, Progress};
use super::run::seconds;
use super::throttle::Throttle;

/// How often orders are looked for, and the status is told.
const TICK: Duration = Duration::from_millis(250);
/// Where the status is told.
const STATUS: &str = "status.json";

/// Sees how far a job of this process is.
#[derive(Clone, Debug)]
pub struct Onlooker {
    pub(super) board: Arc<Board>,
    pub(super) retries: Arc<AtomicU64>,
    pub(super) throttle: Arc<Throttle>,
}

impl Onlooker {
    pub(super) fn new(
        folder: &JobFolder,
        standing: &Standing,
        expected: Option<u64>,
        stop: &StopFlag,
    ) -> Result<Self> {
        // What an earlier process told is not what this one does.
        folder.remove(STATUS)?;
        Ok(Self {
            board: Arc::new(Board::new(Progress {
                phase: standing.phase,
                parts: (standing.complete(), standing.header.parts.len()),
                counts: standing.counts(),
                expected,
                ..Progress::default()
            })),
            retries: Arc::default(),
            throttle: Arc::new(Throttle::new(Orders::of(folder)?, stop.clone(), seconds)),
        })
    }

    /// How far it is.
    #[must_use]
    pub fn now(&self) -> Progress {
        self.board.now(self.retries.load(Ordering::Relaxed), self.throttle.reason())
    }

    /// Writes down how far it is, for whoever asks from outside.
    pub(super) fn tell(&self, folder: &JobFolder) -> Result<()> {
        let json = serde_json::to_vec(&self.now()).unwrap_or_default();
        folder.write(STATUS, &json, false)
    }

    /// Follows the orders that the job is given, until this is dropped.
    pub(super) async fn look_on(
        self,
        folder: JobFolder,
        ledger: Arc<Mutex<Ledger>>,
        stop: StopFlag,
        aborted: Arc<AtomicBool>,
    ) {
        loop {
            // Whoever looks on must not be what stops the job.
            let _ = self.tell(&folder);
            tokio::time::sleep(TICK).await;
            let Ok(orders) = Orders::of(&folder) else { continue };
            if orders.abort {
                aborted.store(true, Ordering::Release);
                stop.stop();
            }
            if self.throttle.follow(orders.clone()) {
                let note = Event::Note(Note { at: seconds(), text: orders.to_string() });
                let _ = remember(&ledger, vec![note]).await;
            }
        }
    }
}

/// Everything that is known of the job in a folder, over or not.
///
/// # Errors
/// If its ledger cannot be read.
pub fn certificate(folder: &JobFolder) -> Result<Certificate> {
    Ok(Certificate::of(&Ledger::peek(&folder.ledger())?))
}

/// How far the job in a folder is, and whether somebody works on it.
///
/// # Errors
/// If its ledger cannot be read.
pub fn status(folder: &JobFolder) -> Result<(Progress, bool)> {
    let standing = Ledger::peek(&folder.ledger())?;
    let worked_on = folder.is_worked_on()?;
    let told = if worked_on { folder.read(STATUS)? } else { None };
    let told = told.and_then(|json| serde_json::from_slice::<Progress>(&json).ok());
    let mut progress = match told {
        Some(told) if !standing.phase.is_over() => told,
        told => Progress { counts: standing.counts(), ..told.unwrap_or_default() },
    };
    progress.phase = standing.phase;
    progress.parts = (standing.complete(), standing.header.parts.len());
    Ok((progress, worked_on))
}
