//! What must hold at the worst moment. Each of these kills a mutant in `mutants/`.

use pinstate_core::{ErrorKind, Operation, Outcome, Version};
use pinstate_migrate::mirror::{Mirror, Phase, Policy};

use crate::faults::copy_folder;
use crate::setup::{BUDGET, Setup, all, delete, name, options, put, put_before, reach, value};

#[tokio::test]
async fn a_backfill_never_overwrites_a_newer_write() {
    let setup = Setup::memory().await;
    put_before(&*setup.source_pins().await, "k", "old", 5).await;
    let mirror = setup.open_in(Policy::Strict, Phase::Backfill).await;
    // The page is read, and on its way.
    let page = setup.target.hold_before(Operation::Apply);
    let backfill = tokio::spawn({
        let mirror = mirror.clone();
        async move { mirror.advance().await }
    });
    page.reached().await;
    put(&mirror, "k", "new").await.unwrap();
    page.release();
    backfill.await.unwrap().unwrap();
    assert_eq!(value(&*setup.target_pins().await, "k").await.as_deref(), Some("new"));
}

#[tokio::test]
async fn a_backfill_brings_no_deleted_key_back() {
    let setup = Setup::memory().await;
    put_before(&*setup.source_pins().await, "k", "old", 5).await;
    let mirror = setup.open_in(Policy::Strict, Phase::Backfill).await;
    let page = setup.target.hold_before(Operation::Apply);
    let backfill = tokio::spawn({
        let mirror = mirror.clone();
        async move { mirror.advance().await }
    });
    page.reached().await;
    delete(&mirror, "k").await.unwrap();
    page.release();
    backfill.await.unwrap().unwrap();
    assert_eq!(value(&*setup.target_pins().await, "k").await, None);
}

#[tokio::test]
async fn a_backfill_waits_for_writes_that_began_before_the_mirror() {
    let setup = Setup::memory().await;
    let mirror = setup.open(Policy::Strict).await;
    let held = setup.source.hold_before(Operation::Apply);
    let early = tokio::spawn({
        let mirror = mirror.clone();
        async move { put(&mirror, "k", "early").await }
    });
    held.reached().await;
    let mut steps = tokio::spawn({
        let mirror = mirror.clone();
        async move { reach(&mirror, Phase::Verify).await }
    });
    // Either it waits, or it is through although the write is not.
    while !mirror.status().fenced && !steps.is_finished() {
        tokio::task::yield_now().await;
    }
    if steps.is_finished() {
        (&mut steps).await.unwrap();
    }
    held.release();
    early.await.unwrap().unwrap();
    if !steps.is_finished() {
        steps.await.unwrap();
    }
    assert_eq!(value(&*setup.target_pins().await, "k").await.as_deref(), Some("early"));
}

#[tokio::test]
async fn a_cut_over_copies_first_what_the_journal_holds() {
    let setup = Setup::memory().await;
    let mirror = setup.open_in(Policy::Journal, Phase::Shadow).await;
    put(&mirror, "gone", "1").await.unwrap();
    setup.target.refuse(Operation::Put);
    put(&mirror, "k", "acknowledged").await.unwrap();
    // While the secondary is down nothing goes to it.
    delete(&mirror, "gone").await.unwrap();
    assert_eq!(mirror.status().journal_keys, 2);
    mirror.cut_over(BUDGET).await.unwrap();
    assert_eq!(mirror.status().journal_keys, 0);
    let pins = mirror.namespace();
    assert_eq!(value(&*pins, "k").await.as_deref(), Some("acknowledged"));
    assert_eq!(value(&*pins, "gone").await, None);
}

#[tokio::test]
async fn a_key_is_in_the_journal_before_the_primary_is_touched() {
    let setup = Setup::memory().await;
    let mirror = setup.open_in(Policy::Strict, Phase::Shadow).await;
    let held = setup.source.hold_after(Operation::Put);
    let writing = tokio::spawn({
        let mirror = mirror.clone();
        async move { put(&mirror, "k", "v").await }
    });
    held.reached().await;
    // The process is killed now: the primary has it, the secondary has not.
    let killed = setup.folder.path().join("killed");
    copy_folder(&setup.job(), &killed);
    let [source, target] = setup.stores.clone();
    let stores = ((source, name()), (target, name()));
    let again = Mirror::open(stores.0, stores.1, &killed, options(Policy::Strict)).await.unwrap();
    assert_eq!(again.repair().await.unwrap(), 0);
    assert_eq!(value(&*setup.target_pins().await, "k").await.as_deref(), Some("v"));
    writing.abort();
    held.release();
}

#[tokio::test]
async fn a_repair_copies_what_the_primary_holds_now() {
    let setup = Setup::memory().await;
    let mirror = setup.open_in(Policy::Strict, Phase::Shadow).await;
    put(&mirror, "k", "first").await.unwrap();
    setup.target.refuse(Operation::Put);
    put(&mirror, "k", "second").await.unwrap_err();
    // The repair has looked at the key, and is slow to go on.
    let held = setup.source.hold_after(Operation::Get);
    let repair = tokio::spawn({
        let mirror = mirror.clone();
        async move { mirror.repair().await }
    });
    held.reached().await;
    let waits = mirror.status().lock_waits;
    let writing = tokio::spawn({
        let mirror = mirror.clone();
        async move { put(&mirror, "k", "third").await }
    });
    // Either the write waits for the repair, or it is through.
    while mirror.status().lock_waits == waits && !writing.is_finished() {
        tokio::task::yield_now().await;
    }
    held.release();
    repair.await.unwrap().unwrap();
    writing.await.unwrap().unwrap();
    while mirror.repair().await.unwrap() > 0 {}
    assert_eq!(setup.same().await["k"], "third");
}

#[tokio::test]
async fn a_rollback_keeps_what_was_written_since_the_cut_over() {
    let setup = Setup::memory().await;
    let mirror = setup.open(Policy::Journal).await;
    put(&mirror, "changed", "1").await.unwrap();
    put(&mirror, "deleted", "1").await.unwrap();
    put(&mirror, "lost", "1").await.unwrap();
    reach(&mirror, Phase::Reverse).await;
    put(&mirror, "changed", "2").await.unwrap();
    put(&mirror, "added", "2").await.unwrap();
    delete(&mirror, "deleted").await.unwrap();
    setup.source.lose_answer(Operation::Put);
    put(&mirror, "lost", "2").await.unwrap();
    put(&mirror, "down", "2").await.unwrap();
    mirror.roll_back(BUDGET).await.unwrap();
    assert_eq!(mirror.status().phase, Phase::Shadow);
    let pins = all(&*mirror.namespace()).await;
    let expected = [("added", "2"), ("changed", "2"), ("down", "2"), ("lost", "2")];
    assert_eq!(pins.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect::<Vec<_>>(), expected);
    assert_eq!(setup.same().await, pins);
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_is_the_same_on_both_stores_in_the_end() {
    let setup = Setup::memory().await;
    let mirror = setup.open_in(Policy::Strict, Phase::Shadow).await;
    setup.source.lose_answer(Operation::Put);
    let error = put(&mirror, "primary", "v").await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown);
    setup.target.lose_answer(Operation::Put);
    let error = put(&mirror, "secondary", "v").await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown);
    setup.source.refuse(Operation::Put);
    let error = put(&mirror, "refused", "v").await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::NotApplied);
    assert_eq!(mirror.status().journal_keys, 2);
    while mirror.repair().await.unwrap() > 0 {}
    assert_eq!(setup.same().await.into_keys().collect::<Vec<_>>(), ["primary", "secondary"]);
}

#[tokio::test]
async fn writes_that_arrive_out_of_order_end_alike_on_both_stores() {
    let setup = Setup::memory().await;
    let mirror = setup.open_in(Policy::Strict, Phase::Shadow).await;
    let early = mirror.clock().draw().await.unwrap();
    put(&mirror, "k", "late").await.unwrap();
    let write = pinstate_core::Put::new(crate::setup::key("k"), "early", early);
    let written = mirror.namespace().put(write, pinstate_core::WriteOptions::new()).await.unwrap();
    assert_eq!(written, pinstate_core::Written::Applied, "just before the other");
    assert_eq!(setup.same().await["k"], "late");
    // What would be hidden by a record ahead of the clock is refused, not swallowed.
    let ahead = Version(mirror.clock().draw().await.unwrap().micros() + 3_600_000_000);
    put_before(&*mirror.namespace(), "k", "ahead", ahead.micros()).await;
    let error = put(&mirror, "k", "hidden").await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Conflict, Outcome::NotApplied));
    assert_eq!(setup.same().await["k"], "ahead");
}

#[tokio::test]
async fn a_write_that_a_repair_overtakes_is_not_acknowledged_and_lost() {
    for flips in [false, true] {
        let setup = Setup::memory().await;
        let mirror = setup.open_in(Policy::Journal, Phase::Shadow).await;
        put(&mirror, "k", "before").await.unwrap();
        setup.target.refuse(Operation::Delete);
        delete(&mirror, "k").await.unwrap();
        // Its version is drawn, and it waits, for a flip or for another reason.
        let early = mirror.clock().draw().await.unwrap();
        if flips {
            mirror.cut_over(BUDGET).await.unwrap();
        } else {
            assert_eq!(mirror.repair().await.unwrap(), 0);
        }
        let late = pinstate_core::Put::new(crate::setup::key("k"), "late", early);
        let options = pinstate_core::WriteOptions::new();
        let error = mirror.namespace().put(late, options).await.unwrap_err();
        assert_eq!(error.outcome(), Outcome::NotApplied);
        assert!(setup.same().await.is_empty());
        put(&mirror, "k", "again").await.unwrap();
        assert_eq!(setup.same().await["k"], "again");
    }
}

/// A file system that is full when it is told to be.
struct Small(tempfile::TempDir);

impl Small {
    /// Nothing where this process may not mount.
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = std::process::Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=256k", "tmpfs"]).arg(folder.path());
        mount.output().is_ok_and(|ran| ran.status.success()).then_some(Self(folder))
    }

    fn filler(&self) -> std::path::PathBuf {
        self.0.path().join("filler")
    }

    fn fill(&self) {
        // To the last byte, which is when it fails.
        drop(std::fs::write(self.filler(), vec![0; 1 << 20]));
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        drop(std::process::Command::new("umount").arg("-l").arg(self.0.path()).output());
    }
}

#[tokio::test]
async fn a_write_that_the_journal_does_not_take_is_refused_untouched() {
    let Some(small) = Small::mount() else {
        println!("skipped: mounting a small file system takes root");
        return;
    };
    let setup = Setup::memory().await;
    let [source, target] = setup.faulty.clone();
    let job = small.0.path().join("job");
    let opened = Mirror::open((source, name()), (target, name()), &job, options(Policy::Strict));
    let mirror = opened.await.unwrap();
    reach(&mirror, Phase::Shadow).await;
    small.fill();
    let long = "k".repeat(60_000);
    let error = put(&mirror, &long, "v").await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Full, Outcome::NotApplied));
    // Nor does a later one slip through, however short it is.
    let error = put(&mirror, "short", "v").await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::NotApplied);
    assert!(setup.same().await.is_empty());
    assert!(mirror.cut_over(BUDGET).await.is_err());
    // With room again it goes on, with all that the journal had.
    std::fs::remove_file(small.filler()).unwrap();
    setup.target.refuse(Operation::Put);
    put(&mirror, "k", "v").await.unwrap_err();
    mirror.cut_over(BUDGET).await.unwrap();
    assert_eq!(setup.same().await["k"], "v");
}

#[tokio::test]
async fn what_one_store_would_refuse_is_refused_before_the_other_takes_it() {
    let setup = Setup::memory().await;
    let mirror = setup.open_in(Policy::Strict, Phase::Shadow).await;
    let most = mirror.namespace().capabilities().max_value_bytes;
    let large = "v".repeat(usize::try_from(most).unwrap() + 1);
    let error = put(&mirror, "k", &large).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::TooLarge, Outcome::NotApplied));
    assert!(setup.same().await.is_empty());
}
