//! Reads that are made on both stores, and compared.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use pinstate_core::{Key, ReadOptions};

use super::Inner;
use super::phase::Phase;

impl Inner {
    /// Looks at a key that was just read on both stores, for some of the reads and beside
    /// whoever reads; never more at a time than a few.
    pub(super) fn shadow(self: &Arc<Self>, key: &Key) {
        let phase = self.pair.phase();
        let percent = self.shadow_percent.load(Ordering::Relaxed);
        let wanted = matches!(phase, Phase::Shadow | Phase::Reverse) && percent > 0;
        if !wanted || !self.counts.shadow_turn(percent) {
            return;
        }
        let Ok(place) = Arc::clone(&self.shadows).try_acquire_owned() else {
            self.counts.shadow_skipped.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let (inner, key) = (Arc::clone(self), key.clone());
        tokio::spawn(async move {
            let _place = place;
            inner.compare_key(phase, key).await;
        });
    }

    async fn compare_key(&self, phase: Phase, key: Key) {
        let read = |role| self.pair.side(role).namespace.get(&key, ReadOptions::new());
        let (first, second) = futures::join!(read(phase.primary()), read(phase.primary().other()));
        let (Ok(first), Ok(second)) = (first, second) else {
            self.counts.shadow_failed.fetch_add(1, Ordering::Relaxed);
            return;
        };
        self.counts.shadow_compared.fetch_add(1, Ordering::Relaxed);
        if first.map(|record| record.value) == second.map(|record| record.value) {
            return;
        }
        // A write that came in between is no difference: under its lock it is told apart.
        match self.still_different(vec![key]).await {
            Ok(different) => {
                self.counts.shadow_different.fetch_add(different as u64, Ordering::Relaxed);
                self.wake.notify_one();
            }
            Err(_) => drop(self.counts.shadow_failed.fetch_add(1, Ordering::Relaxed)),
        }
    }
}
