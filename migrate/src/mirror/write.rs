//! The path of a write: lock, journal, primary, secondary.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use pinstate_core::{
    BatchItem, BatchOptions, Error, ErrorKind, Operation, Outcome, Result, RetryClass, Version,
    Written,
};
use tokio::sync::OwnedRwLockReadGuard;

use super::phase::Phase;
use super::{Inner, Policy};

/// A write that was let in: the phase stays what it is until it is dropped.
pub(super) type Pass = OwnedRwLockReadGuard<Phase>;

impl Inner {
    /// Lets a write in, once no flip is under way.
    pub(super) async fn enter(&self) -> Result<Pass> {
        let entered = Arc::clone(&self.gate).read_owned();
        let pass = tokio::time::timeout(self.options.fence_wait, entered).await.map_err(|_| {
            Error::new(ErrorKind::Unavailable, Operation::Mirror, "writes are held for a cut-over")
                .with_outcome(Outcome::NotApplied)
        })?;
        match &*self.shut.lock() {
            Some(why) => Err(why.clone()),
            None => Ok(pass),
        }
    }

    /// Writes to one store or both, whatever becomes of the caller: what has begun comes to
    /// its end. One result for each write.
    pub(super) async fn write(
        self: &Arc<Self>,
        items: Vec<BatchItem>,
        if_newer: bool,
        operation: Operation,
    ) -> Result<Vec<Result<Written>>> {
        let pass = self.enter().await?;
        let inner = Arc::clone(self);
        let work = async move { inner.let_in(&pass, items, if_newer).await };
        tokio::spawn(work).await.map_err(|error| {
            Error::new(ErrorKind::Internal, operation, "a task died").with_source(error)
        })?
    }

    async fn let_in(
        &self,
        phase: &Phase,
        items: Vec<BatchItem>,
        if_newer: bool,
    ) -> Result<Vec<Result<Written>>> {
        if phase.mirrors() {
            return self.write_both(*phase, items, if_newer).await;
        }
        self.floors.check(&items)?;
        let mut options = BatchOptions::new();
        options.if_newer = if_newer;
        Ok(self.pair.side(phase.primary()).namespace.apply(items, options).await?.items)
    }

    /// Both stores write if newer, also where the caller asked for no condition: then they
    /// agree whatever order writes come in, and deletes leave markers that keep out what a
    /// backfill or a repair brings late.
    async fn write_both(
        &self,
        phase: Phase,
        items: Vec<BatchItem>,
        if_newer: bool,
    ) -> Result<Vec<Result<Written>>> {
        self.fits(&items)?;
        let role = phase.primary();
        let (first, second) = (self.pair.side(role), self.pair.side(role.other()));
        let drawn = (!if_newer).then(|| items.iter().map(version).max()).flatten();
        let _held = self.locks.lock(items.iter().map(BatchItem::key)).await;
        self.floors.check(&items)?;
        let keys = items.iter().map(|item| item.key().clone()).collect();
        let ticket = self.journal.begin(keys).await?;
        let mut results = first.write(items.clone(), drawn).await;
        // An answer too few is none.
        results.resize_with(items.len(), || Err(no_answer()));
        let copied: Vec<BatchItem> = items
            .iter()
            .zip(&results)
            .filter(|(_, result)| result.is_ok())
            .map(|(item, _)| item.clone())
            .collect();
        let mut copies = self.copy(second, copied, drawn).await.into_iter();
        let mut resolved = Vec::with_capacity(items.len());
        for (item, result) in items.iter().zip(&mut results) {
            match result {
                // The primary does not have it, so the secondary was not to have it.
                Err(error) => resolved.push(error.outcome() == Outcome::NotApplied),
                Ok(written) => {
                    let copy = copies.next().unwrap_or_else(|| Err(no_answer()));
                    let agree = agree(item, *written, &copy);
                    resolved.push(agree);
                    if agree {
                        self.floors.passed(item.key());
                    }
                    let answered = match self.answer(item, *written, if_newer).await {
                        Ok(written) => copy_counts(self.options.policy, written, copy),
                        Err(error) => Err(error),
                    };
                    *result = answered;
                }
            }
        }
        ticket.end(resolved);
        Ok(results)
    }

    /// Refuses what one of the stores would refuse after the other has taken it.
    fn fits(&self, items: &[BatchItem]) -> Result<()> {
        let (most_key, most_value) =
            (self.capabilities.max_key_bytes, self.capabilities.max_value_bytes);
        for item in items {
            let (key, all) = (item.key().len() as u64, item.len() as u64);
            if key > most_key || all - key > most_value {
                let what = "the record is larger than one of the two stores takes";
                return Err(Error::new(ErrorKind::TooLarge, Operation::Mirror, what)
                    .with_key(item.key().clone())
                    .with_context("limit in bytes of a key", most_key)
                    .with_context("of a value", most_value));
            }
        }
        Ok(())
    }

    /// Writes to the secondary, unless it is known to be down and need not be waited for.
    async fn copy(
        &self,
        second: &super::side::Side,
        items: Vec<BatchItem>,
        drawn: Option<Version>,
    ) -> Vec<Result<Written>> {
        if items.is_empty() {
            return Vec::new();
        }
        if self.options.policy == Policy::Journal
            && let Some(error) = self.down.lock().clone()
        {
            return vec![Err(error); items.len()];
        }
        let copies = second.write(items, drawn).await;
        if let Some(Err(error)) = copies.iter().find(|copy| copy.is_err()) {
            self.counts.secondary_failures.fetch_add(1, Ordering::Relaxed);
            if self.options.policy == Policy::Journal && error.retry_class() != RetryClass::Never {
                *self.down.lock() = Some(error.clone());
            }
            self.wake.notify_one();
        }
        copies
    }

    /// What the caller is told of a write that the primary took.
    async fn answer(&self, item: &BatchItem, written: Written, if_newer: bool) -> Result<Written> {
        match written {
            Written::Superseded { current } if !if_newer => {
                // A newer write of the same clock came first: this one came just before it.
                // What is ahead of the clock came before it, too, and hides it nonetheless.
                if current < self.clock.draw().await? {
                    return Ok(Written::Applied);
                }
                let what = "the stored record has a version that is ahead of the clock";
                Err(Error::new(ErrorKind::Conflict, Operation::Mirror, what)
                    .with_key(item.key().clone())
                    .with_context("stored version", current))
            }
            Written::Resolved if !if_newer => Ok(Written::Applied),
            written => Ok(written),
        }
    }
}

/// A write that the primary has, and the secondary perhaps not.
fn copy_counts(policy: Policy, written: Written, copy: Result<Written>) -> Result<Written> {
    match copy {
        Err(error) if policy == Policy::Strict => Err(error
            .with_operation(Operation::Mirror)
            .with_context("on", "the secondary store")
            .with_outcome(Outcome::Unknown)),
        _ => Ok(written),
    }
}

/// Whether both stores certainly hold the same now.
fn agree(item: &BatchItem, written: Written, copy: &Result<Written>) -> bool {
    match copy {
        // The secondary has something newer, which the primary never had.
        Ok(Written::Superseded { current }) => {
            written != Written::Applied || *current == version(item)
        }
        Ok(_) => true,
        Err(_) => false,
    }
}

fn version(item: &BatchItem) -> Version {
    match item {
        BatchItem::Put(put) => put.version,
        BatchItem::Delete(delete) => delete.version,
    }
}

fn no_answer() -> Error {
    Error::new(ErrorKind::Internal, Operation::Apply, "the store gave no answer for this write")
}
