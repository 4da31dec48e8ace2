//! Group commit: writes wait for a barrier together.
//!
//! A write is applied to the engine first and then waits here. One thread takes all that
//! wait, runs one barrier, and answers them; whatever was applied before the barrier began
//! is covered by it. Writes applied while it runs wait for the next, so applying and
//! flushing go on side by side.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use pinstate_core::{Error, ErrorKind, Operation, Outcome};
use pinstate_embedded::{BarrierCounts, Barriers};

use crate::durability::Files;
use crate::error::{closed, error, from_engine, panicked};

/// How often a barrier that takes long is checked for an engine that gave up.
const WATCH: Duration = Duration::from_millis(100);

/// A barrier that takes longer than this counts as failed.
const LIMIT: Duration = Duration::from_secs(120);

/// Who waits: called once with what came of the barrier.
pub(crate) type Waiter = Box<dyn FnOnce(Result<(), Error>) + Send>;

struct Shared {
    waiting: Mutex<Waiting>,
    ready: Condvar,
    /// The failure that poisoned the store.
    poison: OnceLock<Error>,
    barriers: Barriers,
}

struct Waiting {
    waiters: Vec<Waiter>,
    open: bool,
}

/// The thread that runs barriers.
pub(crate) struct Committer {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Committer {
    /// Starts the threads.
    pub(crate) fn start(engine: sled::Db, files: Files) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            waiting: Mutex::new(Waiting { waiters: Vec::new(), open: true }),
            ready: Condvar::new(),
            poison: OnceLock::new(),
            barriers: Barriers::default(),
        });
        let flush = Flush::start(engine, files)?;
        let thread = std::thread::Builder::new().name("pinstate-commit".into()).spawn({
            let shared = Arc::clone(&shared);
            move || run(&shared, flush)
        })?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
    }

    /// Calls `waiter` once everything applied so far is durable, or is known not to be.
    pub(crate) fn wait(&self, waiter: Waiter) {
        let mut waiting = self.shared.waiting.lock();
        if waiting.open {
            waiting.waiters.push(waiter);
            drop(waiting);
            self.shared.ready.notify_one();
        } else {
            drop(waiting);
            waiter(Err(closed(Operation::Sync).with_outcome(Outcome::Unknown)));
        }
    }

    /// Takes no more writes, after a failure in the engine: it may have left something in
    /// its buffers that no flush gets past.
    pub(crate) fn poison(&self, cause: &Error) {
        self.shared.poison(cause);
    }

    /// The answer of a store whose flush has failed: what is in the engine's memory and
    /// what is on disk may differ from then on, so nothing more may be acknowledged.
    pub(crate) fn poisoned(&self, operation: Operation) -> Option<Error> {
        let cause = self.shared.poison.get()?;
        Some(
            error(
                ErrorKind::Closed,
                operation,
                "an earlier write or flush failed and the store takes no more: restart the program",
            )
            .with_outcome(Outcome::NotApplied)
            .with_source(cause.clone()),
        )
    }

    /// The barriers so far.
    pub(crate) fn barriers(&self) -> BarrierCounts {
        self.shared.barriers.counts()
    }

    /// Calls that wait for one.
    pub(crate) fn waiting(&self) -> usize {
        self.shared.waiting.lock().waiters.len()
    }

    /// Runs a last barrier for those that wait, and ends the threads; false where the
    /// engine may hang when it is touched again. Blocks.
    pub(crate) fn close(&self) -> bool {
        self.shared.waiting.lock().open = false;
        self.shared.ready.notify_all();
        if let Some(thread) = self.thread.lock().take() {
            // It catches the engine's panics and has none of its own.
            drop(thread.join());
        }
        self.shared.poison.get().is_none()
    }
}

impl Shared {
    fn poison(&self, cause: &Error) {
        if self.poison.set(cause.clone()).is_ok() {
            tracing::error!(error = %cause, "a write or flush failed; the store takes no more");
        }
    }
}

fn run(shared: &Shared, mut flush: Flush) {
    loop {
        let waiters = {
            let mut waiting = shared.waiting.lock();
            while waiting.waiters.is_empty() && waiting.open {
                shared.ready.wait(&mut waiting);
            }
            std::mem::take(&mut waiting.waiters)
        };
        if waiters.is_empty() {
            return flush.close();
        }
        let result = match shared.poison.get() {
            Some(cause) => Err(cause.clone()),
            None => {
                let began = Instant::now();
                let result = flush.barrier(&shared.poison);
                if result.is_ok() {
                    shared.barriers.passed(waiters.len(), began.elapsed());
                }
                result
            }
        };
        if let Err(cause) = &result {
            shared.poison(cause);
        }
        for waiter in waiters {
            waiter(result.clone());
        }
    }
}

/// The thread on which the engine is flushed, so that its caller can give up on it: when a
/// write of the engine fails in the background, its flush is not always woken up.
struct Flush {
    engine: sled::Db,
    requests: Option<SyncSender<()>>,
    results: Receiver<Result<(), Error>>,
    thread: Option<JoinHandle<()>>,
}

impl Flush {
    fn start(engine: sled::Db, mut files: Files) -> std::io::Result<Self> {
        let (requests, requested) = sync_channel::<()>(1);
        let (answers, results) = sync_channel(1);
        let thread = std::thread::Builder::new().name("pinstate-flush".into()).spawn({
            let engine = engine.clone();
            move || {
                for () in requested {
                    let result = catch_unwind(AssertUnwindSafe(|| files.barrier(&engine)))
                        .unwrap_or_else(|_| Err(panicked(Operation::Sync)));
                    if answers.send(result).is_err() {
                        return;
                    }
                }
            }
        })?;
        Ok(Self { engine, requests: Some(requests), results, thread: Some(thread) })
    }

    fn barrier(&mut self, poison: &OnceLock<Error>) -> Result<(), Error> {
        let gone = || panicked(Operation::Sync);
        self.requests.as_ref().ok_or_else(gone)?.send(()).map_err(|_| gone())?;
        let began = Instant::now();
        let mut failed_before = false;
        loop {
            match self.results.recv_timeout(WATCH) {
                Ok(result) => return result.map_err(|e| e.with_outcome(Outcome::Unknown)),
                Err(RecvTimeoutError::Disconnected) => return Err(gone()),
                Err(RecvTimeoutError::Timeout) => {}
            }
            // Twice, so that a flush that is about to report the same has the time to.
            let failure = match self.engine.context.global_error() {
                Err(cause) => Some(from_engine(cause, Operation::Sync)),
                Ok(()) => poison.get().cloned(),
            };
            let given_up = match failure {
                Some(cause) if failed_before => cause,
                Some(_) => {
                    failed_before = true;
                    continue;
                }
                None if began.elapsed() > LIMIT => {
                    error(ErrorKind::Internal, Operation::Sync, "a flush hangs")
                }
                None => continue,
            };
            self.abandon();
            return Err(given_up.with_outcome(Outcome::Unknown));
        }
    }

    /// Gives up on the thread: it may never come back.
    fn abandon(&mut self) {
        self.requests = None;
        self.thread = None;
    }

    /// Ends the thread, unless it was given up on.
    fn close(mut self) {
        self.requests = None;
        match self.thread.take() {
            Some(thread) => drop(thread.join()),
            // Dropping the last handle flushes the engine, and hangs as well.
            None => std::mem::forget(self.engine),
        }
    }
}
