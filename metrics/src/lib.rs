//! What stores do, as numbers for Prometheus.
//!
//! [`Metrics`] is an [`Observer`]: put it into the
//! [`Layers`](pinstate_core::layer::Layers) of each store, and
//! [`watch`](Metrics::watch) the store itself where it may have numbers of its own. What was
//! counted is a text ([`Metrics::encode`]) that a program serves as it likes, or an
//! [`Endpoint`] that serves it. Nothing is global: two sets of metrics know nothing of each
//! other.
//!
//! ```
//! # use std::sync::Arc;
//! # use pinstate_core::{Store, layer::Layers};
//! # use pinstate_metrics::Metrics;
//! # fn wrapped(store: Arc<dyn Store>) -> Result<Arc<dyn Store>, std::fmt::Error> {
//! let metrics = Arc::new(Metrics::new());
//! metrics.watch(&store);
//! let store = Layers::standard().with_observer(Some(metrics.clone())).apply(store);
//! let text = metrics.encode()?;
//! # Ok(store)
//! # }
//! ```
//!
//! # Decisions
//!
//! Histograms have classic buckets, three a decade. Native ones are finer and cheaper to
//! store, but exist only in the protobuf form, which most who scrape have turned off, and
//! the queries that operators know read `_bucket`.
//!
//! Labels are names out of lists that this program has: backends, operations, kinds of errors
//! and outcomes. No key, host or namespace is one, so the number of series has a bound.
//!
//! Errors of the kinds that come and go are there at zero from the first call of an operation
//! on: a rate over a series that appears with its first error misses that one.

mod endpoint;
mod families;
mod reference;
mod scylla;
mod stores;

pub use endpoint::Endpoint;
pub use prometheus_client::encoding::prometheus_text::CONTENT_TYPE;
pub use reference::{Info, Kind, REFERENCE, table};

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use pinstate_core::layer::{Call, Ended, Observer};
use pinstate_core::{Error, Operation, Outcome, Store};
use prometheus_client::encoding::prometheus_text;
use prometheus_client::registry::Registry;

use self::families::{AttemptError, Families, Fault, Handles, Place};
use self::stores::Stores;

/// The numbers of the stores that tell of themselves here.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    families: Families,
    stores: Arc<Stores>,
    /// What most calls change, found at once.
    handles: RwLock<HashMap<(&'static str, Operation), Arc<Handles>>>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// No numbers yet.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::default();
        let families = Families::new(&mut registry);
        let stores = Arc::new(Stores::default());
        registry.register_collector(Box::new(Arc::clone(&stores)));
        Self { registry, families, stores, handles: RwLock::default() }
    }

    /// Asks a store for its own numbers each time they are wanted, for as long as it is there.
    pub fn watch(&self, store: &Arc<dyn Store>) {
        self.stores.add(store);
    }

    /// All numbers as they are now, as text in the form 0.0.4: see [`CONTENT_TYPE`].
    ///
    /// # Errors
    /// None that is known of: if a number cannot be written, none is told.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        prometheus_text::encode(&mut text, &self.registry)?;
        Ok(text)
    }

    fn handles(&self, call: &Call<'_>) -> Arc<Handles> {
        let of = (call.backend, call.operation);
        if let Some(handles) = self.handles.read().get(&of) {
            return Arc::clone(handles);
        }
        let mut all = self.handles.write();
        Arc::clone(all.entry(of).or_insert_with(|| Arc::new(self.families.handles(call))))
    }
}

impl Observer for Metrics {
    fn begun(&self, call: &Call<'_>) {
        self.handles(call).in_flight.inc();
    }

    fn ended(&self, call: &Call<'_>, end: &Ended) {
        let handles = self.handles(call);
        handles.in_flight.dec();
        handles.operations.inc();
        handles.duration.observe(end.elapsed.as_secs_f64());
        let records = call.records as u64;
        let is_batch = matches!(call.operation, Operation::Apply | Operation::GetMany);
        if is_batch {
            self.families.batch_size.get_or_create(&Place::of(call)).observe(call.records as f64);
        }
        if let Some(old) = &handles.old {
            old.ended(call, end);
        }
        if let Some((kind, outcome)) = end.failure {
            self.families.errors.get_or_create(&Fault::of(call, kind, outcome)).inc();
            return;
        }
        let add = |family: &families::Counters, n: u64| {
            if n > 0 {
                family.get_or_create(&Place::of(call)).inc_by(n);
            }
        };
        if is_batch || call.key.is_some() {
            add(&self.families.records, records);
        }
        add(&self.families.bytes_written, call.bytes as u64);
        add(&self.families.bytes_read, end.tally.bytes);
        add(&self.families.scan_rows, end.tally.rows);
        add(&self.families.scan_damaged_rows, end.tally.damaged);
        add(&self.families.scan_pages, end.tally.pages);
    }

    fn attempt_ended(&self, call: &Call<'_>, end: &Ended) {
        self.handles(call).attempts.observe(end.elapsed.as_secs_f64());
        if let Some((kind, _)) = end.failure {
            self.families.attempt_errors.get_or_create(&AttemptError::of(call, kind)).inc();
        }
    }

    fn retried(&self, call: &Call<'_>, error: &Error, _: Duration) {
        self.families.retries.get_or_create(&AttemptError::of(call, error.kind())).inc();
    }

    fn waited(&self, call: &Call<'_>, wait: Duration, admitted: bool) {
        self.families.queue_wait(call.backend).observe(wait.as_secs_f64());
        if !admitted {
            self.families.queue_refusals.get_or_create(&families::At::of(call)).inc();
        }
    }
}

/// Both outcomes of a failure.
const OUTCOMES: [Outcome; 2] = [Outcome::NotApplied, Outcome::Unknown];
