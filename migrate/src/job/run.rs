//! A job from its beginning to its end, or from where it was left.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use pinstate_core::clock::{DEFAULT_WRITER, raise_mark};
use pinstate_core::{
    Clock, ClockOptions, Error, ErrorKind, Namespace, NamespaceName, Operation, Result, Version,
};

use super::aside::Onlooker;
use super::certificate::Certificate;
use super::copy::{Copier, Unfinished, remember};
use super::folder::{JobFolder, host};
use super::ledger::{
    Checkpoint, Counts, Ended, Event, Header, Ledger, Phase, Run, Standing, Verified,
};
use super::letters::bytes_of;
use super::orders::Orders;
use super::settings::{Mode, Tuning};
use super::source::{KEPT, Source};
use super::target::Target;
use super::verify::{Copied, Verifying};
use super::watch::{Step, Watch};
use super::write::Writer;
use crate::difference::Difference;
use crate::files::Locked;

/// A job that this process works on.
pub struct Job {
    pub(super) folder: JobFolder,
    pub(super) _lock: Locked,
    pub(super) ledger: Arc<Mutex<Ledger>>,
    pub(super) standing: Standing,
    pub(super) source: Arc<dyn Source>,
    pub(super) target: Target,
    pub(super) tuning: Tuning,
    pub(super) watch: Arc<dyn Watch>,
    pub(super) looker: Onlooker,
    pub(super) continued: bool,
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
    /// Tells `watch` of each step.
    #[must_use]
    pub fn watched(mut self, watch: Arc<dyn Watch>) -> Self {
        self.watch = watch;
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

    /// Sees how far it is while it runs.
    #[must_use]
    pub fn onlooker(&self) -> Onlooker {
        self.looker.clone()
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
        // Orders may have been given since it was opened: they hold from the first page on.
        self.looker.throttle.follow(Orders::of(&self.folder)?);
        let aborted = Arc::new(AtomicBool::new(false));
        let looking = tokio::spawn(self.looker.clone().look_on(
            self.folder.clone(),
            Arc::clone(&self.ledger),
            self.tuning.stop.clone(),
            Arc::clone(&aborted),
        ));
        let done = self.phases().await;
        looking.abort();
        let ended = Ended {
            at: seconds(),
            throttled: self.looker.throttle.waited(),
            retries: self.looker.retries.load(Ordering::Relaxed),
            error: done.as_ref().err().map(ToString::to_string),
        };
        let told = self.remember(vec![Event::RunEnded(ended)]).await;
        let listed = self.folder.write_letters();
        if aborted.load(Ordering::Acquire) {
            return self.abort().await;
        }
        let differences = done?;
        told.and(listed)?;
        self.certify()?;
        self.looker.tell(&self.folder)?;
        Ok(self.report(differences))
    }

    async fn phases(&mut self) -> Result<Vec<Difference>> {
        let staging = self.staging()?;
        let mut differences = Vec::new();
        loop {
            self.looker.board.phase(self.standing.phase);
            match self.standing.phase {
                Phase::Copying => {
                    let namespace = self.target.prepare(staging.as_ref()).await?;
                    self.watch.at(Step::Prepared);
                    let copier = self.copier(namespace).await?;
                    let copied = copier.run(self.unfinished()).await;
                    self.standing = self.peek()?;
                    copied?;
                    self.check_complete()?;
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

    pub(super) async fn copier(&self, namespace: Arc<dyn Namespace>) -> Result<Copier> {
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
                throttle: Arc::clone(&self.looker.throttle),
                retries: Arc::clone(&self.looker.retries),
            },
            rules: Arc::new(header.settings.rules.compile()?),
            clock,
            base: Version(header.version),
            secret: secret(header)?,
            tuning: self.tuning.clone(),
            throttle: Arc::clone(&self.looker.throttle),
            stop: self.tuning.stop.clone(),
            board: Arc::clone(&self.looker.board),
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

    /// Whatever goes wrong between workers, a part that was not read is none that is done.
    fn check_complete(&self) -> Result<()> {
        let (complete, all) = (self.standing.complete(), self.standing.header.parts.len());
        if complete == all {
            return Ok(());
        }
        let message = format!("only {complete} of {all} parts were copied to their ends");
        Err(Error::new(ErrorKind::Internal, Operation::Migrate, message))
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
            stop: self.tuning.stop.clone(),
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
        // Where both differ it shows what was copied.
        if phase != Phase::Different {
            self.folder.remove(KEPT)?;
        }
        self.watch.at(Step::Over);
        Ok(())
    }

    async fn enter(&mut self, phase: Phase) -> Result<()> {
        self.remember(vec![Event::Phase(phase)]).await
    }

    /// Remembers these. What workers remember is taken over once they are done.
    pub(super) async fn remember(&mut self, events: Vec<Event>) -> Result<()> {
        remember(&self.ledger, events.clone()).await?;
        events.into_iter().for_each(|event| self.standing.apply(event));
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
