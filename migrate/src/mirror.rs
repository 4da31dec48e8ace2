//! Moving a pinset from one store to another while it is written to.
//!
//! A [`Mirror`] stands in the process that writes. It has both stores, the **source** that is
//! left and the **target** that is entered, and gives a [`Namespace`] in the place of the
//! source's. What it does depends on the [`Phase`], which stands with an epoch in a control
//! record of *both* stores:
//!
//! | phase | reads | writes | the step out of it |
//! |---|---|---|---|
//! | idle | source | source | [`advance`](Mirror::advance): waits until every write that had begun before has ended |
//! | mirror | source | source, then target | advance |
//! | backfill | source | source, then target | advance: copies what was there before |
//! | verify | source | source, then target | advance: compares, and repairs until nothing differs |
//! | shadow | source; some on both, compared | source, then target | [`cut_over`](Mirror::cut_over) |
//! | reverse | target; some on both | target, then source | [`roll_back`](Mirror::roll_back) to shadow, or [`finalise`](Mirror::finalise) |
//! | finalised | target | target | |
//! | aborted | source | source | |
//!
//! [`abort`](Mirror::abort) is possible until the end; from reverse it rolls back first.
//!
//! ```no_run
//! # use std::{path::Path, sync::Arc, time::Duration};
//! # use pinstate_core::{Result, State, Store};
//! # use pinstate_migrate::mirror::{Mirror, MirrorOptions, Phase};
//! # async fn example(sled: Arc<dyn Store>, cluster: Arc<dyn Store>) -> Result<()> {
//! let (from, to) = ((sled, "default".parse()?), (cluster, "default".parse()?));
//! let job = Path::new("/var/lib/pinstate/move");
//! let mirror = Mirror::open(from, to, job, MirrorOptions::new()).await?;
//! // What the service works with, from now on and through every phase.
//! let pins = State::new(mirror.namespace(), mirror.clock());
//! # drop(pins);
//! // What an operator asks for, here or with 'pinstate mirror' through a
//! // [`Control`](pinstate_migrate::mirror::Control).
//! while mirror.advance().await?.phase != Phase::Shadow {}
//! mirror.cut_over(Duration::from_secs(2)).await?;
//! mirror.finalise(false).await?;
//! # Ok(()) }
//! ```
//!
//! # Why nothing is lost
//!
//! * **One order.** A write keeps the version that it was drawn, and both stores write it *if
//!   newer*, deletes with hidden markers. So they agree whatever order writes, copies and
//!   repairs arrive in: a backfill never overwrites a newer write and never brings a deleted
//!   key back. Versions come from [`clock`](Mirror::clock), which begins above the marks of
//!   both stores; before a version is written to a store, the clock's mark there is above it,
//!   so that a clock opened on either store alone, later, goes on above all that it holds.
//! * **The journal** has each key on the disk before the first store is touched, and forgets it
//!   when both have answered. A key that is left, because a store failed, an answer was
//!   lost or the process was killed, is repaired under its lock: what the primary holds *now*
//!   is copied, be it a record or its absence. Where the journal cannot be written, the write
//!   is refused before anything was done.
//!   What it cannot say the version of, it writes as of now, and a write that was drawn before
//!   and comes after is refused, certainly not applied: it is to be made again.
//! * **A flip** (cut-over and rollback) holds writes, waits for those under way, repairs what is
//!   left in the journal, waits until the new primary has all on the disk, and only then
//!   writes the phase into both stores. It is given a budget of time; what does not fit into
//!   it changes nothing. Once one record may be written, it goes on until both are, with
//!   writes held: whoever opens the stores after a crash goes on from the higher epoch, and
//!   both hold the same then.
//! * **After it** every write goes back to the source, so a rollback keeps it.
//!
//! # Whose mirror it is
//!
//! One process has a job: it holds a lock on the job's folder, and the records name the job, so
//! a mirror in another folder is refused, on any host. Several writer processes are refused
//! in this way; they cannot share a mirror, since the locks of keys are the process's own. On
//! a store that takes many writers (CQL) nobody else may write to the two namespaces in
//! the meantime, plain writers included: no store can keep out who does not look at the record.
//!
//! # What a mirror does not do
//!
//! Conditions on the present state (`if absent`, `if version`) and atomic batches are
//! `Unsupported`: what holds on one store need not on the other. An unconditional write of a
//! key whose stored version is ahead of the clock is refused as a conflict, as it would be
//! hidden. Cursors name their store, so one from before a flip is refused after it; a scan
//! that has begun goes on where it was. Opening needs both stores.

mod backfill;
#[cfg(unix)]
mod control;
mod floor;
mod folder;
mod front;
mod journal;
mod lock;
mod options;
mod phase;
mod repair;
mod shadow;
mod side;
mod status;
mod steps;
mod write;

use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use pinstate_core::clock::{highest_mark, raise_mark};
use pinstate_core::transfer::StopFlag;
use pinstate_core::{
    Capabilities, Clock, ClockOptions, Error, ErrorKind, Namespace, NamespaceName, Operation,
    Outcome, Result, ScanOptions, ScanStep, Store, Version,
};
use tokio::sync::{Notify, RwLock, Semaphore};
use uuid::Uuid;

#[cfg(unix)]
pub use self::control::{Answer, Control, Fault, Request, ask};
use self::floor::Floors;
use self::folder::{About, Folder};
use self::front::{FrontNamespace, FrontStore};
use self::journal::Journal;
use self::lock::Locks;
pub use self::options::{MirrorOptions, Policy};
pub use self::phase::Phase;
use self::phase::{Place, holder};
pub use self::side::Role;
use self::side::{Pair, Side};
use self::status::Counts;
pub use self::status::Status;

/// Reads of the shadow phase that are compared at the same time.
const SHADOWS: usize = 32;

/// A migration under way. Cheap to clone; the last clone that is dropped frees the folder.
#[derive(Clone)]
pub struct Mirror {
    inner: Arc<Inner>,
}

impl fmt::Debug for Mirror {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mirror")
            .field("job", &self.inner.job)
            .field("phase", &self.inner.pair.phase())
            .finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Inner {
    pair: Arc<Pair>,
    capabilities: Capabilities,
    options: MirrorOptions,
    job: Uuid,
    /// The last epoch that was tried.
    epoch: AtomicU64,
    clock: Arc<Clock>,
    /// Held by each write until it ends, and by a step that changes the phase.
    gate: Arc<RwLock<Phase>>,
    locks: Locks,
    floors: Floors,
    /// Drawn before anybody else draws one: above all that an earlier process has written.
    opened: Version,
    journal: Journal,
    /// Why the secondary is left alone for now.
    down: Mutex<Option<Error>>,
    /// Why no write is let in any more.
    shut: Mutex<Option<Error>>,
    /// Held by the step under way, with what stops it.
    work: Arc<tokio::sync::Mutex<()>>,
    stop: Mutex<StopFlag>,
    fenced: AtomicBool,
    /// Wakes the repair.
    wake: Arc<Notify>,
    shadows: Arc<Semaphore>,
    shadow_percent: AtomicU64,
    counts: Counts,
    /// The last to go: whoever gets its lock finds all at rest.
    folder: Folder,
}

impl Mirror {
    /// Opens a mirror between two namespaces with the job folder `folder`, which is made where
    /// it is not there. A job that was begun goes on in its phase, whatever ended the process;
    /// a new one claims both stores. The target's namespace is made where it is not there.
    ///
    /// Put layers around both stores before: a mirror makes one attempt.
    ///
    /// # Errors
    /// `Locked` where another process or another job has it; `Conflict` where the target is
    /// not empty and a job begins; `InvalidInput` for another pair of stores than the folder's;
    /// what keeps a store, the folder or the journal from being opened.
    pub async fn open(
        source: (Arc<dyn Store>, NamespaceName),
        target: (Arc<dyn Store>, NamespaceName),
        folder: &Path,
        options: MirrorOptions,
    ) -> Result<Self> {
        let folder = Folder::open(folder)?;
        let identity = |(store, name): &(Arc<dyn Store>, NamespaceName)| {
            (store.identity().uuid, name.to_string())
        };
        let (from, to) = (identity(&source), identity(&target));
        if from == to {
            let what = "source and target are the same namespace of the same store";
            return Err(Error::new(ErrorKind::InvalidInput, Operation::Mirror, what));
        }
        let about = folder.about()?;
        if about.as_ref().is_some_and(|about| (&about.source, &about.target) != (&from, &to)) {
            let what = "the folder is about other stores: choose another, or name those";
            return Err(Error::new(ErrorKind::InvalidInput, Operation::Mirror, what));
        }
        let side = async |(store, name): (Arc<dyn Store>, NamespaceName), make: bool| {
            let opened = match store.open_namespace(&name).await {
                Err(error) if make && error.kind() == ErrorKind::NoNamespace => {
                    store.create_namespace(&name).await?;
                    store.open_namespace(&name).await
                }
                opened => opened,
            };
            Ok::<_, Error>(Side::new(store, opened?, name, options.writer.clone()))
        };
        let (source, target) = (side(source, false).await?, side(target, true).await?);
        let pair = Pair::new(source, target, Phase::Idle);
        let place = place(&pair, &folder, about, &options).await?;
        pair.enter(place.phase);
        let journal = Journal::open(&folder.file("journal"))?;
        let primary = pair.primary();
        let many = !primary.store.capabilities().exclusive_open;
        if journal.depth() > 0 && many && primary.store.capabilities().persistent {
            // What the process that died had sent may still be applied.
            tokio::time::sleep(options.settle).await;
        }
        for role in [Role::Source, Role::Target] {
            if let Some(mark) = highest_mark(&*pair.side(role).store).await? {
                raise_mark(&*primary.store, &options.writer, mark).await?;
            }
        }
        let pair = Arc::new(pair);
        let capabilities = pair.capabilities();
        let front = FrontStore {
            pair: Arc::clone(&pair),
            capabilities: capabilities.clone(),
            inner: Weak::new(),
        };
        let clock = ClockOptions::new().with_writer(options.writer.clone());
        let clock = Arc::new(Clock::open(Arc::new(front), clock).await?);
        let opened = clock.draw().await?;
        let inner = Arc::new(Inner {
            pair,
            capabilities,
            job: place.job,
            epoch: AtomicU64::new(place.epoch),
            clock,
            gate: Arc::new(RwLock::new(place.phase)),
            locks: Locks::new(),
            floors: Floors::new(),
            opened,
            journal,
            down: Mutex::default(),
            shut: Mutex::default(),
            work: Arc::default(),
            stop: Mutex::default(),
            fenced: AtomicBool::new(false),
            wake: Arc::default(),
            shadows: Arc::new(Semaphore::new(SHADOWS)),
            shadow_percent: AtomicU64::new(options.shadow_percent.min(100).into()),
            counts: Counts::default(),
            folder,
            options,
        });
        if let Some(pause) = inner.options.repair_pause {
            tokio::spawn(repair::keep_repairing(Arc::downgrade(&inner), pause));
        }
        Ok(Self { inner })
    }

    /// The namespace that is mirrored: what a [`State`](pinstate_core::State) stands on.
    #[must_use]
    pub fn namespace(&self) -> Arc<dyn Namespace> {
        Arc::new(FrontNamespace { inner: Arc::clone(&self.inner) })
    }

    /// A store whose namespace of the name of the mirrored one is this, and which is otherwise
    /// the store that answers now.
    #[must_use]
    pub fn store(&self) -> Arc<dyn Store> {
        Arc::new(FrontStore {
            pair: Arc::clone(&self.inner.pair),
            capabilities: self.inner.capabilities.clone(),
            inner: Arc::downgrade(&self.inner),
        })
    }

    /// The clock that versions of writes are to be drawn from. It is above all that either
    /// store holds, and its marks are kept in both.
    #[must_use]
    pub fn clock(&self) -> Arc<Clock> {
        Arc::clone(&self.inner.clock)
    }

    /// How it is.
    #[must_use]
    pub fn status(&self) -> Status {
        self.inner.status()
    }

    /// Does what the phase is there for, and enters the next one. What was stopped goes on
    /// where it was.
    ///
    /// # Errors
    /// `InvalidInput` in a phase that ends otherwise; `Conflict` while a step is under way, or
    /// where the stores do not become the same; `Cancelled` by an abort; the stores'.
    pub async fn advance(&self) -> Result<Status> {
        let _step = self.inner.step()?;
        self.inner.advance().await?;
        Ok(self.status())
    }

    /// Makes the target the primary. Returns how long writes were held.
    ///
    /// # Errors
    /// `Timeout` where it cannot be done within `budget`, with nothing changed; and as
    /// [`advance`](Self::advance).
    pub async fn cut_over(&self, budget: Duration) -> Result<Duration> {
        let _step = self.inner.step()?;
        self.inner.cut_over(budget).await
    }

    /// Makes the source the primary again, with all that was written since the cut-over.
    /// Returns how long writes were held.
    ///
    /// # Errors
    /// As [`cut_over`](Self::cut_over).
    pub async fn roll_back(&self, budget: Duration) -> Result<Duration> {
        let _step = self.inner.step()?;
        self.inner.roll_back(budget).await
    }

    /// Leaves the source for good. Unless they are to be kept, drops the hidden markers of
    /// deletes from the target, and returns how many.
    ///
    /// # Errors
    /// As [`advance`](Self::advance).
    pub async fn finalise(&self, keep_markers: bool) -> Result<u64> {
        let _step = self.inner.step()?;
        self.inner.finalise(keep_markers).await
    }

    /// Gives the migration up: the source alone is left, with all that was written, since the
    /// cut-over too. A step under way is stopped first. The target keeps what it has.
    ///
    /// # Errors
    /// As [`cut_over`](Self::cut_over); `budget` is that of the rollback, where there is one.
    pub async fn abort(&self, budget: Duration) -> Result<()> {
        self.inner.stop.lock().stop();
        let _step = self.inner.work.lock().await;
        self.inner.abort(budget).await
    }

    /// Sets of how many of every hundred reads in the phases shadow and reverse are made on
    /// both stores.
    pub fn set_shadow(&self, percent: u8) {
        self.inner.shadow_percent.store(percent.min(100).into(), Ordering::Relaxed);
    }

    /// Repairs the keys that are in the journal now; how many are left.
    ///
    /// # Errors
    /// The first failure of a store.
    pub async fn repair(&self) -> Result<usize> {
        self.inner.repair().await
    }

    /// Lets no more writes in and waits for those under way. The stores stay open.
    pub async fn close(&self) {
        self.inner.stop.lock().stop();
        let what = "the mirror was closed";
        let closed = Error::new(ErrorKind::Closed, Operation::Mirror, what);
        *self.inner.shut.lock() = Some(closed.with_outcome(Outcome::NotApplied));
        drop(self.inner.gate.write().await);
    }
}

/// Where the migration is, by the records of both stores; the one that is behind is brought
/// forward. A new one is claimed.
async fn place(
    pair: &Pair,
    folder: &Folder,
    about: Option<About>,
    options: &MirrorOptions,
) -> Result<Place> {
    let mut found = Vec::new();
    for role in [Role::Source, Role::Target] {
        found.extend(pair.read_place(role).await?.map(|(place, _)| place));
    }
    let job = about.map(|about| about.job);
    if let Some(other) =
        found.iter().find(|place| Some(place.job) != job && !place.phase.has_ended())
    {
        return Err(other.taken_over());
    }
    let ours: Vec<&Place> = found.iter().filter(|place| Some(place.job) == job).collect();
    let claim = match ours.iter().max_by_key(|place| place.epoch) {
        Some(place) if ours.len() == 2 || place.phase == Phase::Idle => Place::clone(place),
        Some(place) => {
            let what = "one of the stores does not know of this mirror: is it the right one?";
            return Err(Error::new(ErrorKind::Conflict, Operation::Mirror, what)
                .with_context("phase of the other", place.phase));
        }
        None => {
            if !options.overwrite {
                empty(pair.side(Role::Target)).await?;
            }
            let id = |role| {
                let side = pair.side(role);
                (side.store.identity().uuid, side.name.to_string())
            };
            let (source, target) = (id(Role::Source), id(Role::Target));
            let epoch = found.iter().map(|place| place.epoch).max().unwrap_or(0) + 1;
            let job = Uuid::new_v4();
            let claim = Place {
                job,
                source: source.0,
                target: target.0,
                phase: Phase::Idle,
                epoch,
                holder: holder(),
            };
            // What a job that has ended left here says nothing of this one.
            folder.remove("journal")?;
            folder.remove(backfill::FILE)?;
            folder.set_about(&About { job, source, target })?;
            claim
        }
    };
    let written = pair.write_place(&claim, Role::Source, false).await;
    written.map_err(phase::Stopped::into_error)?;
    Ok(claim)
}

/// An error where the target has a record.
async fn empty(side: &Side) -> Result<()> {
    let options = ScanOptions::new().keys_only().with_page_rows(1);
    let mut scan = side.namespace.scan(options).await?;
    loop {
        match scan.next().await? {
            ScanStep::End(_) => return Ok(()),
            ScanStep::Page(page) if page.items.is_empty() => {}
            ScanStep::Page(_) => {
                let what = "the target has records already, which the source may not have: \
                            empty it, or say that they may be overwritten and deleted";
                return Err(Error::new(ErrorKind::Conflict, Operation::Mirror, what)
                    .with_context("namespace", &side.name));
            }
        }
    }
}
