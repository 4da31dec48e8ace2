//! How long operations took: histograms, of the whole measured time and of each window of it.
//!
//! Times are kept with three significant digits. An operation belongs to the window in which it
//! ended.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use hdrhistogram::Histogram;
use parking_lot::Mutex;

use crate::outcome::{Kind, Latencies, Window};
use crate::workload::OperationKind;

/// Significant digits.
const DIGITS: u8 = 3;
/// No time is longer, in nanoseconds: an hour.
const LONGEST: u64 = 3_600_000_000_000;
/// How many locks there are.
const SHARDS: usize = 8;

/// An operation that has ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    pub(crate) kind: OperationKind,
    /// From when it was to begin.
    pub(crate) latency: Duration,
    /// From when it did.
    pub(crate) service: Duration,
    /// When it ended, since the load began.
    pub(crate) at: Duration,
    /// The kind of its error.
    pub(crate) error: Option<&'static str>,
}

/// Times of one kind, or of all.
#[derive(Debug)]
struct Times {
    latency: Histogram<u64>,
    service: Histogram<u64>,
    errors: BTreeMap<&'static str, u64>,
}

impl Times {
    fn new() -> Self {
        Self { latency: histogram(), service: histogram(), errors: BTreeMap::new() }
    }
}

pub(crate) fn histogram() -> Histogram<u64> {
    // Both numbers are within what the crate takes.
    Histogram::new_with_max(LONGEST, DIGITS).unwrap_or_else(|_| unreachable!("three digits"))
}

pub(crate) fn record(histogram: &mut Histogram<u64>, time: Duration) {
    let nanos = u64::try_from(time.as_nanos()).unwrap_or(LONGEST);
    histogram.saturating_record(nanos.clamp(1, LONGEST));
}

#[derive(Debug, Default)]
struct Shard {
    kinds: BTreeMap<OperationKind, Times>,
    /// By the window's number.
    windows: BTreeMap<u64, Pane>,
    /// The window whose times `open` holds.
    open_at: u64,
    open: Option<Histogram<u64>>,
    /// The windows that count.
    counting: Range<u64>,
}

/// A window, of one shard.
#[derive(Debug, Default)]
struct Pane {
    operations: u64,
    errors: u64,
    times: Vec<(u64, u32)>,
}

impl Shard {
    fn close(&mut self) {
        let at = self.open_at;
        let Some(open) = self.open.as_mut() else { return };
        let times = open.iter_recorded().map(|step| {
            (step.value_iterated_to(), u32::try_from(step.count_at_value()).unwrap_or(u32::MAX))
        });
        self.windows.entry(at).or_default().times.extend(times);
        open.reset();
    }

    fn take(&mut self, window: u64, ended: &Ended) {
        if window != self.open_at {
            self.close();
            self.open_at = window;
        }
        let pane = self.windows.entry(window).or_default();
        if let Some(error) = ended.error {
            pane.errors += 1;
            if self.counting.contains(&window) {
                let times = self.kinds.entry(ended.kind).or_insert_with(Times::new);
                *times.errors.entry(error).or_default() += 1;
            }
            return;
        }
        pane.operations += 1;
        record(self.open.get_or_insert_with(histogram), ended.latency);
        if self.counting.contains(&window) {
            let times = self.kinds.entry(ended.kind).or_insert_with(Times::new);
            record(&mut times.latency, ended.latency);
            record(&mut times.service, ended.service);
        }
    }
}

/// What all operations of a load took.
#[derive(Debug)]
pub(crate) struct Measure {
    window: Duration,
    shards: Vec<Mutex<Shard>>,
}

impl Measure {
    /// With windows of this length, none of which counts before [`count`](Self::count) says so.
    pub(crate) fn new(window: Duration) -> Self {
        Self { window, shards: std::iter::repeat_with(Mutex::default).take(SHARDS).collect() }
    }

    /// An operation has ended. `hint` spreads those that end at the same time.
    pub(crate) fn record(&self, hint: u64, ended: &Ended) {
        let window = self.number(ended.at);
        let shard = usize::try_from(hint % SHARDS as u64).unwrap_or(0);
        if let Some(shard) = self.shards.get(shard) {
            shard.lock().take(window, ended);
        }
    }

    fn number(&self, at: Duration) -> u64 {
        u64::try_from(at.as_nanos() / self.window.as_nanos().max(1)).unwrap_or(u64::MAX)
    }

    /// Lets so many windows count, from `first` on, or from the first one in which nothing has
    /// ended yet; says which.
    pub(crate) fn count(&self, first: u64, count: u64) -> Range<u64> {
        let mut shards: Vec<_> = self.shards.iter().map(Mutex::lock).collect();
        let last = shards.iter().filter_map(|shard| shard.windows.keys().next_back()).max();
        let first = last.map_or(first, |last| first.max(last + 1));
        let counting = first..first.saturating_add(count);
        for shard in &mut shards {
            shard.counting = counting.clone();
        }
        counting
    }

    /// How many operations ended in a window that is over, and their median latency in
    /// nanoseconds.
    pub(crate) fn look(&self, window: u64) -> (u64, u64) {
        let mut all = histogram();
        let mut operations = 0;
        for shard in &self.shards {
            let mut shard = shard.lock();
            if shard.open_at == window {
                shard.close();
            }
            if let Some(pane) = shard.windows.get(&window) {
                operations += pane.operations;
                for (time, count) in &pane.times {
                    all.saturating_record_n(*time, u64::from(*count));
                }
            }
        }
        (operations, all.value_at_quantile(0.5))
    }

    /// Everything of the windows that count: all kinds together, each of them, and the windows.
    pub(crate) fn finish(&self, counting: Range<u64>) -> (Vec<Kind>, Vec<Window>) {
        let mut kinds: BTreeMap<OperationKind, Times> = BTreeMap::new();
        let mut panes: BTreeMap<u64, (Pane, BTreeMap<u64, u32>)> = BTreeMap::new();
        for shard in &self.shards {
            let mut shard = std::mem::take(&mut *shard.lock());
            shard.close();
            for (kind, times) in shard.kinds {
                let all = kinds.entry(kind).or_insert_with(Times::new);
                add(&mut all.latency, &times.latency);
                add(&mut all.service, &times.service);
                for (error, count) in times.errors {
                    *all.errors.entry(error).or_default() += count;
                }
            }
            for (number, pane) in shard.windows.range(counting.clone()) {
                let (all, times) = panes.entry(*number).or_default();
                all.operations += pane.operations;
                all.errors += pane.errors;
                for (time, count) in &pane.times {
                    *times.entry(*time).or_default() += count;
                }
            }
        }
        let mut all = Times::new();
        for times in kinds.values() {
            add(&mut all.latency, &times.latency);
            add(&mut all.service, &times.service);
            for (error, count) in &times.errors {
                *all.errors.entry(error).or_default() += count;
            }
        }
        let named = kinds.iter().map(|(kind, times)| (kind.name(), times));
        let kinds = std::iter::once(("all", &all)).chain(named).map(|(name, times)| Kind {
            name: name.to_owned(),
            latency: latencies(&times.latency),
            service: latencies(&times.service),
            errors: times.errors.iter().map(|(kind, n)| ((*kind).to_owned(), *n)).collect(),
        });
        let seconds = self.window.as_secs_f64();
        let first = counting.start;
        let windows = counting.map(|number| {
            let (pane, times) = panes.remove(&number).unwrap_or_default();
            Window {
                at: (number - first) as f64 * seconds,
                seconds,
                operations: pane.operations,
                errors: pane.errors,
                times: times.into_iter().collect(),
            }
        });
        (kinds.collect(), windows.collect())
    }
}

fn add(to: &mut Histogram<u64>, from: &Histogram<u64>) {
    // Both have the same bounds.
    let _ = to.add(from);
}

/// What is said of a distribution.
pub(crate) fn latencies(of: &Histogram<u64>) -> Latencies {
    if of.is_empty() {
        return Latencies::default();
    }
    let at = |quantile| of.value_at_quantile(quantile);
    // Four points for each halving of what is left.
    let curve = of
        .iter_quantiles(4)
        .map(|step| (step.quantile_iterated_to() * 100.0, step.value_iterated_to()));
    Latencies {
        count: of.len(),
        mean: of.mean(),
        p50: at(0.5),
        p90: at(0.9),
        p99: at(0.99),
        p999: at(0.999),
        max: of.max(),
        curve: curve.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(at: u64, latency: u64, error: Option<&'static str>) -> Ended {
        Ended {
            kind: OperationKind::Get,
            latency: Duration::from_micros(latency),
            service: Duration::from_micros(latency / 2),
            at: Duration::from_millis(at),
            error,
        }
    }

    #[test]
    fn operations_count_in_the_window_in_which_they_ended() {
        let measure = Measure::new(Duration::from_millis(100));
        for hint in 0..10 {
            // Dropped: before what counts.
            measure.record(hint, &ended(50, 5_000_000, None));
        }
        assert_eq!(measure.count(0, 2), 1..3, "in the first window something has ended");
        for hint in 0..100 {
            measure.record(hint, &ended(150, 100, None));
            measure.record(hint, &ended(250, 300, None));
        }
        measure.record(0, &ended(250, 1, Some("timeout")));
        let (operations, median) = measure.look(1);
        assert_eq!((operations, median / 1_000), (100, 100));
        measure.record(0, &ended(399, 1, None));
        let (kinds, windows) = measure.finish(1..3);
        let counts: Vec<_> = windows.iter().map(|w| (w.operations, w.errors)).collect();
        assert_eq!(counts, [(100, 0), (100, 1)], "the last one ended behind the end");
        assert_eq!(windows[1].times.len(), 1);
        assert_eq!(kinds.len(), 2);
        assert_eq!((&*kinds[1].name, kinds[1].errors["timeout"]), ("get", 1));
        let all = &kinds[0].latency;
        assert!(all.max < 301_000 && all.count == 200 && all.p50 / 1_000 == 100, "{all:?}");
        assert_eq!(kinds[0].service.p99 / 1_000, 150);
    }
}
