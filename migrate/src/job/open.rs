//! Beginning a job, or finding the one that goes on.

use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use pinstate_core::{Clock, ClockOptions, Error, ErrorKind, Operation, Outcome, Result};
use uuid::Uuid;

use super::aside::Onlooker;
use super::folder::JobFolder;
use super::ledger::{Header, Ledger, Standing};
use super::run::Job;
use super::settings::{Mode, Settings, Tuning, differences};
use super::source::Source;
use super::target::Target;
use super::watch::Unwatched;
use crate::files::Locked;

/// Parts of the source for each worker.
const PARTS: usize = 8;

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
        let taken = match unfinished {
            Some((folder, _)) => {
                let taken = Taken::of(folder).await?;
                check_same(&taken.folder, &taken.standing.header, &*source, settings)?;
                target.claim(&taken.standing.header.job.to_string()).await?;
                source.keep(taken.folder.path()).await?;
                taken
            }
            None => Self::begin(jobs, &*source, &target, settings, &tuning).await?,
        };
        // For the display alone: a source that is slow at this moment may still be read.
        let expected = source.estimate().await.unwrap_or_else(|error| {
            tracing::warn!("how many pins there are is not known, nor how long it takes: {error}");
            None
        });
        taken.job(source, target, tuning, expected, continued)
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
        let taken = Taken::of(folder).await?;
        let header = &taken.standing.header;
        if !header.source.is_about(&source.identity()) || !header.target.is(&target.identity()) {
            let message = format!(
                "the job in {} is from {} to {}",
                taken.folder.path().display(),
                header.source.name,
                header.target.name
            );
            return Err(Error::new(ErrorKind::InvalidInput, Operation::Migrate, message));
        }
        // One that is over reads what is there now.
        if !taken.standing.phase.is_over() {
            source.keep(taken.folder.path()).await?;
        }
        taken.job(source, target, tuning, None, true)
    }

    async fn begin(
        jobs: &Path,
        source: &dyn Source,
        target: &Target,
        settings: &Settings,
        tuning: &Tuning,
    ) -> Result<Taken> {
        target.check(settings.mode)?;
        if settings.mode == Mode::FailIfNotEmpty && !target.is_empty().await? {
            let message = "the target has records already: choose what happens to them (merge, \
                           if-newer, replace), or another namespace";
            return Err(Error::new(ErrorKind::Conflict, Operation::Migrate, message));
        }
        let job = Uuid::new_v4();
        JobFolder::sweep(jobs);
        let folder = JobFolder::create(jobs, job)?;
        let lock = folder.lock().await?;
        let begun = tokio::select! {
            begun = Self::fill(&folder, job, source, target, settings, tuning) => begun,
            () = tuning.stop.stopped() => {
                let message = "stopped before anything was copied";
                Err(Error::new(ErrorKind::Cancelled, Operation::Migrate, message)
                    .with_outcome(Outcome::NotApplied))
            }
        };
        if let Err(error) = begun {
            // Where the target may be claimed the job must stay, so that it can go on.
            if error.outcome() == Outcome::NotApplied || !folder.ledger().exists() {
                folder.discard();
            }
            return Err(error);
        }
        Taken::locked(folder, lock)
    }

    /// Puts into a new job's folder what makes it one, and claims its target.
    async fn fill(
        folder: &JobFolder,
        job: Uuid,
        source: &dyn Source,
        target: &Target,
        settings: &Settings,
        tuning: &Tuning,
    ) -> Result<()> {
        source.keep(folder.path()).await?;
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
        // Before the claim: what holds one can be found, and go on or be given up.
        drop(Ledger::create(&folder.ledger(), &header)?);
        target.claim(&job.to_string()).await
    }
}

/// A job's folder that this process has, with what stands in it.
struct Taken {
    folder: JobFolder,
    lock: Locked,
    ledger: Ledger,
    standing: Standing,
}

impl Taken {
    async fn of(folder: JobFolder) -> Result<Self> {
        let lock = folder.lock().await?;
        Self::locked(folder, lock)
    }

    fn locked(folder: JobFolder, lock: Locked) -> Result<Self> {
        let (ledger, standing) = Ledger::open(&folder.ledger())?;
        Ok(Self { folder, lock, ledger, standing })
    }

    fn job(
        self,
        source: Arc<dyn Source>,
        target: Target,
        tuning: Tuning,
        expected: Option<u64>,
        continued: bool,
    ) -> Result<Job> {
        let Self { folder, lock, ledger, standing } = self;
        let looker = Onlooker::new(&folder, &standing, expected, &tuning.stop)?;
        Ok(Job {
            folder,
            _lock: lock,
            ledger: Arc::new(Mutex::new(ledger)),
            standing,
            source,
            target,
            tuning,
            watch: Arc::new(Unwatched),
            looker,
            continued,
        })
    }
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
