//! Two stores of pins that differ in a thousand, for benches of comparisons.

use std::collections::BTreeMap;
use std::sync::Arc;

use pinstate_core::pin::{Cid, PeerId, Pin, encode};
use pinstate_core::{
    BatchItem, BatchOptions, Clock, Key, Namespace, NamespaceName, Put, Store, Version,
};
use pinstate_migrate::{Comparison, What};

pub(crate) const ROUNDS: usize = 7;
const BATCH: u32 = 1_000;
pub(crate) const DIFFERENCES: u32 = 1_000;

/// The pinsets of two stores, and how they differ.
pub(crate) struct Differing {
    pub(crate) left: Arc<dyn Namespace>,
    pub(crate) right: Arc<dyn Namespace>,
    expected: BTreeMap<Vec<u8>, What>,
}

impl Differing {
    /// Fills both stores.
    pub(crate) async fn fill(left: &dyn Store, right: &dyn Store, rows: u32) -> Self {
        let third = DIFFERENCES / 3;
        // The right side lacks the first third, has one more third, and others of another name.
        let step = (rows - third) / (DIFFERENCES - 2 * third);
        let changed = |n: u32| {
            n < rows
                && (n - third).is_multiple_of(step)
                && (n - third) / step < DIFFERENCES - 2 * third
        };
        let left = filled(left, 0..rows, |_| false).await;
        let right = filled(right, third..rows + third, &changed).await;
        let mut expected = BTreeMap::new();
        for n in 0..rows + third {
            let what = match n {
                n if n < third => What::Missing,
                n if n >= rows => What::Extra,
                n if changed(n) => What::Different,
                _ => continue,
            };
            expected.insert(cid(n).as_bytes().to_vec(), what);
        }
        assert_eq!(expected.len(), DIFFERENCES as usize);
        Self { left, right, expected }
    }

    /// Fails unless a comparison found just what was changed.
    pub(crate) fn check(&self, comparison: Comparison) {
        let found = comparison.differences.unwrap();
        let found: BTreeMap<_, _> =
            found.into_iter().map(|one| (one.key.as_bytes().to_vec(), one.what)).collect();
        assert_eq!(found, self.expected, "not just what was changed");
    }
}

fn cid(n: u32) -> Cid {
    let mut bytes = vec![1, 0x70, 0x12, 32];
    let mut random = fastrand::Rng::with_seed(u64::from(n) + 1);
    bytes.extend(std::iter::repeat_with(|| random.u8(..)).take(32));
    Cid::from_bytes(&bytes).unwrap()
}

/// As pins in the field are: three allocations, a name, an entry of metadata.
fn pin(n: u32, name: &str, peers: &[PeerId]) -> Pin {
    let mut pin = Pin::new(cid(n));
    pin.allocations = (0..3).map(|k| peers[(n as usize + k) % peers.len()].clone()).collect();
    pin.name = format!("{name} {n}");
    pin.metadata.insert("owner".into(), format!("team {}", n % 17));
    pin
}

fn peers() -> Vec<PeerId> {
    let peer = |n: u8| {
        let mut bytes = vec![0, 36, 8, 1, 18, 32];
        bytes.extend([n; 32]);
        PeerId::from_bytes(&bytes).unwrap()
    };
    (0..12).map(peer).collect()
}

/// Fills a store with the pins `from..to`; what is `changed` has another name.
async fn filled(
    store: &dyn Store,
    range: std::ops::Range<u32>,
    changed: impl Fn(u32) -> bool,
) -> Arc<dyn Namespace> {
    let name = NamespaceName::default();
    store.create_namespace(&name).await.unwrap();
    let namespace = store.open_namespace(&name).await.unwrap();
    let clock = Clock::volatile();
    let peers = peers();
    let mut from = range.start;
    while from < range.end {
        let to = (from + BATCH).min(range.end);
        let first = clock.draw_many(BATCH as usize).await.unwrap();
        let put = |n: u32| {
            let name = if changed(n) { "changed" } else { "dataset" };
            let pin = pin(n, name, &peers);
            let mut value = Vec::new();
            encode(&pin, &mut value);
            let version = Version(first.micros() + i64::from(n - from));
            BatchItem::Put(Put::new(Key::copy_from(pin.cid.as_bytes()), value, version))
        };
        let batch = (from..to).map(put).collect();
        namespace.apply(batch, BatchOptions::new()).await.unwrap().into_result().unwrap();
        from = to;
    }
    store.sync().await.unwrap();
    namespace
}

pub(crate) fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
