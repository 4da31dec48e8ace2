//! A collector that is not there, or that never answers: in a process of its own, so that what is
//! warned of by other threads is found.

#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

use std::fmt;
use std::net::TcpListener;
use std::sync::Arc;

use parking_lot::Mutex;
use pinstate_core::config::TracesConfig;
use pinstate_traces::{Traces, is_ours};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::FilterFn;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

/// Keeps what is warned of.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

impl Visit for Warnings {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0.lock().push(format!("{value:?}"));
        }
    }
}

impl<S: Subscriber> Layer<S> for Warnings {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        event.record(&mut self.clone());
    }
}

impl Warnings {
    fn taken(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock())
    }
}

/// Begins and ends so many spans while they are sent somewhere, and gives how many were lost, of
/// how many.
fn send(address: &str, spans: usize) -> (u64, u64) {
    let mut config = TracesConfig::default();
    config.endpoint = Some(format!("http://{address}"));
    let traces = Traces::start(&config).unwrap().unwrap();
    let ours = FilterFn::new(is_ours).with_max_level_hint(LevelFilter::DEBUG);
    let subscriber = tracing_subscriber::registry().with(traces.layer().with_filter(ours));
    tracing::subscriber::with_default(subscriber, || {
        for _ in 0..spans {
            drop(tracing::debug_span!(target: "pinstate_test", "operation"));
        }
    });
    traces.end()
}

#[test]
fn a_collector_that_cannot_be_reached_is_told_once_and_what_is_lost_is_counted() {
    let warnings = Warnings::default();
    let subscriber =
        tracing_subscriber::registry().with(warnings.clone().with_filter(LevelFilter::WARN));
    tracing::subscriber::set_global_default(subscriber).unwrap();

    // Nobody listens there any more.
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    assert_eq!(send(&nobody, 1_500), (1_500, 1_500));
    let told = warnings.taken();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("cannot be sent") && told[0].contains("refused"), "{told:?}");
    assert_eq!(told[1], "1500 of 1500 spans have not been sent");

    // Somebody listens and never answers: more spans than the queue takes hold nobody up.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    assert_eq!(send(&address, 10_000), (10_000, 10_000));
    let told = warnings.taken();
    assert_eq!(told.last().unwrap(), "10000 of 10000 spans have not been sent");
    assert!(told.len() <= 2, "{told:?}");
}
