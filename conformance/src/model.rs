//! The reference model: what a namespace is, in the fewest words, and random sequences of
//! operations that a backend must answer as the model does.
//!
//! Sequences are drawn and shrunk by proptest from the run's seed.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use pinstate_core::{
    BatchItem, BatchOptions, Contender, Delete, IfNewer, Key, Version, WriteOptions, Written,
};
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any};
use proptest::prop_oneof;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use crate::case::{Cx, Ns};
use crate::check::{Checked, Violation, holds, same};
use crate::history::Shown;

/// Longest sequence.
const LENGTH: usize = 40;
/// Keys of a sequence, which are few so that operations meet.
const KEYS: u8 = 6;
/// Operations from one look at all records to the next.
const WHOLE: usize = 5;

/// One operation. Keys are few, so that operations meet.
#[derive(Clone, Debug)]
enum Step {
    Put(u8, Vec<u8>),
    Delete(u8),
    PutIfNewer(u8, Vec<u8>, Stamp),
    DeleteIfNewer(u8, Stamp),
    PutIfAbsent(u8, Vec<u8>),
    PutIfVersion(u8, Vec<u8>, bool),
    Batch(Vec<(u8, Option<Vec<u8>>)>),
    Purge(i64),
}

/// The version of a conditional write.
#[derive(Clone, Copy, Debug)]
enum Stamp {
    /// This one.
    At(i64),
    /// So much above the one that is stored.
    Above(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let key = 0..KEYS;
    let value = || {
        prop_oneof![
            Just(Vec::new()),
            vec(any::<u8>(), 1..4),
            any::<u8>().prop_map(|b| vec![b; 300])
        ]
    };
    // Around the versions that the clock gives, which begin at zero here.
    let version = -5..60_i64;
    // Where versions meet is where stores go wrong.
    let stamp = || prop_oneof![2 => (-5..60_i64).prop_map(Stamp::At), 1 => (-1..=1_i64).prop_map(Stamp::Above)];
    prop_oneof![
        4 => (key.clone(), value()).prop_map(|(key, value)| Step::Put(key, value)),
        3 => key.clone().prop_map(Step::Delete),
        3 => (key.clone(), value(), stamp())
            .prop_map(|(key, value, stamp)| Step::PutIfNewer(key, value, stamp)),
        3 => (key.clone(), stamp()).prop_map(|(key, v)| Step::DeleteIfNewer(key, v)),
        1 => (key.clone(), value()).prop_map(|(key, value)| Step::PutIfAbsent(key, value)),
        1 => (key.clone(), value(), any::<bool>())
            .prop_map(|(key, value, right)| Step::PutIfVersion(key, value, right)),
        2 => vec((key, proptest::option::of(value())), 0..6).prop_map(Step::Batch),
        1 => version.prop_map(Step::Purge),
    ]
}

impl Step {
    /// Whether it may change the record of this key.
    fn writes(&self, key: u8) -> bool {
        match self {
            Self::Put(written, ..)
            | Self::Delete(written)
            | Self::PutIfNewer(written, ..)
            | Self::DeleteIfNewer(written, ..)
            | Self::PutIfAbsent(written, ..)
            | Self::PutIfVersion(written, ..) => *written == key,
            Self::Batch(writes) => writes.iter().any(|(written, _)| *written == key),
            Self::Purge(_) => true,
        }
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(version) => write!(f, "v{version}"),
            Self::Above(0) => f.write_str("the stored version"),
            Self::Above(step) => write!(f, "the stored version {step:+}"),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let put = |key: &u8, value: &[u8]| format!("put key {key} = {}", Shown(value));
        match self {
            Self::Put(key, value) => f.write_str(&put(key, value)),
            Self::Delete(key) => write!(f, "delete key {key}"),
            Self::PutIfNewer(key, value, stamp) => {
                write!(f, "{} if newer, at {stamp}", put(key, value))
            }
            Self::DeleteIfNewer(key, stamp) => write!(f, "delete key {key} if newer, at {stamp}"),
            Self::PutIfAbsent(key, value) => write!(f, "{} if absent", put(key, value)),
            Self::PutIfVersion(key, value, true) => {
                write!(f, "{} if the version is what it is", put(key, value))
            }
            Self::PutIfVersion(key, value, false) => {
                write!(f, "{} if the version is another", put(key, value))
            }
            Self::Batch(writes) => {
                f.write_str("batch:")?;
                for (place, (key, value)) in writes.iter().enumerate() {
                    f.write_str(if place == 0 { " " } else { "; " })?;
                    match value {
                        Some(value) => f.write_str(&put(key, value))?,
                        None => write!(f, "delete key {key}")?,
                    }
                }
                Ok(())
            }
            Self::Purge(before) => write!(f, "purge markers before v{before}"),
        }
    }
}

/// What the model knows of one key.
#[derive(Clone, Debug, Default)]
enum Slot {
    /// Nothing at all.
    #[default]
    Empty,
    /// A live record.
    Live(Version, Vec<u8>),
    /// The marker of a conditional delete.
    Marker(Version),
    /// After a plain delete: nothing, or a marker no newer than this. Both are legal.
    Deleted(Version),
}

/// What the model says to a conditional write.
enum Expected {
    Applied,
    Superseded(Version),
    /// Not decided by the contract.
    Either,
}

impl Slot {
    fn live(&self) -> Option<(Version, &[u8])> {
        match self {
            Self::Live(version, value) => Some((*version, value)),
            _ => None,
        }
    }

    /// The version of what is certainly stored.
    fn version(&self) -> Option<Version> {
        match self {
            Self::Live(version, _) | Self::Marker(version) => Some(*version),
            Self::Empty | Self::Deleted(_) => None,
        }
    }

    fn if_newer(&self, version: Version, value: Option<&[u8]>) -> Expected {
        let new = Contender { version, value };
        let stored = match self {
            Self::Empty => return Expected::Applied,
            Self::Deleted(bound) if version > *bound => return Expected::Applied,
            Self::Deleted(_) => return Expected::Either,
            Self::Live(version, value) => Contender { version: *version, value: Some(value) },
            Self::Marker(version) => Contender { version: *version, value: None },
        };
        if new.beats(&stored) {
            Expected::Applied
        } else if new.version == stored.version && new.value == stored.value {
            // A repeated write may be told that it applied, or that it stands already.
            Expected::Either
        } else {
            Expected::Superseded(stored.version)
        }
    }
}

/// Runs random sequences against the backend and the model.
pub(crate) async fn check(cx: Cx) -> Checked {
    let cx = cx.hardened();
    let handle = tokio::runtime::Handle::current();
    let work = tokio::task::spawn_blocking(move || {
        let mut seed = [0; 32];
        for (place, byte) in seed.iter_mut().zip(cx.seed.to_le_bytes().into_iter().cycle()) {
            *place = byte;
        }
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
        let config = Config {
            cases: cx.size(48, 500) as u32,
            failure_persistence: None,
            max_shrink_iters: 10_000,
            // Of a store that is slow as well as broken, what was found until then is shown.
            max_shrink_time: 30_000,
            ..Config::default()
        };
        let mut runner = TestRunner::new_with_rng(config, rng);
        let result = runner.run(&vec(step(), 0..LENGTH), |steps| {
            cx.begin_part();
            handle
                .block_on(run(&cx, &steps))
                .map_err(|violation| TestCaseError::fail(violation.to_string()))
        });
        match result {
            Ok(()) => Ok(()),
            Err(TestError::Fail(reason, steps)) => {
                cx.desk.operations(steps.iter().map(Step::to_string).collect());
                let count = steps.len();
                Err(Violation::new(format!("{reason}, after the last of {count} operations")))
            }
            Err(TestError::Abort(reason)) => Err(Violation::new(reason.to_string())),
        }
    });
    work.await.map_err(|error| Violation::new(error.to_string()))?
}

async fn run(cx: &Cx, steps: &[Step]) -> Checked {
    let ns = cx.namespace().await?;
    let mut run = Run { cx, ns, slots: BTreeMap::new(), clock: 0 };
    for (number, step) in steps.iter().enumerate() {
        run.step(step).await?;
        // What reads everything is dear on a store far away, and what it would miss here it
        // sees a few operations later.
        let whole = number % WHOLE == 0 || number + 1 == steps.len();
        run.records_agree(|key| whole || step.writes(key)).await?;
        if whole {
            run.whole_agrees().await?;
        }
    }
    cx.store().drop_namespace(&run.ns.name).await?;
    Ok(())
}

struct Run<'a> {
    cx: &'a Cx,
    ns: Ns,
    slots: BTreeMap<u8, Slot>,
    clock: i64,
}

impl Run<'_> {
    /// The next version of the clock: above every one that was written so far.
    fn draw(&mut self) -> Version {
        self.clock += 1;
        Version(self.clock)
    }

    fn slot(&self, key: u8) -> Slot {
        self.slots.get(&key).cloned().unwrap_or_default()
    }

    async fn step(&mut self, step: &Step) -> Checked {
        match step {
            Step::Put(key, value) => {
                let version = self.draw();
                let put = self.ns.put_of(name(*key), value, version);
                let written = self.ns.raw.put(put, WriteOptions::new()).await?;
                same("a plain put", written, Written::Applied)?;
                self.slots.insert(*key, Slot::Live(version, value.clone()));
            }
            Step::Delete(key) => {
                let version = self.draw();
                if self.slot(*key).live().is_none() {
                    self.cx.mark("delete_of_absent");
                }
                let delete = Delete::new(name(*key), version);
                let written = self.ns.raw.delete(delete, WriteOptions::new()).await?;
                same("a plain delete", written, Written::Applied)?;
                self.slots.insert(*key, Slot::Deleted(version));
            }
            Step::PutIfNewer(key, value, stamp) => {
                self.if_newer(*key, Some(value), *stamp).await?;
            }
            Step::DeleteIfNewer(key, stamp) => {
                self.if_newer(*key, None, *stamp).await?;
            }
            Step::PutIfAbsent(key, value) if self.ns.raw.capabilities().if_absent => {
                let version = self.draw();
                let expected = match self.slot(*key).live() {
                    Some((current, _)) => Written::Refused { current: Some(current) },
                    None => Written::Applied,
                };
                let put = self.ns.put_of(name(*key), value, version);
                let written = self.ns.raw.put(put, WriteOptions::if_absent()).await?;
                self.decided("a put 'if absent'", *key, value, version, written, expected)?;
            }
            Step::PutIfVersion(key, value, right) if self.ns.raw.capabilities().if_version => {
                let version = self.draw();
                let current = self.slot(*key).live().map(|(version, _)| version);
                let asked = if *right { current.unwrap_or(Version(1)) } else { Version(-100) };
                let expected = if current == Some(asked) {
                    Written::Applied
                } else {
                    Written::Refused { current }
                };
                let put = self.ns.put_of(name(*key), value, version);
                let written = self.ns.raw.put(put, WriteOptions::if_version(asked)).await?;
                self.decided("a put 'if version'", *key, value, version, written, expected)?;
            }
            Step::PutIfAbsent(..) | Step::PutIfVersion(..) => {}
            Step::Batch(writes) => {
                let mut batch: Vec<BatchItem> = Vec::new();
                for (key, value) in writes {
                    let version = self.draw();
                    let slot = match value {
                        Some(value) => {
                            batch.push(self.ns.put_of(name(*key), value, version).into());
                            Slot::Live(version, value.clone())
                        }
                        None => {
                            batch.push(Delete::new(name(*key), version).into());
                            Slot::Deleted(version)
                        }
                    };
                    self.slots.insert(*key, slot);
                }
                self.ns.apply(batch, BatchOptions::new()).await?;
            }
            Step::Purge(before) => {
                self.ns.raw.purge_deleted(Version(*before)).await?;
                // A store that resolves by version may remember a purged marker for a while.
                let exact = self.ns.raw.capabilities().if_newer == IfNewer::Exact;
                for slot in self.slots.values_mut() {
                    match slot {
                        Slot::Marker(version) if version.0 < *before => {
                            self.cx.mark("marker_purged");
                            *slot = if exact { Slot::Empty } else { Slot::Deleted(*version) };
                        }
                        _ => {}
                    }
                }
            }
        }
        Ok(())
    }

    /// Takes over what a decided condition came to.
    fn decided(
        &mut self,
        what: &str,
        key: u8,
        value: &[u8],
        version: Version,
        written: Written,
        expected: Written,
    ) -> Checked {
        same(what, written, expected)?;
        if expected == Written::Applied {
            self.slots.insert(key, Slot::Live(version, value.to_vec()));
        }
        Ok(())
    }

    async fn if_newer(&mut self, key: u8, value: Option<&[u8]>, stamp: Stamp) -> Checked {
        let slot = self.slot(key);
        let version = match (stamp, slot.version()) {
            (Stamp::Above(step), Some(stored)) => Version(stored.0 + step),
            (Stamp::At(version) | Stamp::Above(version), _) => Version(version),
        };
        if matches!(slot, Slot::Marker(_)) {
            self.cx.mark("marker_met");
        }
        match slot.version() {
            Some(stored) if stored == version => self.cx.mark("equal_versions"),
            Some(stored) if stored > version => self.cx.mark("superseded"),
            _ => {}
        }
        self.clock = self.clock.max(version.0);
        let options = WriteOptions::if_newer();
        let written = match value {
            Some(value) => {
                self.ns.raw.put(self.ns.put_of(name(key), value, version), options).await?
            }
            None => self.ns.raw.delete(Delete::new(name(key), version), options).await?,
        };
        let expected = slot.if_newer(version, value);
        let exact = self.ns.raw.capabilities().if_newer == IfNewer::Exact;
        let fits = match (&expected, written) {
            (_, Written::Resolved) => !exact,
            (Expected::Applied | Expected::Either, Written::Applied) => exact,
            (Expected::Superseded(stored), Written::Superseded { current }) => {
                exact && *stored == current
            }
            (Expected::Either, Written::Superseded { .. }) => exact,
            _ => false,
        };
        holds(fits, || {
            format!("a write 'if newer' of version {version} over {slot:?}: got {written:?}")
        })?;
        let new = match value {
            Some(value) => Slot::Live(version, value.to_vec()),
            None => Slot::Marker(version),
        };
        match (expected, slot) {
            (Expected::Applied, _) => {
                self.slots.insert(key, new);
            }
            (Expected::Superseded(_), _) => {}
            // Nothing, or a marker, was there: what a put came to shows in the record itself,
            // and after a delete there is nothing or a marker, but maybe a newer one.
            (Expected::Either, Slot::Deleted(bound)) => {
                if value.is_none() {
                    self.slots.insert(key, Slot::Deleted(bound));
                } else if self.ns.get(name(key)).await?.is_some() {
                    self.slots.insert(key, new);
                }
            }
            // A repeated write.
            (Expected::Either, _) => {}
        }
        Ok(())
    }

    /// Each record, read by itself, is what the model holds; of some it is also asked whether
    /// they are there.
    async fn records_agree(&self, twice: impl Fn(u8) -> bool) -> Checked {
        let keys = (0..KEYS).map(|key| (key, twice(key))).map(|(key, twice)| async move {
            let slot = self.slot(key);
            let record = self.ns.get(name(key)).await?;
            let got = record.as_ref().map(|record| (record.version, record.value.as_ref()));
            same(&format!("get of key {key}"), got, slot.live())?;
            if !twice {
                return Ok(());
            }
            same(&format!("has of key {key}"), self.ns.has(name(key)).await?, got.is_some())
        });
        futures::future::join_all(keys).await.into_iter().collect()
    }

    /// Every way of reading all records shows what the model holds.
    async fn whole_agrees(&self) -> Checked {
        let live = (0..KEYS).filter_map(|key| {
            let slot = self.slot(key);
            let (_, value) = slot.live()?;
            Some((name(key).as_bytes().to_vec(), Bytes::copy_from_slice(value)))
        });
        self.ns.shows(&live.collect()).await
    }
}

fn name(key: u8) -> Key {
    Key::copy_from(format!("key {key}").as_bytes())
}
