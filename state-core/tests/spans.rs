//! The spans of operations and of the attempts at them, as a subscriber sees them.

#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::{bent_store, late, namespace};
use parking_lot::Mutex;
use pinstate_core::layer::{Layers, RetryBudget, RetryOptions};
use pinstate_core::namespace::ReadOptions;
use pinstate_core::*;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

const CID: &str = "bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e";

/// Keeps spans, each a line in the order in which they begin: its name, the one around it, and
/// its fields once it is over.
#[derive(Clone, Debug, Default)]
struct Spans(Arc<Mutex<Vec<String>>>);

/// Counts events.
#[derive(Clone, Debug, Default)]
struct Events(Arc<AtomicUsize>);

impl<S: tracing::Subscriber> Layer<S> for Events {
    fn on_event(&self, _: &tracing::Event<'_>, _: Context<'_, S>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A span under way.
#[derive(Default)]
struct Open {
    place: usize,
    fields: BTreeMap<&'static str, String>,
}

impl Visit for Open {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.fields.insert(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.fields.insert(field.name(), format!("{value:?}"));
    }
}

impl<S: tracing::Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Spans {
    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, all: Context<'_, S>) {
        let mut lines = self.0.lock();
        let mut open = Open { place: lines.len(), ..Open::default() };
        attributes.record(&mut open);
        lines.push("under way".to_owned());
        all.span(id).unwrap().extensions_mut().insert(open);
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, all: Context<'_, S>) {
        values.record(all.span(id).unwrap().extensions_mut().get_mut::<Open>().unwrap());
    }

    fn on_close(&self, id: span::Id, all: Context<'_, S>) {
        let span = all.span(&id).unwrap();
        let place = span.parent().map(|parent| parent.extensions().get::<Open>().unwrap().place);
        let parent = place.map(|place| format!(" in {place}")).unwrap_or_default();
        let Open { place, fields } = span.extensions_mut().remove().unwrap();
        let fields = fields.iter().map(|(name, value)| format!(" {name}={value}"));
        self.0.lock()[place] = format!("{}{parent}:{}", span.name(), fields.collect::<String>());
    }
}

impl Spans {
    /// Listens on this thread from a level on.
    fn from(level: LevelFilter) -> (Self, DefaultGuard) {
        let spans = Self::default();
        let subscriber = tracing_subscriber::registry().with(spans.clone().with_filter(level));
        (spans, tracing::subscriber::set_default(subscriber))
    }

    fn taken(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock())
    }
}

/// A store that is traced, and whose first put fails until this attempt at it.
fn traced(well_from: usize) -> Arc<dyn Store> {
    let retry = RetryOptions::new()
        .with_attempts(3)
        .with_pauses(Duration::from_millis(1), Duration::from_millis(1))
        .with_budget(Arc::new(RetryBudget::new(1.0, 1e9, 1e9)));
    Layers::standard().with_retry(Some(retry)).with_consistency("ONE").apply(late(well_from))
}

fn key() -> Key {
    Key::copy_from(CID.parse::<pin::Cid>().unwrap().as_bytes())
}

fn put() -> Put {
    Put::new(key(), "a-value", Version(1))
}

#[tokio::test(start_paused = true)]
async fn an_operation_is_a_span_with_one_for_each_attempt_below() {
    let (spans, _default) = Spans::from(LevelFilter::DEBUG);
    let store = traced(2);
    let pins = namespace(&store).await;
    spans.taken();
    pins.put(put(), WriteOptions::new()).await.unwrap();
    assert_eq!(
        spans.taken(),
        [
            "operation: attempts=3 backend=memory consistency=ONE namespace=default operation=put \
             otel.name=put records=1 success=true",
            "attempt in 0: attempt=1 kind=timed out otel.status_code=ERROR outcome=unknown \
             success=false",
            "attempt in 0: attempt=2 kind=unavailable otel.status_code=ERROR outcome=not-applied \
             success=false",
            "attempt in 0: attempt=3 success=true",
        ]
    );
    // What is not there is no failure, and what is about the store is about no namespace.
    assert!(pins.get(&Key::copy_from(b"x"), ReadOptions::new()).await.unwrap().is_none());
    store.health().await.unwrap();
    assert_eq!(
        spans.taken(),
        [
            "operation: attempts=1 backend=memory consistency=ONE namespace=default operation=get \
             otel.name=get records=1 success=true",
            "attempt in 0: attempt=1 success=true",
            "operation: attempts=1 backend=memory consistency=ONE operation=health \
             otel.name=health records=1 success=true",
            "attempt in 2: attempt=1 success=true",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_span_says_what_failed_and_whether_it_may_have_been_applied() {
    let (spans, _default) = Spans::from(LevelFilter::DEBUG);
    let store = traced(100);
    let pins = namespace(&store).await;
    spans.taken();
    pins.put(put(), WriteOptions::new()).await.unwrap_err();
    // The first attempt left it unknown, and the refusals after it do not change that.
    let told = spans.taken();
    assert_eq!(told.len(), 4, "{told:?}");
    assert_eq!(
        told[0],
        "operation: attempts=3 backend=memory consistency=ONE kind=unavailable namespace=default \
         operation=put otel.name=put otel.status_code=ERROR outcome=unknown records=1 success=false"
    );
}

#[tokio::test(start_paused = true)]
async fn the_spans_of_a_call_that_is_given_up_end_too() {
    let (spans, _default) = Spans::from(LevelFilter::DEBUG);
    let store = traced(1);
    let pins = namespace(&store).await;
    spans.taken();
    let limit = Duration::from_millis(10);
    tokio::time::timeout(limit, pins.put(put(), WriteOptions::new())).await.unwrap_err();
    assert_eq!(
        spans.taken(),
        [
            "operation: backend=memory consistency=ONE kind=cancelled namespace=default \
             operation=put otel.name=put otel.status_code=ERROR outcome=unknown records=1 \
             success=false",
            "attempt in 0: attempt=1 kind=cancelled otel.status_code=ERROR outcome=unknown \
             success=false",
        ]
    );
}

#[tokio::test]
async fn a_batch_says_how_much_is_in_it_and_whether_a_record_failed() {
    let (spans, _default) = Spans::from(LevelFilter::DEBUG);
    let (bent, bends) = bent_store();
    let store = Layers::none().with_trace(true).apply(bent);
    let pins = namespace(&store).await;
    spans.taken();
    *bends.apply.lock() = Some(Box::new(|_, mut outcome| {
        outcome.items[1] = Err(Error::new(ErrorKind::Full, Operation::Apply, "bent"));
        Ok(outcome)
    }));
    let batch = vec![put().into(), Delete::new(Key::copy_from(b"d"), Version(3)).into()];
    assert!(pins.apply(batch, BatchOptions::new()).await.unwrap().first_error().is_some());
    assert_eq!(
        spans.taken(),
        [
            "operation: attempts=1 backend=memory kind=no space left namespace=default \
             operation=apply otel.name=apply otel.status_code=ERROR outcome=unknown records=2 \
             success=false",
            "attempt in 0: attempt=1 kind=no space left otel.status_code=ERROR outcome=unknown \
             success=false",
        ]
    );
}

#[tokio::test]
async fn no_span_names_a_key_or_a_value() {
    let (spans, _default) = Spans::from(LevelFilter::TRACE);
    let store = traced(usize::MAX);
    let pins = namespace(&store).await;
    let limit = Duration::from_millis(1);
    let _ = tokio::time::timeout(limit, pins.put(put(), WriteOptions::new())).await;
    pins.has(&key(), ReadOptions::new()).await.unwrap();
    pins.get(&key(), ReadOptions::new()).await.unwrap();
    pins.delete(Delete::new(key(), Version(2)), WriteOptions::new()).await.unwrap();
    pins.apply(vec![put().into()], BatchOptions::new()).await.unwrap().into_result().unwrap();
    let told = spans.taken();
    assert!(told.len() >= 10, "{told:?}");
    let (whole, end) = (key().to_string(), key().short());
    for line in &told {
        for secret in [CID, &whole, &end, "a-value"] {
            assert!(!line.contains(secret), "{secret} in {line}");
        }
    }
}

#[tokio::test]
async fn there_is_no_span_where_nobody_listens_or_traces() {
    let (spans, _default) = Spans::from(LevelFilter::INFO);
    let pins = namespace(&traced(0)).await;
    pins.put(put(), WriteOptions::new()).await.unwrap();
    drop(_default);
    let (untraced, _default) = Spans::from(LevelFilter::TRACE);
    let store = Layers::standard().with_trace(false).apply(bent_store().0);
    let pins = namespace(&store).await;
    pins.put(put(), WriteOptions::new()).await.unwrap();
    assert_eq!((spans.taken(), untraced.taken()), (vec![], vec![]));
}

#[tokio::test]
async fn there_are_spans_without_events_where_these_alone_are_wanted() {
    for (trace, spans, told) in
        [(false, true, (4, 0)), (true, false, (4, 2)), (true, true, (4, 2)), (false, false, (0, 0))]
    {
        let (seen, events) = (Spans::default(), Events::default());
        let subscriber = tracing_subscriber::registry().with(seen.clone()).with(events.clone());
        let _default = tracing::subscriber::set_default(subscriber);
        let layers = Layers::none().with_trace(trace).with_spans(spans);
        namespace(&layers.apply(bent_store().0)).await;
        let found = (seen.taken().len(), events.0.load(Ordering::Relaxed));
        assert_eq!(found, told, "trace: {trace}, spans: {spans}");
    }
}

#[tokio::test]
async fn of_operations_that_succeed_one_in_so_many_has_an_event() {
    let events = Events::default();
    let subscriber = tracing_subscriber::registry().with(events.clone());
    let _default = tracing::subscriber::set_default(subscriber);
    let layers = Layers::none().with_trace(true).with_trace_every(10);
    // Two of these calls make the namespace and open it.
    let pins = namespace(&layers.apply(bent_store().0)).await;
    for _ in 0..98 {
        pins.get(&key(), ReadOptions::new()).await.unwrap();
    }
    assert_eq!(events.0.load(Ordering::Relaxed), 10);
}

#[tokio::test]
async fn what_is_about_a_namespace_says_which() {
    let (spans, _default) = Spans::from(LevelFilter::DEBUG);
    let store = Layers::none().with_trace(true).apply(bent_store().0);
    let (one, other): (NamespaceName, NamespaceName) =
        ("one".parse().unwrap(), "other".parse().unwrap());
    store.create_namespace(&one).await.unwrap();
    let pins = store.open_namespace(&one).await.unwrap();
    pins.put(put(), WriteOptions::new()).await.unwrap();
    pins.scan(ScanOptions::new()).await.unwrap().next().await.unwrap();
    store.create_namespace(&other).await.unwrap();
    store.replace_namespace(&one, &other).await.unwrap();
    store.drop_namespace(&one).await.unwrap();
    let told = spans.taken();
    let about = |name: &str| {
        told.iter().filter(|line| line.contains(&format!(" namespace={name} "))).count()
    };
    assert_eq!((about("one"), about("other"), told.len()), (7, 1, 16), "{told:#?}");
}
