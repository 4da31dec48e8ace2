//! What of a log is still needed.

use std::collections::BTreeSet;

use crate::log::{Condition, Op};

/// The operations without those puts that a later put has replaced, whatever was there.
pub(crate) fn needed(ops: Vec<Op>) -> Vec<Op> {
    // Keys that are put later, and that nothing looks at before that.
    let mut replaced: BTreeSet<(String, Vec<u8>)> = BTreeSet::new();
    let mut kept = Vec::new();
    for op in ops.into_iter().rev() {
        match &op {
            Op::Write { namespace, items, condition, .. } => {
                let key = |item: &crate::log::Item| (namespace.clone(), item.key.clone());
                let plain = matches!(condition, Condition::None);
                let puts = plain && items.iter().all(|item| item.value.is_some());
                if puts && items.iter().all(|item| replaced.contains(&key(item))) {
                    continue;
                }
                for item in items {
                    // A delete, and a condition, see what was there before.
                    if plain && item.value.is_some() {
                        replaced.insert(key(item));
                    } else {
                        replaced.remove(&key(item));
                    }
                }
            }
            Op::Control { .. } => {}
            _ => replaced.clear(),
        }
        kept.push(op);
    }
    kept.reverse();
    kept
}
