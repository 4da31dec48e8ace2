//! What a store has done, in numbers.

use pinstate_core::Gauge;

use crate::engine::Engine;

/// None once the store is closed.
pub(crate) fn gauges(engine: &Engine) -> Vec<(Gauge, f64)> {
    let Some(committer) = engine.open_committer() else { return Vec::new() };
    let counts = committer.barriers();
    vec![
        (Gauge::Barriers, counts.barriers as f64),
        (Gauge::BarrierCalls, counts.calls as f64),
        (Gauge::BarrierSeconds, counts.took.as_secs_f64()),
        (Gauge::CallsWaiting, committer.waiting() as f64),
    ]
}
