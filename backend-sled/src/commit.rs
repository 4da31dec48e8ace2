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

use crate::durability::Files;
use crate::error::{error, panicked};

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
}

struct Waiting {
    waiters: Vec<Waiter>,
    open: bool,
}

/// The thread that runs barriers.
pub(crate) struct Committer {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<Flush>>>,
}

impl Committer {
    /// Starts the threads.
    pub(crate) fn start(engine: sled::Db, files: Files) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            waiting: Mutex::new(Waiting { waiters: Vec::new(), open: true }),
            ready: Condvar::new(),
            poison: OnceLock::new(),
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
            waiter(Err(crate::error::closed(Operation::Sync).with_outcome(Outcome::Unknown)));
        }
    }

    /// The answer of a store whose flush has failed: what is in the engine's memory and
    /// what is on disk may differ from then on, so nothing more may be acknowledged.
    pub(crate) fn poisoned(&self, operation: Operation) -> Option<Error> {
        let cause = self.shared.poison.get()?;
        Some(
            error(
                ErrorKind::Closed,
                operation,
                "an earlier flush failed and the store takes no more writes: open it again",
            )
            .with_outcome(Outcome::NotApplied)
            .with_source(cause.clone()),
        )
    }

    /// Runs a last barrier for those that wait, and ends the threads; false where the
    /// engine hangs, and must then not be touched any more. Blocks.
    pub(crate) fn close(&self) -> bool {
        self.shared.waiting.lock().open = false;
        self.shared.ready.notify_all();
        match self.thread.lock().take() {
            Some(thread) => thread.join().is_ok_and(|flush| flush.close()),
            None => true,
        }
    }
}

fn run(shared: &Shared, mut flush: Flush) -> Flush {
    loop {
        let waiters = {
            let mut waiting = shared.waiting.lock();
            while waiting.waiters.is_empty() && waiting.open {
                shared.ready.wait(&mut waiting);
            }
            std::mem::take(&mut waiting.waiters)
        };
        if waiters.is_empty() {
            return flush;
        }
        let result = match shared.poison.get() {
            Some(cause) => Err(cause.clone()),
            None => flush.barrier(),
        };
        if let Err(cause) = &result {
            tracing::error!(error = %cause, "a flush failed; the store takes no more writes");
            drop(shared.poison.set(cause.clone()));
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

    fn barrier(&mut self) -> Result<(), Error> {
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
            let failure = self.engine.context.global_error().err();
            let given_up = match failure {
                Some(cause) if failed_before => crate::error::from_engine(cause, Operation::Sync),
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

    /// Ends the thread; false where it was given up on.
    fn close(mut self) -> bool {
        self.requests = None;
        let healthy = self.thread.take().is_some_and(|thread| thread.join().is_ok());
        if !healthy {
            // Dropping the engine would flush it, and hang as well.
            std::mem::forget(self.engine);
        }
        healthy
    }
}
