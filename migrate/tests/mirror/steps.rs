//! The steps: what they need, what they leave, and what a crash between them leaves.

use std::sync::Arc;
use std::time::Duration;

use pinstate_core::clock::highest_mark;
use pinstate_core::{
    BatchOptions, Clock, ClockOptions, ErrorKind, Operation, Outcome, WriteOptions,
};
use pinstate_migrate::mirror::{Mirror, Phase, Policy, Role};
use tempfile::TempDir;

use crate::faults::copy_folder;
use crate::setup::{
    BUDGET, Setup, all, delete, key, memory, name, options, put, put_before, reach, sled, value,
};

/// All phases, there and back and there again, with writes in each.
async fn walk(setup: &Setup) {
    let before = setup.source_pins().await;
    for n in 0..2_500 {
        put_before(&*before, &format!("old {n:04}"), "before", n + 1).await;
    }
    let mirror = setup.open(Policy::Strict).await;
    let mut expected = all(&*before).await;
    let mut n = 0;
    let mut write = async |mirror: &Mirror| {
        n += 1;
        let (new, gone) = (format!("new {n}"), format!("old {:04}", n * 7));
        put(mirror, &new, "during").await.unwrap();
        put(mirror, "changed", &n.to_string()).await.unwrap();
        delete(mirror, &gone).await.unwrap();
        expected.insert(new, "during".to_owned());
        expected.insert("changed".to_owned(), n.to_string());
        expected.remove(&gone);
        assert_eq!(all(&*mirror.namespace()).await, expected);
    };
    for _ in 0..4 {
        write(&mirror).await;
        mirror.advance().await.unwrap();
    }
    assert_eq!(mirror.status().phase, Phase::Shadow);
    for to in [Phase::Reverse, Phase::Shadow, Phase::Reverse] {
        write(&mirror).await;
        let flipped = match to {
            Phase::Reverse => mirror.cut_over(BUDGET).await,
            _ => mirror.roll_back(BUDGET).await,
        };
        flipped.unwrap();
        write(&mirror).await;
        assert_eq!(setup.same().await, all(&*mirror.namespace()).await);
    }
    assert_eq!(mirror.status().primary, Role::Target);
    let last = mirror.clock().draw().await.unwrap();
    assert!(highest_mark(&*setup.stores[1]).await.unwrap() >= Some(last));
    assert!(mirror.finalise(false).await.unwrap() > 0, "markers are dropped");
    write(&mirror).await;
    let target = all(&*setup.target_pins().await).await;
    assert_eq!(target, all(&*mirror.namespace()).await);
    assert_ne!(target, all(&*setup.source_pins().await).await, "which is left alone");
    // Whoever opens the target alone goes on above everything that was drawn before.
    let last = mirror.clock().draw().await.unwrap();
    let alone = Clock::open(Arc::clone(&setup.stores[1]), ClockOptions::new()).await.unwrap();
    assert!(alone.draw().await.unwrap() > last);
}

#[tokio::test]
async fn a_pinset_moves_from_memory_to_memory() {
    walk(&Setup::memory().await).await;
}

#[tokio::test]
async fn a_pinset_moves_from_sled_to_sled() {
    let folder = TempDir::new().unwrap();
    walk(&Setup::of(sled(&folder, "a").await, sled(&folder, "b").await).await).await;
}

#[tokio::test]
async fn a_pinset_moves_from_memory_to_sled_and_from_sled_to_memory() {
    let folder = TempDir::new().unwrap();
    walk(&Setup::of(memory(), sled(&folder, "a").await).await).await;
    walk(&Setup::of(sled(&folder, "b").await, memory()).await).await;
}

#[tokio::test]
async fn each_phase_has_its_steps_and_no_others() {
    let setup = Setup::memory().await;
    let mirror = setup.open(Policy::Strict).await;
    let refused = |result: pinstate_core::Result<()>| {
        assert_eq!(result.unwrap_err().kind(), ErrorKind::InvalidInput);
    };
    refused(mirror.cut_over(BUDGET).await.map(drop));
    refused(mirror.finalise(false).await.map(drop));
    reach(&mirror, Phase::Shadow).await;
    refused(mirror.advance().await.map(drop));
    refused(mirror.roll_back(BUDGET).await.map(drop));
    mirror.cut_over(BUDGET).await.unwrap();
    refused(mirror.cut_over(BUDGET).await.map(drop));
    mirror.finalise(true).await.unwrap();
    refused(mirror.abort(BUDGET).await);
}

#[tokio::test]
async fn an_abort_leaves_the_source_with_everything() {
    for phase in [Phase::Idle, Phase::Mirror, Phase::Backfill, Phase::Shadow, Phase::Reverse] {
        let setup = Setup::memory().await;
        put_before(&*setup.source_pins().await, "k", "before", 1).await;
        let mirror = setup.open_in(Policy::Journal, phase).await;
        put(&mirror, "k", "during").await.unwrap();
        mirror.abort(BUDGET).await.unwrap();
        put(&mirror, "after", "abort").await.unwrap();
        let pins = all(&*setup.source_pins().await).await;
        assert_eq!((pins["k"].as_str(), pins["after"].as_str()), ("during", "abort"), "{phase}");
        assert_eq!(value(&*setup.target_pins().await, "after").await, None, "{phase}");
        drop(mirror);
        // It stays so, and another job may begin.
        assert_eq!(setup.open(Policy::Journal).await.status().phase, Phase::Aborted);
    }
}

#[tokio::test]
async fn an_abort_stops_the_step_under_way() {
    let setup = Setup::memory().await;
    put_before(&*setup.source_pins().await, "k", "before", 1).await;
    let mirror = setup.open_in(Policy::Strict, Phase::Backfill).await;
    let held = setup.target.hold_before(Operation::Sync);
    let step = tokio::spawn({
        let mirror = mirror.clone();
        async move { mirror.advance().await }
    });
    held.reached().await;
    assert_eq!(mirror.advance().await.unwrap_err().kind(), ErrorKind::Conflict, "one at a time");
    let abort = tokio::spawn({
        let mirror = mirror.clone();
        async move { mirror.abort(BUDGET).await }
    });
    held.release();
    // It may have been through already.
    drop(step.await.unwrap());
    abort.await.unwrap().unwrap();
    assert_eq!(mirror.status().phase, Phase::Aborted);
}

#[tokio::test]
async fn a_cut_over_beyond_its_budget_changes_nothing() {
    let setup = Setup::memory().await;
    let mirror = setup.open_in(Policy::Strict, Phase::Shadow).await;
    let held = setup.source.hold_before(Operation::Put);
    let writing = tokio::spawn({
        let mirror = mirror.clone();
        async move { put(&mirror, "k", "v").await }
    });
    held.reached().await;
    let error = mirror.cut_over(Duration::from_millis(1)).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Timeout, Outcome::NotApplied));
    assert_eq!(mirror.status().phase, Phase::Shadow);
    held.release();
    writing.await.unwrap().unwrap();
    put(&mirror, "l", "v").await.unwrap();
    assert_eq!(setup.same().await.len(), 2);
    mirror.cut_over(BUDGET).await.unwrap();
}

#[tokio::test]
async fn a_cut_over_to_a_store_that_fails_changes_nothing() {
    let setup = Setup::memory().await;
    let mirror = setup.open_in(Policy::Journal, Phase::Shadow).await;
    setup.target.refuse_all(Operation::Put);
    put(&mirror, "k", "v").await.unwrap();
    assert!(mirror.cut_over(BUDGET).await.is_err());
    assert_eq!(mirror.status().phase, Phase::Shadow);
    setup.target.heal();
    // Nor does one whose record cannot be written.
    setup.target.refuse(Operation::ControlSet);
    assert!(mirror.cut_over(BUDGET).await.is_err());
    assert_eq!(mirror.status().phase, Phase::Shadow);
    put(&mirror, "l", "v").await.unwrap();
    mirror.cut_over(BUDGET).await.unwrap();
    assert_eq!(setup.same().await.len(), 2);
}

#[tokio::test]
async fn a_record_whose_answer_is_lost_is_looked_for() {
    let setup = Setup::memory().await;
    let mirror = setup.open_in(Policy::Strict, Phase::Shadow).await;
    put(&mirror, "k", "v").await.unwrap();
    setup.target.lose_answer(Operation::ControlSet);
    setup.source.lose_answer(Operation::ControlSet);
    mirror.cut_over(BUDGET).await.unwrap();
    assert_eq!(mirror.status().phase, Phase::Reverse);
    drop(mirror);
    assert_eq!(setup.open(Policy::Strict).await.status().phase, Phase::Reverse);
}

#[tokio::test]
async fn a_crash_between_both_records_goes_forward() {
    let setup = Setup::memory().await;
    let mirror = setup.open_in(Policy::Strict, Phase::Shadow).await;
    put(&mirror, "k", "v").await.unwrap();
    // The target's record says reverse, the source's is still to be written.
    let held = setup.source.hold_before(Operation::ControlSet);
    let flip = tokio::spawn({
        let mirror = mirror.clone();
        async move { mirror.cut_over(BUDGET).await }
    });
    held.reached().await;
    let killed = setup.folder.path().join("killed");
    copy_folder(&setup.job(), &killed);
    let [source, target] = setup.stores.clone();
    let stores = ((source, name()), (target, name()));
    let again = Mirror::open(stores.0, stores.1, &killed, options(Policy::Strict)).await.unwrap();
    assert_eq!(again.status().phase, Phase::Reverse);
    assert_eq!(value(&*again.namespace(), "k").await.as_deref(), Some("v"));
    again.roll_back(BUDGET).await.unwrap();
    flip.abort();
}

#[tokio::test]
async fn a_backfill_goes_on_where_it_was() {
    let setup = Setup::memory().await;
    let before = setup.source_pins().await;
    for n in 0..5_000 {
        put_before(&*before, &format!("{n}"), "before", 1).await;
    }
    let mirror = setup.open_in(Policy::Strict, Phase::Backfill).await;
    for _ in 0..5 {
        let held = setup.target.hold_before(Operation::Sync);
        held.release();
    }
    setup.target.refuse(Operation::Sync);
    assert!(mirror.advance().await.is_err());
    let first = mirror.status().copied;
    drop(mirror);
    let mirror = setup.open(Policy::Strict).await;
    mirror.advance().await.unwrap();
    let second = mirror.status().copied;
    assert!(second < 5_000 && first + second < 6_000, "{first} and {second}");
    assert_eq!(setup.same().await.len(), 5_000);
}

#[tokio::test]
async fn what_differs_is_found_and_made_the_same() {
    let setup = Setup::memory().await;
    let mirror = setup.open(Policy::Strict).await;
    for name in ["same", "missing", "different"] {
        put(&mirror, name, "v").await.unwrap();
    }
    reach(&mirror, Phase::Verify).await;
    let target = setup.target_pins().await;
    let plain = WriteOptions::new();
    let draw = async || mirror.clock().draw().await.unwrap();
    let gone = pinstate_core::Delete::new(key("missing"), draw().await);
    target.delete(gone, plain).await.unwrap();
    for of in ["different", "extra"] {
        let wrong = pinstate_core::Put::new(key(of), "wrong", draw().await);
        target.put(wrong, plain).await.unwrap();
    }
    mirror.advance().await.unwrap();
    assert_eq!(setup.same().await.into_values().collect::<Vec<_>>(), ["v"; 3]);
    assert_eq!(mirror.status().different, 3);
    // In the next phase by reads.
    let wrong = pinstate_core::Put::new(key("same"), "wrong", draw().await);
    target.put(wrong, plain).await.unwrap();
    assert_eq!(value(&*mirror.namespace(), "same").await.as_deref(), Some("v"));
    while mirror.status().shadow_different == 0 {
        tokio::task::yield_now().await;
    }
    while mirror.repair().await.unwrap() > 0 {}
    assert_eq!(setup.same().await["same"], "v");
}

#[tokio::test]
async fn a_secondary_that_fails_is_waited_for_or_left_behind() {
    let setup = Setup::memory().await;
    let mirror = setup.open_in(Policy::Journal, Phase::Shadow).await;
    setup.target.refuse_all(Operation::Put);
    for n in 0..10 {
        put(&mirror, &n.to_string(), "v").await.unwrap();
    }
    let status = mirror.status();
    assert_eq!((status.journal_keys, status.secondary_failures), (10, 1), "asked once");
    assert!(status.secondary_down.is_some());
    assert!(mirror.repair().await.is_err());
    setup.target.heal();
    assert_eq!(mirror.repair().await.unwrap(), 0);
    assert!(mirror.status().secondary_down.is_none());
    assert_eq!(setup.same().await.len(), 10);
}

#[tokio::test]
async fn repairs_are_made_without_being_asked_for() {
    let setup = Setup::memory().await;
    let mut options = options(Policy::Journal);
    options.repair_pause = Some(Duration::from_millis(1));
    let mirror = setup.try_open(options).await.unwrap();
    reach(&mirror, Phase::Shadow).await;
    setup.target.refuse(Operation::Put);
    put(&mirror, "k", "v").await.unwrap();
    while mirror.status().journal_keys > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(setup.same().await["k"], "v");
}

#[tokio::test]
async fn batches_go_to_both_and_other_conditions_to_none() {
    let setup = Setup::memory().await;
    let mirror = setup.open_in(Policy::Strict, Phase::Shadow).await;
    let pins = mirror.namespace();
    let first = mirror.clock().draw_many(3).await.unwrap().micros();
    let put = |of: &str, n| {
        pinstate_core::Put::new(key(of), n_text(n), pinstate_core::Version(first + n)).into()
    };
    let gone = pinstate_core::Delete::new(key("a"), pinstate_core::Version(first + 2)).into();
    let batch = vec![put("a", 0), put("b", 1), gone];
    pins.apply(batch, BatchOptions::new()).await.unwrap().into_result().unwrap();
    assert_eq!(setup.same().await.into_iter().collect::<Vec<_>>(), [("b".into(), n_text(1))]);
    let error = pins.apply(vec![put("c", 0)], BatchOptions::atomic()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let write = pinstate_core::Put::new(key("c"), "v", pinstate_core::Version(first));
    let error = pins.put(write, WriteOptions::if_absent()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(
        pins.purge_deleted(pinstate_core::Version::MAX).await.unwrap_err().kind(),
        ErrorKind::Conflict
    );
    assert_eq!(setup.same().await.len(), 1);
}

fn n_text(n: i64) -> String {
    format!("value {n}")
}
