//! A job from its beginning to its end, or from where it was left.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use pinstate_core::clock::{DEFAULT_WRITER, raise_mark};
use pinstate_core::transfer::StopFlag;
use pinstate_core::{
    Clock, ClockOptions, Error, ErrorKind, NamespaceName, Operation, Result, Version,
};
use uuid::Uuid;

use super::certificate::Certificate;
use super::copy::{Copier, Unfinished, remember};
use super::folder::{JobFolder, Lock, host};
use super::ledger::{
    Checkpoint, Counts, Ended, Event, Header, Ledger, Phase, Run, Standing, Verified,
};
use super::letters::bytes_of;
use super::orders::Orders;
use super::progress::{Board, Progress};
use super::settings::{Mode, Settings, Tuning, differences};
use super::source::Source;
use super::target::Target;
use super::throttle::Throttle;
use super::verify::{Copied, Verifying};
use super::watch::{Step, Unwatched, Watch};
use super::write::Writer;
use crate::difference::Difference;

/// Parts of the source for each worker.
const PARTS: usize = 8;
/// How often orders are looked for, and the status is told.
const TICK: Duration = Duration::from_millis(250);
/// Where the status is told.
const STATUS: &str = "status.json";

/// A job that this process works on.
pub struct Job {
    pub(super) folder: JobFolder,
    _lock: Lock,
    pub(super) ledger: Arc<Mutex<Ledger>>,
    pub(super) standing: Standing,
    pub(super) source: Arc<dyn Source>,
    pub(super) target: Target,
    pub(super) tuning: Tuning,
    pub(super) stop: StopFlag,
    watch: Arc<dyn Watch>,
    expected: Option<u64>,
    continued: bool,
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job").field("folder", &self.folder).finish_non_exhaustive()
    }
}

/// What a job came to.
#[derive(Debug)]
#[non_exhaustive]
pub struct Report {
    /// Where its folder is.
    pub folder: JobFolder,
    /// Where it stands.
    pub phase: Phase,
    /// What was done with the records.
    pub counts: Counts,
    /// Dead letters that are still there.
    pub dead: u64,
    /// What the comparison came to.
    pub verified: Option<Verified>,
    /// Records that are not as they should be, where they were looked for.
    pub differences: Vec<Difference>,
}

impl Job {
    /// Begins a job from `source` to `target`, or goes on with the unfinished one that there
    /// is among `jobs`.
    ///
    /// # Errors
    /// `Locked` while another process works on it, or another job fills the target;
    /// `InvalidInput` where it was told something else before, with what; `Conflict` for a
    /// target that has records and should have none, or a source that is no longer what it was.
    pub async fn open(
        jobs: &Path,
        source: Arc<dyn Source>,
        target: Target,
        settings: &Settings,
        tuning: Tuning,
    ) -> Result<Self> {
        let (from, to) = (source.identity(), target.identity());
        if from.is(&to) {
            let message = "source and target are the same namespace";
            return Err(Error::new(ErrorKind::InvalidInput, Operation::Migrate, message));
        }
        let unfinished = JobFolder::unfinished(jobs, &from, &to)?;
        let continued = unfinished.is_some();
        let (folder, lock, ledger, standing) = match unfinished {
            Some((folder, _)) => {
                let lock = folder.lock()?;
                let (ledger, standing) = Ledger::open(&folder.ledger())?;
                check_same(&folder, &standing.header, &*source, settings)?;
                (folder, lock, ledger, standing)
            }
            None => Self::begin(jobs, &*source, &target, settings, &tuning).await?,
        };
        let job = standing.header.job.to_string();
        target.claim(&job).await?;
        Ok(Self {
            folder,
            _lock: lock,
            ledger: Arc::new(Mutex::new(ledger)),
            standing,
            expected: source.estimate().await?,
            source,
            target,
            tuning,
            stop: StopFlag::new(),
            watch: Arc::new(Unwatched),
            continued,
        })
    }

    /// Opens the job in a folder, whether it is over or not, to do something about it.
    ///
    /// # Errors
    /// `Locked` while another process works on it; `InvalidInput` for a source or target that
    /// is not its own.
    pub async fn reopen(
        folder: JobFolder,
        source: Arc<dyn Source>,
        target: Target,
        tuning: Tuning,
    ) -> Result<Self> {
        let lock = folder.lock()?;
        let (ledger, standing) = Ledger::open(&folder.ledger())?;
        let header = &standing.header;
        if !header.source.is_about(&source.identity()) || !header.target.is(&target.identity()) {
            let message = format!(
                "the job in {} is from {} to {}",
                folder.path().display(),
                header.source.name,
                header.target.name
            );
            return Err(Error::new(ErrorKind::InvalidInput, Operation::Migrate, message));
        }
        Ok(Self {
            folder,
            _lock: lock,
            ledger: Arc::new(Mutex::new(ledger)),
            standing,
            expected: None,
            source,
            target,
            tuning,
            stop: StopFlag::new(),
            watch: Arc::new(Unwatched),
            continued: true,
        })
    }

    async fn begin(
        jobs: &Path,
        source: &dyn Source,
        target: &Target,
        settings: &Settings,
        tuning: &Tuning,
    ) -> Result<(JobFolder, Lock, Ledger, Standing)> {
        target.check(settings.mode)?;
        if settings.mode == Mode::FailIfNotEmpty && !target.is_empty().await? {
            let message = "the target has records already: choose what happens to them (merge, \
                           if-newer, replace), or another namespace";
            return Err(Error::new(ErrorKind::Conflict, Operation::Migrate, message));
        }
        let job = Uuid::new_v4();
        let clock = Clock::open(Arc::clone(&target.store), ClockOptions::new()).await?;
        let staging = match settings.mode {
            Mode::Replace => Some(target.staging().await?.to_string()),
            _ => None,
        };
        let header = Header {
            job,
            version: clock.draw().await?.micros(),
            source: source.identity(),
            target: target.identity(),
            settings: settings.clone(),
            secret: format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple()),
            staging,
            parts: source.parts(tuning.workers.max(1) * PARTS).await?,
        };
        target.claim(&job.to_string()).await?;
        let folder = JobFolder::create(jobs, job)?;
        let lock = folder.lock()?;
        drop(Ledger::create(&folder.ledger(), &header)?);
        let (ledger, standing) = Ledger::open(&folder.ledger())?;
        Ok((folder, lock, ledger, standing))
    }

    /// Tells `watch` of each step.
    #[must_use]
    pub fn watched(mut self, watch: Arc<dyn Watch>) -> Self {
        self.watch = watch;
        self
    }

    /// Can be asked to stop: what was begun is then remembered, and the job can go on later.
    #[must_use]
    pub fn stopped_by(mut self, stop: StopFlag) -> Self {
        self.stop = stop;
        self
    }

    /// Where its folder is.
    #[must_use]
    pub fn folder(&self) -> &JobFolder {
        &self.folder
    }

    /// Whether it was begun before.
    #[must_use]
    pub fn is_continued(&self) -> bool {
        self.continued
    }

    /// What was done with the records so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.standing.counts()
    }

    /// Works on the job until it is over, it is asked to stop, or something fails: it can go
    /// on from there.
    ///
    /// # Errors
    /// `Cancelled` if it was asked to stop, what keeps the source from being read or the target
    /// from being written, `InvalidInput` for too many dead letters.
    pub async fn run(mut self) -> Result<Report> {
        self.watch.at(Step::Begun);
        let throttle =
            Arc::new(Throttle::new(Orders::of(&self.folder)?, self.stop.clone(), seconds));
        let retries = Arc::new(AtomicU64::new(0));
        let board = Arc::new(Board::new(Progress {
            phase: self.standing.phase,
            parts: (self.standing.complete(), self.standing.header.parts.len()),
            counts: self.standing.counts(),
            expected: self.expected,
            ..Progress::default()
        }));
        self.remember(vec![Event::RunBegan(Run {
            began: seconds(),
            pid: std::process::id(),
            host: host(),
            program: env!("CARGO_PKG_VERSION").to_owned(),
            workers: self.tuning.workers,
            page_rows: self.tuning.page_rows,
            ended: None,
        })])
        .await?;
        let aside = Aside {
            folder: self.folder.clone(),
            ledger: Arc::clone(&self.ledger),
            throttle: Arc::clone(&throttle),
            board: Arc::clone(&board),
            retries: Arc::clone(&retries),
            stop: self.stop.clone(),
        };
        let aborted = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let looking = tokio::spawn(aside.clone().look_on(Arc::clone(&aborted)));
        let done = self.phases(&throttle, &retries, &board).await;
        looking.abort();
        let ended = Ended {
            at: seconds(),
            throttled: throttle.waited(),
            retries: retries.load(Ordering::Relaxed),
            error: done.as_ref().err().map(ToString::to_string),
        };
        let told = self.remember(vec![Event::RunEnded(ended)]).await;
        if aborted.load(Ordering::Acquire) {
            return self.abort().await;
        }
        let differences = done?;
        told?;
        self.certify()?;
        aside.tell()?;
        Ok(self.report(differences))
    }

    async fn phases(
        &mut self,
        throttle: &Arc<Throttle>,
        retries: &Arc<AtomicU64>,
        board: &Arc<Board>,
    ) -> Result<Vec<Difference>> {
        let staging = self.staging()?;
        let mut differences = Vec::new();
        loop {
            board.phase(self.standing.phase);
            match self.standing.phase {
                Phase::Copying => {
                    let namespace = self.target.prepare(staging.as_ref()).await?;
                    self.watch.at(Step::Prepared);
                    let copier = self.copier(namespace, throttle, retries, board).await?;
                    copier.run(self.unfinished()).await?;
                    self.standing = self.peek()?;
                    let newest = self.standing.parts.values().map(|part| part.newest).max();
                    self.raise_clock(newest.unwrap_or(i64::MIN)).await?;
                    self.enter(Phase::Verifying).await?;
                    self.watch.at(Step::Copied);
                }
                Phase::Verifying => {
                    let (verified, wrong) = self.verify(staging.as_ref()).await?;
                    let next = match (verified.equal, &staging) {
                        (false, _) => Phase::Different,
                        (true, Some(_)) => Phase::Replacing,
                        (true, None) => Phase::Done,
                    };
                    differences = wrong;
                    self.remember(vec![Event::Verified(verified)]).await?;
                    self.watch.at(Step::Compared);
                    if next == Phase::Replacing {
                        self.enter(next).await?;
                        self.watch.at(Step::Replacing);
                        continue;
                    }
                    if let (Phase::Different, Some(staging)) = (next, &staging) {
                        self.target.discard(staging).await?;
                    }
                    self.end(next).await?;
                }
                Phase::Replacing => {
                    if let Some(staging) = &staging {
                        self.target.replace(staging).await?;
                    }
                    self.target.store.sync().await?;
                    self.watch.at(Step::Replaced);
                    self.end(Phase::Done).await?;
                }
                Phase::Done | Phase::Different | Phase::Aborted => return Ok(differences),
            }
        }
    }

    /// Gives the job up. What was copied into a namespace that others use stays there.
    ///
    /// # Errors
    /// If the target cannot be told, or the ledger cannot be written.
    pub async fn abort(mut self) -> Result<Report> {
        if let Some(staging) = self.staging()? {
            self.target.discard(&staging).await?;
        }
        self.end(Phase::Aborted).await?;
        self.certify()?;
        Ok(self.report(Vec::new()))
    }

    pub(super) fn report(self, differences: Vec<Difference>) -> Report {
        Report {
            phase: self.standing.phase,
            counts: self.standing.counts(),
            dead: self.standing.dead(),
            verified: self.standing.verified.clone(),
            folder: self.folder,
            differences,
        }
    }

    pub(super) async fn copier(
        &self,
        namespace: Arc<dyn pinstate_core::Namespace>,
        throttle: &Arc<Throttle>,
        retries: &Arc<AtomicU64>,
        board: &Arc<Board>,
    ) -> Result<Copier> {
        let header = &self.standing.header;
        let merge = header.settings.mode == Mode::Merge;
        let clock = if merge {
            let clock = Clock::open(Arc::clone(&self.target.store), ClockOptions::new()).await?;
            Some(Arc::new(clock))
        } else {
            None
        };
        Ok(Copier {
            source: Arc::clone(&self.source),
            store: Arc::clone(&self.target.store),
            writer: Writer {
                namespace,
                if_newer: !merge,
                tuning: self.tuning.clone(),
                throttle: Arc::clone(throttle),
                retries: Arc::clone(retries),
            },
            rules: Arc::new(header.settings.rules.compile()?),
            clock,
            base: Version(header.version),
            secret: secret(header)?,
            tuning: self.tuning.clone(),
            throttle: Arc::clone(throttle),
            stop: self.stop.clone(),
            board: Arc::clone(board),
            watch: Arc::clone(&self.watch),
            ledger: Arc::clone(&self.ledger),
        })
    }

    /// Parts that are not complete, so that none of a cluster's nodes has them all in a row.
    fn unfinished(&self) -> Vec<Unfinished> {
        let parts = self.standing.header.parts.iter().cloned().zip(0..);
        let mut parts: Vec<Unfinished> = parts
            .filter_map(|(text, part)| {
                let reached = match self.standing.parts.get(&part) {
                    Some(reached) if reached.after.is_none() => return None,
                    Some(reached) => reached.clone(),
                    None => Checkpoint { part, newest: i64::MIN, ..Checkpoint::default() },
                };
                Some(Unfinished { text, reached })
            })
            .collect();
        let order = |part: &Unfinished| blake_order(&self.standing.header.secret, &part.text);
        parts.sort_by_key(order);
        parts
    }

    async fn verify(
        &mut self,
        staging: Option<&NamespaceName>,
    ) -> Result<(Verified, Vec<Difference>)> {
        let header = &self.standing.header;
        let durability = self.target.store.sync().await?.to_string();
        let mut dead = HashSet::new();
        Ledger::letters(&self.folder.ledger(), |letter| {
            dead.extend(letter.key.as_deref().map(bytes_of).transpose()?);
            Ok(())
        })?;
        let mut copied = Copied { rows: self.standing.counts().written, sum: 0 };
        for part in self.standing.parts.values() {
            let sum = u128::from_str_radix(&part.sum, 16).unwrap_or_default();
            copied.sum = copied.sum.wrapping_add(sum);
        }
        let name = staging.unwrap_or(&self.target.namespace);
        let verifying = Verifying {
            source: Arc::clone(&self.source),
            target: self.target.store.open_namespace(name).await?,
            rules: Arc::new(header.settings.rules.compile()?),
            mode: header.settings.mode,
            secret: secret(header)?,
            base: header.version,
            dead,
            workers: self.tuning.workers.max(1),
            stop: self.stop.clone(),
            recheck: self.tuning.recheck,
        };
        verifying.run(copied, seconds(), durability).await
    }

    /// Sees to it that whatever is written to the target from now on is newer than what was
    /// copied.
    pub(super) async fn raise_clock(&self, newest: i64) -> Result<()> {
        if newest > i64::MIN {
            raise_mark(&*self.target.store, DEFAULT_WRITER, Version(newest)).await?;
        }
        Ok(())
    }

    fn peek(&self) -> Result<Standing> {
        Ledger::peek(&self.folder.ledger())
    }

    /// Gives the target back, and then ends: what is over must not keep others out.
    async fn end(&mut self, phase: Phase) -> Result<()> {
        self.target.release(&self.standing.header.job.to_string()).await?;
        self.enter(phase).await?;
        self.watch.at(Step::Over);
        Ok(())
    }

    async fn enter(&mut self, phase: Phase) -> Result<()> {
        self.remember(vec![Event::Phase(phase)]).await
    }

    /// Remembers these, and takes over what workers have remembered in the meantime.
    pub(super) async fn remember(&mut self, events: Vec<Event>) -> Result<()> {
        remember(&self.ledger, events).await?;
        self.standing = self.peek()?;
        Ok(())
    }

    fn staging(&self) -> Result<Option<NamespaceName>> {
        self.standing.header.staging.as_deref().map(str::parse).transpose()
    }

    pub(super) fn certify(&self) -> Result<()> {
        if !self.standing.phase.is_over() {
            return Ok(());
        }
        let certificate = Certificate::of(&self.standing);
        self.folder.write("certificate.json", certificate.json().as_bytes(), true)?;
        self.folder.write("certificate.html", certificate.html().as_bytes(), true)
    }
}

/// What goes on beside the work: orders are looked for, and the status is told.
#[derive(Clone)]
struct Aside {
    folder: JobFolder,
    ledger: Arc<Mutex<Ledger>>,
    throttle: Arc<Throttle>,
    board: Arc<Board>,
    retries: Arc<AtomicU64>,
    stop: StopFlag,
}

impl Aside {
    async fn look_on(self, aborted: Arc<std::sync::atomic::AtomicBool>) {
        loop {
            // Whoever looks on must not be what stops the job.
            let _ = self.tell();
            tokio::time::sleep(TICK).await;
            let Ok(orders) = Orders::of(&self.folder) else { continue };
            if orders.abort {
                aborted.store(true, Ordering::Release);
                self.stop.stop();
            }
            let note = serde_json::to_string(&orders).unwrap_or_default();
            if self.throttle.follow(orders) {
                let note = Event::Note(format!("orders at {}: {note}", seconds()));
                let _ = remember(&self.ledger, vec![note]).await;
            }
        }
    }

    fn tell(&self) -> Result<()> {
        let retries = self.retries.load(Ordering::Relaxed);
        let progress = self.board.now(retries, self.throttle.reason());
        let json = serde_json::to_vec(&progress).unwrap_or_default();
        self.folder.write(STATUS, &json, false)
    }
}

/// How far the job in a folder is, and whether somebody works on it.
///
/// # Errors
/// If its ledger cannot be read.
pub fn status(folder: &JobFolder) -> Result<(Progress, bool)> {
    let standing = Ledger::peek(&folder.ledger())?;
    let worked_on = folder.is_worked_on()?;
    let told = if worked_on { folder.read(STATUS)? } else { None };
    let mut progress: Progress =
        told.and_then(|json| serde_json::from_slice(&json).ok()).unwrap_or_default();
    if !worked_on || standing.phase.is_over() {
        progress.counts = standing.counts();
    }
    progress.phase = standing.phase;
    progress.parts = (standing.complete(), standing.header.parts.len());
    Ok((progress, worked_on))
}

/// Refuses to go on with a job that was told something else.
fn check_same(
    folder: &JobFolder,
    header: &Header,
    source: &dyn Source,
    settings: &Settings,
) -> Result<()> {
    let now = source.identity();
    if !header.source.is(&now) {
        let message = format!(
            "{} is no longer what it was when the unfinished job in {} was begun: give that up \
             with 'pinstate migrate abort', and begin anew",
            now.name,
            folder.path().display()
        );
        return Err(Error::new(ErrorKind::Conflict, Operation::Migrate, message));
    }
    let mut settings = settings.clone();
    if settings.rules.expired == header.settings.rules.expired {
        settings.rules.now = header.settings.rules.now;
    }
    let changed = differences(&header.settings, &settings);
    if changed.is_empty() {
        return Ok(());
    }
    let message = format!(
        "the unfinished job in {} was told something else: {}; say the same, or give it up with \
         'pinstate migrate abort'",
        folder.path().display(),
        changed.join(", ")
    );
    Err(Error::new(ErrorKind::InvalidInput, Operation::Migrate, message))
}

fn secret(header: &Header) -> Result<[u8; 32]> {
    bytes_of(&header.secret)?.try_into().map_err(|_| {
        let message = "the ledger has no secret of 32 bytes";
        Error::new(ErrorKind::Corrupt, Operation::Migrate, message)
    })
}

/// An order of parts that is the same each time, and not that of their places.
fn blake_order(secret: &str, part: &str) -> u128 {
    pinstate_core::digest::Row::new(secret.as_bytes(), part.as_bytes()).number()
}

pub(super) fn seconds() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}
