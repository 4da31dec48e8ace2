//! Copying: workers that each have a part, and one who remembers how far they are.
//!
//! A page goes this way, and no worker begins to write its next one before the last step:
//!
//! ```text
//! read → rules → write → sync of the target → ledger on the disk
//! ```
//!
//! The last two are done for all workers that wait for them at once.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use pinstate_core::digest::Row;
use pinstate_core::transfer::StopFlag;
use pinstate_core::{Clock, Error, ErrorKind, Operation, Result, Store, Version};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::ledger::{Checkpoint, Counts, DeadLetter, Event, Ledger};
use super::progress::Board;
use super::reading::Reading;
use super::rules::{Compiled, Ruled};
use super::settings::Tuning;
use super::source::{Source, SourcePage, SourceRow, Written};
use super::throttle::Throttle;
use super::watch::{Step, Watch};
use super::write::{Item, Writer};

/// How far a record's version may be ahead of the target's clock, in microseconds: beyond
/// that the clock could not go above it.
const AHEAD: i64 = 50_000_000;

/// What all workers share.
#[derive(Clone)]
pub(super) struct Copier {
    pub(super) source: Arc<dyn Source>,
    pub(super) store: Arc<dyn Store>,
    pub(super) writer: Writer,
    pub(super) rules: Arc<Compiled>,
    /// Draws the versions of what is written whatever is there; else records bring theirs.
    pub(super) clock: Option<Arc<Clock>>,
    /// Where the versions of records that bring none begin.
    pub(super) base: Version,
    pub(super) secret: [u8; 32],
    pub(super) tuning: Tuning,
    pub(super) throttle: Arc<Throttle>,
    pub(super) stop: StopFlag,
    pub(super) board: Arc<Board>,
    pub(super) watch: Arc<dyn Watch>,
    pub(super) ledger: Arc<Mutex<Ledger>>,
}

/// A part that is not complete, and how far it is.
#[derive(Clone, Debug)]
pub(super) struct Unfinished {
    pub(super) text: String,
    pub(super) reached: Checkpoint,
}

/// A checkpoint that waits to be remembered.
struct Waiting {
    checkpoint: Checkpoint,
    done: oneshot::Sender<()>,
}

impl Copier {
    /// Copies these parts to their ends.
    pub(super) async fn run(&self, parts: Vec<Unfinished>) -> Result<()> {
        let parts = Arc::new(Mutex::new(VecDeque::from(parts)));
        let (remember, waiting) = mpsc::channel(self.tuning.workers.max(1));
        let mut tasks = JoinSet::new();
        for _ in 0..self.tuning.workers.max(1) {
            let (this, parts, remember) = (self.clone(), Arc::clone(&parts), remember.clone());
            tasks.spawn(async move {
                loop {
                    let Some(part) = parts.lock().pop_front() else { return Ok(()) };
                    this.part(part, &remember).await?;
                }
            });
        }
        drop(remember);
        let this = self.clone();
        tasks.spawn(async move { this.remember(waiting).await });
        let mut first = Ok(());
        while let Some(ended) = tasks.join_next().await {
            let ended = ended.unwrap_or_else(|error| {
                let what = "a task died";
                Err(Error::new(ErrorKind::Internal, Operation::Migrate, what).with_source(error))
            });
            if let Err(error) = ended {
                // The others end at their next step, with what they have done remembered.
                self.stop.stop();
                let stopped = |error: &Error| error.kind() == ErrorKind::Cancelled;
                // What stopped them all is what is to be told.
                if first.as_ref().map_or_else(stopped, |()| true) {
                    first = Err(error);
                }
            }
        }
        first
    }

    async fn part(&self, part: Unfinished, remember: &mpsc::Sender<Waiting>) -> Result<()> {
        let Unfinished { text, mut reached } = part;
        let retries = Arc::clone(&self.writer.retries);
        let source = Arc::clone(&self.source);
        let mut reading = Reading::new(source, text, reached.after.clone(), &self.tuning, retries);
        self.throttle.gate().await?;
        let mut page = reading.next().await?;
        while let Some(now) = page {
            self.watch.at(Step::Read);
            reached = self.page(now, &reached).await?;
            // The next one is read while this one is made durable.
            let remembered = self.checkpoint(reached.clone(), remember);
            let next = async {
                self.throttle.gate().await?;
                reading.next().await
            };
            let (remembered, next) = tokio::join!(remembered, next);
            remembered?;
            page = next?;
        }
        let end = Checkpoint { after: None, letters: Vec::new(), ..reached };
        self.checkpoint(end, remember).await
    }

    /// Writes a page; says how far the part is then.
    async fn page(&self, page: SourcePage, before: &Checkpoint) -> Result<Checkpoint> {
        let mut counts = Counts { read: page.rows.len() as u64, ..Counts::default() };
        let mut letters = Vec::new();
        let mut items = Vec::with_capacity(page.rows.len());
        let first = match &self.clock {
            Some(clock) => clock.draw_many(page.rows.len()).await?,
            None => self.base,
        };
        let latest = now_micros().saturating_add(AHEAD);
        let mut read = 0;
        for (row, place) in page.rows.into_iter().zip(0_i64..) {
            let (key, value, written) = match row {
                SourceRow::Record { key, value, written } => (key, value, written),
                SourceRow::Unreadable { key, raw, reason } => {
                    read += raw.len() as u64;
                    letters.push(letter(key.as_ref().map(AsRef::as_ref), &raw, reason, None));
                    continue;
                }
            };
            read += (key.len() + value.len()) as u64;
            let version = match written {
                _ if self.clock.is_some() => Version(first.micros() + place),
                Written::Version(version) => version,
                Written::Entry(entry) => {
                    let entry = i64::try_from(entry).unwrap_or(i64::MAX);
                    Version(self.base.micros().saturating_add(entry))
                }
            };
            let bad = |value: &[u8], reason| {
                letter(Some(key.as_bytes()), value, reason, Some(version.micros()))
            };
            if version.micros() > latest {
                let reason = format!("its version {version} is ahead of the clock");
                letters.push(bad(&value, reason));
                continue;
            }
            match self.rules.apply(key.as_bytes(), value.clone()) {
                Ruled::Moved(value) => items.push(Item { key, value, version }),
                Ruled::Left => counts.left_out += 1,
                Ruled::NoPin(reason) => letters.push(bad(&value, reason)),
            }
        }
        self.throttle.read(counts.read, read).await?;
        let taken = self.writer.write(&items).await?;
        self.watch.at(Step::Written);
        let mut refused = taken.refused.into_iter().peekable();
        let mut sum = u128::from_str_radix(&before.sum, 16).unwrap_or(0);
        let mut newest = before.newest;
        for (item, place) in items.iter().zip(0..) {
            if let Some((_, reason)) = refused.next_if(|(refused, _)| *refused == place) {
                let version = Some(item.version.micros());
                letters.push(letter(Some(item.key.as_bytes()), &item.value, reason, version));
                continue;
            }
            counts.written += 1;
            counts.bytes += (item.key.len() + item.value.len()) as u64;
            newest = newest.max(item.version.micros());
            let row = Row::keyed(&self.secret, item.key.as_bytes(), &item.value);
            sum = sum.wrapping_add(row.number());
        }
        counts.superseded = taken.superseded;
        counts.dead = letters.len() as u64;
        let (dead, read) = self.board.add(&counts, false);
        if self.tuning.max_errors.exceeded(dead, read) {
            let reason = letters.first().map_or("", |letter| letter.reason.as_str());
            return Err(Error::new(
                ErrorKind::InvalidInput,
                Operation::Migrate,
                format!("{dead} records cannot be moved, and that is more than --max-errors"),
            )
            .with_context("one of them", reason));
        }
        let mut all = before.counts;
        all.add(&counts);
        let sum = format!("{sum:032x}");
        Ok(Checkpoint {
            part: before.part,
            after: Some(page.after),
            counts: all,
            sum,
            newest,
            letters,
        })
    }

    /// Writes one page outside any part: the highest version that was written, if all of it
    /// was taken.
    pub(super) async fn bring(&self, page: SourcePage) -> Result<Option<i64>> {
        let before = Checkpoint { newest: i64::MIN, ..Checkpoint::default() };
        let after = self.page(page, &before).await?;
        Ok(after.letters.is_empty().then_some(after.newest))
    }

    /// Returns once this is remembered.
    async fn checkpoint(&self, checkpoint: Checkpoint, to: &mpsc::Sender<Waiting>) -> Result<()> {
        let complete = checkpoint.after.is_none();
        let (done, remembered) = oneshot::channel();
        let sent = to.send(Waiting { checkpoint, done }).await.is_ok();
        if !sent || remembered.await.is_err() {
            // Why not is told by the one who remembers.
            let what = "stopped, since nothing can be remembered";
            return Err(Error::new(ErrorKind::Cancelled, Operation::Migrate, what));
        }
        if complete {
            self.board.add(&Counts::default(), true);
            self.watch.at(Step::PartComplete);
        }
        Ok(())
    }

    /// Makes durable what workers have written, and then remembers it.
    async fn remember(&self, mut waiting: mpsc::Receiver<Waiting>) -> Result<()> {
        while let Some(first) = waiting.recv().await {
            let mut group = vec![first];
            while let Ok(more) = waiting.try_recv() {
                group.push(more);
            }
            self.store.sync().await?;
            self.watch.at(Step::Synced);
            let (checkpoints, done): (Vec<_>, Vec<_>) =
                group.into_iter().map(|one| (Event::Checkpoint(one.checkpoint), one.done)).unzip();
            remember(&self.ledger, checkpoints).await?;
            self.watch.at(Step::Remembered);
            for done in done {
                // A worker that is gone needs no answer.
                let _ = done.send(());
            }
        }
        Ok(())
    }
}

/// Writes into a ledger, beside the runtime.
pub(super) async fn remember(ledger: &Arc<Mutex<Ledger>>, events: Vec<Event>) -> Result<()> {
    let ledger = Arc::clone(ledger);
    let writing = tokio::task::spawn_blocking(move || ledger.lock().write(&events));
    writing.await.map_err(|error| {
        Error::new(ErrorKind::Internal, Operation::Migrate, "a task died").with_source(error)
    })?
}

fn letter(key: Option<&[u8]>, raw: &[u8], reason: String, version: Option<i64>) -> DeadLetter {
    let hex = |bytes| data_encoding::HEXLOWER.encode(bytes);
    DeadLetter { key: key.map(hex), raw: hex(raw), reason, version }
}

fn now_micros() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
