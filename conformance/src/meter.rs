//! How much memory the process holds, where the program can tell.

use std::fmt;

/// Reads how much memory the process has allocated, as a counting global allocator knows it.
///
/// With the crate `peak_alloc` that is
/// `Meter::new(|| ALLOCATOR.reset_peak_usage(), || ALLOCATOR.peak_usage())`.
#[derive(Clone, Copy)]
pub struct Meter {
    reset: fn(),
    peak: fn() -> usize,
}

impl Meter {
    /// `reset` makes what is allocated now the peak; `peak` gives the most bytes that were
    /// allocated at one time since then.
    #[must_use]
    pub const fn new(reset: fn(), peak: fn() -> usize) -> Self {
        Self { reset, peak }
    }

    /// Begins to measure: what is allocated now is the base.
    pub(crate) fn begin(self) -> Growth {
        (self.reset)();
        Growth { meter: self, base: (self.peak)() }
    }
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meter").field("peak", &(self.peak)()).finish_non_exhaustive()
    }
}

/// A measurement under way.
pub(crate) struct Growth {
    meter: Meter,
    base: usize,
}

impl Growth {
    /// How many bytes more than in the beginning were allocated at one time.
    pub(crate) fn most(&self) -> usize {
        (self.meter.peak)().saturating_sub(self.base)
    }
}
