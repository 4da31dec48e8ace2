//! The two stores of a mirror.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU8, Ordering};

use pinstate_core::clock::raise_mark;
use pinstate_core::{
    BatchItem, BatchOptions, Capabilities, Durability, IfNewer, Namespace, NamespaceName, Outcome,
    Result, Store, Version, WriteOptions, Written,
};
use serde::{Deserialize, Serialize};

use super::phase::Phase;

/// Which of the two stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The store that is left.
    Source,
    /// The store that is entered.
    Target,
}

impl Role {
    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Source => Self::Target,
            Self::Target => Self::Source,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Source => "source",
            Self::Target => "target",
        })
    }
}

/// One store, with the namespace that is mirrored.
#[derive(Debug)]
pub(super) struct Side {
    pub(super) store: Arc<dyn Store>,
    pub(super) namespace: Arc<dyn Namespace>,
    pub(super) name: NamespaceName,
    writer: String,
    /// What the clock's mark in this store is known to be at least.
    mark: AtomicI64,
    /// Held by whoever raises it, so that of many one does.
    raising: tokio::sync::Mutex<()>,
}

impl Side {
    pub(super) fn new(
        store: Arc<dyn Store>,
        namespace: Arc<dyn Namespace>,
        name: NamespaceName,
        writer: String,
    ) -> Self {
        let mark = AtomicI64::new(i64::MIN);
        Self { store, namespace, name, writer, mark, raising: tokio::sync::Mutex::default() }
    }

    /// Sees to it that a clock which is opened on this store alone later begins above a
    /// version that was drawn from the mirror's.
    pub(super) async fn keep_up(&self, drawn: Version) -> Result<()> {
        let is_low = || self.mark.load(Ordering::Acquire) < drawn.micros();
        if !is_low() {
            return Ok(());
        }
        let _raising = self.raising.lock().await;
        if is_low() {
            let mark = raise_mark(&*self.store, &self.writer, drawn).await?;
            self.mark.fetch_max(mark.micros(), Ordering::AcqRel);
        }
        Ok(())
    }

    /// Writes records if they are newer, each for itself. `drawn` is the highest of their
    /// versions that the clock gave.
    pub(super) async fn write(
        &self,
        mut items: Vec<BatchItem>,
        drawn: Option<Version>,
    ) -> Vec<Result<Written>> {
        let count = items.len();
        if let Some(drawn) = drawn
            && let Err(error) = self.keep_up(drawn).await
        {
            // Nothing was written yet, whatever became of the mark.
            let error = error.with_outcome(Outcome::NotApplied);
            return vec![Err(error); count];
        }
        if count == 1
            && let Some(item) = items.pop()
        {
            return vec![self.write_one(item).await];
        }
        match self.namespace.apply(items, BatchOptions::if_newer()).await {
            Ok(outcome) => outcome.items,
            Err(error) => vec![Err(error); count],
        }
    }

    async fn write_one(&self, item: BatchItem) -> Result<Written> {
        let options = WriteOptions::if_newer();
        match item {
            BatchItem::Put(put) => self.namespace.put(put, options).await,
            BatchItem::Delete(delete) => self.namespace.delete(delete, options).await,
        }
    }
}

/// Both stores, and which phase readers see.
#[derive(Debug)]
pub(super) struct Pair {
    sides: [Side; 2],
    phase: AtomicU8,
}

impl Pair {
    pub(super) fn new(source: Side, target: Side, phase: Phase) -> Self {
        Self { sides: [source, target], phase: AtomicU8::new(phase.number()) }
    }

    pub(super) fn side(&self, role: Role) -> &Side {
        let [source, target] = &self.sides;
        match role {
            Role::Source => source,
            Role::Target => target,
        }
    }

    pub(super) fn phase(&self) -> Phase {
        Phase::of(self.phase.load(Ordering::Acquire))
    }

    pub(super) fn enter(&self, phase: Phase) {
        self.phase.store(phase.number(), Ordering::Release);
    }

    /// The store that answers reads now.
    pub(super) fn primary(&self) -> &Side {
        self.side(self.phase().primary())
    }

    /// What both can do, whichever of them answers.
    pub(super) fn capabilities(&self) -> Capabilities {
        let [source, target] = &self.sides;
        let (a, b) = (source.namespace.capabilities(), target.namespace.capabilities());
        let mut both = Capabilities::minimal();
        both.persistent = a.persistent && b.persistent;
        both.exclusive_open = true;
        both.ack_durability = weaker(&a.ack_durability, &b.ack_durability);
        both.sync_durability = weaker(&a.sync_durability, &b.sync_durability);
        both.detects_damage = a.detects_damage && b.detects_damage;
        both.ordered_scan = a.ordered_scan && b.ordered_scan;
        both.snapshot_scan = a.snapshot_scan && b.snapshot_scan;
        both.if_newer = match (a.if_newer, b.if_newer) {
            (IfNewer::Exact, IfNewer::Exact) => IfNewer::Exact,
            _ => IfNewer::Resolved,
        };
        both.consistency = a.consistency.weaker(b.consistency);
        both.max_key_bytes = a.max_key_bytes.min(b.max_key_bytes);
        both.max_value_bytes = a.max_value_bytes.min(b.max_value_bytes);
        both
    }
}

/// The one that promises less; of two that cannot be compared the first.
fn weaker(a: &Durability, b: &Durability) -> Durability {
    let rank = |durability: &Durability| match durability {
        Durability::None => 0,
        Durability::Process => 1,
        _ => 2,
    };
    if rank(b) < rank(a) { b.clone() } else { a.clone() }
}
