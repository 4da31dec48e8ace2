//! Opening, and requests under way: each within its time and its number.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn opening_ends_where_a_node_never_prepares() {
    let Some(site) = site().await else { return };
    let mut proxied = Proxied::start(&site.bed.cluster, &site.config).await;
    proxied.config.attempt_timeout = Some(millis(1_000));
    let silent = || {
        let prepare = Condition::RequestOpcode(RequestOpcode::Prepare);
        vec![RequestRule(prepare, RequestReaction::drop_frame())]
    };
    let open = async |proxied: &Proxied| {
        let open = ScyllaStore::open(&proxied.config);
        tokio::time::timeout(Duration::from_secs(60), open).await.expect("opening hangs")
    };
    // One of three, then all.
    for last in [1, 3] {
        proxied.requests(|i| if i < last { silent() } else { Vec::new() });
        match open(&proxied).await {
            Ok(store) => {
                assert!(last < 3, "nobody prepared anything");
                store.close().await.unwrap();
            }
            Err(error) => {
                eprintln!("{last} of three nodes prepare nothing: {error}");
                assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
                assert_eq!(error.outcome(), Outcome::NotApplied, "{error}");
                assert!(error.to_string().contains("in time"), "{error}");
            }
        }
    }
    proxied.heal();
    open(&proxied).await.unwrap().close().await.unwrap();
}

/// Counts what is on its way between the relays and the nodes. A request is counted after
/// the store sent it, and its answer before the store has it, so it is never too much.
fn counted(ground: &mut Ground, mark: &str, slow: Duration) -> Arc<AtomicUsize> {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let rules: Vec<_> = (0..3)
        .map(|i| {
            let (now, most) = (Arc::clone(&now), Arc::clone(&most));
            let count = move || {
                let under_way = now.fetch_add(1, Ordering::SeqCst) + 1;
                most.fetch_max(under_way, Ordering::SeqCst);
            };
            ground.proxied.noted_and(i, about(mark.as_bytes()), count)
        })
        .collect();
    ground.proxied.requests(|i| vec![rules[i].clone()]);
    ground.proxied.responses(|_| {
        let now = Arc::clone(&now);
        let count = move |frame| {
            now.fetch_sub(1, Ordering::SeqCst);
            frame
        };
        let action = Action { delay: Some(slow), msg_processor: Some(Arc::new(count) as Arc<_>) };
        let mut reaction = ResponseReaction::noop();
        reaction.to_addressee = Some(action);
        vec![ResponseRule(results(), reaction)]
    });
    most
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_requests_than_allowed_are_under_way_and_a_full_queue_is_told() {
    let change = |config: &mut ScyllaConfig| {
        (config.max_in_flight, config.max_queue) = (2, 10);
        config.num_conns = Some(1);
        config.max_wait_time = millis(30_000);
    };
    let Some(mut ground) = Ground::new("pins", change).await else { return };
    let limit = ground.store.stats().limit;
    let most = counted(&mut ground, "crowd", Duration::from_millis(200));
    // As many as may be under way and may wait, and some more, at once.
    let keys: Vec<_> = (0..limit + 10 + 7).map(|i| key(&format!("crowd {i:04}"))).collect();
    let puts = join_all(keys.iter().map(|key| put(&*ground.pins, key, 9))).await;
    let mut refused = 0;
    for (key, result) in keys.iter().zip(puts) {
        let sent = !ground.proxied.log.about(key.as_bytes()).is_empty();
        let Err(error) = result else {
            assert!(sent);
            continue;
        };
        refused += 1;
        let told = (error.kind(), error.outcome(), error.retry_class());
        let busy = (ErrorKind::Unavailable, Outcome::NotApplied, RetryClass::Throttled);
        assert_eq!(told, busy, "{error}");
        assert!(error.to_string().contains("queue"), "{error}");
        assert!(!sent, "what was refused went out");
    }
    assert_eq!(refused, 7);
    // A batch brings no more workers than there are places, so it fills no queue.
    let batch = keys.iter().map(|key| Put::new(key.clone(), "b", Version(10)).into()).collect();
    let batch = ground.pins.apply(batch, BatchOptions::if_newer()).await.unwrap();
    batch.into_result().unwrap();
    let most = most.load(Ordering::SeqCst);
    assert!((2..=limit).contains(&most), "{most} requests were under way, of {limit}");
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_too_long_for_a_place_is_told() {
    let change = |config: &mut ScyllaConfig| {
        config.max_in_flight = 1;
        config.num_conns = Some(1);
        config.max_wait_time = millis(100);
    };
    let Some(mut ground) = Ground::new("pins", change).await else { return };
    let limit = ground.store.stats().limit;
    let most = counted(&mut ground, "patience", Duration::from_secs(2));
    let keys: Vec<_> = (0..limit * 2).map(|i| key(&format!("patience {i:03}"))).collect();
    let puts = join_all(keys.iter().map(|key| put(&*ground.pins, key, 9))).await;
    let errors: Vec<_> = puts.into_iter().filter_map(Result::err).collect();
    assert_eq!(errors.len(), limit);
    for error in errors {
        let told = (error.kind(), error.outcome());
        assert_eq!(told, (ErrorKind::Unavailable, Outcome::NotApplied), "{error}");
        assert!(error.to_string().contains("in time"), "{error}");
    }
    assert!(most.load(Ordering::SeqCst) <= limit);
    ground.end().await;
}
