//! Errors of servers: what they are taken for, and how often and where it is tried again.

use super::*;

/// An error of servers and what is to be made of it.
struct Case {
    name: &'static str,
    error: DbError,
    text: &'static str,
    read: bool,
    kind: ErrorKind,
    outcome: Outcome,
    /// Nodes that one attempt asks.
    asked: usize,
    /// Attempts that the layer makes of the four that it may.
    attempts: usize,
}

fn cases() -> Vec<Case> {
    let level = Consistency::LocalQuorum;
    let write_timeout = DbError::WriteTimeout {
        consistency: level,
        received: 1,
        required: 2,
        write_type: WriteType::Simple,
    };
    let read_timeout =
        DbError::ReadTimeout { consistency: level, received: 1, required: 2, data_present: false };
    let unavailable = DbError::Unavailable { consistency: level, required: 2, alive: 1 };
    let case = |name, error, text, kind, outcome, asked, attempts| Case {
        name,
        error,
        text,
        read: false,
        kind,
        outcome,
        asked,
        attempts,
    };
    let (unknown, not_applied) = (Outcome::Unknown, Outcome::NotApplied);
    let (down, slow, internal) = (ErrorKind::Unavailable, ErrorKind::Timeout, ErrorKind::Internal);
    let busy = ErrorKind::Overloaded;
    let read = |case: Case| Case { read: true, outcome: not_applied, ..case };
    vec![
        case("overloaded", DbError::Overloaded, "busy", busy, unknown, 1, 4),
        case("unavailable", unavailable.clone(), "few", down, not_applied, 2, 4),
        case("starting", DbError::IsBootstrapping, "wait", down, not_applied, 2, 4),
        case("write timeout", write_timeout, "slow", slow, unknown, 1, 4),
        case("server timeout", DbError::ServerError, "timed out", slow, unknown, 1, 4),
        case("server error", DbError::ServerError, "a defect", internal, unknown, 1, 1),
        // A node that was away may lack a table that the catalog names.
        case("no table", DbError::Invalid, "unconfigured table n_1", down, not_applied, 1, 4),
        read(case("lost table", DbError::Invalid, "unconfigured table n", down, unknown, 1, 4)),
        read(case("read timeout", read_timeout, "slow", slow, unknown, 1, 4)),
        read(case("read unavailable", unavailable, "few", down, unknown, 2, 4)),
        read(case("read overloaded", DbError::Overloaded, "busy", busy, unknown, 1, 4)),
    ]
}

const FIRST_PAUSE: u64 = 50;

#[tokio::test(flavor = "multi_thread")]
async fn errors_from_all_nodes_are_told_and_repeated_within_bounds() {
    let change = |config: &mut ScyllaConfig| {
        config.retry_policy.num_retries = 3;
        config.retry_policy.min_retry_delay = millis(FIRST_PAUSE);
    };
    let Some(mut ground) = Ground::new("pins", change).await else { return };
    for case in cases() {
        let name = case.name;
        let call = async |pins: &dyn Namespace, key: &Key| match case.read {
            true => pins.get(key, ReadOptions::new()).await.map(drop),
            false => put(pins, key, 7).await,
        };
        let rule =
            |i| ground.proxied.refused(i, about(name.as_bytes()), case.error.clone(), case.text);
        let rules: Vec<_> = (0..3).map(rule).collect();
        ground.proxied.requests(|i| vec![rules[i].clone()]);
        let raw = key(&format!("{name} raw"));
        let error = call(&*ground.pins, &raw).await.unwrap_err();
        assert_eq!((error.kind(), error.outcome()), (case.kind, case.outcome), "{name}: {error}");
        let seen = ground.proxied.log.about(raw.as_bytes());
        assert_eq!(seen.len(), case.asked, "{name}: {seen:?}");
        assert_eq!(nodes(&seen).len(), case.asked, "{name}: no node is asked twice");

        let again = key(&format!("{name} layered"));
        let error = call(&*ground.layered, &again).await.unwrap_err();
        assert_eq!((error.kind(), error.outcome()), (case.kind, case.outcome), "{name}: {error}");
        let seen = ground.proxied.log.about(again.as_bytes());
        assert_eq!(seen.len(), case.asked * case.attempts, "{name}: {seen:?}");
        if case.kind == ErrorKind::Overloaded {
            // A throttled pause is never below half of its bound, and bounds double.
            let gaps = seen.windows(2).map(|two| two[1].at - two[0].at);
            for (i, gap) in gaps.enumerate() {
                let least = Duration::from_millis(FIRST_PAUSE << i);
                assert!(gap >= least, "{name}: pause {i} is {gap:?}, of at least {least:?}");
            }
        }
        // Nothing of it came to a node.
        assert_eq!(ground.stored(&raw).await, None, "{name}");
    }
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_from_one_node_do_not_reach_who_has_the_layers() {
    let change = |config: &mut ScyllaConfig| {
        config.retry_policy.num_retries = 9;
        config.retry_policy.min_retry_delay = millis(10);
    };
    let Some(mut ground) = Ground::new("pins", change).await else { return };
    for case in cases().into_iter().filter(|case| !case.read) {
        let mark = format!("one node: {}", case.name);
        let refused =
            ground.proxied.refused(1, about(mark.as_bytes()), case.error.clone(), case.text);
        let noted: Vec<_> = [0, 2].map(|i| ground.proxied.noted(i, about(mark.as_bytes()))).into();
        ground.proxied.requests(|i| vec![[&noted[0], &refused, &noted[1]][i].clone()]);
        let keys: Vec<_> = (0..12).map(|i| key(&format!("{mark} {i:02}"))).collect();
        let raw = join_all(keys.iter().map(|key| put(&*ground.pins, key, 7))).await;
        for (key, result) in keys.iter().zip(raw) {
            let met = nodes(&ground.proxied.log.about(key.as_bytes())).contains(&1);
            match result {
                // What is refused before anything is done is asked of another node at once.
                Ok(()) => assert!(!met || case.asked == 2, "{mark}: an error is swallowed"),
                Err(error) => {
                    assert!(met && case.asked == 1, "{mark}: {error}");
                    assert_eq!((error.kind(), error.outcome()), (case.kind, case.outcome));
                }
            }
        }
        if case.attempts > 1 {
            let layered = join_all(keys.iter().map(|key| put(&*ground.layered, key, 8))).await;
            for (key, result) in keys.iter().zip(layered) {
                result.unwrap();
                assert_eq!(ground.stored(key).await, Some(8), "{mark}");
            }
        }
    }
    ground.end().await;
}
