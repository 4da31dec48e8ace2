//! The families of metrics and their labels.

use std::sync::Arc;

use pinstate_core::layer::Call;
use pinstate_core::{ErrorKind, Operation, Outcome};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};

use crate::OUTCOMES;
use crate::reference::{self as names, Info};
use crate::scylla::{Old, OldFamilies};

/// Of which backend.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(crate) struct At {
    pub(crate) backend: &'static str,
}

impl At {
    pub(crate) fn of(call: &Call<'_>) -> Self {
        Self { backend: call.backend }
    }
}

/// Of which operation on which backend.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(crate) struct Place {
    backend: &'static str,
    operation: &'static str,
}

impl Place {
    pub(crate) fn of(call: &Call<'_>) -> Self {
        Self { backend: call.backend, operation: call.operation.as_str() }
    }
}

/// A failure of an operation.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(crate) struct Fault {
    backend: &'static str,
    operation: &'static str,
    kind: &'static str,
    outcome: &'static str,
}

impl Fault {
    pub(crate) fn of(call: &Call<'_>, kind: ErrorKind, outcome: Outcome) -> Self {
        Self {
            backend: call.backend,
            operation: call.operation.as_str(),
            kind: kind.as_str(),
            outcome: outcome.as_str(),
        }
    }
}

/// A failure of an attempt.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(crate) struct AttemptError {
    backend: &'static str,
    operation: &'static str,
    kind: &'static str,
}

impl AttemptError {
    pub(crate) fn of(call: &Call<'_>, kind: ErrorKind) -> Self {
        Self { backend: call.backend, operation: call.operation.as_str(), kind: kind.as_str() }
    }
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Version {
    version: &'static str,
}

/// Counters by backend and operation.
pub(crate) type Counters = Family<Place, Counter>;
type Histograms<Labels> = Family<Labels, Histogram, fn() -> Histogram>;

/// From a microsecond to a hundred seconds, three a decade.
const TIMES: [f64; 25] = [
    1e-6, 2.5e-6, 5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2,
    5e-2, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0,
];

/// A histogram of times in seconds.
pub(crate) fn times() -> Histogram {
    Histogram::new(TIMES)
}

/// A histogram of records in a call.
pub(crate) fn sizes() -> Histogram {
    Histogram::new([1.0, 10.0, 100.0, 250.0, 500.0, 1e3, 2.5e3, 5e3, 1e4, 1e5])
}

/// Makes a metric known under its name in the reference.
pub(crate) fn register<M: Metric + Clone>(registry: &mut Registry, info: Info, metric: M) -> M {
    registry.register(info.registered(), info.about, metric.clone());
    metric
}

/// Errors that come and go, and are counted from zero on.
pub(crate) const PASSING: [ErrorKind; 3] =
    [ErrorKind::Unavailable, ErrorKind::Timeout, ErrorKind::Overloaded];

#[derive(Debug)]
pub(crate) struct Families {
    operations: Counters,
    duration: Histograms<Place>,
    in_flight: Family<Place, Gauge>,
    attempts: Histograms<Place>,
    queue_wait: Histograms<At>,
    pub(crate) errors: Family<Fault, Counter>,
    pub(crate) attempt_errors: Family<AttemptError, Counter>,
    pub(crate) retries: Family<AttemptError, Counter>,
    pub(crate) queue_refusals: Family<At, Counter>,
    pub(crate) batch_size: Histograms<Place>,
    pub(crate) records: Counters,
    pub(crate) bytes_written: Counters,
    pub(crate) bytes_read: Counters,
    pub(crate) scan_rows: Counters,
    pub(crate) scan_damaged_rows: Counters,
    pub(crate) scan_pages: Counters,
    old: Arc<OldFamilies>,
}

/// What every call of one operation changes.
#[derive(Debug)]
pub(crate) struct Handles {
    pub(crate) operations: Counter,
    pub(crate) duration: Histogram,
    pub(crate) in_flight: Gauge,
    pub(crate) attempts: Histogram,
    /// The same under the names that operators of the backend scylla know.
    pub(crate) old: Option<Old>,
}

impl Families {
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let timed = || Histograms::new_with_constructor(times as fn() -> Histogram);
        let waits = Histograms::new_with_constructor(times as fn() -> Histogram);
        let sized = Histograms::new_with_constructor(sizes as fn() -> Histogram);
        let build: Family<Version, Gauge> = register(registry, names::BUILD, Family::default());
        build.get_or_create(&Version { version: env!("CARGO_PKG_VERSION") }).set(1);
        Self {
            operations: register(registry, names::OPERATIONS, Family::default()),
            duration: register(registry, names::DURATION, timed()),
            errors: register(registry, names::ERRORS, Family::default()),
            in_flight: register(registry, names::IN_FLIGHT, Family::default()),
            attempts: register(registry, names::ATTEMPTS, timed()),
            attempt_errors: register(registry, names::ATTEMPT_ERRORS, Family::default()),
            retries: register(registry, names::RETRIES, Family::default()),
            queue_wait: register(registry, names::QUEUE_WAIT, waits),
            queue_refusals: register(registry, names::QUEUE_REFUSALS, Family::default()),
            batch_size: register(registry, names::BATCH_SIZE, sized),
            records: register(registry, names::RECORDS, Family::default()),
            bytes_written: register(registry, names::BYTES_WRITTEN, Family::default()),
            bytes_read: register(registry, names::BYTES_READ, Family::default()),
            scan_rows: register(registry, names::SCAN_ROWS, Family::default()),
            scan_damaged_rows: register(registry, names::SCAN_DAMAGED_ROWS, Family::default()),
            scan_pages: register(registry, names::SCAN_PAGES, Family::default()),
            old: Arc::new(OldFamilies::new(registry)),
        }
    }

    /// What the calls of an operation change, at zero where it is the first.
    pub(crate) fn handles(&self, call: &Call<'_>) -> Handles {
        let of = Place::of(call);
        for kind in PASSING {
            for outcome in OUTCOMES {
                drop(self.errors.get_or_create(&Fault::of(call, kind, outcome)));
            }
            drop(self.attempt_errors.get_or_create(&AttemptError::of(call, kind)));
            drop(self.retries.get_or_create(&AttemptError::of(call, kind)));
        }
        if call.operation == Operation::Scan {
            for family in [&self.scan_rows, &self.scan_damaged_rows, &self.scan_pages] {
                drop(family.get_or_create(&of));
            }
        }
        Handles {
            operations: self.operations.get_or_create_owned(&of),
            duration: self.duration.get_or_create_owned(&of),
            in_flight: self.in_flight.get_or_create_owned(&of),
            attempts: self.attempts.get_or_create_owned(&of),
            old: Old::of(&self.old, call),
        }
    }

    /// How long attempts wait; none was refused a place where it is the first.
    pub(crate) fn queue_wait(&self, backend: &'static str) -> Histogram {
        drop(self.queue_refusals.get_or_create(&At { backend }));
        self.queue_wait.get_or_create_owned(&At { backend })
    }
}
