//! A target that fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use pinstate_core::{BatchItem, BatchOutcome, Error, ErrorKind, Key, Operation, Result, Store};
use pinstate_migrate::job::{Job, MaxErrors, Phase, Settings, status};
use tempfile::TempDir;

use crate::setup::{job, run, tuning};
use crate::support::{Fault, Faulty, all, default, fill, memory, record, source, target};

/// Does something to the first batches.
struct Bad {
    left: AtomicU64,
    error: fn() -> Error,
    applied: bool,
    too_much: Option<Key>,
    rows: AtomicU64,
}

impl Bad {
    fn new(times: u64, error: fn() -> Error, applied: bool) -> Self {
        let (left, rows) = (AtomicU64::new(times), AtomicU64::new(0));
        Self { left, error, applied, too_much: None, rows }
    }

    fn strikes(&self) -> bool {
        let one_less = |left: u64| left.checked_sub(1);
        self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_ok()
    }
}

impl Fault for Bad {
    fn before(&self, batch: &[BatchItem]) -> Result<()> {
        self.rows.fetch_add(batch.len() as u64, Ordering::SeqCst);
        let bad = |item: &BatchItem| Some(item.key()) == self.too_much.as_ref();
        if batch.iter().any(bad) {
            return Err(Error::new(ErrorKind::TooLarge, Operation::Apply, "more than it takes"));
        }
        if !self.applied && self.strikes() { Err((self.error)()) } else { Ok(()) }
    }

    fn after(&self, mut outcome: BatchOutcome) -> Result<BatchOutcome> {
        if self.applied && self.strikes() {
            // Half of it has an answer, and all of it was done.
            let half = outcome.items.len() / 2;
            outcome.items.truncate(half);
            outcome.items.resize_with(half * 2, || Err((self.error)()));
            if half % 2 == 1 {
                return Err((self.error)());
            }
        }
        Ok(outcome)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_help_is_tried_again() {
    let errors: [fn() -> Error; 3] = [
        || Error::new(ErrorKind::Timeout, Operation::Apply, "no answer"),
        || Error::new(ErrorKind::Overloaded, Operation::Apply, "less"),
        || Error::new(ErrorKind::Unavailable, Operation::Apply, "gone"),
    ];
    for error in errors {
        for applied in [false, true] {
            let (from, to) = (memory(), memory());
            fill(&from, 0..500).await;
            let bad = Arc::new(Bad::new(6, error, applied));
            let faulty = Faulty::store(&to, &bad);
            let report = run(&from, &faulty, &Settings::new()).await.unwrap();
            assert_eq!((report.counts.written, report.dead), (500, 0));
            assert_eq!(all(&from, &default()).await, all(&to, &default()).await);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_help_stops_the_job_and_loses_nothing() {
    let (from, to) = (memory(), memory());
    fill(&from, 0..500).await;
    let jobs = TempDir::new().unwrap();
    let full = || Error::new(ErrorKind::Full, Operation::Apply, "no space");
    let bad = Arc::new(Bad::new(1, full, false));
    let faulty = Faulty::store(&to, &bad);
    let error = job(jobs.path(), &from, &faulty, &Settings::new()).await.unwrap().run().await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Full);
    let report = job(jobs.path(), &from, &faulty, &Settings::new()).await.unwrap();
    assert!(report.is_continued());
    assert_eq!(report.run().await.unwrap().counts.written, 500);
    assert_eq!(all(&from, &default()).await, all(&to, &default()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_record_is_found_among_many_and_can_be_brought_home_later() {
    let (from, to) = (memory(), memory());
    fill(&from, 0..400).await;
    let (key, _) = record(123);
    let bad = Bad { too_much: Some(key.clone()), ..Bad::new(0, || unreachable!(), false) };
    let faulty = Faulty::store(&to, &Arc::new(bad));
    let jobs = TempDir::new().unwrap();
    // None is allowed.
    let error = job(jobs.path(), &from, &faulty, &Settings::new()).await.unwrap().run().await;
    let error = error.unwrap_err();
    assert!(error.to_string().contains("--max-errors"), "{error}");
    let mut lenient = tuning();
    lenient.max_errors = MaxErrors::Rows(1);
    let settings = Settings::new();
    let open = async |to: &Arc<dyn Store>| {
        let source = source(&from).await;
        Job::open(jobs.path(), source, target(to), &settings, lenient.clone()).await
    };
    let report = open(&faulty).await.unwrap().run().await.unwrap();
    assert_eq!((report.phase, report.dead, report.counts.written), (Phase::Done, 1, 399));
    let mut letters = Vec::new();
    report
        .folder
        .dead_letters(|letter| {
            letters.push(letter);
            Ok(())
        })
        .unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].key.as_deref(), Some(&*key.to_string()));
    assert_eq!(letters[0].raw, data_encoding::HEXLOWER.encode(&record(123).1));
    assert!(letters[0].reason.contains("more than it takes"), "{}", letters[0].reason);

    let again = async |to: &Arc<dyn Store>| {
        let source = source(&from).await;
        let job = Job::reopen(report.folder.clone(), source, target(to), lenient.clone()).await;
        job.unwrap().retry_dead().await.unwrap()
    };
    assert_eq!(again(&faulty).await.dead, 1, "it is as bad as it was");
    assert_eq!(again(&to).await.dead, 0);
    assert_eq!(all(&from, &default()).await, all(&to, &default()).await);
}

/// Nothing becomes durable.
struct Undurable;

impl Fault for Undurable {
    fn sync(&self) -> Result<()> {
        Err(Error::new(ErrorKind::Io, Operation::Sync, "the disk is gone"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_durable_is_not_remembered() {
    let (from, to) = (memory(), memory());
    fill(&from, 0..500).await;
    let jobs = TempDir::new().unwrap();
    let faulty = Faulty::store(&to, &Arc::new(Undurable));
    let begun = job(jobs.path(), &from, &faulty, &Settings::new()).await.unwrap();
    let folder = begun.folder().clone();
    assert_eq!(begun.run().await.unwrap_err().kind(), ErrorKind::Io);
    assert_eq!(status(&folder).unwrap().0.counts.read, 0);
}
