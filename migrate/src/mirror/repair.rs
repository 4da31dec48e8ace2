//! Making the secondary hold what the primary holds now, key by key.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use pinstate_core::digest::Kind;
use pinstate_core::{
    BatchItem, Delete, Error, ErrorKind, Key, Operation, Outcome, Put, ReadOptions, Result,
    RetryClass,
};

use super::journal::OF_BEFORE;
use super::phase::Phase;
use super::{Inner, Weak};
use crate::compare::{CompareOptions, compare};
use crate::pinset::StoredPins;

/// Rounds of comparing and repairing before what differs is given up.
const ROUNDS: u32 = 5;
/// The longest pause between two tries to reach a secondary that fails.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

impl Inner {
    /// Repairs the keys that are unresolved now; how many are left.
    pub(super) async fn repair(&self) -> Result<usize> {
        let listed = self.journal.unresolved();
        let phase = self.pair.phase();
        if listed.is_empty() || !phase.mirrors() {
            return Ok(listed.len());
        }
        // What was given up before no longer applies after this.
        self.pair.side(phase.primary()).store.sync().await?;
        let mut failure = None;
        for (key, mark) in listed {
            let pass = self.enter().await?;
            if !pass.mirrors() {
                break;
            }
            match self.repair_key(*pass, &key, mark).await {
                // One key that the store will never take does not keep others from it.
                Err(error) if error.retry_class() == RetryClass::Never => failure = Some(error),
                repaired => repaired?,
            }
        }
        self.down.lock().take();
        if let Some(error) = failure {
            return Err(error);
        }
        Ok(self.journal.depth())
    }

    /// The same while nobody writes: a flip is under way.
    pub(super) async fn repair_fenced(&self, phase: Phase) -> Result<()> {
        let listed = self.journal.unresolved();
        if !listed.is_empty() {
            self.pair.side(phase.primary()).store.sync().await?;
        }
        for (key, mark) in listed {
            self.repair_key(phase, &key, mark).await?;
        }
        self.down.lock().take();
        let left = self.journal.depth();
        if left > 0 {
            let what = format!("{left} keys may still differ");
            return Err(Error::new(ErrorKind::Unavailable, Operation::Mirror, what));
        }
        Ok(())
    }

    async fn repair_key(&self, phase: Phase, key: &Key, mark: u64) -> Result<()> {
        let _held = self.locks.lock([key]).await;
        if self.journal.is_still(key, mark) {
            self.copy_now(phase, key, mark).await?;
            self.journal.resolve(key, mark);
            self.counts.repaired.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Copies what the primary holds under a key whose lock is held.
    async fn copy_now(&self, phase: Phase, key: &Key, mark: u64) -> Result<()> {
        let role = phase.primary();
        let (first, second) = (self.pair.side(role), self.pair.side(role.other()));
        let held = first.namespace.get(key, ReadOptions::new()).await?;
        if let Some(record) = &held {
            let put = Put::new(key.clone(), record.value.clone(), record.version);
            one(second.write(vec![BatchItem::Put(put)], None).await)?;
            let copy = second.namespace.get(key, ReadOptions::new()).await?;
            if copy.is_some_and(|copy| copy.value == record.value) {
                return Ok(());
            }
        }
        // Where the primary has nothing, it cannot say since when; and something newer on the
        // secondary that the primary has not is nothing that a writer was told of. Either way
        // what stands now is the truth as of now.
        let now = if mark == OF_BEFORE && held.is_none() {
            self.opened
        } else {
            let now = self.clock.draw().await?;
            self.floors.raise(key, now);
            now
        };
        let item: BatchItem = match held {
            Some(record) => Put::new(key.clone(), record.value, now).into(),
            None => Delete::new(key.clone(), now).into(),
        };
        one(second.write(vec![item], Some(now)).await)?;
        Ok(())
    }

    /// Compares both stores while they are written to, and repairs until they are the same.
    pub(super) async fn verify(&self) -> Result<()> {
        let role = self.pair.phase().primary();
        let pins = |role| {
            let side = self.pair.side(role);
            Arc::new(StoredPins::new(role.to_string(), Arc::clone(&side.namespace)))
        };
        let mut options = CompareOptions::new();
        options.kind = Kind::Raw;
        // Whatever differs is looked at again under its lock.
        options.live = 1;
        options.workers = self.options.workers;
        options.stop = self.stop.lock().clone();
        for _ in 0..ROUNDS {
            let found = compare(pins(role), pins(role.other()), &options).await?;
            let keys = found.differences.unwrap_or_default();
            let rows = found.left.rows.max(found.right.rows);
            self.counts.compared.store(rows, Ordering::Relaxed);
            if keys.is_empty() && !found.cut {
                return Ok(());
            }
            let keys: Vec<Key> = keys.into_iter().map(|difference| difference.key).collect();
            let different = self.still_different(keys).await?;
            self.counts.different.fetch_add(different as u64, Ordering::Relaxed);
            while self.repair().await? > 0 {
                self.stopped()?;
            }
        }
        let what = "the stores differ again and again: does somebody else write to them?";
        Err(Error::new(ErrorKind::Conflict, Operation::Mirror, what))
    }

    /// Puts those keys into the journal that differ while nobody writes them; how many.
    pub(super) async fn still_different(&self, keys: Vec<Key>) -> Result<usize> {
        let mut different = 0;
        for key in keys {
            let pass = self.enter().await?;
            let _held = self.locks.lock([&key]).await;
            let role = pass.primary();
            let read = |role| self.pair.side(role).namespace.get(&key, ReadOptions::new());
            let (first, second) = futures::join!(read(role), read(role.other()));
            let value = |record: Option<pinstate_core::Record>| record.map(|record| record.value);
            // A row that the primary cannot read is nothing to copy; the secondary's can be
            // written anew.
            let first = value(first?);
            let same = matches!(second, Ok(second) if value(second.clone()) == first);
            if pass.mirrors() && !same {
                different += 1;
                self.journal.suspect(vec![key.clone()]).await?;
            }
        }
        Ok(different)
    }

    /// An error once the step under way was asked to stop.
    pub(super) fn stopped(&self) -> Result<()> {
        if self.stop.lock().is_set() {
            let what = "the step was stopped; it goes on where it was when it is made again";
            return Err(Error::new(ErrorKind::Cancelled, Operation::Mirror, what)
                .with_outcome(Outcome::NotApplied));
        }
        Ok(())
    }
}

fn one(mut results: Vec<Result<pinstate_core::Written>>) -> Result<pinstate_core::Written> {
    results.pop().unwrap_or_else(|| {
        Err(Error::new(ErrorKind::Internal, Operation::Mirror, "the store gave no answer"))
    })
}

/// Repairs as long as the mirror lives: at once where a write of the secondary has failed, and
/// then with growing pauses.
pub(super) async fn keep_repairing(inner: Weak<Inner>, shortest: Duration) {
    let mut pause = shortest;
    loop {
        let Some(strong) = inner.upgrade() else { return };
        let wake = Arc::clone(&strong.wake);
        drop(strong);
        // Woken early or not, a look at an empty list costs nothing.
        drop(tokio::time::timeout(pause, wake.notified()).await);
        let Some(strong) = inner.upgrade() else { return };
        pause = match strong.repair().await {
            Ok(_) => shortest,
            Err(error) => {
                *strong.counts.last_failure.lock() = Some(error.to_string());
                drop(strong);
                tokio::time::sleep(pause).await;
                (pause * 2).min(LONGEST_PAUSE)
            }
        };
    }
}
