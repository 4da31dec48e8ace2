//! Layers around a real store: what a batch and a scan do when attempts fail.

#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{bent_store, namespace};
use parking_lot::Mutex;
use pinstate_core::layer::{Call, Layers, Policy, RetryBudget, RetryOptions, wrap};
use pinstate_core::namespace::ReadOptions;
use pinstate_core::*;

fn layers() -> Layers {
    let retry = RetryOptions::new()
        .with_attempts(4)
        .with_pauses(Duration::from_millis(1), Duration::from_millis(1))
        .with_budget(Arc::new(RetryBudget::new(1.0, 1e9, 1e9)));
    Layers::standard().with_retry(Some(retry))
}

fn put(key: &str, value: &str, version: i64) -> BatchItem {
    Put::new(Key::copy_from(key.as_bytes()), value.to_owned(), Version(version)).into()
}

fn failed(kind: ErrorKind, outcome: Outcome) -> Result<Written> {
    Err(Error::new(kind, Operation::Apply, "bent").with_outcome(outcome))
}

#[tokio::test]
async fn only_what_failed_is_written_again_and_in_its_keys_order() {
    let (store, bends) = bent_store();
    let calls = Arc::new(Mutex::new(Vec::<Vec<(String, i64)>>::new()));
    let log = Arc::clone(&calls);
    *bends.apply.lock() = Some(Box::new(move |batch, mut outcome| {
        let names = batch.iter().map(|item| match item {
            BatchItem::Put(put) => {
                (String::from_utf8_lossy(put.key.as_bytes()).into(), put.version.0)
            }
            BatchItem::Delete(delete) => (delete.key.to_string(), delete.version.0),
        });
        let mut calls = log.lock();
        calls.push(names.collect());
        if calls.len() == 1 {
            outcome.items[1] = failed(ErrorKind::Timeout, Outcome::Unknown);
        }
        Ok(outcome)
    }));
    let pins = namespace(&layers().apply(store)).await;
    let batch = vec![put("a", "1", 1), put("b", "1", 2), put("c", "1", 3), put("b", "2", 4)];
    let outcome = pins.apply(batch, BatchOptions::new()).await.unwrap();
    assert!(outcome.items.iter().all(Result::is_ok), "{outcome:?}");
    // The later write of the same key goes again too, after the one that failed.
    let second: Vec<(String, i64)> = vec![("b".into(), 2), ("b".into(), 4)];
    assert_eq!(calls.lock()[1..], [second]);
    let record = pins.get(&Key::copy_from(b"b"), ReadOptions::new()).await.unwrap().unwrap();
    assert_eq!(record.value, "2");
}

#[tokio::test]
async fn each_write_of_a_batch_keeps_its_own_verdict() {
    let (store, bends) = bent_store();
    let mut call = 0;
    *bends.apply.lock() = Some(Box::new(move |_, mut outcome| {
        call += 1;
        if call == 1 {
            outcome.items[0] = failed(ErrorKind::TooLarge, Outcome::NotApplied);
            outcome.items[2] = failed(ErrorKind::Timeout, Outcome::Unknown);
        } else {
            outcome.items[0] = failed(ErrorKind::Unavailable, Outcome::NotApplied);
        }
        Ok(outcome)
    }));
    let pins = namespace(&layers().apply(store)).await;
    let batch = vec![put("a", "1", 1), put("b", "1", 2), put("c", "1", 3)];
    let items = pins.apply(batch, BatchOptions::new()).await.unwrap().items;
    assert_eq!(items[0].as_ref().unwrap_err().kind(), ErrorKind::TooLarge);
    assert!(items[1].is_ok());
    // It timed out once: that it was refused later does not make it "not applied".
    let last = items[2].as_ref().unwrap_err();
    assert_eq!((last.kind(), last.outcome()), (ErrorKind::Unavailable, Outcome::Unknown));
}

#[tokio::test]
async fn a_batch_that_fails_as_a_whole_is_an_error_as_a_whole() {
    let (store, bends) = bent_store();
    *bends.apply.lock() =
        Some(Box::new(|_, _| Err(Error::new(ErrorKind::Closed, Operation::Apply, "bent"))));
    let pins = namespace(&layers().apply(store)).await;
    let error = pins.apply(vec![put("a", "1", 1)], BatchOptions::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
}

#[tokio::test]
async fn a_failed_page_is_read_again_without_loss() {
    let (store, bends) = bent_store();
    let pins = namespace(&layers().apply(store)).await;
    let batch = (0..10).map(|i| put(&format!("k{i}"), "v", i)).collect();
    pins.apply(batch, BatchOptions::new()).await.unwrap().into_result().unwrap();
    // The page that was read is lost on its way; the scan beneath has gone on.
    let mut steps = 0;
    let mut held = None;
    *bends.scan.lock() = Some(Box::new(move |step| {
        steps += 1;
        if steps == 2 {
            held = Some(step);
            return Err(Error::new(ErrorKind::Unavailable, Operation::Scan, "bent"));
        }
        match held.take() {
            // As a backend must: the same page again. (The extra step is pushed back.)
            Some(page) if steps == 3 => {
                held = Some(step);
                Ok(page)
            }
            Some(next) => {
                held = Some(step);
                Ok(next)
            }
            None => Ok(step),
        }
    }));
    let scan = pins.scan(ScanOptions::new().with_page_rows(3)).await.unwrap();
    assert_eq!(CheckedScan::new(scan).collect().await.unwrap().len(), 10);
}

#[tokio::test]
async fn a_scan_that_ends_short_is_no_end() {
    let (store, bends) = bent_store();
    let pins = namespace(&store).await;
    let batch = (0..10).map(|i| put(&format!("k{i}"), "v", i)).collect();
    pins.apply(batch, BatchOptions::new()).await.unwrap().into_result().unwrap();
    *bends.scan.lock() = Some(Box::new(|step| {
        Ok(match step {
            ScanStep::Page(mut page) => {
                page.items.pop();
                ScanStep::Page(page)
            }
            end @ ScanStep::End(_) => end,
        })
    }));
    let scan = CheckedScan::new(pins.scan(ScanOptions::new()).await.unwrap());
    assert_eq!(scan.collect().await.unwrap_err().kind(), ErrorKind::Corrupt);
}

/// The operation of a call, whether it may be repeated, whether it is about one key, its records.
type Told = (Operation, bool, bool, usize);

/// Notes what it is told.
#[derive(Clone, Debug, Default)]
struct Noted(Arc<Mutex<Vec<Told>>>);

impl Policy for Noted {
    async fn run<T, F, Fut>(&self, call: Call<'_>, attempt: F) -> Result<T>
    where
        T: Send,
        F: Fn() -> Fut + Send + Sync,
        Fut: Future<Output = Result<T>> + Send,
    {
        self.0.lock().push((call.operation, call.idempotent, call.key.is_some(), call.records));
        attempt().await
    }
}

#[tokio::test]
async fn what_a_store_tells_of_itself_goes_through_all_layers() {
    let store = layers().with_observer(None).apply(bent_store().0);
    assert_eq!(store.gauges(), [(Gauge::Requests, 7.0)]);
}

#[tokio::test]
async fn policies_are_told_what_a_call_is_and_whether_it_may_be_repeated() {
    let noted = Noted::default();
    let store = wrap(bent_store().0, noted.clone());
    let pins = namespace(&store).await;
    let key = Key::copy_from(b"k");
    let put = |version| Put::new(key.clone(), "v", Version(version));
    for (version, options) in [
        (1, WriteOptions::new()),
        (2, WriteOptions::if_newer()),
        (3, WriteOptions::if_absent()),
        (4, WriteOptions::if_version(Version(2))),
    ] {
        pins.put(put(version), options).await.unwrap();
    }
    pins.delete(Delete::new(key.clone(), Version(5)), WriteOptions::new()).await.unwrap();
    pins.get(&key, ReadOptions::new()).await.unwrap();
    pins.has(&key, ReadOptions::new()).await.unwrap();
    pins.get_many(&[key.clone(), key.clone()], ReadOptions::new()).await.unwrap();
    for options in [BatchOptions::new(), BatchOptions::atomic()] {
        let batch = (6..9).map(|version| put(version).into()).collect();
        pins.apply(batch, options).await.unwrap().into_result().unwrap();
    }
    assert!(store.control_set("a", Expect::Absent, b"1").await.unwrap().is_applied());
    assert!(store.control_delete("a", Expect::Revision(1)).await.unwrap().is_applied());
    let (name, other) = (NamespaceName::default(), "other".parse().unwrap());
    store.replace_namespace(&other, &name).await.unwrap();
    store.drop_namespace(&other).await.unwrap();
    assert_eq!(
        *noted.0.lock(),
        [
            (Operation::CreateNamespace, false, false, 1),
            (Operation::OpenNamespace, true, false, 1),
            (Operation::Put, true, true, 1),
            (Operation::Put, true, true, 1),
            (Operation::Put, false, true, 1),
            (Operation::Put, false, true, 1),
            (Operation::Delete, true, true, 1),
            (Operation::Get, true, true, 1),
            (Operation::Has, true, true, 1),
            (Operation::GetMany, true, false, 2),
            (Operation::Apply, true, false, 3),
            (Operation::Apply, true, false, 3),
            (Operation::ControlSet, false, false, 1),
            (Operation::ControlDelete, false, false, 1),
            (Operation::ReplaceNamespace, false, false, 1),
            (Operation::DropNamespace, false, false, 1),
        ]
    );
}
