//! Writes whose answers are lost or late.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_write_whose_answer_is_lost_is_unknown_and_repeated_with_its_version() {
    let change = |config: &mut ScyllaConfig| config.attempt_timeout = Some(millis(1_000));
    let Some(mut ground) = Ground::new("pins", change).await else { return };
    let lost = key("lost answer");

    // Every answer is lost: the write is there, and nobody can know.
    let (tell, mut dropped) = tokio::sync::mpsc::unbounded_channel();
    let rules: Vec<_> = (0..3).map(|i| ground.proxied.noted(i, about(b"lost answer"))).collect();
    ground.proxied.requests(|i| vec![rules[i].clone()]);
    ground.proxied.responses(|_| {
        let drop = ResponseReaction::drop_frame().with_feedback_when_performed(tell.clone());
        answers(results(), drop)
    });
    let version = 1_111_111_111_111_111;
    let error = put(&*ground.pins, &lost, version).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Timeout, Outcome::Unknown), "{error}");
    assert_eq!(error.retry_class(), RetryClass::Backoff);
    let seen = ground.proxied.log.about(lost.as_bytes());
    assert_eq!((seen.len(), nodes(&seen).len()), (2, 2), "one other node is asked: {seen:?}");
    assert!(seen.iter().all(|seen| seen.has(&version.to_be_bytes())), "{seen:?}");
    // Whoever is asked next, and all are silent by now, asks two of them as well.
    let keys: Vec<_> = (0..12).map(|i| key(&format!("lost answer {i:02}"))).collect();
    for result in join_all(keys.iter().map(|key| put(&*ground.pins, key, 5))).await {
        assert_eq!(result.unwrap_err().outcome(), Outcome::Unknown);
    }
    for key in &keys {
        let seen = ground.proxied.log.about(key.as_bytes());
        assert_eq!((seen.len(), nodes(&seen).len()), (2, 2), "one other node is asked: {seen:?}");
    }
    // A node answered, so a quorum had it by then.
    dropped.recv().await.unwrap();
    assert_eq!(ground.stored(&lost).await, Some(version), "the write was applied");

    // Each node loses one answer: the layer repeats the write, and it is the same write.
    let (version, before) = (version + 1, ground.proxied.log.about(lost.as_bytes()).len());
    ground.proxied.responses(|_| {
        let once = results().and(Condition::TrueForLimitedTimes(1));
        answers(once, ResponseReaction::drop_frame())
    });
    put(&*ground.layered, &lost, version).await.unwrap();
    let seen = ground.proxied.log.about(&version.to_be_bytes());
    assert!(seen.len() >= 3, "two attempts of which the first asks two nodes: {seen:?}");
    let all = ground.proxied.log.about(lost.as_bytes());
    assert_eq!(all.len(), seen.len() + before, "no request has another version");
    assert_eq!(ground.stored(&lost).await, Some(version));
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_loses_answers_is_asked_once_and_another_answers() {
    let change = |config: &mut ScyllaConfig| config.attempt_timeout = Some(millis(2_000));
    let Some(mut ground) = Ground::new("pins", change).await else { return };
    let rules: Vec<_> = (0..3).map(|i| ground.proxied.noted(i, about(b"one deaf node"))).collect();
    ground.proxied.requests(|i| vec![rules[i].clone()]);
    ground.proxied.responses(|i| match i {
        0 => answers(results(), ResponseReaction::drop_frame()),
        _ => Vec::new(),
    });
    let keys: Vec<_> = (0..30).map(|i| key(&format!("one deaf node {i:02}"))).collect();
    for result in join_all(keys.iter().map(|key| put(&*ground.pins, key, 5))).await {
        result.unwrap();
    }
    for key in &keys {
        let seen = ground.proxied.log.about(key.as_bytes());
        assert!(seen.len() <= 2 && nodes(&seen).len() == seen.len(), "{seen:?}");
    }
    assert!(ground.proxied.log.all().iter().any(|seen| seen.node == 0));
    ground.end().await;
}

/// Whatever answers came in what order: what was applied is never said not to be.
async fn applied_is_never_denied(mark: &'static str, lost: ResponseReaction) {
    let change = |config: &mut ScyllaConfig| config.attempt_timeout = Some(millis(1_000));
    let Some(mut ground) = Ground::new("pins", change).await else { return };
    // The first node does what it is told, and nobody hears of it; the others refuse.
    let rules: Vec<_> = (0..3)
        .map(|i| match i {
            0 => ground.proxied.noted(0, about(mark.as_bytes())),
            _ => {
                let few = DbError::Unavailable {
                    consistency: Consistency::LocalQuorum,
                    required: 2,
                    alive: 1,
                };
                ground.proxied.refused(i, about(mark.as_bytes()), few, "too few")
            }
        })
        .collect();
    ground.proxied.requests(|i| vec![rules[i].clone()]);
    ground.proxied.responses(|i| match i {
        0 => answers(results(), lost.clone()),
        _ => Vec::new(),
    });
    let mut denied = 0;
    let writes = 10;
    for i in 0..writes {
        let key = key(&format!("{mark} {i}"));
        let error = put(&*ground.pins, &key, 5).await.unwrap_err();
        let seen = ground.proxied.log.about(key.as_bytes());
        assert!(seen.len() <= 3, "{seen:?}");
        if error.outcome() == Outcome::NotApplied {
            denied += 1;
            assert!(!nodes(&seen).contains(&0), "it may be applied: {error} {seen:?}");
            assert_eq!(ground.stored(&key).await, None, "{error}");
        }
    }
    assert!(denied < writes, "no write met the node whose answers are lost");
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_after_a_lost_answer_leaves_the_outcome_unknown() {
    applied_is_never_denied("then refused", ResponseReaction::drop_frame()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_after_a_broken_connection_leaves_the_outcome_unknown() {
    applied_is_never_denied("cut, refused", ResponseReaction::drop_connection()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_write_wins_over_one_that_is_late() {
    let Some(mut ground) = Ground::new("pins", |_| {}).await else { return };
    let old: i64 = 1_222_222_222_222_222;
    // Whatever carries the old version comes to its node only after the new one was
    // acknowledged.
    let late = Duration::from_secs(3);
    let rules: Vec<_> =
        (0..3).map(|i| ground.proxied.late(i, about(&old.to_be_bytes()), late)).collect();
    ground.proxied.requests(|i| vec![rules[i].clone()]);
    let (kept, gone) = (key("late put"), key("late put of a deleted pin"));
    let pins = Arc::clone(&ground.pins);
    let first = {
        let (pins, kept, gone) = (Arc::clone(&pins), kept.clone(), gone.clone());
        tokio::spawn(
            async move { tokio::try_join!(put(&*pins, &kept, old), put(&*pins, &gone, old)) },
        )
    };
    ground.proxied.log.wait_for(&old.to_be_bytes(), 2).await;
    put(&*pins, &kept, old + 1).await.unwrap();
    let delete = pinstate_core::Delete::new(gone.clone(), Version(old + 1));
    pins.delete(delete, WriteOptions::if_newer()).await.unwrap();
    assert!(!first.is_finished(), "the machine is too slow for this to be shown");
    first.await.unwrap().unwrap();
    assert_eq!(ground.stored(&kept).await, Some(old + 1));
    assert_eq!(ground.stored(&gone).await, None, "a deleted pin is back");
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_write_wins_over_the_repetition_of_one_whose_answer_is_late() {
    let change = |config: &mut ScyllaConfig| config.attempt_timeout = Some(millis(1_500));
    let Some(mut ground) = Ground::new("pins", change).await else { return };
    let (name, old) = (key("late answer"), 1_333_333_333_333_333_i64);
    let rules: Vec<_> = (0..3).map(|i| ground.proxied.noted(i, about(b"late answer"))).collect();
    ground.proxied.requests(|i| vec![rules[i].clone()]);
    let late = ResponseReaction::delay(Duration::from_secs(3));
    ground
        .proxied
        .responses(|_| answers(results().and(Condition::TrueForLimitedTimes(1)), late.clone()));
    let (pins, kept) = (Arc::clone(&ground.layered), name.clone());
    let first = tokio::spawn(async move { put(&*pins, &kept, old).await });
    ground.proxied.log.wait_for(name.as_bytes(), 1).await;
    // By the other way, where nothing is late.
    put(&*ground.truth, &name, old + 1).await.unwrap();
    first.await.unwrap().unwrap();
    let seen = ground.proxied.log.about(&old.to_be_bytes());
    assert!(seen.len() >= 2, "it was repeated: {seen:?}");
    assert_eq!(ground.proxied.log.about(name.as_bytes()).len(), seen.len());
    assert_eq!(ground.stored(&name).await, Some(old + 1));
    ground.end().await;
}
