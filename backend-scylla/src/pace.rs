//! How much to ask for at once.
//!
//! Servers of the protocol's version 4 know pages of so many rows, not of so many bytes, so
//! the size of a page is kept in bounds by what rows have weighed so far.

use std::sync::atomic::{AtomicU64, Ordering};

/// How large a page should be.
const PAGE_BYTES: u64 = 512 << 10;
/// Rows of a page when nothing is known yet: of the largest values that are taken by
/// default this is 64 MiB.
const FIRST_ROWS: u64 = 64;

/// What rows have weighed, smoothed, and how far a server could be trusted lately.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    full: Weight,
    keys: Weight,
}

/// Of one kind of page.
#[derive(Debug, Default)]
pub(crate) struct Weight {
    /// Mean bytes of a row; 0 as long as nothing is known.
    row_bytes: AtomicU64,
    /// How often the size of pages is halved, after failures.
    halvings: AtomicU64,
}

impl Pace {
    /// The pace of pages with or without values.
    pub(crate) fn of(&self, keys_only: bool) -> &Weight {
        if keys_only { &self.keys } else { &self.full }
    }
}

impl Weight {
    /// How many rows the next page should have, at most `most`.
    pub(crate) fn rows(&self, most: u32) -> u32 {
        let rows = match self.row_bytes.load(Ordering::Relaxed) {
            0 => FIRST_ROWS,
            bytes => PAGE_BYTES / bytes,
        };
        let rows = rows >> self.halvings.load(Ordering::Relaxed).min(16);
        u32::try_from(rows.max(1)).unwrap_or(u32::MAX).min(most).max(1)
    }

    /// A page came.
    pub(crate) fn came(&self, rows: u64, bytes: u64) {
        if rows == 0 {
            return;
        }
        // A large value is met sooner than it is forgotten.
        let (now, before) = (bytes.div_ceil(rows).max(1), self.row_bytes.load(Ordering::Relaxed));
        let mean = if before == 0 || now > before { now } else { (3 * before + now) / 4 };
        self.row_bytes.store(mean.max(1), Ordering::Relaxed);
        let halvings = self.halvings.load(Ordering::Relaxed);
        if halvings > 0 {
            self.halvings.store(halvings - 1, Ordering::Relaxed);
        }
    }

    /// A page was too much for the server.
    pub(crate) fn was_too_much(&self) {
        // More than two, so that it takes a few good pages to get back.
        let halvings = self.halvings.load(Ordering::Relaxed);
        self.halvings.store((halvings + 2).min(16), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_keep_their_size_whatever_rows_weigh() {
        let weight = Weight::default();
        assert_eq!(weight.rows(5_000), 64);
        weight.came(64, 64 * 256);
        assert_eq!(weight.rows(5_000), 2_048);
        assert_eq!(weight.rows(100), 100);
        weight.came(10, 10 << 20);
        assert_eq!(weight.rows(5_000), 1);
        for _ in 0..60 {
            weight.came(10, 10 * 256);
        }
        assert!(weight.rows(5_000) > 1_500, "{weight:?}");
    }

    #[test]
    fn a_failure_halves_pages_for_a_while() {
        let weight = Weight::default();
        weight.came(100, 100 * 512);
        weight.was_too_much();
        assert_eq!(weight.rows(5_000), 256);
        weight.came(100, 100 * 512);
        weight.came(100, 100 * 512);
        assert_eq!(weight.rows(5_000), 1_024);
        for _ in 0..20 {
            weight.was_too_much();
        }
        assert_eq!(weight.rows(5_000), 1);
    }
}
