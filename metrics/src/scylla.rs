//! The names that operators of the earlier ScyllaDB state store know: the same numbers, of
//! the backend scylla alone, so that their dashboards go on working.

use std::fmt;
use std::sync::Arc;

use pinstate_core::Operation;
use pinstate_core::layer::{Call, Ended};
use prometheus_client::encoding::{EncodeLabel, EncodeLabelSet, LabelSetEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::families::{PASSING, register, sizes, times};
use crate::reference as names;

/// The backend that had these names.
pub(crate) const BACKEND: &str = "scylla";

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Of {
    operation: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Unlabelled {}

/// By operation, as the ratio to the operations needs it, or by kind, as the metric always
/// had it.
#[derive(Clone, Debug, Hash, PartialEq, Eq)]
enum By {
    Operation(&'static str),
    Kind(&'static str),
}

impl EncodeLabelSet for By {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), fmt::Error> {
        let (name, value) = match self {
            Self::Operation(operation) => ("operation", *operation),
            Self::Kind(kind) => ("kind", *kind),
        };
        (name, value).encode(encoder.encode_label())
    }
}

#[derive(Debug)]
pub(crate) struct OldFamilies {
    operations: Family<Of, Counter>,
    duration: Family<Of, Histogram, fn() -> Histogram>,
    errors: Family<By, Counter>,
    /// A family, so that it is not there for other backends.
    batch_size: Family<Unlabelled, Histogram, fn() -> Histogram>,
}

impl OldFamilies {
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let timed = Family::new_with_constructor(times as fn() -> Histogram);
        let sized = Family::new_with_constructor(sizes as fn() -> Histogram);
        Self {
            operations: register(registry, names::OLD_OPERATIONS, Family::default()),
            duration: register(registry, names::OLD_DURATION, timed),
            errors: register(registry, names::OLD_ERRORS, Family::default()),
            batch_size: register(registry, names::OLD_BATCH_SIZE, sized),
        }
    }
}

/// The same numbers of one operation.
#[derive(Debug)]
pub(crate) struct Old {
    families: Arc<OldFamilies>,
    operations: Counter,
    duration: Histogram,
    errors: Counter,
}

/// What the operation was called.
fn name(operation: Operation) -> &'static str {
    match operation {
        Operation::Put => "add",
        Operation::Delete => "rm",
        Operation::Scan => "list",
        Operation::Apply => "batch",
        other => other.as_str(),
    }
}

impl Old {
    /// Where the backend is the one.
    pub(crate) fn of(families: &Arc<OldFamilies>, call: &Call<'_>) -> Option<Self> {
        if call.backend != BACKEND {
            return None;
        }
        let operation = name(call.operation);
        for kind in PASSING {
            drop(families.errors.get_or_create(&By::Kind(kind.as_str())));
        }
        Some(Self {
            families: Arc::clone(families),
            operations: families.operations.get_or_create_owned(&Of { operation }),
            duration: families.duration.get_or_create_owned(&Of { operation }),
            errors: families.errors.get_or_create_owned(&By::Operation(operation)),
        })
    }

    pub(crate) fn ended(&self, call: &Call<'_>, end: &Ended) {
        self.operations.inc();
        self.duration.observe(end.elapsed.as_secs_f64());
        if call.operation == Operation::Apply {
            self.families.batch_size.get_or_create(&Unlabelled {}).observe(call.records as f64);
        }
        if let Some((kind, _)) = end.failure {
            self.errors.inc();
            self.families.errors.get_or_create(&By::Kind(kind.as_str())).inc();
        }
    }
}
