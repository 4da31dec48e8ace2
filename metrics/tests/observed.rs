//! Stores that are observed, and what is told of them.

#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use pinstate_core::layer::{Call, Layers, Observer, Policy, RetryBudget, RetryOptions, wrap};
use pinstate_core::namespace::ReadOptions;
use pinstate_core::{
    BatchOptions, Error, ErrorKind, Gauge, Key, NamespaceName, Operation, Outcome, Put,
    ScanOptions, ScanStep, Store, Version, WriteOptions,
};
use pinstate_memory::{MemoryConfig, MemoryStore};
use pinstate_metrics::{Metrics, REFERENCE};

/// The number of a series, or nothing where there is none.
fn value(text: &str, series: &str) -> Option<f64> {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(series));
    lines.find_map(|rest| rest.strip_prefix(' ')?.parse().ok())
}

fn memory() -> Arc<dyn Store> {
    Arc::new(MemoryStore::open(&MemoryConfig::default()).unwrap())
}

fn put(key: &str) -> Put {
    Put::new(Key::copy_from(key.as_bytes()), "value", Version(1))
}

fn observed(store: Arc<dyn Store>, metrics: &Arc<Metrics>) -> Arc<dyn Store> {
    let retry = RetryOptions::new()
        .with_attempts(3)
        .with_pauses(Duration::ZERO, Duration::ZERO)
        .with_budget(Arc::new(RetryBudget::new(1.0, 1e9, 1e9)));
    let observer: Arc<dyn Observer> = Arc::<Metrics>::clone(metrics);
    Layers::standard().with_retry(Some(retry)).with_observer(Some(observer)).apply(store)
}

/// Fails every put of this key.
#[derive(Debug)]
struct Refuses(ErrorKind, &'static [u8]);

impl Policy for Refuses {
    async fn run<T, F, Fut>(&self, call: Call<'_>, attempt: F) -> pinstate_core::Result<T>
    where
        T: Send,
        F: Fn() -> Fut + Send + Sync,
        Fut: Future<Output = pinstate_core::Result<T>> + Send,
    {
        if call.operation == Operation::Put && call.key.is_some_and(|key| key.as_bytes() == self.1)
        {
            let error = Error::new(self.0, call.operation, "scripted");
            return Err(error.with_outcome(Outcome::NotApplied));
        }
        attempt().await
    }
}

/// Puts, batches, reads and scans a store of five records.
async fn worked(store: &Arc<dyn Store>) {
    let name = NamespaceName::default();
    store.create_namespace(&name).await.unwrap();
    let pins = store.open_namespace(&name).await.unwrap();
    pins.put(put("a"), WriteOptions::new()).await.unwrap();
    let batch = ["b", "c", "d", "e"].map(|key| put(key).into()).to_vec();
    pins.apply(batch, BatchOptions::new()).await.unwrap().into_result().unwrap();
    pins.get(&Key::copy_from(b"a"), ReadOptions::new()).await.unwrap().unwrap();
    let mut scan = pins.scan(ScanOptions::new().with_page_rows(2)).await.unwrap();
    while let ScanStep::Page(_) = scan.next().await.unwrap() {}
}

#[tokio::test]
async fn what_was_done_is_told() {
    let metrics = Arc::new(Metrics::new());
    let store = memory();
    metrics.watch(&store);
    worked(&observed(Arc::clone(&store), &metrics)).await;
    let text = metrics.encode().unwrap();
    let of = |name: &str, operation: &str| {
        value(&text, &format!("{name}{{backend=\"memory\",operation=\"{operation}\"}}"))
    };
    assert_eq!(of("pinstate_operations_total", "put"), Some(1.0));
    assert_eq!(of("pinstate_operations_in_flight", "put"), Some(0.0));
    assert_eq!(of("pinstate_operation_duration_seconds_count", "put"), Some(1.0));
    assert_eq!(of("pinstate_attempt_duration_seconds_count", "put"), Some(1.0));
    assert_eq!(of("pinstate_bytes_written_total", "put"), Some(6.0));
    assert_eq!(of("pinstate_bytes_written_total", "apply"), Some(24.0));
    assert_eq!(of("pinstate_bytes_read_total", "get"), Some(6.0));
    assert_eq!(of("pinstate_records_total", "apply"), Some(4.0));
    assert_eq!(of("pinstate_batch_size_sum", "apply"), Some(4.0));
    assert_eq!(of("pinstate_scan_rows_total", "scan"), Some(5.0));
    assert!(of("pinstate_scan_pages_total", "scan").unwrap() >= 3.0);
    assert_eq!(of("pinstate_scan_damaged_rows_total", "scan"), Some(0.0));
    assert!(value(&text, "pinstate_queue_wait_seconds_count{backend=\"memory\"}").unwrap() > 5.0);
    assert_eq!(value(&text, "pinstate_stores_open{backend=\"memory\"}"), Some(1.0));
    let error = "pinstate_operation_errors_total{backend=\"memory\",operation=\"put\",kind=\"timed out\",outcome=\"unknown\"}";
    assert_eq!(value(&text, error), Some(0.0), "counted from zero on");
    assert!(!text.contains("scylla_state"), "{text}");
    let bucket =
        "pinstate_operation_duration_seconds_bucket{backend=\"memory\",operation=\"put\",le=\"";
    let buckets = text.lines().filter_map(|line| line.strip_prefix(bucket)?.split_once("\"} "));
    let bounds: Vec<f64> = buckets.map(|(bound, _)| bound.parse().unwrap()).collect();
    assert_eq!((bounds[0], &bounds[24..]), (1e-6, &[100.0, f64::INFINITY][..]));

    drop(store);
    let text = metrics.encode().unwrap();
    assert_eq!(value(&text, "pinstate_stores_open{backend=\"memory\"}"), None);
}

#[tokio::test]
async fn failures_attempts_and_retries_are_told_apart() {
    let metrics = Arc::new(Metrics::new());
    for kind in [ErrorKind::Unavailable, ErrorKind::Full] {
        let store = observed(wrap(memory(), Refuses(kind, b"bad")), &metrics);
        worked(&store).await;
        let pins = store.open_namespace(&NamespaceName::default()).await.unwrap();
        pins.put(put("bad"), WriteOptions::new()).await.unwrap_err();
    }
    let text = metrics.encode().unwrap();
    let errors = |name: &str, rest: &str| {
        value(&text, &format!("{name}{{backend=\"memory\",operation=\"put\",{rest}}}"))
    };
    let failed = "pinstate_operation_errors_total";
    assert_eq!(errors(failed, "kind=\"unavailable\",outcome=\"not-applied\""), Some(1.0));
    assert_eq!(errors(failed, "kind=\"no space left\",outcome=\"not-applied\""), Some(1.0));
    let attempts = "pinstate_attempt_errors_total";
    assert_eq!(errors(attempts, "kind=\"unavailable\""), Some(3.0));
    assert_eq!(errors(attempts, "kind=\"no space left\""), Some(1.0));
    assert_eq!(errors("pinstate_retries_total", "kind=\"unavailable\""), Some(2.0));
    assert_eq!(errors("pinstate_retries_total", "kind=\"no space left\""), None);
    let put = "{backend=\"memory\",operation=\"put\"}";
    assert_eq!(value(&text, &format!("pinstate_operations_total{put}")), Some(4.0));
    assert_eq!(value(&text, &format!("pinstate_attempt_duration_seconds_count{put}")), Some(6.0));
    // What failed wrote nothing that is known of.
    assert_eq!(value(&text, &format!("pinstate_records_total{put}")), Some(2.0));
}

/// A store that says it is another backend's and has numbers of its own.
mod posing {
    use async_trait::async_trait;
    use pinstate_core::*;

    use super::*;

    #[derive(Debug)]
    pub(super) struct Posing(pub(super) Arc<dyn Store>, pub(super) StoreIdentity);

    #[async_trait]
    impl Store for Posing {
        fn identity(&self) -> &StoreIdentity {
            &self.1
        }
        fn capabilities(&self) -> &Capabilities {
            self.0.capabilities()
        }
        async fn create_namespace(&self, name: &NamespaceName) -> Result<()> {
            self.0.create_namespace(name).await
        }
        async fn open_namespace(&self, name: &NamespaceName) -> Result<Arc<dyn Namespace>> {
            self.0.open_namespace(name).await
        }
        async fn list_namespaces(&self) -> Result<Vec<NamespaceInfo>> {
            self.0.list_namespaces().await
        }
        async fn drop_namespace(&self, name: &NamespaceName) -> Result<()> {
            self.0.drop_namespace(name).await
        }
        async fn replace_namespace(&self, name: &NamespaceName, by: &NamespaceName) -> Result<()> {
            self.0.replace_namespace(name, by).await
        }
        async fn control_get(&self, key: &str) -> Result<Option<ControlRecord>> {
            self.0.control_get(key).await
        }
        async fn control_list(&self, prefix: &str) -> Result<Vec<(String, ControlRecord)>> {
            self.0.control_list(prefix).await
        }
        async fn control_set(
            &self,
            key: &str,
            expect: Expect,
            to: &[u8],
        ) -> Result<ControlWritten> {
            self.0.control_set(key, expect, to).await
        }
        async fn control_delete(&self, key: &str, expect: Expect) -> Result<ControlWritten> {
            self.0.control_delete(key, expect).await
        }
        async fn health(&self) -> Result<Health> {
            self.0.health().await
        }
        async fn sync(&self) -> Result<Durability> {
            self.0.sync().await
        }
        async fn close(&self) -> Result<()> {
            self.0.close().await
        }
        fn gauges(&self) -> Vec<(Gauge, f64)> {
            vec![(Gauge::Connections, 3.0), (Gauge::Requests, 40.0)]
        }
    }
}

fn scylla() -> Arc<dyn Store> {
    let memory = memory();
    let identity = pinstate_core::StoreIdentity::new(memory.identity().uuid, "scylla", 1, "here");
    Arc::new(posing::Posing(memory, identity))
}

#[tokio::test]
async fn the_names_of_the_earlier_store_are_the_same_numbers() {
    let metrics = Arc::new(Metrics::new());
    let (one, other) = (scylla(), scylla());
    metrics.watch(&one);
    metrics.watch(&other);
    let store = observed(wrap(Arc::clone(&one), Refuses(ErrorKind::Timeout, b"bad")), &metrics);
    worked(&store).await;
    let pins = store.open_namespace(&NamespaceName::default()).await.unwrap();
    pins.put(put("bad"), WriteOptions::new()).await.unwrap_err();
    let text = metrics.encode().unwrap();
    for (old, new) in [("add", "put"), ("batch", "apply"), ("list", "scan"), ("get", "get")] {
        for name in [
            "operations_total",
            "operation_duration_seconds_count",
            "operation_duration_seconds_sum",
        ] {
            let new = format!("pinstate_{name}{{backend=\"scylla\",operation=\"{new}\"}}");
            let old = format!("scylla_state_{name}{{operation=\"{old}\"}}");
            assert!(value(&text, &new).is_some_and(|value| value > 0.0), "{new}\n{text}");
            assert_eq!(value(&text, &old), value(&text, &new), "{old}");
        }
    }
    assert_eq!(value(&text, "scylla_state_errors_total{operation=\"add\"}"), Some(1.0));
    assert_eq!(value(&text, "scylla_state_errors_total{operation=\"get\"}"), Some(0.0));
    assert_eq!(value(&text, "scylla_state_errors_total{kind=\"timed out\"}"), Some(1.0));
    assert_eq!(value(&text, "scylla_state_batch_size_sum"), Some(4.0));
    // Two stores, three connections each.
    assert_eq!(value(&text, "scylla_state_connections_active"), Some(6.0));
    assert_eq!(value(&text, "pinstate_backend_connections{backend=\"scylla\"}"), Some(6.0));
    assert_eq!(value(&text, "pinstate_backend_requests_total{backend=\"scylla\"}"), Some(80.0));
}

/// The name in a line of a series, and its labels.
fn parts(line: &str) -> (&str, BTreeSet<String>) {
    let (name, rest) = line.split_once(['{', ' ']).unwrap();
    let labels = match line.contains('{') {
        true => rest.split("\",").filter_map(|label| label.split_once("=\"")).map(|(name, _)| name),
        false => return (name, BTreeSet::new()),
    };
    (name, labels.map(str::to_owned).filter(|name| name != "le").collect())
}

#[tokio::test]
async fn everything_that_is_told_is_in_the_reference() {
    let metrics = Arc::new(Metrics::new());
    let store = scylla();
    metrics.watch(&store);
    let store = observed(wrap(store, Refuses(ErrorKind::Timeout, b"bad")), &metrics);
    worked(&store).await;
    let text = metrics.encode().unwrap();
    let (mut kind, mut seen) = (("", ""), BTreeSet::new());
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            kind = rest.split_once(' ').unwrap();
        }
        if line.starts_with('#') {
            continue;
        }
        let (name, labels) = parts(line);
        assert!(name.starts_with(kind.0), "{line} without a type");
        if let Some(info) = REFERENCE.iter().find(|info| info.name == kind.0) {
            seen.insert(info.name);
            assert_eq!(kind.1, info.kind.as_str(), "{name}");
            if info.labels != ["kind or operation"] {
                assert_eq!(labels, info.labels.iter().map(|&l| l.to_owned()).collect(), "{line}");
            }
            continue;
        }
        let base = kind.0.strip_prefix("pinstate_backend_").unwrap_or_else(|| panic!("{line}"));
        let base = base.strip_suffix("_total").unwrap_or(base);
        assert!(Gauge::ALL.iter().any(|gauge| gauge.as_str() == base), "{line}");
        assert_eq!(labels, BTreeSet::from(["backend".to_owned()]));
    }
    for info in REFERENCE {
        assert!(seen.contains(info.name), "{} is never told", info.name);
    }
}

#[tokio::test]
async fn keys_namespaces_and_places_are_no_labels() {
    let metrics = Arc::new(Metrics::new());
    let store = scylla();
    metrics.watch(&store);
    worked(&observed(store, &metrics)).await;
    let before = metrics.encode().unwrap().lines().count();
    let store = observed(scylla(), &metrics);
    worked(&store).await;
    let pins = store.open_namespace(&NamespaceName::default()).await.unwrap();
    for n in 0..1_000 {
        pins.put(put(&format!("another key {n}")), WriteOptions::new()).await.unwrap();
    }
    assert_eq!(metrics.encode().unwrap().lines().count(), before);
}
