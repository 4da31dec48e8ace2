//! Sums over the rows of each side, by bucket.

use crate::pinset::Side;
use crate::row::BUCKETS;

/// How many rows fell into a bucket, and the sum of their numbers modulo 2^128. Added and not
/// combined by exclusive or: a row that is there twice must show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bucket {
    pub(crate) rows: u64,
    pub(crate) sum: u128,
}

impl Bucket {
    pub(crate) fn add(&mut self, row: u128) {
        self.rows += 1;
        self.sum = self.sum.wrapping_add(row);
    }
}

/// The buckets of both sides.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    left: Vec<Bucket>,
    right: Vec<Bucket>,
}

impl Tally {
    pub(crate) fn new() -> Self {
        let buckets = vec![Bucket::default(); BUCKETS];
        Self { left: buckets.clone(), right: buckets }
    }

    fn of(&self, side: Side) -> &[Bucket] {
        match side {
            Side::Left => &self.left,
            Side::Right => &self.right,
        }
    }

    /// A bucket of a side.
    pub(crate) fn bucket(&self, side: Side, bucket: u16) -> Bucket {
        self.of(side).get(usize::from(bucket)).copied().unwrap_or_default()
    }

    /// Counts a row in.
    pub(crate) fn add(&mut self, side: Side, bucket: u16, row: u128) {
        let buckets = match side {
            Side::Left => &mut self.left,
            Side::Right => &mut self.right,
        };
        if let Some(bucket) = buckets.get_mut(usize::from(bucket)) {
            bucket.add(row);
        }
    }

    /// Takes over what another tally has in a bucket.
    pub(crate) fn replace(&mut self, bucket: u16, other: &Self) {
        let place = usize::from(bucket);
        if let Some(bucket) = self.left.get_mut(place) {
            *bucket = other.left.get(place).copied().unwrap_or_default();
        }
        if let Some(bucket) = self.right.get_mut(place) {
            *bucket = other.right.get(place).copied().unwrap_or_default();
        }
    }

    /// How many rows a side has.
    pub(crate) fn rows(&self, side: Side) -> u64 {
        self.of(side).iter().map(|bucket| bucket.rows).sum()
    }

    /// The buckets in which the sides differ.
    pub(crate) fn differing(&self) -> Vec<u16> {
        let pairs = self.left.iter().zip(&self.right).zip(0..=u16::MAX);
        pairs.filter(|((left, right), _)| left != right).map(|(_, bucket)| bucket).collect()
    }
}
