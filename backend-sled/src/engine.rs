//! The opened engine with its workers: where every call crosses from async to blocking.
//!
//! | threads | what |
//! |---|---|
//! | readers | point reads that may be slow ([`Pace`]), splits |
//! | scanners | scans and counts, so that they do not stand in the way of point reads |
//! | one writer | every write, in the order of arrival |
//! | commit and flush | barriers, see [`commit`](crate::commit) |

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use pinstate_core::{Error, ErrorKind, NamespaceName, Operation, Outcome, Result};
use tokio::sync::oneshot;

use crate::catalog::last_barrier;
use crate::commit::Committer;
use crate::config::SledConfig;
use crate::directory::{Directory, Marker};
use crate::durability::{Files, Safety, check_end};
use crate::error::{closed, error, from_engine, from_io, panicked};
use crate::room::Room;
use pinstate_embedded::{Lost, Pace, Pool};

/// Reads that wait or are at work; more make their callers wait.
const READ_QUEUE: u32 = 1_024;
/// Writes that wait, are at work or wait for their barrier, in KiB.
const WRITE_QUEUE_KIB: u32 = 8 << 10;
/// How long the engine's own lock may outlive a store that was just closed: its background
/// threads finish a little later.
const LINGER: Duration = Duration::from_secs(5);
/// How long an engine that has failed may take to close.
const PATIENCE: Duration = Duration::from_secs(2);

/// The rooms of the namespaces there are.
pub(crate) type Rooms = Arc<Mutex<BTreeMap<NamespaceName, Arc<Room>>>>;

/// The opened engine. Jobs must not hold it: dropping it ends the threads they run on.
pub(crate) struct Engine {
    db: Arc<RwLock<Option<sled::Db>>>,
    pub(crate) rooms: Rooms,
    pace: Pace,
    readers: Pool,
    scanners: Arc<Pool>,
    writer: Pool,
    committer: Arc<Committer>,
    directory: Mutex<Option<Directory>>,
    /// Whether the file system makes every single write of the engine durable.
    pub(crate) synchronous: bool,
}

impl Engine {
    /// Opens the engine. `prepare` sees it first: it writes what a new store begins with,
    /// whose marker follows when that is durable, and gives the rooms. Blocks.
    pub(crate) fn open(
        config: &SledConfig,
        prepare: impl FnOnce(&sled::Db, Marker, bool) -> Result<BTreeMap<NamespaceName, Arc<Room>>>,
    ) -> Result<(Self, Marker)> {
        let io = |e| from_io(e, Operation::Open);
        let mut directory = Directory::open(&config.path, config.create)?;
        let cores = Pool::fitting();
        let scanners = Pool::start("pinstate-scan", cores, READ_QUEUE).map_err(io)?;
        // A scan replaces what opening makes of every page. Made on the same thread, the one
        // can use the memory of the other, see [`Pool`].
        let opening = {
            let (folder, config) = (directory.path().to_owned(), config.clone());
            move || open_database(&folder, &config)
        };
        let db =
            scanners.run_blocking(opening).map_err(|lost| explain(lost, Operation::Open))??;
        let (marker, is_new) = match directory.marker {
            Some(marker) => (marker, false),
            None => (Marker::new(), true),
        };
        // What the engine asserts may be met in the first pages, too.
        let prepared = catch_unwind(AssertUnwindSafe(|| {
            let barrier = last_barrier(&db)?;
            check_end(directory.path(), barrier)?;
            Ok((barrier, prepare(&db, marker, is_new)?))
        }));
        let (barrier, rooms) = prepared.unwrap_or_else(|_| Err(stumbled()))?;
        let mut files = Files::open(directory.path(), config.durability, barrier).map_err(io)?;
        files.barrier(&db)?;
        if is_new {
            directory.finish_creation(marker).map_err(io)?;
        }
        let synchronous = files.are_synchronous();
        let engine = Self {
            committer: Arc::new(Committer::start(db.clone(), files).map_err(io)?),
            db: Arc::new(RwLock::new(Some(db))),
            rooms: Arc::new(Mutex::new(rooms)),
            pace: Pace::default(),
            readers: Pool::start("pinstate-read", cores, READ_QUEUE).map_err(io)?,
            scanners: Arc::new(scanners),
            writer: Pool::start("pinstate-write", 1, WRITE_QUEUE_KIB).map_err(io)?,
            directory: Mutex::new(Some(directory)),
            synchronous,
        };
        Ok((engine, marker))
    }

    /// A way into the engine for jobs, which must not keep it open.
    pub(crate) fn entrance(&self) -> Entrance {
        Entrance(Arc::clone(&self.db))
    }

    /// What runs barriers, as long as the store is open.
    pub(crate) fn open_committer(&self) -> Option<&Committer> {
        self.db.read().as_ref().map(|_| &*self.committer)
    }

    /// The answer to writes where a flush has failed.
    pub(crate) fn poisoned(&self, operation: Operation) -> Option<Error> {
        self.committer.poisoned(operation)
    }

    /// Reads on the caller's own thread, where that is likely to be quick and `job` can
    /// begin at once.
    pub(crate) fn read_here<T>(
        &self,
        operation: Operation,
        job: impl FnOnce() -> Option<Result<T>>,
    ) -> Option<Result<T>> {
        self.pace.here(|| {
            // The engine asserts much of what it reads.
            catch_unwind(AssertUnwindSafe(job)).unwrap_or_else(|_| Some(Err(panicked(operation))))
        })
    }

    /// Reads on a worker.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        operation: Operation,
        job: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.readers.run(job).await.map_err(|lost| explain(lost, operation))?
    }

    /// Reads many rows one after the other, on a worker for that.
    pub(crate) async fn read_through<T: Send + 'static>(
        &self,
        operation: Operation,
        job: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.scanners.run(job).await.map_err(|lost| explain(lost, operation))?
    }

    /// The threads for scans.
    pub(crate) fn scanners(&self) -> &Arc<Pool> {
        &self.scanners
    }

    /// Writes on the writer, then waits for a barrier. `bytes` is the size of what the job
    /// carries.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        operation: Operation,
        bytes: usize,
        job: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let size = u32::try_from(bytes >> 10).unwrap_or(u32::MAX).saturating_add(1);
        let permit = self.writer.reserve(size).await.map_err(|e| explain(e, operation))?;
        let (answer, answered) = oneshot::channel();
        let committer = Arc::clone(&self.committer);
        let queued = self.writer.push(permit, move |permit| {
            if let Some(refusal) = committer.poisoned(operation) {
                drop(answer.send(Err(refusal)));
                return None;
            }
            let result = catch_unwind(AssertUnwindSafe(job));
            match result.unwrap_or_else(|_| Err(panicked(operation))) {
                Err(failure) => {
                    if failure.outcome() == Outcome::Unknown {
                        committer.poison(&failure);
                    }
                    drop(answer.send(Err(failure)));
                }
                // Also where nothing was changed: the state that the answer speaks of may
                // have been written a moment ago, and must not be lost after it.
                Ok(value) => committer.wait(Box::new(move |barrier: Result<()>| {
                    drop(permit);
                    let result = barrier.map(|()| value).map_err(|e| e.with_operation(operation));
                    drop(answer.send(result));
                })),
            }
            None
        });
        queued.map_err(|lost| explain(lost, operation))?;
        answered.await.map_err(|_| explain(Lost::Panicked, operation))?
    }

    /// Works off what is queued, runs a last barrier, and frees everything. Blocks. Calling
    /// it again does nothing.
    pub(crate) fn shut_down(&self) {
        self.writer.close();
        let healthy = self.committer.close();
        self.scanners.close();
        self.readers.close();
        let trees: Vec<_> =
            self.rooms.lock().values().filter_map(|room| room.shut_closed()).collect();
        let db = self.db.write().take();
        let engine = move || drop((trees, db));
        if healthy {
            engine();
        } else {
            drop_sick(engine);
        }
        drop(self.directory.lock().take());
    }
}

/// Drops an engine that has failed. Dropping flushes, which may never come back then; it is
/// waited for a little, and otherwise left behind with its lock, until the process ends.
fn drop_sick(engine: impl FnOnce() + Send + 'static) {
    let (done, finished) = std::sync::mpsc::channel();
    let dropping = std::thread::Builder::new().name("pinstate-drop".into()).spawn(move || {
        drop(catch_unwind(AssertUnwindSafe(engine)));
        let _ = done.send(());
    });
    if dropping.is_err() || finished.recv_timeout(PATIENCE).is_err() {
        tracing::error!("the engine hangs; its files stay locked until this process ends");
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.shut_down();
    }
}

/// A way into the engine's default tree that does not keep it open.
#[derive(Clone)]
pub(crate) struct Entrance(Arc<RwLock<Option<sled::Db>>>);

impl Entrance {
    /// Works with the engine, unless it was closed.
    pub(crate) fn enter<T>(
        &self,
        operation: Operation,
        work: impl FnOnce(&sled::Db) -> Result<T>,
    ) -> Result<T> {
        work(self.0.read().as_ref().ok_or_else(|| closed(operation))?)
    }
}

pub(crate) fn explain(lost: Lost, operation: Operation) -> Error {
    match lost {
        Lost::Closed => closed(operation),
        Lost::Panicked => panicked(operation),
    }
}

fn open_database(folder: &Path, config: &SledConfig) -> Result<sled::Db> {
    let at = |e: Error| e.with_context("path", config.path.display());
    // The engine's own flusher stays on: without it memory grows without bound.
    let options = sled::Config::new().path(folder).cache_capacity(config.cache.0);
    let began = Instant::now();
    loop {
        // The engine asserts much of what it reads.
        match catch_unwind(AssertUnwindSafe(|| options.open())) {
            Ok(Ok(db)) => return Ok(db),
            Ok(Err(e)) if is_lock_failure(&e) => {
                if began.elapsed() > LINGER {
                    return Err(at(error(
                        ErrorKind::Locked,
                        Operation::Open,
                        "another program has the engine's files open: close it first",
                    )));
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            Ok(Err(e)) => return Err(at(from_engine(e, Operation::Open))),
            Err(_) => return Err(at(stumbled())),
        }
    }
}

fn stumbled() -> Error {
    error(
        ErrorKind::Corrupt,
        Operation::Open,
        "the engine stumbled over its files: restore a backup or import an export",
    )
}

/// The engine has no error of its own for this: it wraps the refusal in a text.
fn is_lock_failure(error: &sled::Error) -> bool {
    matches!(error, sled::Error::Io(e) if e.to_string().starts_with("could not acquire lock"))
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}

/// What the engine was told to be safe from, as the contract calls it.
impl From<Safety> for pinstate_core::Durability {
    fn from(safety: Safety) -> Self {
        match safety {
            Safety::Power => Self::Power,
            Safety::Process => Self::Process,
        }
    }
}
