//! Which operations come, in which order: the same for every store.
//!
//! Nothing here depends on what a store answers or how fast it is. A pin counts as there from
//! the operation on that adds it, though that may be under way while the next one asks for it:
//! what it may get then is the [model](crate::model)'s affair.

use std::collections::VecDeque;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::Zipf;
use rand_distr::weighted::WeightedIndex;

use crate::workload::{Keys, OperationKind, Workload};

/// YCSB's exponent.
const EXPONENT: f64 = 0.99;

/// One operation. Pins have numbers, and each writing of a pin has one, from 0 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Adds a pin.
    Add(u64),
    /// Adds so many, from the first on.
    AddBatch(u64, u32),
    /// Replaces a pin by this writing of it.
    Replace(u64, u32),
    /// Reads a pin and then replaces it by this writing of it.
    Modify(u64, u32),
    /// Removes a pin, which takes a number of a writing as well.
    Rm(u64, u32),
    /// Reads a pin.
    Get(u64),
    /// Asks for a pin.
    Has(u64),
    /// Lists so many, from this pin on.
    Page(u64, u32),
    /// Lists all.
    List,
}

impl Operation {
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> OperationKind {
        match self {
            Self::Add(_) => OperationKind::Add,
            Self::AddBatch(..) => OperationKind::AddBatch,
            Self::Replace(..) => OperationKind::Replace,
            Self::Modify(..) => OperationKind::Modify,
            Self::Rm(..) => OperationKind::Rm,
            Self::Get(_) => OperationKind::Get,
            Self::Has(_) => OperationKind::Has,
            Self::Page(..) => OperationKind::Page,
            Self::List => OperationKind::List,
        }
    }
}

/// The operations of a workload, without end.
#[derive(Debug)]
pub struct Operations {
    random: ChaCha8Rng,
    kinds: Vec<OperationKind>,
    weights: WeightedIndex<f64>,
    keys: Keys,
    batch: u32,
    page: u32,
    /// The pins that are there, in no order that matters but for [`Keys::Latest`].
    live: Vec<u64>,
    /// How often each pin was written, by its number.
    writings: Vec<u32>,
    /// Some of those that were removed, the last ones.
    gone: VecDeque<u64>,
}

/// So many of those that were removed are remembered.
const GONE: usize = 1_000;
/// So often one of them is read: a removed pin must not come back.
const READ_GONE: f64 = 0.05;

impl Operations {
    /// The operations of a workload, which follow from the seed.
    ///
    /// # Errors
    /// The weights make no sense.
    pub fn new(workload: &Workload, seed: u64) -> Result<Self, String> {
        workload.check()?;
        let (kinds, weights): (Vec<_>, Vec<_>) = workload.mix.iter().map(|(k, w)| (*k, *w)).unzip();
        Ok(Self {
            random: ChaCha8Rng::seed_from_u64(seed),
            kinds,
            weights: WeightedIndex::new(weights).map_err(|error| error.to_string())?,
            keys: workload.keys,
            batch: workload.batch,
            page: workload.page,
            live: (0..workload.preload).collect(),
            gone: VecDeque::new(),
            writings: vec![1; usize::try_from(workload.preload).unwrap_or(usize::MAX)],
        })
    }

    /// The number of a pin that was never there, which is there from now on.
    fn fresh(&mut self, count: u32) -> u64 {
        let first = self.writings.len() as u64;
        for n in first..first + u64::from(count) {
            self.live.push(n);
            self.writings.push(1);
        }
        first
    }

    /// Where in the list of those that are there one is that is there.
    fn choose(&mut self) -> Option<usize> {
        let count = self.live.len();
        if count == 0 {
            return None;
        }
        let rank = |random: &mut ChaCha8Rng| {
            let zipf = Zipf::new(count as f64, EXPONENT).ok()?;
            // Ranks begin with 1.
            Some((random.sample(zipf) as usize).clamp(1, count) - 1)
        };
        match self.keys {
            Keys::Uniform => Some(self.random.random_range(..count)),
            Keys::Latest => rank(&mut self.random).map(|rank| count - 1 - rank),
            Keys::Zipfian => {
                let rank = rank(&mut self.random)? as u64;
                // Spread over all of them, and the same as long as none is added.
                let spread = rank.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 11;
                usize::try_from(spread % count as u64).ok()
            }
        }
    }

    /// A pin that was removed, now and then.
    fn removed(&mut self) -> Option<u64> {
        if self.gone.is_empty() || !self.random.random_bool(READ_GONE) {
            return None;
        }
        let at = self.random.random_range(..self.gone.len());
        self.gone.get(at).copied()
    }

    fn pin(&self, at: usize) -> u64 {
        self.live.get(at).copied().unwrap_or_default()
    }

    fn write(&mut self, n: u64) -> u32 {
        let writing = usize::try_from(n).ok().and_then(|n| self.writings.get_mut(n));
        writing.map_or(0, |count| {
            *count += 1;
            *count - 1
        })
    }
}

impl Iterator for Operations {
    type Item = Operation;

    fn next(&mut self) -> Option<Operation> {
        let kind = self.random.sample(&self.weights);
        let kind = *self.kinds.get(kind)?;
        let (batch, page) = (self.batch, self.page);
        Some(match kind {
            OperationKind::Add => Operation::Add(self.fresh(1)),
            OperationKind::AddBatch => Operation::AddBatch(self.fresh(batch), batch),
            OperationKind::List => Operation::List,
            _ => match self.choose() {
                // All were removed: there is nothing to do but to add one.
                None => Operation::Add(self.fresh(1)),
                Some(at) => {
                    let mut n = self.pin(at);
                    if matches!(kind, OperationKind::Get | OperationKind::Has)
                        && let Some(gone) = self.removed()
                    {
                        n = gone;
                    }
                    match kind {
                        OperationKind::Replace => Operation::Replace(n, self.write(n)),
                        OperationKind::Modify => Operation::Modify(n, self.write(n)),
                        OperationKind::Has => Operation::Has(n),
                        OperationKind::Page => Operation::Page(n, page),
                        OperationKind::Rm => {
                            self.live.swap_remove(at);
                            self.gone.push_back(n);
                            if self.gone.len() > GONE {
                                self.gone.pop_front();
                            }
                            Operation::Rm(n, self.write(n))
                        }
                        _ => Operation::Get(n),
                    }
                }
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn of(text: &str) -> Workload {
        let head = "about = \"\"\nrate = 1\nclients = 1\n";
        Workload::parse("test", &format!("{head}{text}")).unwrap()
    }

    fn take(workload: &Workload, seed: u64, count: usize) -> Vec<Operation> {
        Operations::new(workload, seed).unwrap().take(count).collect()
    }

    #[test]
    fn a_seed_is_a_sequence() {
        for workload in Workload::presets().unwrap() {
            let once = take(&workload, 7, 2_000);
            assert_eq!(once, take(&workload, 7, 2_000), "{}", workload.name);
            if workload.mix.len() > 1 {
                assert_ne!(once, take(&workload, 8, 2_000), "{}", workload.name);
            }
        }
    }

    #[test]
    fn kinds_come_as_often_as_their_weights_say() {
        let workload = of("preload = 100\nmix = { get = 3, has = 1 }");
        let gets =
            take(&workload, 1, 10_000).iter().filter(|o| o.kind() == OperationKind::Get).count();
        assert!((7_300..7_700).contains(&gets), "{gets}");
    }

    #[test]
    fn what_is_read_was_added_and_not_removed() {
        let workload = of("preload = 10\nmix = { add = 2, rm = 3, get = 2, replace = 2 }");
        let mut live: BTreeMap<u64, u32> = (0..10).map(|n| (n, 1)).collect();
        let mut removed = 0;
        for operation in take(&workload, 3, 20_000) {
            match operation {
                Operation::Get(n) if !live.contains_key(&n) => {
                    assert!(n < 20_000);
                    removed += 1;
                }
                Operation::Add(n) => assert!(live.insert(n, 1).is_none()),
                Operation::Rm(n, writing) => assert_eq!(live.remove(&n), Some(writing)),
                Operation::Replace(n, writing) => {
                    let count = live.get_mut(&n).unwrap();
                    assert_eq!(*count, writing);
                    *count += 1;
                }
                Operation::Get(_) => {}
                other => panic!("{other:?}"),
            }
        }
        // One in twenty of about 4,500.
        assert!((150..300).contains(&removed), "{removed}");
    }

    /// How often the ten pins that are asked for most are asked for, of ten thousand times.
    fn top_ten(keys: &str) -> (usize, Vec<u64>) {
        let workload = of(&format!("preload = 1000\nkeys = \"{keys}\"\nmix = {{ get = 1 }}"));
        let mut counts = BTreeMap::new();
        for operation in take(&workload, 5, 10_000) {
            let Operation::Get(n) = operation else { panic!("{operation:?}") };
            *counts.entry(n).or_insert(0) += 1;
        }
        let mut sorted: Vec<(usize, u64)> =
            counts.into_iter().map(|(n, count)| (count, n)).collect();
        sorted.sort_unstable_by(|one, two| two.cmp(one));
        sorted.truncate(10);
        (sorted.iter().map(|(count, _)| count).sum(), sorted.into_iter().map(|(_, n)| n).collect())
    }

    #[test]
    fn choices_are_as_uneven_as_they_are_called() {
        let (uniform, _) = top_ten("uniform");
        assert!(uniform < 300, "{uniform}");
        // The ten first of 1,000 ranks have 39 of 100 under this law.
        let (zipfian, which) = top_ten("zipfian");
        assert!((3_600..4_200).contains(&zipfian), "{zipfian}");
        assert!(which.iter().any(|n| *n < 500) && which.iter().any(|n| *n >= 500), "{which:?}");
        let (latest, which) = top_ten("latest");
        assert!((3_600..4_200).contains(&latest), "{latest}");
        assert!(which.iter().all(|n| *n >= 985), "{which:?}");
    }
}
