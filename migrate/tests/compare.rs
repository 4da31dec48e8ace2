//! Comparing pinsets: against an oracle, with every kind of difference and too many of them.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use pinstate_core::digest::Kind;
use pinstate_core::pin::{Cid, Pin, encode};
use pinstate_core::{
    Clock, Error, ErrorKind, Key, Namespace, NamespaceName, Operation, Put, Result, Store,
    WriteOptions,
};
use pinstate_memory::{MemoryConfig, MemoryStore};
use pinstate_migrate::{
    CompareOptions, Comparison, Found, Level, Pinset, Row, Rows, Side, StoredPins, What, compare,
};
use proptest::prelude::*;

/// Keys and values.
type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// Records in parts, as somebody else's pinset might give them.
#[derive(Clone, Debug, Default)]
struct Listed {
    rows: Pairs,
    /// The reading after which rows change, and what is then there.
    changes: Option<(u32, Pairs)>,
    /// Rows after which reading fails.
    fails_after: Option<usize>,
    repeats: bool,
    readings: Arc<AtomicU32>,
}

impl Listed {
    fn new(rows: Pairs) -> Self {
        Self { rows, ..Self::default() }
    }

    fn now(&self) -> &[(Vec<u8>, Vec<u8>)] {
        match &self.changes {
            Some((after, rows)) if self.readings.load(Ordering::SeqCst) > *after => rows,
            _ => &self.rows,
        }
    }
}

struct Part {
    pages: Vec<Vec<Row>>,
    fails: bool,
}

#[async_trait]
impl Rows for Part {
    async fn next(&mut self) -> Result<Option<Vec<Row>>> {
        match self.pages.pop() {
            None if self.fails => {
                Err(Error::new(ErrorKind::Unavailable, Operation::Scan, "gone in the middle"))
            }
            page => Ok(page),
        }
    }
}

#[async_trait]
impl Pinset for Listed {
    fn name(&self) -> &str {
        "listed"
    }

    async fn parts(&self, n: usize) -> Result<Vec<Box<dyn Rows>>> {
        self.readings.fetch_add(1, Ordering::SeqCst);
        let rows = self.now();
        let rows = self.fails_after.map_or(rows, |most| &rows[..most]);
        let row = |(key, value): &(Vec<u8>, Vec<u8>)| Row {
            key: Key::copy_from(key),
            value: Bytes::copy_from_slice(value),
            damaged: false,
        };
        let size = rows.len().div_ceil(n).max(1);
        let mut parts: Vec<Box<dyn Rows>> = Vec::new();
        for part in rows.chunks(size) {
            // With an empty page, which is no end.
            let mut pages: Vec<Vec<Row>> =
                part.chunks(7).map(|page| page.iter().map(row).collect()).collect();
            pages.insert(pages.len() / 2, Vec::new());
            parts.push(Box::new(Part { pages, fails: false }));
        }
        parts.push(Box::new(Part { pages: Vec::new(), fails: self.fails_after.is_some() }));
        Ok(parts)
    }

    async fn count(&self) -> Result<u64> {
        Ok(self.now().len() as u64)
    }

    async fn look_up(&self, keys: &[Key]) -> Result<Vec<Found>> {
        let one = |key: &Key| {
            let of_key = self.now().iter().filter(|row| row.0 == key.as_bytes());
            let values = of_key.map(|row| Bytes::copy_from_slice(&row.1)).collect();
            Found { values, damaged: false }
        };
        Ok(keys.iter().map(one).collect())
    }

    fn may_repeat(&self) -> bool {
        self.repeats
    }
}

fn raw(level: Level) -> CompareOptions {
    let mut options = CompareOptions::new();
    options.kind = Kind::Raw;
    options.level = level;
    options
}

async fn run(left: Listed, right: Listed, options: &CompareOptions) -> Result<Comparison> {
    compare(Arc::new(left), Arc::new(right), options).await
}

fn listed(comparison: &Comparison) -> Vec<(Vec<u8>, What)> {
    let differences = comparison.differences.as_ref().unwrap();
    differences.iter().map(|one| (one.key.as_bytes().to_vec(), one.what)).collect()
}

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

fn oracle(left: &Map, right: &Map) -> Vec<(Vec<u8>, What)> {
    let mut keys: Vec<&Vec<u8>> = left.keys().chain(right.keys()).collect();
    keys.sort();
    keys.dedup();
    let what = |key: &Vec<u8>| match (left.get(key), right.get(key)) {
        (Some(left), Some(right)) => (left != right).then_some(What::Different),
        (Some(_), None) => Some(What::Missing),
        (None, _) => Some(What::Extra),
    };
    keys.into_iter().filter_map(|key| what(key).map(|what| (key.clone(), what))).collect()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn lists_just_what_differs(
        both in prop::collection::btree_map(prop::collection::vec(any::<u8>(), 1..70), any::<[u8; 3]>(), 0..120),
        left in prop::collection::btree_map(prop::collection::vec(any::<u8>(), 1..3), any::<[u8; 1]>(), 0..60),
        right in prop::collection::btree_map(prop::collection::vec(any::<u8>(), 1..3), any::<[u8; 1]>(), 0..60),
    ) {
        let of = |own: BTreeMap<Vec<u8>, [u8; 1]>| -> Map {
            let mut all: Map = both.iter().map(|(key, value)| (key.clone(), value.to_vec())).collect();
            all.extend(own.into_iter().map(|(key, value)| (key, value.to_vec())));
            all
        };
        let (left, right) = (of(left), of(right));
        let expected = oracle(&left, &right);
        for level in [Level::Digest, Level::List, Level::Fields] {
            let of = |map: &Map| Listed::new(map.clone().into_iter().collect());
            let comparison = runtime().block_on(run(of(&left), of(&right), &raw(level))).unwrap();
            prop_assert_eq!(comparison.is_equal(), expected.is_empty());
            prop_assert_eq!(comparison.left.rows, left.len() as u64);
            prop_assert_eq!(comparison.right.rows, right.len() as u64);
            if level != Level::Digest {
                prop_assert_eq!(listed(&comparison), expected.clone());
            }
        }
    }
}

/// Numbered records, some of which are of a version of their own.
fn numbered(count: u32, own: impl Fn(u32) -> Option<u8>) -> Listed {
    let row = |n: u32| own(n).map(|version| (n.to_be_bytes().to_vec(), vec![version]));
    Listed::new((0..count).filter_map(row).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn more_differences_than_the_first_sketch_holds_are_all_listed() {
    // 300,000 of 400,000 differ, in every bucket.
    let left = numbered(400_000, |n| Some(if n % 4 == 0 { 0 } else { 1 }));
    let right = numbered(400_000, |n| Some(if n % 4 == 0 { 0 } else { 2 }));
    let comparison = run(left, right, &raw(Level::List)).await.unwrap();
    let listed = listed(&comparison);
    assert_eq!(listed.len(), 300_000);
    assert!(listed.iter().all(|(_, what)| *what == What::Different));
    assert!(!comparison.cut);
    assert!(comparison.passes > 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_side_that_is_empty_misses_everything() {
    let comparison =
        run(numbered(200_000, |_| Some(1)), Listed::default(), &raw(Level::List)).await.unwrap();
    assert_eq!(listed(&comparison).len(), 200_000);
    let comparison =
        run(Listed::default(), numbered(1_000, |_| Some(1)), &raw(Level::List)).await.unwrap();
    assert!(listed(&comparison).iter().all(|(_, what)| *what == What::Extra));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_is_cut_says_so() {
    let mut options = raw(Level::List);
    options.most = 10;
    let comparison = run(numbered(1_000, |_| Some(1)), Listed::default(), &options).await.unwrap();
    assert_eq!(listed(&comparison).len(), 10);
    assert!(comparison.cut && !comparison.is_equal());
}

/// One that differs is on both sides and still one.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_is_whole_is_not_called_cut() {
    let mut options = raw(Level::List);
    options.most = 10;
    let (left, right) = (numbered(100, |_| Some(1)), numbered(100, |n| Some(u8::from(n >= 10))));
    let comparison = run(left, right, &options).await.unwrap();
    assert_eq!(listed(&comparison).len(), 10);
    assert!(!comparison.cut);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_twice_on_one_side_is_a_difference() {
    let row = |value: u8| (b"key".to_vec(), vec![value]);
    for several in [
        vec![row(1), row(1)],
        vec![row(1), row(1), row(1)],
        vec![row(1), row(2)],
        vec![row(2), row(1)],
    ] {
        let left = Listed { repeats: true, ..Listed::new(several) };
        let comparison = run(left, Listed::new(vec![row(1)]), &raw(Level::List)).await.unwrap();
        assert_eq!(listed(&comparison), [(b"key".to_vec(), What::Different)]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_side_that_fails_is_no_shorter_side() {
    let left = numbered(100, |_| Some(1));
    let mut right = left.clone();
    right.fails_after = Some(60);
    for level in [Level::Digest, Level::List] {
        let error = run(left.clone(), right.clone(), &raw(level)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pinset_that_changes_meanwhile_is_refused_or_looked_up_again() {
    let left = numbered(200_000, |_| Some(1));
    let right = |changes| Listed { changes, ..numbered(200_000, |_| Some(2)) };
    // A second reading is needed, and what it finds is not what the first one found.
    let changed = right(Some((1, numbered(200_000, |_| Some(3)).rows)));
    let error = run(left.clone(), changed, &raw(Level::List)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_longer_differs_is_not_listed_of_a_live_pinset() {
    let left = numbered(100, |n| Some(u8::from(n == 7)));
    // By the time it is looked up the other side has caught up.
    let late = Late { first: numbered(100, |_| Some(0)), then: left.clone() };
    let mut options = raw(Level::List);
    options.live = 1;
    let comparison = compare(Arc::new(left), Arc::new(late), &options).await.unwrap();
    assert_eq!(listed(&comparison), []);
    assert_eq!(comparison.settled, 1);
    assert!(comparison.is_equal());
}

/// Read as one pinset and looked up as another.
#[derive(Debug)]
struct Late {
    first: Listed,
    then: Listed,
}

#[async_trait]
impl Pinset for Late {
    fn name(&self) -> &str {
        "late"
    }

    async fn parts(&self, n: usize) -> Result<Vec<Box<dyn Rows>>> {
        self.first.parts(n).await
    }

    async fn count(&self) -> Result<u64> {
        self.first.count().await
    }

    async fn look_up(&self, keys: &[Key]) -> Result<Vec<Found>> {
        self.then.look_up(keys).await
    }

    fn may_repeat(&self) -> bool {
        false
    }
}

fn cid(n: u8) -> Cid {
    let mut bytes = vec![1, 0x55, 0x12, 32];
    bytes.extend([n; 32]);
    Cid::from_bytes(&bytes).unwrap()
}

async fn stored(pins: &[Pin]) -> Arc<dyn Pinset> {
    let store = MemoryStore::open(&MemoryConfig::default()).unwrap();
    let name = NamespaceName::default();
    store.create_namespace(&name).await.unwrap();
    let namespace: Arc<dyn Namespace> = store.open_namespace(&name).await.unwrap();
    let clock = Clock::volatile();
    for pin in pins {
        let mut value = Vec::new();
        encode(pin, &mut value);
        let key = Key::copy_from(pin.cid.as_bytes());
        let put = Put::new(key, value, clock.draw().await.unwrap());
        namespace.put(put, WriteOptions::new()).await.unwrap();
    }
    Arc::new(StoredPins::new("memory", namespace))
}

#[tokio::test(flavor = "multi_thread")]
async fn pins_of_two_stores_differ_by_their_fields() {
    let mut pins: Vec<Pin> = (0..4).map(|n| Pin::new(cid(n))).collect();
    let left = stored(&pins).await;
    pins.remove(0);
    pins[0].name = "renamed".into();
    pins[0].metadata.insert("team".into(), "storage".into());
    pins[1].metadata.insert("team".into(), "network".into());
    pins.push(Pin::new(cid(9)));
    let right = stored(&pins).await;
    let mut options = CompareOptions::new();
    options.level = Level::Fields;
    let comparison = compare(left, right, &options).await.unwrap();
    let differences = comparison.differences.unwrap();
    let whats: Vec<What> = differences.iter().map(|one| one.what).collect();
    assert_eq!(whats, [What::Missing, What::Different, What::Different, What::Extra]);
    let fields = differences[1].fields();
    let names: Vec<&str> = fields.iter().map(|field| field.field.as_str()).collect();
    assert_eq!(names, ["metadata.team", "name"], "{fields:?}");
    assert_eq!(fields[1].right, Some("renamed".into()));
    assert_eq!(Side::Left.other(), Side::Right);
}
