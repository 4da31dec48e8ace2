//! What a store has done, in numbers.

use pinstate_core::{Gauge, Operation};

use crate::store::Core;

/// None once the store is closed.
pub(crate) fn gauges(core: &Core) -> Vec<(Gauge, f64)> {
    let Ok(engine) = core.engine(Operation::Health) else { return Vec::new() };
    let counts = engine.barriers.counts();
    vec![
        (Gauge::Barriers, counts.barriers as f64),
        (Gauge::BarrierCalls, counts.calls as f64),
        (Gauge::BarrierSeconds, counts.took.as_secs_f64()),
        (Gauge::CallsWaiting, core.committer.waiting() as f64),
    ]
}
