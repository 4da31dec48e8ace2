//! The pages of a scan that are read before they are asked for.
//!
//! One job at a time reads pages of a scan, one after the other on one worker, until enough
//! of them wait for the consumer. Whoever takes a page starts it again. A consumer that is
//! as quick as the reader therefore finds it at work, and neither waits for a thread to
//! wake up once a page.

use std::collections::VecDeque;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use pinstate_core::{Operation, Result};
use tokio::sync::Notify;

use crate::engine::Engine;
use crate::error::panicked;
use crate::scan::Read;
use pinstate_embedded::Permit;

/// Pages that wait for their consumer, of about 1 MiB at most each.
const PAGES: usize = 2;
/// Pages that a job reads before others get their turn on its worker.
const TURN: usize = 8;

/// Reads the page that begins at a place.
pub(crate) type ReadPage = Box<dyn FnMut(&Bound<Bytes>) -> Result<Read> + Send>;

struct State {
    ready: VecDeque<Result<Read>>,
    /// Where the next page begins, or `None` when there is none.
    next: Option<Bound<Bytes>>,
    /// A job is at work or about to be.
    at_work: bool,
    /// The consumer is gone.
    dropped: bool,
}

struct Shared {
    state: Mutex<State>,
    /// Used by the job that is at work.
    read: Mutex<ReadPage>,
    /// Told of each page.
    arrived: Notify,
}

/// The consumer's side.
pub(crate) struct Ahead {
    engine: Arc<Engine>,
    shared: Arc<Shared>,
}

impl Ahead {
    /// Pages from `start` on. Nothing is read before the first is asked for.
    pub(crate) fn new(engine: Arc<Engine>, start: Bound<Bytes>, read: ReadPage) -> Self {
        let state = State {
            ready: VecDeque::with_capacity(PAGES),
            next: Some(start),
            at_work: false,
            dropped: false,
        };
        let shared =
            Shared { state: Mutex::new(state), read: Mutex::new(read), arrived: Notify::new() };
        Self { engine, shared: Arc::new(shared) }
    }

    /// The next page, or `None` when all were given.
    pub(crate) async fn next(&mut self) -> Result<Option<Read>> {
        loop {
            let (page, at_work) = {
                let mut state = self.shared.state.lock();
                let page = state.ready.pop_front();
                if page.is_none() && state.next.is_none() {
                    return Ok(None);
                }
                (page, state.at_work)
            };
            if let Some(page) = page {
                // What keeps this from working is told by the next call.
                if let Some(permit) = self.engine.try_reserve_scan() {
                    drop(self.start(permit));
                }
                return page.map(Some);
            }
            if at_work {
                self.shared.arrived.notified().await;
            } else {
                self.start(self.engine.reserve_scan().await?)?;
            }
        }
    }

    /// Starts the job, unless it is at work or has nothing to do.
    fn start(&self, permit: Permit) -> Result<()> {
        {
            let mut state = self.shared.state.lock();
            if state.at_work || state.next.is_none() {
                return Ok(());
            }
            state.at_work = true;
        }
        let shared = Arc::clone(&self.shared);
        let started = self.engine.start_scan(permit, move || {
            shared.work();
            Box::new(move || shared.rest())
        });
        if started.is_err() {
            self.shared.state.lock().at_work = false;
        }
        started
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.shared.state.lock().dropped = true;
    }
}

impl Shared {
    fn work(&self) {
        let mut read = self.read.lock();
        for _ in 0..TURN {
            let start = {
                let state = self.state.lock();
                let wanted = state.ready.len() < PAGES && !state.dropped;
                state.next.clone().filter(|_| wanted)
            };
            let Some(start) = start else { break };
            // The engine asserts much of what it reads.
            let page = catch_unwind(AssertUnwindSafe(|| read(&start)))
                .unwrap_or_else(|_| Err(panicked(Operation::Scan)));
            let failed = page.is_err();
            let mut state = self.state.lock();
            // What could not be read stays the next page: the consumer may ask again.
            if let Ok(page) = &page {
                state.next = page.last.clone().map(Bound::Excluded);
            }
            state.ready.push_back(page);
            drop(state);
            self.arrived.notify_one();
            if failed {
                break;
            }
        }
    }

    fn rest(&self) {
        self.state.lock().at_work = false;
        // The consumer may have come to wait since the last page.
        self.arrived.notify_one();
    }
}
