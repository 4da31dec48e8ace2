//! The policies on their own, on scripted attempts and a paused clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::*;
use crate::error::{Error, ErrorKind, Operation, Outcome, Result, RetryClass};

fn call(idempotent: bool) -> Call<'static> {
    let (operation, backend, namespace, key) = (Operation::Put, "test", None, None);
    Call { operation, backend, namespace, key, idempotent, records: 1, bytes: 0 }
}

fn error(kind: ErrorKind, outcome: Outcome) -> Error {
    Error::new(kind, Operation::Put, "scripted").with_outcome(outcome)
}

/// Gives these errors one after the other, then succeeds; counts the attempts.
struct Script {
    errors: Vec<Error>,
    attempts: AtomicUsize,
}

impl Script {
    fn new(errors: impl IntoIterator<Item = Error>) -> Self {
        Self { errors: errors.into_iter().collect(), attempts: AtomicUsize::new(0) }
    }

    async fn attempt(&self) -> Result<usize> {
        let n = self.attempts.fetch_add(1, Ordering::Relaxed);
        self.errors.get(n).cloned().map_or(Ok(n + 1), Err)
    }

    fn attempts(&self) -> usize {
        self.attempts.load(Ordering::Relaxed)
    }
}

fn retry(options: RetryOptions) -> Retry {
    Retry::new(options.with_seed(7))
}

fn unbounded() -> RetryOptions {
    RetryOptions::new().with_budget(Arc::new(RetryBudget::new(1.0, 1e9, 1e9)))
}

#[tokio::test(start_paused = true)]
async fn an_idempotent_call_is_repeated_until_it_succeeds() {
    let script = Script::new([
        error(ErrorKind::Timeout, Outcome::Unknown),
        error(ErrorKind::Unavailable, Outcome::NotApplied),
    ]);
    let done = retry(unbounded()).run(call(true), || script.attempt()).await;
    assert_eq!(done.unwrap(), 3);
}

#[tokio::test(start_paused = true)]
async fn what_may_have_happened_is_repeated_only_when_harmless() {
    let script = Script::new([error(ErrorKind::Timeout, Outcome::Unknown)]);
    retry(unbounded()).run(call(false), || script.attempt()).await.unwrap_err();
    assert_eq!(script.attempts(), 1);

    let script = Script::new([error(ErrorKind::Unavailable, Outcome::NotApplied)]);
    retry(unbounded()).run(call(false), || script.attempt()).await.unwrap();
    assert_eq!(script.attempts(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_permanent_error_is_final() {
    let script = Script::new([error(ErrorKind::TooLarge, Outcome::NotApplied)]);
    let failure = retry(unbounded()).run(call(true), || script.attempt()).await.unwrap_err();
    assert_eq!(script.attempts(), 1);
    assert!(!failure.to_string().contains("attempts"), "{failure}");

    let script = Script::new([
        error(ErrorKind::Unavailable, Outcome::NotApplied),
        error(ErrorKind::TooLarge, Outcome::NotApplied),
    ]);
    let failure = retry(unbounded()).run(call(true), || script.attempt()).await.unwrap_err();
    assert_eq!(script.attempts(), 2);
    assert!(failure.to_string().contains("attempts 2"), "{failure}");
}

#[tokio::test(start_paused = true)]
async fn only_the_kinds_that_were_asked_for_are_tried_again() {
    for (kind, attempts) in [(ErrorKind::Timeout, 1), (ErrorKind::Unavailable, 2)] {
        let script = Script::new([error(kind, Outcome::NotApplied)]);
        let options = unbounded().with_only(vec![ErrorKind::Unavailable]);
        let done = retry(options).run(call(true), || script.attempt()).await;
        assert_eq!((done.is_ok(), script.attempts()), (attempts == 2, attempts), "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_unknown_outcome_stays_unknown() {
    for unknown in 1..=2 {
        let timeout = || error(ErrorKind::Timeout, Outcome::Unknown);
        let refusal = error(ErrorKind::TooLarge, Outcome::NotApplied);
        let script = Script::new((0..unknown).map(|_| timeout()).chain([refusal]));
        let failure = retry(unbounded()).run(call(true), || script.attempt()).await.unwrap_err();
        assert_eq!((failure.kind(), failure.outcome()), (ErrorKind::TooLarge, Outcome::Unknown));
    }
}

#[tokio::test(start_paused = true)]
async fn attempts_and_elapsed_time_are_bounded_and_told() {
    let always = || (0..1_000).map(|_| error(ErrorKind::Unavailable, Outcome::NotApplied));
    let script = Script::new(always());
    let options = unbounded().with_attempts(3);
    let failure = retry(options).run(call(true), || script.attempt()).await.unwrap_err();
    assert_eq!(script.attempts(), 3);
    assert!(failure.to_string().contains("attempts 3"), "{failure}");

    let script = Script::new(always());
    let options = unbounded()
        .with_attempts(u32::MAX)
        .with_elapsed(Duration::from_secs(5))
        .with_pauses(Duration::from_millis(100), Duration::from_secs(1));
    let began = tokio::time::Instant::now();
    retry(options).run(call(true), || script.attempt()).await.unwrap_err();
    assert!(began.elapsed() <= Duration::from_secs(5));
    assert!(script.attempts() > 5, "{}", script.attempts());
}

#[tokio::test(start_paused = true)]
async fn the_budget_stops_a_storm_and_fills_again() {
    let budget = Arc::new(RetryBudget::new(0.0, 1.0, 2.0));
    let options = RetryOptions::new()
        .with_attempts(10)
        .with_budget(Arc::clone(&budget))
        .with_pauses(Duration::from_nanos(1), Duration::from_nanos(1));
    let policy = retry(options);
    let always = || (0..20).map(|_| error(ErrorKind::Unavailable, Outcome::NotApplied));
    let script = Script::new(always());
    let failure = policy.run(call(true), || script.attempt()).await.unwrap_err();
    assert_eq!(script.attempts(), 3, "two retries are in the bucket");
    assert!(failure.to_string().contains("retry budget"), "{failure}");

    tokio::time::advance(Duration::from_secs(1)).await;
    let script = Script::new(always());
    policy.run(call(true), || script.attempt()).await.unwrap_err();
    assert_eq!(script.attempts(), 2, "a second gives one more");
}

#[tokio::test(start_paused = true)]
async fn calls_fill_the_budget_by_a_part_of_a_retry_and_time_by_its_rate() {
    let options = RetryOptions::new()
        .with_attempts(10)
        .with_budget(Arc::new(RetryBudget::new(0.5, 0.25, 2.0)))
        .with_pauses(Duration::from_nanos(1), Duration::from_nanos(1));
    let policy = retry(options);
    let attempts = async || {
        let always = (0..20).map(|_| error(ErrorKind::Unavailable, Outcome::NotApplied));
        let script = Script::new(always);
        policy.run(call(true), || script.attempt()).await.unwrap_err();
        script.attempts()
    };
    assert_eq!(attempts().await, 3, "it starts full, and a call adds nothing to that");
    assert_eq!(attempts().await, 1, "half a retry is none, and what is refused takes nothing");
    assert_eq!(attempts().await, 2, "two calls give one");
    tokio::time::advance(Duration::from_secs(4)).await;
    assert_eq!(attempts().await, 2, "four seconds give one, and this call half of another");
    assert_eq!(attempts().await, 2, "with the next call it is whole");
}

#[tokio::test(start_paused = true)]
async fn pauses_are_jittered_within_their_bounds_and_longer_when_throttled() {
    let policy = retry(unbounded().with_pauses(Duration::from_millis(100), Duration::from_secs(1)));
    let mut seen = std::collections::HashSet::new();
    for attempt in 1..=30 {
        let bound = Duration::from_millis(100 << (attempt - 1).min(10)).min(Duration::from_secs(1));
        let pause = policy.pause(attempt, RetryClass::Backoff);
        assert!(pause <= bound, "{attempt}: {pause:?}");
        let throttled = policy.pause(attempt, RetryClass::Throttled);
        let more = (bound * 2).min(Duration::from_secs(1));
        assert!((more / 2..=more).contains(&throttled), "{attempt}: {throttled:?}");
        seen.insert(pause);
    }
    assert!(seen.len() > 25, "no jitter");
}

#[tokio::test(start_paused = true)]
async fn time_limits_leave_the_outcome_unknown() {
    let never = || std::future::pending::<Result<()>>();
    let (limit, key) = (Duration::from_secs(1), Key::copy_from(b"k"));
    let failures = [
        Deadline(limit).run(Call { key: Some(&key), ..call(true) }, never).await.unwrap_err(),
        AttemptTimeout(limit).run(call(true), never).await.unwrap_err(),
    ];
    for failure in &failures {
        assert_eq!((failure.kind(), failure.outcome()), (ErrorKind::Timeout, Outcome::Unknown));
    }
    assert_eq!(failures.map(|failure| failure.key().cloned()), [Some(key), None]);
}

#[tokio::test(start_paused = true)]
async fn a_call_of_many_records_has_the_time_of_each_thousand() {
    for (seconds, in_time) in [(29, true), (31, false)] {
        let slow = || async move {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            Ok(())
        };
        let many = Call { records: 2_500, ..call(true) };
        let done = Deadline(Duration::from_secs(10)).run(many, slow).await;
        assert_eq!(done.is_ok(), in_time, "{seconds} s: {done:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn closing_is_not_cut_short() {
    let slow = || async {
        tokio::time::sleep(Duration::from_secs(100)).await;
        Ok(())
    };
    let close = Call { operation: Operation::Close, ..call(true) };
    Deadline(Duration::from_secs(1)).run(close, slow).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_full_store_refuses_after_the_wait_and_can_still_be_closed() {
    let options = LimitOptions::new(1, Duration::from_secs(1));
    let limit = Arc::new(ConcurrencyLimit::new(options));
    let (release, released) = tokio::sync::oneshot::channel::<()>();
    let released = futures::FutureExt::shared(released);
    let holder = tokio::spawn({
        let limit = Arc::clone(&limit);
        async move {
            limit
                .run(call(true), || async {
                    let _ = released.clone().await;
                    Ok(())
                })
                .await
        }
    });
    tokio::task::yield_now().await;
    let failure = limit.run(call(true), || async { Ok(()) }).await.unwrap_err();
    assert_eq!((failure.kind(), failure.outcome()), (ErrorKind::Unavailable, Outcome::NotApplied));
    for operation in [Operation::Close, Operation::Health] {
        limit.run(Call { operation, ..call(true) }, || async { Ok(()) }).await.unwrap();
    }
    // Who waits is let in when there is a place.
    let waiting = tokio::spawn({
        let limit = Arc::clone(&limit);
        async move { limit.run(call(true), || async { Ok(()) }).await }
    });
    tokio::task::yield_now().await;
    release.send(()).unwrap();
    holder.await.unwrap().unwrap();
    waiting.await.unwrap().unwrap();
    limit.run(call(true), || async { Ok(()) }).await.unwrap();
}

#[test]
fn layers_are_what_was_asked_for() {
    let second = Duration::from_secs(1);
    let set = Layers::none()
        .with_trace(true)
        .with_deadline(Some(second * 2))
        .with_retry(Some(RetryOptions::new().with_attempts(7)))
        .with_attempt_timeout(Some(second))
        .with_limit(Some(LimitOptions::new(0, second)));
    assert!(set.trace);
    assert_eq!((set.deadline, set.attempt_timeout), (Some(second * 2), Some(second)));
    assert_eq!(set.retry.map(|retry| retry.attempts), Some(7));
    assert_eq!(set.limit.map(|limit| (limit.operations, limit.max_wait)), Some((1, second)));

    let none = Layers::none();
    assert!(!none.trace && none.deadline.is_none() && none.retry.is_none());
    assert!(none.attempt_timeout.is_none() && none.limit.is_none());

    let standard = Layers::standard();
    assert!(standard.trace && standard.retry.is_some());
    assert_eq!(standard.deadline, Some(second * 60));
    assert_eq!(standard.attempt_timeout, Some(second * 20));
    assert_eq!(standard.limit.map(|limit| limit.operations), Some(1_024));
}

/// An answer that notes how often it is walked.
struct Walked(Arc<AtomicUsize>);

impl Answer for Walked {
    fn tally(&self) -> Tally {
        self.0.fetch_add(1, Ordering::Relaxed);
        Tally { bytes: 9, ..Tally::default() }
    }
}

/// Notes the bytes that were read.
#[derive(Debug, Default)]
struct Bytes(parking_lot::Mutex<Vec<u64>>);

impl Observer for Bytes {
    fn begun(&self, _: &Call<'_>) {}
    fn ended(&self, _: &Call<'_>, end: &Ended) {
        self.0.lock().push(end.tally.bytes);
    }
    fn attempt_ended(&self, _: &Call<'_>, _: &Ended) {}
    fn retried(&self, _: &Call<'_>, _: &Error, _: Duration) {}
    fn waited(&self, _: &Call<'_>, _: Duration, _: bool) {}
}

#[tokio::test]
async fn the_bytes_of_an_answer_are_counted_once_whoever_listens() {
    let walks = Arc::<AtomicUsize>::default();
    let bytes = Arc::new(Bytes::default());
    let observer = || Arc::clone(&bytes) as Arc<dyn Observer>;
    let (operations, trace) = (ObserveOperations(observer()), Trace::new());
    let (retry, attempts) = (retry(unbounded()).with_spans(true), ObserveAttempts(observer()));
    let (call, walks_ref) = (call(true), &walks);
    let store = || async move { Ok(Walked(Arc::clone(walks_ref))) };
    let around = || retry.run(call, || attempts.run(call, store));
    operations.run(call, || trace.run(call, around)).await.unwrap();
    assert_eq!((walks.load(Ordering::Relaxed), bytes.0.lock()[..].to_vec()), (1, vec![9]));
}

#[test]
fn the_first_failure_among_records_is_that_of_their_call() {
    let failed = |kind| Err(Error::new(kind, Operation::GetMany, "x"));
    let full = Some((ErrorKind::Full, Outcome::Unknown));
    let many: Vec<Result<Option<crate::record::Record>>> =
        vec![Ok(None), failed(ErrorKind::Full), failed(ErrorKind::Corrupt)];
    assert_eq!((many.failure(), many.tally().failure), (full, full));
    assert_eq!(vec![Ok(None::<crate::record::Record>)].failure(), None);
    let batch = crate::batch::BatchOutcome::new(vec![
        Err(Error::new(ErrorKind::Full, Operation::Apply, "x")),
        Err(Error::new(ErrorKind::Corrupt, Operation::Apply, "x")),
    ]);
    assert_eq!((batch.failure(), batch.tally().failure), (full, full));
    // What is left of a batch's answer once its records are sorted out.
    assert_eq!((batch.tally().failure(), batch.tally().tally().failure), (full, full));
}
