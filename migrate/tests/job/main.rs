//! Moving a pinset: modes, rules, dead letters, failures, and going on where it was left.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod faults;
mod setup;
mod sources;
#[path = "../support/mod.rs"]
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use pinstate_core::pin::PinView;
use pinstate_core::transfer::StopFlag;
use pinstate_core::{
    BatchItem, BatchOptions, Clock, ClockOptions, ErrorKind, Put, Store, Version, WriteOptions,
};
use pinstate_migrate::job::{
    Job, JobFolder, Mode, Orders, Phase, Rules, Settings, Source, Step, VerifiedBy, Watch, Weight,
    plan, status,
};
use tempfile::TempDir;

use crate::setup::{StopAt, job, run, tuning};
use crate::support::{all, cid, default, fill, memory, namespace, record, sled, source, target};

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

fn now_micros() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_micros()).unwrap()
}
