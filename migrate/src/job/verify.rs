//! Whether the target is what it should be after a copy.

use std::collections::HashSet;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use pinstate_core::digest::{Kind, Row};
use pinstate_core::transfer::StopFlag;
use pinstate_core::{Error, ErrorKind, Key, Namespace, Operation, ReadOptions, Result};

use super::ledger::{Verified, VerifiedBy};
use super::ruled::RuledPins;
use super::rules::Compiled;
use super::settings::Mode;
use super::source::{Source, SourceRow, Written};
use crate::compare::{CompareOptions, Level, compare};
use crate::difference::{Difference, What};
use crate::pass::not_stopped;
use crate::pinset::{Pinset, StoredPins};

/// Parts of the target for each worker.
const PARTS: usize = 4;
/// Keys whose versions are looked up at a time.
const LOOK_UP: usize = 500;

/// What is compared.
pub(super) struct Verifying {
    pub(super) source: Arc<dyn Source>,
    pub(super) target: Arc<dyn Namespace>,
    pub(super) rules: Arc<Compiled>,
    pub(super) mode: Mode,
    pub(super) secret: [u8; 32],
    /// The version that the job's own versions begin with.
    pub(super) base: i64,
    /// Keys of dead letters: they may be missing.
    pub(super) dead: HashSet<Vec<u8>>,
    pub(super) workers: usize,
    pub(super) stop: StopFlag,
    pub(super) recheck: bool,
}

/// What was copied: how many records, and the sum of their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Copied {
    pub(super) rows: u64,
    pub(super) sum: u128,
}

impl Verifying {
    /// Compares; `at` and `durability` are for the record. The differences are given where
    /// they were looked for.
    pub(super) async fn run(
        &self,
        copied: Copied,
        at: i64,
        durability: String,
    ) -> Result<(Verified, Vec<Difference>)> {
        let mut verified = Verified {
            at,
            equal: true,
            by: VerifiedBy::Digest,
            source: copied.rows,
            target: copied.rows,
            missing: 0,
            extra: 0,
            different: 0,
            newer: 0,
            other: 0,
            durability,
        };
        if self.mode.is_exact() && !self.recheck && self.digest().await? == copied {
            return Ok((verified, Vec::new()));
        }
        let left: Arc<dyn Pinset> =
            Arc::new(RuledPins::new(self.source.pinset(), Arc::clone(&self.rules)));
        let right = Arc::new(StoredPins::new("the target", Arc::clone(&self.target)));
        let mut options = CompareOptions::new();
        options.level = Level::Fields;
        options.kind = Kind::Raw;
        options.workers = self.workers;
        options.stop = self.stop.clone();
        let comparison = compare(left, right, &options).await?;
        verified.by = VerifiedBy::Comparison;
        (verified.source, verified.target) = (comparison.left.rows, comparison.right.rows);
        let mut wrong = Vec::new();
        for some in comparison.differences.unwrap_or_default().chunks(LOOK_UP) {
            let newer = self.newer(some).await?;
            for (difference, newer) in some.iter().zip(newer) {
                if self.dead.contains(difference.key.as_bytes()) {
                    continue;
                }
                match difference.what {
                    What::Extra if !self.mode.is_exact() => verified.other += 1,
                    What::Different if newer => verified.newer += 1,
                    What::Missing => verified.missing += 1,
                    What::Extra => verified.extra += 1,
                    What::Different => verified.different += 1,
                }
                if !(newer || (difference.what == What::Extra && !self.mode.is_exact())) {
                    wrong.push(difference.clone());
                }
            }
        }
        verified.equal = wrong.is_empty() && !comparison.cut;
        Ok((verified, wrong))
    }

    /// Whether the target's record may be another one, since it is newer.
    async fn newer(&self, differences: &[Difference]) -> Result<Vec<bool>> {
        if self.mode != Mode::IfNewer {
            return Ok(vec![false; differences.len()]);
        }
        let keys: Vec<Key> = differences.iter().map(|one| one.key.clone()).collect();
        let ours = self.source.find(&keys).await?;
        let theirs = self.target.get_many(&keys, ReadOptions::new()).await?;
        let pairs = ours.into_iter().zip(theirs);
        Ok(pairs
            .map(|(ours, theirs)| {
                let Ok(Some(theirs)) = theirs else { return false };
                match ours {
                    Some(SourceRow::Record { written: Written::Version(version), .. }) => {
                        theirs.version > version
                    }
                    Some(SourceRow::Record { written: Written::Entry(entry), .. }) => {
                        let entry = i64::try_from(entry).unwrap_or(i64::MAX);
                        theirs.version.micros() > self.base.saturating_add(entry)
                    }
                    _ => false,
                }
            })
            .collect())
    }

    /// What the target comes to.
    async fn digest(&self) -> Result<Copied> {
        let target = StoredPins::new("the target", Arc::clone(&self.target));
        let parts = target.parts(self.workers * PARTS).await?;
        let sums = parts.into_iter().map(|mut rows| {
            let (secret, stop) = (self.secret, self.stop.clone());
            let part = tokio::spawn(async move {
                let mut part = Copied { rows: 0, sum: 0 };
                while let Some(rows) = rows.next().await? {
                    not_stopped(&stop, Operation::Migrate)?;
                    for row in rows {
                        part.rows += 1;
                        let number = Row::keyed(&secret, row.key.as_bytes(), &row.value).number();
                        part.sum = part.sum.wrapping_add(number);
                    }
                }
                Ok::<_, Error>(part)
            });
            async move {
                part.await.map_err(|error| {
                    Error::new(ErrorKind::Internal, Operation::Migrate, "a task died")
                        .with_source(error)
                })?
            }
        });
        stream::iter(sums)
            .buffer_unordered(self.workers)
            .try_fold(Copied { rows: 0, sum: 0 }, async |all, part| {
                Ok(Copied { rows: all.rows + part.rows, sum: all.sum.wrapping_add(part.sum) })
            })
            .await
    }
}
