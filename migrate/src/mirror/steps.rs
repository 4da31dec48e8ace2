//! The steps from phase to phase, one at a time.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use pinstate_core::transfer::StopFlag;
use pinstate_core::{Error, ErrorKind, Operation, Outcome, Result};
use tokio::sync::OwnedMutexGuard;

use super::phase::{Phase, Place, Stopped, holder};
use super::{Inner, backfill};

/// Rounds of repair before writes are held, so that little is left to do then.
const ROUNDS: u32 = 10;

impl Inner {
    /// Begins a step, unless there is one under way.
    pub(super) fn step(&self) -> Result<OwnedMutexGuard<()>> {
        let guard = Arc::clone(&self.work).try_lock_owned().map_err(|_| {
            let what = "a step is under way: wait for its end, or abort";
            Error::new(ErrorKind::Conflict, Operation::Mirror, what)
        })?;
        *self.stop.lock() = StopFlag::new();
        Ok(guard)
    }

    pub(super) async fn advance(&self) -> Result<()> {
        match self.pair.phase() {
            Phase::Idle => self.change(Phase::Mirror).await,
            Phase::Mirror => {
                // Writes that began before everything went to both have ended; what of them
                // was given up does not apply after this.
                self.pair.primary().store.sync().await?;
                self.change(Phase::Backfill).await
            }
            Phase::Backfill => {
                self.backfill().await?;
                self.change(Phase::Verify).await
            }
            Phase::Verify => {
                self.verify().await?;
                self.change(Phase::Shadow).await
            }
            phase => Err(not_from(phase, "advance")),
        }
    }

    pub(super) async fn cut_over(self: &Arc<Self>, budget: Duration) -> Result<Duration> {
        match self.pair.phase() {
            Phase::Shadow => self.flip(Phase::Reverse, budget).await,
            phase => Err(not_from(phase, "cutover")),
        }
    }

    pub(super) async fn roll_back(self: &Arc<Self>, budget: Duration) -> Result<Duration> {
        match self.pair.phase() {
            Phase::Reverse => self.flip(Phase::Shadow, budget).await,
            phase => Err(not_from(phase, "rollback")),
        }
    }

    pub(super) async fn finalise(&self, keep_markers: bool) -> Result<u64> {
        let phase = self.pair.phase();
        if phase != Phase::Reverse {
            return Err(not_from(phase, "finalise"));
        }
        let now = self.clock.draw().await?;
        self.change(Phase::Finalised).await?;
        self.folder.remove(backfill::FILE)?;
        if keep_markers {
            return Ok(0);
        }
        self.pair.primary().namespace.purge_deleted(now).await
    }

    pub(super) async fn abort(self: &Arc<Self>, budget: Duration) -> Result<()> {
        match self.pair.phase() {
            phase if phase.has_ended() => return Err(not_from(phase, "abort")),
            // What was written since the cut-over goes back with it.
            Phase::Reverse => drop(self.flip(Phase::Shadow, budget).await?),
            _ => {}
        }
        self.change(Phase::Aborted).await?;
        self.folder.remove(backfill::FILE)
    }

    fn next_place(&self, phase: Phase) -> Place {
        // Also after a step that failed: what it may have left is behind the next one.
        let epoch = self.epoch.fetch_add(1, Ordering::AcqRel) + 1;
        let id = |role| self.pair.side(role).store.identity().uuid;
        let (source, target) = (id(super::Role::Source), id(super::Role::Target));
        Place { job: self.job, source, target, phase, epoch, holder: holder() }
    }

    /// Makes a step that leaves the primary what it is. Once it has returned, every write that
    /// had begun before it has ended.
    async fn change(&self, to: Phase) -> Result<()> {
        let place = self.next_place(to);
        let first = self.pair.phase().primary().other();
        self.pair.write_place(&place, first, false).await.map_err(|why| self.fails(why))?;
        self.fenced.store(true, Ordering::Release);
        let mut gate = self.gate.write().await;
        *gate = to;
        self.pair.enter(to);
        self.fenced.store(false, Ordering::Release);
        Ok(())
    }

    /// Makes the secondary the primary, within a budget of time in which writes are held. It
    /// comes to its end also where the caller does not wait for it.
    async fn flip(self: &Arc<Self>, to: Phase, budget: Duration) -> Result<Duration> {
        let from = self.pair.phase();
        self.pair.side(from.primary().other()).store.sync().await?;
        for _ in 0..ROUNDS {
            if self.repair().await? == 0 {
                break;
            }
        }
        let inner = Arc::clone(self);
        let work = tokio::spawn(async move {
            inner.fenced.store(true, Ordering::Release);
            let flipped = inner.flip_fenced(from, to, budget).await;
            inner.fenced.store(false, Ordering::Release);
            flipped
        });
        work.await.map_err(|error| {
            Error::new(ErrorKind::Internal, Operation::Mirror, "a task died").with_source(error)
        })?
    }

    async fn flip_fenced(&self, from: Phase, to: Phase, budget: Duration) -> Result<Duration> {
        let began = Instant::now();
        let prepared = tokio::time::timeout(budget, async {
            // Writes under way end, and new ones wait.
            let gate = Arc::clone(&self.gate).write_owned().await;
            self.repair_fenced(from).await?;
            // What the new primary is to answer for cannot be lost any more, and no key is
            // left to be copied from what is no longer the truth.
            self.pair.side(to.primary()).store.sync().await?;
            self.journal.flush().await?;
            Ok(gate)
        });
        let not_made = |error: Error| error.with_outcome(Outcome::NotApplied);
        let mut gate = match prepared.await {
            Ok(prepared) => prepared.map_err(not_made)?,
            Err(_) => {
                let what = "it was not done within its budget, so nothing was changed";
                return Err(not_made(Error::new(ErrorKind::Timeout, Operation::Mirror, what))
                    .with_context("budget in ms", budget.as_millis()));
            }
        };
        let place = self.next_place(to);
        let first = from.primary().other();
        self.pair.write_place(&place, first, true).await.map_err(|why| self.fails(why))?;
        *gate = to;
        self.pair.enter(to);
        drop(gate);
        let pause = began.elapsed();
        *self.counts.last_pause.lock() = Some(pause);
        Ok(pause)
    }

    fn fails(&self, why: Stopped) -> Error {
        if let Stopped::Lost(error) = &why {
            let error = Error::new(ErrorKind::Closed, Operation::Mirror, error.to_string());
            *self.shut.lock() = Some(error.with_outcome(Outcome::NotApplied));
        }
        why.into_error()
    }
}

fn not_from(phase: Phase, step: &str) -> Error {
    let next = match phase {
        Phase::Idle | Phase::Mirror | Phase::Backfill | Phase::Verify => "advance or abort",
        Phase::Shadow => "cutover or abort",
        Phase::Reverse => "rollback, finalise or abort",
        Phase::Finalised => "nothing: use the target store",
        Phase::Aborted => "nothing: use the source store",
    };
    let message = format!("the mirror is in the phase '{phase}', from which there is no {step}");
    Error::new(ErrorKind::InvalidInput, Operation::Mirror, message).with_context("next", next)
}
