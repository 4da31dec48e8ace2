//! What an observer is told of operations, attempts, retries and waits.

#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{bent_store, late, namespace, put};
use parking_lot::Mutex;
use pinstate_core::layer::{
    Call, Ended, Layers, LimitOptions, Observer, Policy, RetryBudget, RetryOptions, Tally, wrap,
};
use pinstate_core::namespace::ReadOptions;
use pinstate_core::*;

/// Notes what it is told, a line each.
#[derive(Debug, Default)]
struct Notes {
    lines: Mutex<Vec<String>>,
    tallies: Mutex<Vec<(Operation, usize, Tally)>>,
    wait: Mutex<Option<(Duration, bool)>>,
}

impl Notes {
    fn note(&self, what: &str, call: &Call<'_>, rest: &str) {
        self.lines.lock().push(format!("{what} {}{rest}", call.operation));
    }

    fn taken(&self) -> Vec<String> {
        std::mem::take(&mut *self.lines.lock())
    }
}

fn failure(end: &Ended) -> String {
    end.failure.map_or_else(
        || ": well".to_owned(),
        |(kind, outcome)| format!(": {}, {}", kind.as_str(), outcome.as_str()),
    )
}

impl Observer for Notes {
    fn begun(&self, call: &Call<'_>) {
        self.note("begun", call, "");
    }

    fn ended(&self, call: &Call<'_>, end: &Ended) {
        self.note("ended", call, &format!("{} after {}", failure(end), end.attempts));
        self.tallies.lock().push((call.operation, call.bytes, end.tally));
    }

    fn attempt_ended(&self, call: &Call<'_>, end: &Ended) {
        self.note("attempt", call, &failure(end));
    }

    fn retried(&self, call: &Call<'_>, error: &Error, _: Duration) {
        self.note("retry", call, &format!(": {}", error.kind().as_str()));
    }

    fn waited(&self, call: &Call<'_>, wait: Duration, admitted: bool) {
        *self.wait.lock() = Some((wait, admitted));
        if !admitted {
            self.note("refused", call, "");
        }
    }
}

fn observed(store: Arc<dyn Store>) -> (Arc<dyn Store>, Arc<Notes>) {
    let retry = RetryOptions::new()
        .with_attempts(4)
        .with_pauses(Duration::from_millis(1), Duration::from_millis(1))
        .with_budget(Arc::new(RetryBudget::new(1.0, 1e9, 1e9)));
    let notes = Arc::new(Notes::default());
    let layers = Layers::standard()
        .with_retry(Some(retry))
        .with_observer(Some(Arc::clone(&notes) as Arc<dyn Observer>));
    (layers.apply(store), notes)
}

#[test]
fn without_an_observer_there_is_no_layer() {
    let store = bent_store().0;
    assert!(Arc::ptr_eq(&store, &Layers::none().apply(Arc::clone(&store))));
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_was_given_up_and_each_retry_are_told() {
    let (store, notes) = observed(late(2));
    let pins = namespace(&store).await;
    notes.taken();
    pins.put(put("a", 1), WriteOptions::new()).await.unwrap();
    assert_eq!(
        notes.taken(),
        [
            "begun put",
            "attempt put: timed out, unknown",
            "retry put: timed out",
            "attempt put: unavailable, not-applied",
            "retry put: unavailable",
            "attempt put: well",
            "ended put: well after 3",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn an_operation_that_fails_for_good_ends_with_what_is_known_of_it() {
    let (store, notes) = observed(late(100));
    let pins = namespace(&store).await;
    notes.taken();
    pins.put(put("a", 1), WriteOptions::new()).await.unwrap_err();
    let told = notes.taken();
    // The first attempt left it unknown, and the refusals after it do not change that.
    assert_eq!(told.last().unwrap(), "ended put: unavailable, unknown after 4");
    assert_eq!(told.iter().filter(|line| line.starts_with("retry")).count(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_given_up_ends_too() {
    let (store, notes) = observed(late(1));
    let pins = namespace(&store).await;
    notes.taken();
    let limit = Duration::from_millis(10);
    let put = pins.put(put("a", 1), WriteOptions::new());
    tokio::time::timeout(limit, put).await.unwrap_err();
    assert_eq!(
        notes.taken(),
        ["begun put", "attempt put: cancelled, unknown", "ended put: cancelled, unknown after 1"]
    );
}

#[tokio::test]
async fn what_is_read_and_written_is_counted() {
    let (bent, bends) = bent_store();
    let (store, notes) = observed(bent);
    let pins = namespace(&store).await;
    pins.put(put("a", 1), WriteOptions::new()).await.unwrap();
    let batch = vec![put("bc", 2).into(), Delete::new(Key::copy_from(b"d"), Version(3)).into()];
    pins.apply(batch, BatchOptions::new()).await.unwrap().into_result().unwrap();
    let key = Key::copy_from(b"a");
    let missing = Key::copy_from(b"x");
    assert!(pins.get(&missing, ReadOptions::new()).await.unwrap().is_none());
    pins.get_many(&[key.clone(), missing, key], ReadOptions::new()).await.unwrap();
    let told: Vec<_> = notes.tallies.lock().drain(..).collect();
    let read: Vec<(Operation, usize, u64)> =
        told.iter().map(|(op, bytes, tally)| (*op, *bytes, tally.bytes)).collect();
    assert_eq!(
        read[2..],
        [
            (Operation::Put, 6, 0),
            (Operation::Apply, 8, 0),
            (Operation::Get, 0, 0),
            (Operation::GetMany, 0, 12),
        ]
    );

    *bends.scan.lock() = Some(Box::new(|step| {
        Ok(match step {
            ScanStep::Page(mut page) => {
                let key = Key::copy_from(b"z");
                page.items.push(Err(Damaged::new(key, vec![1_u8, 2].into(), "bent")));
                ScanStep::Page(page)
            }
            end @ ScanStep::End(_) => end,
        })
    }));
    let mut scan = pins.scan(ScanOptions::new()).await.unwrap();
    while let ScanStep::Page(_) = scan.next().await.unwrap() {}
    let told: Vec<_> = notes.tallies.lock().drain(..).collect();
    let sum = |of: fn(&Tally) -> u64| told.iter().map(|(_, _, tally)| of(tally)).sum::<u64>();
    let pages = sum(|tally| tally.pages);
    assert!(pages >= 1);
    assert_eq!((sum(|tally| tally.rows), sum(|tally| tally.damaged)), (2 + pages, pages));
    assert_eq!(sum(|tally| tally.bytes), 6 + 7 + 3 * pages);
}

#[tokio::test]
async fn a_batch_of_which_a_record_failed_did_not_end_well() {
    for (kind, told) in [
        (ErrorKind::Full, "ended apply: no space left, not-applied after 1"),
        (ErrorKind::Unavailable, "ended apply: unavailable, not-applied after 4"),
    ] {
        let (bent, bends) = bent_store();
        *bends.apply.lock() = Some(Box::new(move |_, mut outcome| {
            let error = Error::new(kind, Operation::Apply, "bent");
            outcome.items[0] = Err(error.with_outcome(Outcome::NotApplied));
            Ok(outcome)
        }));
        let (store, notes) = observed(bent);
        let pins = namespace(&store).await;
        let batch = vec![put("a", 1).into(), put("b", 2).into()];
        assert!(pins.apply(batch, BatchOptions::new()).await.unwrap().items[0].is_err());
        assert_eq!(notes.taken().last().unwrap(), told);
    }
}

#[tokio::test(start_paused = true)]
async fn the_wait_for_a_place_is_told() {
    let notes = Arc::new(Notes::default());
    let limit = LimitOptions::new(1, Duration::from_secs(1));
    let layers = Layers::none()
        .with_limit(Some(limit))
        .with_observer(Some(Arc::clone(&notes) as Arc<dyn Observer>));
    let store = layers.apply(late(1));
    let pins = namespace(&store).await;
    assert_eq!(*notes.wait.lock(), Some((Duration::ZERO, true)));
    let hung = pins.put(put("a", 1), WriteOptions::new());
    let refused = async {
        let key = Key::copy_from(b"a");
        pins.get(&key, ReadOptions::new()).await.unwrap_err().kind()
    };
    let kind = tokio::select! {
        biased;
        _ = hung => None,
        kind = refused => Some(kind),
    };
    assert_eq!(kind, Some(ErrorKind::Unavailable));
    assert!(notes.taken().contains(&"refused get".to_owned()));
    assert!(matches!(*notes.wait.lock(), Some((wait, false)) if wait >= Duration::from_secs(1)));
}

/// Knows of no record, and says so with an error.
#[derive(Debug)]
struct Empty;

impl Policy for Empty {
    async fn run<T, F, Fut>(&self, call: Call<'_>, attempt: F) -> Result<T>
    where
        T: Send,
        F: Fn() -> Fut + Send + Sync,
        Fut: Future<Output = Result<T>> + Send,
    {
        match call.key {
            Some(key) => Err(Error::not_found(call.operation, key.clone())),
            None => attempt().await,
        }
    }
}

#[tokio::test]
async fn what_is_not_there_is_no_failure() {
    let (store, notes) = observed(wrap(bent_store().0, Empty));
    let pins = namespace(&store).await;
    let key = Key::copy_from(b"a");
    pins.get(&key, ReadOptions::new()).await.unwrap_err();
    assert_eq!(notes.taken().last().unwrap(), "ended get: well after 1");
}
