//! Two stores and a mirror between them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pinstate_core::{
    CheckedScan, Delete, Key, Namespace, NamespaceName, Put, ReadOptions, Result, ScanOptions,
    Store, Version, WriteOptions, Written,
};
use pinstate_memory::{MemoryConfig, MemoryStore};
use pinstate_migrate::mirror::{Mirror, MirrorOptions, Phase, Policy};
use pinstate_sled::{SledConfig, SledStore};
use tempfile::TempDir;

use crate::faults::Faults;

/// More than any flip here needs, on any machine.
pub(crate) const BUDGET: Duration = Duration::from_secs(60);

pub(crate) fn name() -> NamespaceName {
    "pins".parse().unwrap()
}

pub(crate) fn key(text: &str) -> Key {
    Key::copy_from(text.as_bytes())
}

pub(crate) fn memory() -> Arc<dyn Store> {
    Arc::new(MemoryStore::open(&MemoryConfig::default()).unwrap())
}

/// Repairs nothing of itself, so that a test sees what each step does.
pub(crate) fn options(policy: Policy) -> MirrorOptions {
    let mut options = MirrorOptions::new().with_policy(policy);
    options.repair_pause = None;
    options.shadow_percent = 100;
    options
}

pub(crate) struct Setup {
    pub(crate) folder: TempDir,
    /// Without faults.
    pub(crate) stores: [Arc<dyn Store>; 2],
    /// With those of `source` and `target`.
    pub(crate) faulty: [Arc<dyn Store>; 2],
    pub(crate) source: Arc<Faults>,
    pub(crate) target: Arc<Faults>,
}

impl Setup {
    pub(crate) async fn memory() -> Self {
        Self::of(memory(), memory()).await
    }

    pub(crate) async fn of(source: Arc<dyn Store>, target: Arc<dyn Store>) -> Self {
        source.create_namespace(&name()).await.unwrap();
        let (faulty_source, of_source) = Faults::around(Arc::clone(&source));
        let (faulty_target, of_target) = Faults::around(Arc::clone(&target));
        Self {
            folder: tempfile::tempdir().unwrap(),
            stores: [source, target],
            faulty: [faulty_source, faulty_target],
            source: of_source,
            target: of_target,
        }
    }

    pub(crate) fn job(&self) -> PathBuf {
        self.folder.path().join("job")
    }

    pub(crate) async fn open(&self, policy: Policy) -> Mirror {
        self.try_open(options(policy)).await.unwrap()
    }

    pub(crate) async fn try_open(&self, options: MirrorOptions) -> Result<Mirror> {
        let [source, target] = self.faulty.clone();
        Mirror::open((source, name()), (target, name()), &self.job(), options).await
    }

    /// A mirror that has come as far as a phase.
    pub(crate) async fn open_in(&self, policy: Policy, phase: Phase) -> Mirror {
        let mirror = self.open(policy).await;
        reach(&mirror, phase).await;
        mirror
    }

    pub(crate) async fn source_pins(&self) -> Arc<dyn Namespace> {
        self.stores[0].open_namespace(&name()).await.unwrap()
    }

    pub(crate) async fn target_pins(&self) -> Arc<dyn Namespace> {
        self.stores[1].open_namespace(&name()).await.unwrap()
    }

    /// All that either store holds; both must hold the same.
    pub(crate) async fn same(&self) -> BTreeMap<String, String> {
        let source = all(&*self.source_pins().await).await;
        assert_eq!(source, all(&*self.target_pins().await).await);
        source
    }
}

pub(crate) async fn reach(mirror: &Mirror, phase: Phase) {
    while mirror.status().phase < phase {
        if mirror.status().phase == Phase::Shadow {
            mirror.cut_over(BUDGET).await.unwrap();
        } else {
            mirror.advance().await.unwrap();
        }
    }
    assert_eq!(mirror.status().phase, phase);
}

pub(crate) async fn all(namespace: &dyn Namespace) -> BTreeMap<String, String> {
    let rows = CheckedScan::new(namespace.scan(ScanOptions::new()).await.unwrap());
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let row = |record: pinstate_core::Record| (text(record.key.as_bytes()), text(&record.value));
    rows.collect().await.unwrap().into_iter().map(|item| row(item.unwrap())).collect()
}

pub(crate) async fn value(namespace: &dyn Namespace, of: &str) -> Option<String> {
    let record = namespace.get(&key(of), ReadOptions::new()).await.unwrap();
    record.map(|record| String::from_utf8(record.value.to_vec()).unwrap())
}

/// A write as a service makes it.
pub(crate) async fn put(mirror: &Mirror, of: &str, value: &str) -> Result<Written> {
    let version = mirror.clock().draw().await.unwrap();
    let put = Put::new(key(of), value.to_owned(), version);
    mirror.namespace().put(put, WriteOptions::new()).await
}

pub(crate) async fn delete(mirror: &Mirror, of: &str) -> Result<Written> {
    let version = mirror.clock().draw().await.unwrap();
    mirror.namespace().delete(Delete::new(key(of), version), WriteOptions::new()).await
}

/// A record that is there before there is a mirror.
pub(crate) async fn put_before(namespace: &dyn Namespace, of: &str, value: &str, version: i64) {
    let put = Put::new(key(of), value.to_owned(), Version(version));
    namespace.put(put, WriteOptions::if_newer()).await.unwrap();
}

pub(crate) async fn sled(folder: &TempDir, name: &str) -> Arc<dyn Store> {
    let config = SledConfig::new(folder.path().join(name)).create();
    Arc::new(SledStore::open(&config).await.unwrap())
}
