//! Moving a pinset: modes, rules, dead letters, failures, and going on where it was left.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use pinstate_core::format::ndjson::{NdjsonDecoder, NdjsonEncoder};
use pinstate_core::format::{Decoder, Encoder, Leniency};
use pinstate_core::pin::{ImportOverrides, PinView, Zone};
use pinstate_core::transfer::StopFlag;
use pinstate_core::{
    BatchItem, BatchOptions, BatchOutcome, Capabilities, Clock, ClockOptions, Error, ErrorKind,
    Key, Operation, Outcome, Put, Result, Store, Version, WriteOptions,
};
use pinstate_migrate::job::{
    FileSource, Identity, Job, JobFolder, MaxErrors, Mode, Orders, Pages, Phase, Report, Rules,
    Settings, Source, SourcePage, SourceRow, Step, Tuning, VerifiedBy, Watch, Weight, plan, status,
};
use pinstate_migrate::{OpenFile, Pinset};
use support::{
    Fault, Faulty, all, cid, default, fill, memory, namespace, record, sled, source, target,
};
use tempfile::TempDir;

fn tuning() -> Tuning {
    let mut tuning = Tuning::new();
    tuning.page_rows = 50;
    tuning.workers = 3;
    tuning.pause = Duration::from_millis(1);
    tuning
}

async fn job(
    jobs: &Path,
    from: &Arc<dyn Store>,
    to: &Arc<dyn Store>,
    settings: &Settings,
) -> Result<Job> {
    Job::open(jobs, source(from).await, target(to), settings, tuning()).await
}

async fn run(from: &Arc<dyn Store>, to: &Arc<dyn Store>, settings: &Settings) -> Result<Report> {
    let jobs = TempDir::new().unwrap();
    job(jobs.path(), from, to, settings).await?.run().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pinset_arrives_whole_with_its_versions() {
    let folder = TempDir::new().unwrap();
    let (first, between, last) = (memory(), sled(folder.path()).await, memory());
    fill(&first, 0..1_234).await;
    for (from, to) in [(&first, &between), (&between, &last)] {
        let report = run(from, to, &Settings::new()).await.unwrap();
        assert_eq!(report.phase, Phase::Done);
        assert_eq!((report.counts.read, report.counts.written, report.dead), (1_234, 1_234, 0));
        let verified = report.verified.unwrap();
        assert!(verified.equal && verified.by == VerifiedBy::Digest && verified.target == 1_234);
    }
    assert_eq!(all(&first, &default()).await, all(&last, &default()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_afterwards_is_newer_than_what_was_copied() {
    let (from, to) = (memory(), memory());
    let there = namespace(&from, &default()).await;
    let (key, value) = record(1);
    // Ahead of the clock, as a store may be whose host's clock was.
    let ahead = Version(now_micros() + 40_000_000);
    there.put(Put::new(key.clone(), value, ahead), WriteOptions::if_newer()).await.unwrap();
    run(&from, &to, &Settings::new()).await.unwrap();
    let clock = Clock::open(Arc::clone(&to), ClockOptions::new()).await.unwrap();
    assert!(clock.draw().await.unwrap() > ahead);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_with_records_takes_what_its_mode_says() {
    let (from, to) = (memory(), memory());
    fill(&to, 50..150).await;
    fill(&from, 0..100).await;
    let there = namespace(&to, &default()).await;
    let clock = Clock::open(Arc::clone(&to), ClockOptions::new()).await.unwrap();
    let (key, _) = record(60);
    let newer = Put::new(key.clone(), record(61).1, clock.draw().await.unwrap());
    there.put(newer, WriteOptions::new()).await.unwrap();
    let before = all(&to, &default()).await;

    let error = run(&from, &to, &Settings::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(all(&to, &default()).await, before);

    let if_newer = run(&from, &to, &Settings::new().with_mode(Mode::IfNewer)).await.unwrap();
    let verified = if_newer.verified.unwrap();
    assert!(verified.equal && verified.by == VerifiedBy::Comparison);
    assert_eq!((if_newer.counts.superseded, verified.newer, verified.other), (1, 1, 50));
    let now = all(&to, &default()).await;
    assert_eq!(now.len(), 150);
    assert_eq!(now[key.as_bytes()].0, record(61).1, "the newer one stays");

    let merged = run(&from, &to, &Settings::new().with_mode(Mode::Merge)).await.unwrap();
    assert!(merged.verified.unwrap().equal);
    let now = all(&to, &default()).await;
    assert_eq!((now.len(), &now[key.as_bytes()].0), (150, &record(60).1));

    let replaced = run(&from, &to, &Settings::new().with_mode(Mode::Replace)).await.unwrap();
    assert!(replaced.verified.unwrap().equal);
    assert_eq!(all(&to, &default()).await, all(&from, &default()).await);
    assert_eq!(to.list_namespaces().await.unwrap().len(), 1, "nothing is left beside it");
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_hold_for_the_copy_and_for_the_comparison() {
    let (from, to) = (memory(), memory());
    fill(&from, 0..300).await;
    let mut rules = Rules::default();
    rules.metadata.insert("team".to_owned(), "t1".to_owned());
    rules.name = Some("pin 1*".to_owned());
    rules.replication_min = Some(2);
    let mut settings = Settings::new().with_rules(rules).unwrap();
    for (mode, recheck) in [(Mode::FailIfNotEmpty, false), (Mode::Replace, true)] {
        settings = settings.with_mode(mode);
        let jobs = TempDir::new().unwrap();
        let mut tuning = tuning();
        tuning.recheck = recheck;
        let job = Job::open(jobs.path(), source(&from).await, target(&to), &settings, tuning);
        let report = job.await.unwrap().run().await.unwrap();
        assert!(report.verified.as_ref().unwrap().equal);
        let now = all(&to, &default()).await;
        let kept = (0..300).filter(|n| n % 3 == 1 && n.to_string().starts_with('1'));
        assert_eq!(now.len(), kept.clone().count());
        assert_eq!(report.counts.left_out as usize, 300 - now.len());
        for n in kept {
            let value = &now[cid(n).as_bytes()].0;
            let pin = PinView::new(record(n).0.as_bytes(), value).unwrap().to_pin();
            let mut expected = support::pin(n);
            expected.replication_factor_min = 2;
            assert_eq!(pin, expected);
        }
    }
    // A pin that was lost is found with the rules on both sides.
    let jobs = TempDir::new().unwrap();
    let mut rules = settings.rules.clone();
    rules.cid_prefix = Some("nothing".to_owned());
    let nothing = settings.with_rules(rules).unwrap();
    let job = job(jobs.path(), &from, &to, &nothing).await.unwrap();
    assert_eq!(job.run().await.unwrap().counts.left_out, 300);
    assert!(all(&to, &default()).await.is_empty());
}

/// Asks to stop at the so-manieth of a step.
struct StopAt {
    step: Step,
    after: AtomicU64,
    stop: StopFlag,
}

impl Watch for StopAt {
    fn at(&self, step: Step) {
        if step == self.step && self.after.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.stop.stop();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_was_stopped_goes_on_from_there() {
    for mode in [Mode::FailIfNotEmpty, Mode::Merge, Mode::Replace] {
        let (from, to) = (memory(), memory());
        fill(&from, 0..1_000).await;
        let jobs = TempDir::new().unwrap();
        let settings = Settings::new().with_mode(mode);
        let mut read = 0;
        let mut begun = false;
        for step in [Step::Read, Step::Written, Step::Synced, Step::Remembered, Step::PartComplete]
        {
            let stop = StopFlag::new();
            let watch = StopAt { step, after: AtomicU64::new(2), stop: stop.clone() };
            let mut tuning = tuning();
            tuning.stop = stop;
            let here = source(&from).await;
            let to_go_on = Job::open(
                jobs.path(),
                Arc::clone(&here) as Arc<dyn Source>,
                target(&to),
                &settings,
                tuning,
            );
            let job = to_go_on.await.unwrap();
            assert_eq!(job.is_continued(), begun);
            begun = true;
            assert!(job.counts().read >= read);
            let job = job.watched(Arc::new(watch));
            let folder = job.folder().clone();
            let error = job.run().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
            let unfinished = Some(&target(&to));
            let plan = plan(jobs.path(), &*here, unfinished, &settings).await.unwrap();
            assert!(plan.continues.is_some() && plan.is_possible(), "and it changes nothing");
            let (progress, worked_on) = status(&folder).unwrap();
            assert!(!worked_on && progress.phase == Phase::Copying);
            assert!(progress.fraction().unwrap_or(0.0) < 1.0);
            read = progress.counts.read;
        }
        let report = job(jobs.path(), &from, &to, &settings).await.unwrap().run().await.unwrap();
        assert_eq!((report.counts.read, report.phase), (1_000, Phase::Done), "counted once");
        let keys = |all: &std::collections::BTreeMap<Vec<u8>, (Vec<u8>, i64)>| {
            all.iter().map(|(key, (value, _))| (key.clone(), value.clone())).collect::<Vec<_>>()
        };
        assert_eq!(keys(&all(&from, &default()).await), keys(&all(&to, &default()).await));
        assert_eq!(JobFolder::all(jobs.path()).unwrap().len(), 1);
        // What is over does not go on.
        let again = job(jobs.path(), &from, &to, &settings).await;
        match mode {
            Mode::FailIfNotEmpty => assert_eq!(again.unwrap_err().kind(), ErrorKind::Conflict),
            _ => assert!(!again.unwrap().is_continued()),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_has_one_runner_and_keeps_what_it_was_told() {
    let (from, to) = (memory(), memory());
    fill(&from, 0..100).await;
    let jobs = TempDir::new().unwrap();
    let first = job(jobs.path(), &from, &to, &Settings::new()).await.unwrap();
    let second = job(jobs.path(), &from, &to, &Settings::new()).await.unwrap_err();
    assert_eq!(second.kind(), ErrorKind::Locked);
    assert!(second.to_string().contains(&std::process::id().to_string()), "{second}");
    // In another folder it would be another job into the same namespace.
    let elsewhere = TempDir::new().unwrap();
    let other = job(elsewhere.path(), &from, &to, &Settings::new()).await.unwrap_err();
    assert_eq!(other.kind(), ErrorKind::Locked, "{other}");
    drop(first);
    let changed = Settings::new().with_mode(Mode::Merge);
    let error = job(jobs.path(), &from, &to, &changed).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("mode was \"fail-if-not-empty\""), "{error}");
    let folder = JobFolder::all(jobs.path()).unwrap().remove(0);
    Orders::change(&folder, |orders| orders.abort = true).unwrap();
    let job_again = job(jobs.path(), &from, &to, &Settings::new()).await.unwrap();
    assert_eq!(job_again.abort().await.unwrap().phase, Phase::Aborted);
    // Nobody has the target any more.
    run(&from, &to, &changed).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_changes_nothing_and_says_what_stands_against_it() {
    let folder = TempDir::new().unwrap();
    let (from, to) = (memory(), sled(folder.path()).await);
    fill(&from, 0..100).await;
    let jobs = TempDir::new().unwrap();
    let missing = jobs.path().join("jobs");
    let (source, target) = (source(&from).await, target(&to));
    let good = plan(&missing, &*source, Some(&target), &Settings::new()).await.unwrap();
    assert!(good.is_possible(), "{good:?}");
    assert_eq!((good.records, good.target_records), (Some(100), None));
    assert!(to.list_namespaces().await.unwrap().is_empty() && !missing.exists());
    assert_eq!(to.control_list("").await.unwrap().len(), 0);
    fill(&to, 0..1).await;
    let bad = plan(&missing, &*source, Some(&target), &Settings::new()).await.unwrap();
    assert!(!bad.is_possible() && bad.findings[0].weight == Weight::Stop);
}

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

/// A file in memory.
struct Text(String);

impl OpenFile for Text {
    fn open(&self) -> Result<(Box<dyn tokio::io::AsyncRead + Send + Unpin>, Box<dyn Decoder>)> {
        let decoder = NdjsonDecoder::new(Leniency::Strict, ImportOverrides::default());
        Ok((Box::new(std::io::Cursor::new(self.0.clone().into_bytes())), Box::new(decoder)))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_goes_on_after_the_entry_that_was_reached() {
    let mut text = Vec::new();
    for n in (0..500).chain(3..4) {
        let (key, value) = record(n);
        NdjsonEncoder::new(Zone::Utc).encode(key.as_bytes(), &value, &mut text).unwrap();
    }
    let text = Arc::new(Text(String::from_utf8(text).unwrap()));
    let file = |stamp| {
        Arc::new(FileSource::new(
            "a file",
            "/a/file",
            stamp,
            Arc::clone(&text) as Arc<dyn OpenFile>,
        ))
    };
    let (to, jobs) = (memory(), TempDir::new().unwrap());
    let open = async |stamp: &str, stop: &StopFlag| {
        let mut tuning = tuning();
        tuning.stop = stop.clone();
        Job::open(jobs.path(), file(stamp.to_owned()), target(&to), &Settings::new(), tuning).await
    };
    for after in 1..4 {
        let stop = StopFlag::new();
        let watch =
            StopAt { step: Step::Remembered, after: AtomicU64::new(after), stop: stop.clone() };
        let job = open("as it was", &stop).await.unwrap().watched(Arc::new(watch));
        assert_eq!(job.run().await.unwrap_err().kind(), ErrorKind::Cancelled);
    }
    let changed = open("as it is now", &StopFlag::new()).await.unwrap_err();
    assert_eq!(changed.kind(), ErrorKind::Conflict, "{changed}");
    let report = open("as it was", &StopFlag::new()).await.unwrap().run().await.unwrap();
    assert_eq!((report.phase, report.counts.read), (Phase::Done, 501));
    // One is there twice, so the sum does not tell.
    assert_eq!(report.verified.unwrap().by, VerifiedBy::Comparison);
    assert_eq!(all(&to, &default()).await.len(), 500);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_is_changed_in_the_meantime_is_found_to_be_different() {
    for mode in [Mode::FailIfNotEmpty, Mode::Replace] {
        let (from, to) = (memory(), memory());
        fill(&from, 0..300).await;
        let jobs = TempDir::new().unwrap();
        let spoiler = Arc::new(Spoil { store: Arc::clone(&to), done: AtomicU64::new(0) });
        let settings = Settings::new().with_mode(mode);
        let job = job(jobs.path(), &from, &to, &settings).await.unwrap().watched(spoiler);
        let report = job.run().await.unwrap();
        assert_eq!(report.phase, Phase::Different);
        let verified = report.verified.unwrap();
        assert_eq!((verified.missing, verified.extra, verified.different), (1, 1, 1));
        assert_eq!(report.differences.len(), 3);
        if mode == Mode::Replace {
            assert!(to.list_namespaces().await.unwrap().is_empty(), "nothing took its place");
        }
    }
}

/// Changes three records of the only namespace once everything is copied.
struct Spoil {
    store: Arc<dyn Store>,
    done: AtomicU64,
}

impl Watch for Spoil {
    fn at(&self, step: Step) {
        if step != Step::Copied || self.done.fetch_add(1, Ordering::SeqCst) > 0 {
            return;
        }
        let store = Arc::clone(&self.store);
        let spoil = async move {
            let names = store.list_namespaces().await.unwrap();
            let there = store.open_namespace(&names[0].name).await.unwrap();
            let version = Version(now_micros());
            let items = vec![
                BatchItem::Delete(pinstate_core::Delete::new(record(7).0, version)),
                BatchItem::Put(Put::new(record(9_999).0, record(9_999).1, version)),
                BatchItem::Put(Put::new(record(8).0, record(80).1, version)),
            ];
            let outcome = there.apply(items, BatchOptions::new()).await.unwrap();
            outcome.into_result().unwrap();
        };
        let handle = tokio::runtime::Handle::current();
        tokio::task::block_in_place(|| handle.block_on(spoil));
    }
}

/// A source that is not as it should be.
#[derive(Debug)]
struct Odd {
    inner: Arc<dyn Source>,
    what: What,
    calls: Arc<AtomicU64>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum What {
    /// Fails with what may be tried again, now and then.
    Fails,
    /// Gives a page twice.
    Repeats,
    /// Some rows cannot be read.
    Damaged(u64),
}

struct OddPages {
    inner: Box<dyn Pages>,
    what: What,
    calls: Arc<AtomicU64>,
    last: Mutex<Option<SourcePage>>,
}

#[async_trait]
impl Pages for OddPages {
    async fn next(&mut self) -> Result<Option<SourcePage>> {
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        match self.what {
            What::Fails if call % 3 == 1 => {
                let error = Error::new(ErrorKind::Unavailable, Operation::Scan, "gone");
                Err(error.with_outcome(Outcome::NotApplied))
            }
            What::Repeats if call % 4 == 3 && self.last.lock().is_some() => {
                Ok(self.last.lock().clone())
            }
            What::Damaged(every) => {
                let Some(mut page) = self.inner.next().await? else { return Ok(None) };
                for row in &mut page.rows {
                    if let SourceRow::Record { key, value, .. } = row.clone()
                        && u64::from(value.as_ref()[value.len() - 1]) % every == 0
                    {
                        let reason = "it does not fit its checksum".to_owned();
                        *row = SourceRow::Unreadable { key: Some(key), raw: value, reason };
                    }
                }
                Ok(Some(page))
            }
            What::Fails | What::Repeats => {
                let page = self.inner.next().await?;
                self.last.lock().clone_from(&page);
                Ok(page)
            }
        }
    }
}

#[async_trait]
impl Source for Odd {
    fn identity(&self) -> Identity {
        self.inner.identity()
    }

    fn capabilities(&self) -> Option<&Capabilities> {
        self.inner.capabilities()
    }

    async fn keep(&self, folder: &Path) -> Result<()> {
        self.inner.keep(folder).await
    }

    async fn estimate(&self) -> Result<Option<u64>> {
        self.inner.estimate().await
    }

    async fn parts(&self, n: usize) -> Result<Vec<String>> {
        self.inner.parts(n).await
    }

    async fn open(
        &self,
        part: &str,
        after: Option<&str>,
        page_rows: usize,
    ) -> Result<Box<dyn Pages>> {
        let inner = self.inner.open(part, after, page_rows).await?;
        let calls = Arc::clone(&self.calls);
        Ok(Box::new(OddPages { inner, what: self.what, calls, last: Mutex::new(None) }))
    }

    async fn find(&self, keys: &[Key]) -> Result<Vec<Option<SourceRow>>> {
        self.inner.find(keys).await
    }

    fn pinset(&self) -> Arc<dyn Pinset> {
        self.inner.pinset()
    }
}

async fn odd(from: &Arc<dyn Store>, what: What) -> Arc<Odd> {
    let (inner, calls) = (source(from).await, Arc::default());
    Arc::new(Odd { inner, what, calls })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_fails_now_and_then_is_read_to_its_end() {
    let (from, to) = (memory(), memory());
    fill(&from, 0..700).await;
    let jobs = TempDir::new().unwrap();
    let source = odd(&from, What::Fails).await;
    let job = Job::open(jobs.path(), source, target(&to), &Settings::new(), tuning()).await;
    let report = job.unwrap().run().await.unwrap();
    assert_eq!((report.phase, report.counts.read), (Phase::Done, 700));
    assert_eq!(all(&from, &default()).await, all(&to, &default()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_comes_twice_is_found_out() {
    let (from, to) = (memory(), memory());
    fill(&from, 0..2_000).await;
    let jobs = TempDir::new().unwrap();
    let source = odd(&from, What::Repeats).await;
    let job = Job::open(jobs.path(), source, target(&to), &Settings::new(), tuning()).await;
    let report = job.unwrap().run().await.unwrap();
    // The sum does not fit, so both are compared record by record: nothing is wrong.
    assert_eq!(report.phase, Phase::Done);
    assert_eq!(report.verified.unwrap().by, VerifiedBy::Comparison);
    assert_eq!(all(&from, &default()).await, all(&to, &default()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_cannot_be_read_are_kept_with_their_bytes() {
    let from = memory();
    fill(&from, 0..1_000).await;
    // The last byte of a value is that of the team's name.
    let damaged = (0..1_000).filter(|n| (b'0' + (n % 3) as u8).is_multiple_of(49)).count() as u64;
    for most in [damaged - 1, damaged] {
        let (to, jobs) = (memory(), TempDir::new().unwrap());
        let mut tuning = tuning();
        tuning.max_errors = MaxErrors::Rows(most);
        let source = odd(&from, What::Damaged(49)).await;
        let settings = Settings::new().with_mode(Mode::Replace);
        let job = Job::open(jobs.path(), source, target(&to), &settings, tuning).await.unwrap();
        let folder = job.folder().clone();
        let ran = job.run().await;
        if most < damaged {
            // Counted over all parts, and not for each of them.
            assert_eq!(ran.unwrap_err().kind(), ErrorKind::InvalidInput);
            continue;
        }
        let report = ran.unwrap();
        assert_eq!((report.phase, report.dead), (Phase::Done, damaged));
        let mut raw = 0;
        folder
            .dead_letters(|letter| {
                let bytes = data_encoding::HEXLOWER.decode(letter.raw.as_bytes()).unwrap();
                raw += usize::from(!Bytes::from(bytes).is_empty());
                Ok(())
            })
            .unwrap();
        assert_eq!(raw as u64, damaged);
        let text = std::fs::read_to_string(folder.path().join("certificate.html")).unwrap();
        assert!(text.contains("but for"), "a certificate says what is missing");
    }
}

fn now_micros() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_micros()).unwrap()
}
