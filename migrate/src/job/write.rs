//! Giving records to the target: again where that may help, and without those that it will
//! never take.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use bytes::Bytes;
use pinstate_core::{
    BatchItem, BatchOptions, Error, ErrorKind, Key, Namespace, Put, Result, RetryClass, Version,
    Written,
};

use super::settings::Tuning;
use super::throttle::Throttle;

/// A record to be written.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) key: Key,
    pub(super) value: Bytes,
    pub(super) version: Version,
}

/// What became of a page.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// Records of which the target has a newer version, and says so.
    pub(super) superseded: u64,
    /// Records that the target will never take: their places in the page, and why.
    pub(super) refused: Vec<(usize, String)>,
}

/// Writes pages to the target.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    pub(super) namespace: Arc<dyn Namespace>,
    /// Whether a record is written only where the target has no newer one. Without that the
    /// versions were just drawn.
    pub(super) if_newer: bool,
    pub(super) tuning: Tuning,
    pub(super) throttle: Arc<Throttle>,
    pub(super) retries: Arc<AtomicU64>,
}

impl Writer {
    /// Writes these; an error says that the job cannot go on now.
    pub(super) async fn write(&self, items: &[Item]) -> Result<Taken> {
        let mut taken = Taken::default();
        // Places of records that have no answer yet, in groups that are written together.
        let mut groups: Vec<Vec<usize>> = vec![(0..items.len()).collect()];
        let mut tries = 1;
        let mut pause = self.tuning.pause;
        while let Some(group) = groups.pop() {
            if group.is_empty() {
                continue;
            }
            let (again, error) = match self.apply(items, &group).await {
                Ok(answers) => {
                    let mut again = Vec::new();
                    let mut first = None;
                    for (place, answer) in group.into_iter().zip(answers) {
                        match answer {
                            Ok(answer) => taken.superseded += newer(items, place, answer),
                            Err(error) if is_the_records_fault(&error) => {
                                taken.refused.push((place, error.to_string()));
                            }
                            Err(error) => {
                                again.push(place);
                                first.get_or_insert(error);
                            }
                        }
                    }
                    let Some(error) = first else { continue };
                    (again, error)
                }
                Err(error) if is_the_records_fault(&error) => {
                    match &group[..] {
                        [place] => taken.refused.push((*place, error.to_string())),
                        // One of them is too much for it; which one is found by halves.
                        _ => {
                            let (left, right) = group.split_at(group.len() / 2);
                            groups.extend([right.to_vec(), left.to_vec()]);
                        }
                    }
                    continue;
                }
                Err(error) => (group, error),
            };
            if !error.may_retry(true) || tries >= self.tuning.tries {
                return Err(error);
            }
            self.retries.fetch_add(1, Ordering::Relaxed);
            tries += 1;
            groups.push(again);
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        taken.refused.sort_by_key(|(place, _)| *place);
        Ok(taken)
    }

    async fn apply(&self, items: &[Item], group: &[usize]) -> Result<Vec<Result<Written>>> {
        let records = group.iter().filter_map(|place| items.get(*place));
        let size = |item: &Item| (item.key.len() + item.value.len()) as u64;
        let bytes = records.clone().map(size).sum();
        let rows = group.len() as u64;
        self.throttle.write(rows, bytes).await?;
        let batch = records
            .map(|item| {
                BatchItem::Put(Put::new(item.key.clone(), item.value.clone(), item.version))
            })
            .collect();
        let options = if self.if_newer { BatchOptions::if_newer() } else { BatchOptions::new() };
        let began = Instant::now();
        let answer = self.namespace.apply(batch, options).await;
        let overload = |error: &Error| error.retry_class() == RetryClass::Throttled;
        let overloaded = match &answer {
            Ok(outcome) => outcome.items.iter().any(|item| item.as_ref().is_err_and(overload)),
            Err(error) => overload(error),
        };
        self.throttle.wrote(rows, began.elapsed(), overloaded);
        Ok(answer?.items)
    }
}

/// 1 where the target has a newer version than the one that was to be written.
fn newer(items: &[Item], place: usize, answer: Written) -> u64 {
    match (answer, items.get(place)) {
        // The same version is the record itself, written before.
        (Written::Superseded { current }, Some(item)) => u64::from(current > item.version),
        _ => 0,
    }
}

/// Whether nothing but another record would help.
fn is_the_records_fault(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::TooLarge | ErrorKind::InvalidInput)
}
