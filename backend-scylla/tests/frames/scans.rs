//! Pages that fail, are lost, or never come.

use super::*;

/// Reads to the end, over errors too: by the same scan, or by the last cursor. Gives the
/// rows and the errors.
async fn scanned(
    ground: &mut Ground,
    by_cursor: bool,
    mut at_error: impl FnMut(&mut Proxied),
) -> (Vec<Key>, Vec<Error>) {
    let pins = Arc::clone(&ground.pins);
    let mut scan = pins.scan(ScanOptions::new()).await.unwrap();
    let (mut keys, mut errors, mut cursor) = (Vec::new(), Vec::new(), None);
    loop {
        match scan.next().await {
            Ok(ScanStep::Page(page)) => {
                keys.extend(page.items.iter().map(|item| item.as_ref().unwrap().key.clone()));
                cursor = Some(page.cursor);
            }
            Ok(ScanStep::End(_)) => return (keys, errors),
            Err(error) => {
                assert!(errors.len() < 20, "{error}");
                at_error(&mut ground.proxied);
                errors.push(error);
                if by_cursor {
                    let mut options = ScanOptions::new();
                    options.after.clone_from(&cursor);
                    scan = pins.scan(options).await.unwrap();
                }
            }
        }
    }
}

fn complete(what: &str, keys: &[Key]) {
    let set: BTreeSet<_> = keys.iter().collect();
    assert_eq!((keys.len(), set.len()), (ROWS, ROWS), "{what}: rows are missing or come twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_fails_is_read_again_or_told_and_the_scan_is_never_short() {
    let Some(mut ground) = Ground::new("rows", |_| {}).await else { return };
    let read_timeout = DbError::ReadTimeout {
        consistency: Consistency::LocalQuorum,
        received: 1,
        required: 2,
        data_present: false,
    };
    let faults = [
        ("read timeout", read_timeout, "slow", true),
        ("overloaded", DbError::Overloaded, "busy", true),
        ("server error", DbError::ServerError, "a defect", false),
    ];
    for (name, error, text, again) in faults {
        for by_cursor in [false, true] {
            // One page of each node fails: another replica gives it, or the scan says so.
            let what = format!("one page of each node: {name}");
            let refused =
                |i| ground.proxied.refused(i, once_after(executes(), 2), error.clone(), text);
            let rules: Vec<_> = (0..3).map(refused).collect();
            ground.proxied.requests(|i| vec![rules[i].clone()]);
            let before = ground.proxied.log.all().len();
            let (keys, errors) = scanned(&mut ground, by_cursor, |_| {}).await;
            complete(&what, &keys);
            let failed = ground.proxied.log.all().len() - before;
            assert!(failed > 0, "{what}: no page failed");
            assert_eq!(errors.is_empty(), again, "{what}: {errors:?}");

            // From the third page on nothing but errors, until the first was told.
            let what = format!("all pages: {name}");
            let late = executes().and(Condition::not(Condition::TrueForLimitedTimes(2)));
            let refused = |i| ground.proxied.refused(i, late.clone(), error.clone(), text);
            let rules: Vec<_> = (0..3).map(refused).collect();
            ground.proxied.requests(|i| vec![rules[i].clone()]);
            let (keys, errors) = scanned(&mut ground, by_cursor, Proxied::heal).await;
            complete(&what, &keys);
            assert!(!errors.is_empty(), "{what}: a scan that could not read ended");
            assert!(errors.iter().all(|error| error.outcome() == Outcome::NotApplied));
        }
    }
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_cut_between_request_and_page_leaves_the_scan_whole() {
    let Some(mut ground) = Ground::new("rows", |_| {}).await else { return };
    for by_cursor in [false, true] {
        // The node has read the page; it and the connection are lost on the way.
        let (tell, mut cut) = tokio::sync::mpsc::unbounded_channel();
        ground.proxied.responses(|_| {
            let drop = ResponseReaction::drop_connection();
            let drop = drop.with_feedback_when_performed(tell.clone());
            answers(once_after(results(), 3), drop)
        });
        let (keys, _) = scanned(&mut ground, by_cursor, |_| {}).await;
        complete("pages lost on the way", &keys);
        assert!(cut.try_recv().is_ok(), "no page was lost");
        assert!(ground.store.stats().page_failures > 0);
        // The request does not even come to the node.
        ground.proxied.heal();
        let (tell, mut cut) = tokio::sync::mpsc::unbounded_channel();
        ground.proxied.requests(|_| {
            let drop = RequestReaction::drop_connection();
            let drop = drop.with_feedback_when_performed(tell.clone());
            vec![RequestRule(once_after(executes(), 3), drop)]
        });
        let (keys, _) = scanned(&mut ground, by_cursor, |_| {}).await;
        complete("requests for pages lost on the way", &keys);
        assert!(cut.try_recv().is_ok(), "no request was lost");
        ground.proxied.heal();
    }
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_never_comes_is_read_from_another_replica() {
    let change = |config: &mut ScyllaConfig| config.page_timeout = Some(millis(1_500));
    let Some(mut ground) = Ground::new("rows", change).await else { return };
    let (tell, mut dropped) = tokio::sync::mpsc::unbounded_channel();
    ground.proxied.responses(|i| match i {
        0 => {
            let drop = ResponseReaction::drop_frame().with_feedback_when_performed(tell.clone());
            answers(results(), drop)
        }
        _ => Vec::new(),
    });
    let (keys, errors) = scanned(&mut ground, false, |_| {}).await;
    complete("a node whose pages are lost", &keys);
    assert!(errors.is_empty(), "{errors:?}");
    assert!(dropped.try_recv().is_ok(), "no page was lost");
    ground.end().await;
}
