//! Whose mirror it is, and what is refused to others.

use std::sync::Arc;
use std::time::Duration;

use pinstate_core::{ErrorKind, Operation, Outcome};
use pinstate_migrate::mirror::{Answer, Control, Mirror, Phase, Policy, Request, ask};

use crate::setup::{BUDGET, Setup, memory, name, options, put, put_before};

#[tokio::test]
async fn a_second_opener_is_refused() {
    let setup = Setup::memory().await;
    let mirror = setup.open_in(Policy::Strict, Phase::Mirror).await;
    let error = setup.try_open(options(Policy::Strict)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked, "the folder's lock");
    let [source, target] = setup.stores.clone();
    let elsewhere = setup.folder.path().join("elsewhere");
    let stores = ((source, name()), (target, name()));
    let error =
        Mirror::open(stores.0.clone(), stores.1.clone(), &elsewhere, options(Policy::Strict))
            .await
            .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked, "the stores' records");
    assert!(error.to_string().contains("held by process"), "{error}");
    // Neither store may be half of another mirror.
    let third = memory();
    let error =
        Mirror::open(stores.1.clone(), (third, name()), &elsewhere, options(Policy::Strict))
            .await
            .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked);
    mirror.abort(BUDGET).await.unwrap();
    let mut over = options(Policy::Strict);
    over.overwrite = true;
    Mirror::open(stores.0, stores.1, &elsewhere, over).await.unwrap();
}

#[tokio::test]
async fn a_folder_is_about_two_stores() {
    let setup = Setup::memory().await;
    drop(setup.open(Policy::Strict).await);
    let [source, target] = setup.stores.clone();
    let (job, elsewhere) = (setup.job(), setup.folder.path().join("elsewhere"));
    let turned = Mirror::open(
        (target, name()),
        (Arc::clone(&source), name()),
        &job,
        options(Policy::Strict),
    );
    assert_eq!(turned.await.unwrap_err().kind(), ErrorKind::InvalidInput);
    let same = Mirror::open(
        (Arc::clone(&source), name()),
        (source, name()),
        &elsewhere,
        options(Policy::Strict),
    );
    assert_eq!(same.await.unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn a_target_with_records_is_refused_unless_it_may_be_overwritten() {
    let setup = Setup::memory().await;
    setup.stores[1].create_namespace(&name()).await.unwrap();
    put_before(&*setup.target_pins().await, "other", "v", 1).await;
    let error = setup.try_open(options(Policy::Strict)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    let mut over = options(Policy::Strict);
    over.overwrite = true;
    let mirror = setup.try_open(over).await.unwrap();
    crate::setup::reach(&mirror, Phase::Shadow).await;
    assert!(setup.same().await.is_empty());
}

#[tokio::test]
async fn a_job_that_took_the_stores_over_ends_this_one() {
    let setup = Setup::memory().await;
    let mirror = setup.open_in(Policy::Strict, Phase::Shadow).await;
    let key = format!("mirror/{}", name());
    let record = setup.stores[1].control_get(&key).await.unwrap().unwrap();
    let text = String::from_utf8(record.value.to_vec()).unwrap();
    let job = mirror.status().job.to_string();
    let other = text.replace(&job, "00000000-0000-4000-8000-000000000001");
    let expect = pinstate_core::Expect::Revision(record.revision);
    let set = setup.stores[1].control_set(&key, expect, other.as_bytes()).await.unwrap();
    assert!(set.is_applied());
    assert_eq!(mirror.cut_over(BUDGET).await.unwrap_err().kind(), ErrorKind::Locked);
    let error = put(&mirror, "k", "v").await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Closed, Outcome::NotApplied));
}

#[tokio::test]
async fn writes_that_wait_too_long_for_a_flip_are_refused() {
    let setup = Setup::memory().await;
    let mut short = options(Policy::Strict);
    short.fence_wait = Duration::from_millis(1);
    let mirror = setup.try_open(short).await.unwrap();
    crate::setup::reach(&mirror, Phase::Shadow).await;
    let held = setup.target.hold_before(Operation::ControlSet);
    let flip = tokio::spawn({
        let mirror = mirror.clone();
        async move { mirror.cut_over(BUDGET).await }
    });
    held.reached().await;
    let error = put(&mirror, "k", "v").await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Unavailable, Outcome::NotApplied));
    held.release();
    flip.await.unwrap().unwrap();
    put(&mirror, "k", "v").await.unwrap();
}

#[tokio::test]
async fn a_closed_mirror_takes_no_writes() {
    let setup = Setup::memory().await;
    let mirror = setup.open(Policy::Strict).await;
    mirror.close().await;
    let error = put(&mirror, "k", "v").await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Closed, Outcome::NotApplied));
}

#[tokio::test]
async fn a_mirror_is_told_what_to_do_through_its_socket() {
    use std::os::unix::fs::PermissionsExt;

    let setup = Setup::memory().await;
    put_before(&*setup.source_pins().await, "k", "v", 1).await;
    let job = setup.job();
    let error = ask(&job, &Request::Status).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let mirror = setup.open(Policy::Strict).await;
    let serving = tokio::spawn(Control::listen(&mirror).unwrap().serve());
    let socket = job.join("control.sock");
    let mode = |path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&job), mode(&socket)), (0o700, 0o600));
    let budget_ms = 60_000;
    let steps = [
        (Request::Advance, Phase::Mirror),
        (Request::Advance, Phase::Backfill),
        (Request::Advance, Phase::Verify),
        (Request::Advance, Phase::Shadow),
        (Request::Shadow { percent: 50 }, Phase::Shadow),
        (Request::Cutover { budget_ms }, Phase::Reverse),
        (Request::Rollback { budget_ms }, Phase::Shadow),
        (Request::Status, Phase::Shadow),
        (Request::Cutover { budget_ms }, Phase::Reverse),
        (Request::Finalise { keep_markers: true }, Phase::Finalised),
    ];
    for (request, phase) in steps {
        match ask(&job, &request).await.unwrap() {
            Answer::Done(status) => assert_eq!(status.phase, phase, "{request:?}"),
            other => panic!("{request:?}: {other:?}"),
        }
    }
    match ask(&job, &Request::Abort { budget_ms }).await.unwrap() {
        Answer::Failed { error, status } => {
            assert_eq!(status.phase, Phase::Finalised);
            assert_eq!(error.into_error().kind(), ErrorKind::InvalidInput);
        }
        other => panic!("{other:?}"),
    }
    serving.abort();
    drop(serving.await);
    drop(mirror);
    // Whoever asks a mirror that does not run is told what it has left.
    let error = ask(&job, &Request::Status).await.unwrap_err();
    assert!(error.to_string().contains("keys in its journal 0"), "{error}");
}
