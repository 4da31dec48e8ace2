//! Every metric by name: what is registered and what is documented are the same list.

use std::fmt::Write;

use pinstate_core::Gauge;
use pinstate_core::gauge::GaugeKind;

/// How a metric behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// It only grows.
    Counter,
    /// It is what it is now.
    Gauge,
    /// How values are spread.
    Histogram,
}

impl Kind {
    /// The type's name in the exposition.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A metric.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Info {
    /// Its name, as it is queried; a histogram's without `_bucket`, `_sum` and `_count`.
    pub name: &'static str,
    /// How it behaves.
    pub kind: Kind,
    /// What is counted or measured.
    pub unit: &'static str,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// What it says.
    pub about: &'static str,
}

impl Info {
    /// The name that it is registered under: the library adds a counter's ending.
    pub(crate) fn registered(&self) -> &'static str {
        self.name.strip_suffix("_total").unwrap_or(self.name)
    }
}

macro_rules! reference {
    ($($id:ident = $name:literal, $kind:ident, $unit:literal, $labels:expr, $about:literal;)*) => {
        $(pub(crate) const $id: Info = Info {
            name: $name, kind: Kind::$kind, unit: $unit, labels: &$labels, about: $about,
        };)*

        /// Every metric but those that a backend tells of itself, which are a
        /// [`Gauge`] each.
        pub const REFERENCE: &[Info] = &[$($id,)*];
    };
}

reference! {
    OPERATIONS = "pinstate_operations_total", Counter, "operations", ["backend", "operation"],
        "Operations that ended, retries of one counted once. Opening a scan is one, and each page";
    DURATION = "pinstate_operation_duration_seconds", Histogram, "seconds", ["backend", "operation"],
        "How long operations took, retries and waiting included";
    ERRORS = "pinstate_operation_errors_total", Counter, "operations", ["backend", "operation", "kind", "outcome"],
        "Operations that failed, or of which a record did. A record that is not there is no error. The outcome unknown: it may have been applied";
    IN_FLIGHT = "pinstate_operations_in_flight", Gauge, "operations", ["backend", "operation"],
        "Operations under way";
    ATTEMPTS = "pinstate_attempt_duration_seconds", Histogram, "seconds", ["backend", "operation"],
        "How long attempts took; its count is the number of attempts";
    ATTEMPT_ERRORS = "pinstate_attempt_errors_total", Counter, "attempts", ["backend", "operation", "kind"],
        "Attempts that failed, whether or not a later one succeeded";
    RETRIES = "pinstate_retries_total", Counter, "attempts", ["backend", "operation", "kind"],
        "Attempts that followed one that failed with this kind of error";
    QUEUE_WAIT = "pinstate_queue_wait_seconds", Histogram, "seconds", ["backend"],
        "How long attempts waited for a place among the operations under way, where the layers limit them; zero for those that did not";
    QUEUE_REFUSALS = "pinstate_queue_refusals_total", Counter, "attempts", ["backend"],
        "Attempts that waited for a place in vain";
    BATCH_SIZE = "pinstate_batch_size", Histogram, "records", ["backend", "operation"],
        "Records in a call that has many";
    RECORDS = "pinstate_records_total", Counter, "records", ["backend", "operation"],
        "Records that were written, or asked for by key, in operations that succeeded";
    BYTES_WRITTEN = "pinstate_bytes_written_total", Counter, "bytes", ["backend", "operation"],
        "Keys and values that were written";
    BYTES_READ = "pinstate_bytes_read_total", Counter, "bytes", ["backend", "operation"],
        "Keys and values that were read";
    SCAN_ROWS = "pinstate_scan_rows_total", Counter, "rows", ["backend", "operation"],
        "Rows that scans gave";
    SCAN_DAMAGED_ROWS = "pinstate_scan_damaged_rows_total", Counter, "rows", ["backend", "operation"],
        "Of these, rows whose bytes the store could not read: something is broken";
    SCAN_PAGES = "pinstate_scan_pages_total", Counter, "pages", ["backend", "operation"],
        "Pages that scans gave";
    STORES_OPEN = "pinstate_stores_open", Gauge, "stores", ["backend"],
        "Stores that this process has open and tells of here";
    BUILD = "pinstate_build_info", Gauge, "", ["version"],
        "Always 1; the version is the label";
    OLD_OPERATIONS = "scylla_state_operations_total", Counter, "operations", ["operation"],
        "pinstate_operations_total of the backend scylla";
    OLD_DURATION = "scylla_state_operation_duration_seconds", Histogram, "seconds", ["operation"],
        "pinstate_operation_duration_seconds of the backend scylla";
    OLD_ERRORS = "scylla_state_errors_total", Counter, "operations", ["kind or operation"],
        "pinstate_operation_errors_total of the backend scylla, twice: by kind, and by operation, which is what a ratio to the operations needs. Sum over one of them";
    OLD_CONNECTIONS = "scylla_state_connections_active", Gauge, "connections", [],
        "pinstate_backend_connections of the backend scylla";
    OLD_BATCH_SIZE = "scylla_state_batch_size", Histogram, "records", [],
        "pinstate_batch_size of the backend scylla, of batches that are written";
}

/// The name under which a backend's own number is told, without a counter's ending.
pub(crate) fn backend_metric(gauge: Gauge) -> String {
    format!("pinstate_backend_{gauge}")
}

/// The reference as a table in Markdown.
#[must_use]
pub fn table() -> String {
    let mut text =
        String::from("| name | type | unit | labels | meaning |\n|---|---|---|---|---|\n");
    let mut row = |name: &str, kind: &str, unit: &str, labels: &[&str], about: &str| {
        let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
        let labels = labels.join(", ");
        // Writing to a String does not fail.
        let _ = writeln!(text, "| `{name}` | {kind} | {unit} | {labels} | {about} |");
    };
    for info in REFERENCE {
        row(info.name, info.kind.as_str(), info.unit, info.labels, info.about);
    }
    for gauge in Gauge::ALL {
        let (kind, ending) = match gauge.kind() {
            GaugeKind::Level => ("gauge", ""),
            GaugeKind::Total => ("counter", "_total"),
        };
        let name = format!("{}{ending}", backend_metric(*gauge));
        row(&name, kind, gauge.unit(), &["backend"], gauge.about());
    }
    text
}
