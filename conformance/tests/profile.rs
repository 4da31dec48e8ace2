//! How much a run does: what `quick` stores at most, and that a soak goes on and ends.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use pinstate_conformance::{Leg, Plug, Profile, Site, Suite};
use pinstate_core::layer::{Call, Policy, wrap};
use pinstate_core::{CheckedScan, Operation, Result, ScanOptions, Store};
use pinstate_memory::{MemoryConfig, MemoryStore};

/// What namespaces held when they were dropped.
#[derive(Clone, Default)]
struct Weighed(Arc<Totals>);

#[derive(Debug, Default)]
struct Totals {
    /// Namespaces that were looked at.
    namespaces: AtomicU64,
    most_rows: AtomicU64,
    most_bytes: AtomicU64,
}

#[async_trait]
impl Plug for Weighed {
    fn name(&self) -> &str {
        "memory"
    }

    async fn site(&self) -> Result<Box<dyn Site>> {
        Ok(Box::new(self.clone()))
    }
}

#[async_trait]
impl Site for Weighed {
    async fn open(&self) -> Result<Arc<dyn Store>> {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::open(&MemoryConfig::default())?);
        Ok(wrap(Arc::clone(&store), Scales { store, totals: Arc::clone(&self.0) }))
    }
}

#[derive(Debug)]
struct Scales {
    store: Arc<dyn Store>,
    totals: Arc<Totals>,
}

impl Policy for Scales {
    async fn run<T, F, Fut>(&self, call: Call<'_>, attempt: F) -> Result<T>
    where
        T: Send,
        F: Fn() -> Fut + Send + Sync,
        Fut: Future<Output = Result<T>> + Send,
    {
        if call.operation == Operation::DropNamespace {
            let (mut rows, mut bytes) = (0, 0);
            for info in self.store.list_namespaces().await? {
                let namespace = self.store.open_namespace(&info.name).await?;
                let mut scan = CheckedScan::new(namespace.scan(ScanOptions::new()).await?);
                while let Some(page) = scan.next_page().await? {
                    rows += page.items.len() as u64;
                    let values = page.items.iter().flatten().map(|row| row.value.len() as u64);
                    bytes += values.sum::<u64>();
                }
            }
            self.totals.namespaces.fetch_add(1, Ordering::Relaxed);
            self.totals.most_rows.fetch_max(rows, Ordering::Relaxed);
            self.totals.most_bytes.fetch_max(bytes, Ordering::Relaxed);
        }
        attempt().await
    }
}

#[test]
fn quick_stays_small() {
    let weighed = Weighed::default();
    let suite = Suite::new(weighed.clone()).legs(vec![Leg::raw()]).profile(Profile::Quick);
    let report = suite.report(&[], &mut |_| {}).unwrap();
    assert_eq!((report.summary.fail, report.profile.as_str()), (0, "quick"));
    let of = |total: &AtomicU64| total.load(Ordering::Relaxed);
    // All that is stored at one time, in all namespaces.
    let (rows, bytes) = (of(&weighed.0.most_rows), of(&weighed.0.most_bytes));
    assert!(of(&weighed.0.namespaces) > 100);
    assert!((1_000..=10_000).contains(&rows), "{rows} rows");
    assert!(bytes <= 16 << 20, "{bytes} bytes");
}

#[test]
fn a_soak_ends_with_its_budget_and_runs_each_round_with_a_seed_of_its_own() {
    let seeds = Mutex::new(Vec::new());
    let suite = Suite::new(Weighed::default())
        .legs(vec![Leg::raw()])
        .seed(7)
        .profile(Profile::Soak(Duration::from_millis(300)));
    let report =
        suite.report(&["C2"], &mut |verdict| seeds.lock().unwrap().push(verdict.seed)).unwrap();
    let seeds = seeds.into_inner().unwrap();
    assert!(seeds.len() > 1 && report.is_green(), "{report:#?}");
    assert!(seeds.iter().zip(7..).all(|(seed, expected)| *seed == expected), "{seeds:?}");
    // Over before it began, it is one round.
    let report = suite.profile(Profile::Soak(Duration::ZERO)).report(&["C2"], &mut |_| {});
    assert_eq!(report.unwrap().summary.executed, 1);
}
