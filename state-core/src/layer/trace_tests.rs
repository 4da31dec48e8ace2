//! What traces say, and to whom they say it.

use std::collections::BTreeMap;
use std::sync::Arc;

use tracing::Level;
use tracing::field::{Field, Visit};

use super::*;
use crate::error::{Error, ErrorKind, Operation, Outcome};
use crate::pin::Cid;

/// An event: its level and its fields, as text.
type Event = (Level, BTreeMap<String, String>);

/// Keeps each event.
#[derive(Clone, Default)]
struct Events(Arc<parking_lot::Mutex<Vec<Event>>>);

struct Fields<'a>(&'a mut BTreeMap<String, String>);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.to_owned());
    }
}

impl tracing::Subscriber for Events {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn event(&self, event: &tracing::Event<'_>) {
        let mut fields = BTreeMap::new();
        event.record(&mut Fields(&mut fields));
        self.0.lock().push((*event.metadata().level(), fields));
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

impl Events {
    fn levels(&self) -> Vec<Level> {
        self.0.lock().iter().map(|(level, _)| *level).collect()
    }

    fn last(&self) -> Event {
        self.0.lock().last().cloned().unwrap()
    }
}

fn call(key: Option<&Key>) -> Call<'_> {
    let (operation, backend, namespace) = (Operation::Put, "test", None);
    Call { operation, backend, namespace, key, idempotent: true, records: 1, bytes: 0 }
}

fn scripted(kind: ErrorKind) -> Error {
    Error::new(kind, Operation::Put, "scripted").with_outcome(Outcome::NotApplied)
}

#[tokio::test]
async fn a_failure_is_a_warning_and_what_is_not_there_is_none() {
    let events = Events::default();
    let _default = tracing::subscriber::set_default(events.clone());
    for kind in [None, Some(ErrorKind::NotFound), Some(ErrorKind::Corrupt)] {
        let answer = || async move { kind.map_or(Ok(()), |kind| Err(scripted(kind))) };
        let failed = Trace::new().run(call(None), answer).await.err();
        assert_eq!(failed.map(|error| error.kind()), kind);
    }
    assert_eq!(events.levels(), [Level::DEBUG, Level::DEBUG, Level::WARN]);
}

#[tokio::test]
async fn an_event_has_the_fields_that_operators_look_for() {
    let events = Events::default();
    let _default = tracing::subscriber::set_default(events.clone());
    let cid = "bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e";
    let key = Key::copy_from(cid.parse::<Cid>().unwrap().as_bytes());
    let trace = Trace::new().with_consistency(Some("LOCAL_QUORUM".into()));
    let retry = Retry::new(RetryOptions::new().with_pauses(Duration::ZERO, Duration::ZERO));
    let attempts = std::sync::atomic::AtomicU32::new(0);
    let answer = || async {
        match attempts.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
            0 | 2.. => Err(scripted(ErrorKind::Unavailable).with_key(key.clone())),
            _ => Ok(()),
        }
    };
    let (retry, answer) = (&retry, &answer);
    let around = || async move { retry.run(call(None), answer).await };
    trace.run(call(Some(&key)), around).await.unwrap();
    let (level, fields) = events.last();
    let has = |name: &str, value: &str| assert_eq!(fields[name], value, "{name}");
    assert_eq!(level, Level::DEBUG);
    has("operation", "put");
    has("backend", "test");
    has("cid", cid);
    has("consistency", "LOCAL_QUORUM");
    has("attempts", "2");
    has("success", "true");
    assert!(fields["duration"].parse::<f64>().unwrap() >= 0.0);

    trace.run(call(Some(&key)), around).await.unwrap_err();
    let (level, fields) = events.last();
    let has = |name: &str, value: &str| assert_eq!(fields[name], value, "{name}");
    assert_eq!(level, Level::WARN);
    has("attempts", "5");
    has("success", "false");
    has("kind", "unavailable");
    has("outcome", "not-applied");
    has("consistency", "LOCAL_QUORUM");
    assert!(!fields.contains_key("cid"));
    assert!(fields["error"].contains(&key.short()), "{fields:?}");
    for text in fields.values() {
        assert!(!text.contains(cid) && !text.contains(&key.to_string()), "{text}");
    }
}

#[tokio::test]
async fn of_successes_a_part_is_told_and_of_failures_all() {
    let events = Events::default();
    let _default = tracing::subscriber::set_default(events.clone());
    let trace = Trace::new().with_every(10);
    for _ in 0..100 {
        trace.run(call(None), || async { Ok(()) }).await.unwrap();
    }
    assert_eq!(events.levels(), [Level::DEBUG; 10]);
    for _ in 0..10 {
        let failed = || async { Err::<(), _>(scripted(ErrorKind::Timeout)) };
        trace.run(call(None), failed).await.unwrap_err();
    }
    assert_eq!(events.levels()[10..], [Level::WARN; 10]);
}

#[tokio::test]
async fn a_call_of_which_a_record_failed_is_a_warning() {
    let events = Events::default();
    let _default = tracing::subscriber::set_default(events.clone());
    let failure = Some((ErrorKind::Full, Outcome::Unknown));
    let answer = || async move { Ok(Tally { failure, ..Tally::default() }) };
    Trace::new().run(call(None), answer).await.unwrap();
    let (level, fields) = events.last();
    assert_eq!((level, fields["kind"].as_str()), (Level::WARN, "no space left"));
    assert_eq!((fields["success"].as_str(), fields["outcome"].as_str()), ("false", "unknown"));
}
