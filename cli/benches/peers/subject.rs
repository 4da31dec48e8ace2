//! What takes part, and what it is asked to do.

use std::time::Instant;

use rustix::time::{ClockId, clock_gettime};

/// Callers of operations that are given at the same time.
pub(crate) const CALLERS: usize = 64;
/// Pins in a durable write.
pub(crate) const BATCH: usize = 1_000;
/// Pins that are written durably one by one, at most; as many as in Go's program.
pub(crate) const SINGLES: usize = 20_000;

/// An operation on all pins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    /// Durable batches of 1,000.
    Add,
    /// Durable writes of one pin each, from 64 callers.
    Add64,
    /// One pin a call, from 64 callers.
    Get64,
    /// The same as views of what is stored, whose names and allocations are looked at.
    View64,
    /// A thousand pins a call.
    GetMany,
    /// All pins, decoded: the allocations of each are looked at.
    List,
    /// All pins, and every stored byte looked at.
    Scan,
    Export,
    Import,
    SnapshotWrite,
    SnapshotRead,
}

impl Op {
    pub(crate) const ALL: [(Self, &'static str); 11] = [
        (Self::Add, "add"),
        (Self::Add64, "add64"),
        (Self::Get64, "get64"),
        (Self::View64, "view64"),
        (Self::GetMany, "get1000"),
        (Self::List, "list"),
        (Self::Scan, "scan"),
        (Self::Export, "export"),
        (Self::Import, "import"),
        (Self::SnapshotWrite, "marshal"),
        (Self::SnapshotRead, "unmarshal"),
    ];

    pub(crate) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(op, _)| *op == self).unwrap().1
    }

    /// Whether it begins with an empty store.
    pub(crate) fn writes(self) -> bool {
        matches!(self, Self::Add | Self::Add64 | Self::Import | Self::SnapshotRead)
    }
}

/// What an operation took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spent {
    /// Pins it was done to.
    pub(crate) pins: usize,
    pub(crate) seconds: f64,
    /// Processor time of the process that did it, in seconds.
    pub(crate) cpu: f64,
}

impl Spent {
    /// Thousand pins a second.
    pub(crate) fn rate(self) -> f64 {
        self.pins as f64 / self.seconds / 1e3
    }

    /// Processor time for each pin, in microseconds.
    pub(crate) fn cpu_each(self) -> f64 {
        self.cpu / self.pins as f64 * 1e6
    }
}

/// Measures what is done in this process; `work` says to how many pins.
pub(crate) fn measured(work: impl FnOnce() -> usize) -> Spent {
    let cpu = || {
        let now = clock_gettime(ClockId::ProcessCPUTime);
        now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
    };
    let (began, before) = (Instant::now(), cpu());
    let pins = work();
    Spent { pins, seconds: began.elapsed().as_secs_f64(), cpu: cpu() - before }
}

/// Which of so many pins one of the 64 callers is about.
pub(crate) fn share(count: usize, caller: usize) -> std::ops::Range<usize> {
    count * caller / CALLERS..count * (caller + 1) / CALLERS
}

/// A store under somebody's interface.
pub(crate) trait Subject {
    fn name(&self) -> &'static str;

    /// Whether it can do that at all.
    fn can(&self, op: Op) -> bool;

    /// Does it once. What comes before and after, such as opening, is not measured.
    fn run(&mut self, op: Op) -> Spent;
}
