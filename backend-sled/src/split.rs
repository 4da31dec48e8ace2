//! Quantiles of keys without reading them all.
//!
//! The keys are looked at as a tree of their bytes. The sampler starts with one part,
//! everything, and divides the heaviest part by the next byte until no part is heavy. How
//! heavy a part is follows from a short run of keys at its beginning: either the run ends
//! it, and the count is exact, or the share of the part's key space that the run takes up
//! gives an estimate. That is sound for CIDs, whose bytes after the common beginning are a
//! hash; keys of another kind get coarser ranges, which still cover everything once.
//!
//! Dividing one part costs a look-up and a run of up to 32 keys for each of its at most
//! 256 bytes: about 10 ms with the pages at hand, once or twice for CIDs of one kind.

use bytes::Bytes;
use pinstate_core::{Operation, Result};

use crate::error::from_engine;

/// Keys read to estimate the weight of a part.
const RUN: usize = 32;
/// Most look-ups of one sampling.
const MOST_PROBES: usize = 8_192;
/// A range is made of at least this many parts, where there are as many.
const PARTS_PER_RANGE: f64 = 8.0;
/// Deeper than any kind of CID shares its beginning, so that hostile keys cost little.
const MOST_DEPTH: usize = 128;

/// The keys with one prefix.
struct Part {
    /// The first key's place: a prefix of all keys in the part.
    prefix: Vec<u8>,
    weight: f64,
    /// Whether it cannot or need not be divided.
    whole: bool,
}

/// What the sampler found.
pub(crate) struct Sample {
    parts: Vec<Part>,
}

impl Sample {
    /// Samples a tree so that it can be divided into `n`.
    pub(crate) fn take(tree: &sled::Tree, n: usize) -> Result<Self> {
        let mut sampler = Sampler { tree, probes: 0 };
        let mut parts: Vec<Part> = sampler.part(Vec::new())?.into_iter().collect();
        #[allow(clippy::cast_precision_loss, reason = "weights are estimates")]
        let share = n.max(1) as f64 * PARTS_PER_RANGE;
        loop {
            let total: f64 = parts.iter().map(|part| part.weight).sum();
            let heaviest = parts
                .iter()
                .enumerate()
                .filter(|(_, part)| !part.whole && part.weight > total / share)
                .max_by(|(_, a), (_, b)| a.weight.total_cmp(&b.weight));
            let Some((at, _)) = heaviest.filter(|_| sampler.probes < MOST_PROBES) else {
                return Ok(Self { parts });
            };
            let prefix = parts.get(at).map(|part| part.prefix.clone()).unwrap_or_default();
            parts.splice(at..=at, sampler.divide(&prefix)?);
        }
    }

    /// About how many keys there are.
    pub(crate) fn keys(&self) -> u64 {
        let total: f64 = self.parts.iter().map(|part| part.weight).sum();
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "estimate")]
        let keys = total.round() as u64;
        keys
    }

    /// At most `n - 1` keys between which about equally many keys lie.
    pub(crate) fn boundaries(&self, n: usize) -> Vec<Bytes> {
        let total: f64 = self.parts.iter().map(|part| part.weight).sum();
        #[allow(clippy::cast_precision_loss, reason = "weights are estimates")]
        let mean = total / n.max(1) as f64;
        let mut boundaries: Vec<Bytes> = Vec::new();
        let mut before = 0.0;
        for part in &self.parts {
            #[allow(clippy::cast_precision_loss, reason = "weights are estimates")]
            let next = (boundaries.len() + 1) as f64 * mean;
            // The boundary goes to whichever side of this part is nearer to the quantile.
            let nearer = before > 0.0 && next - before <= before + part.weight - next;
            if nearer && boundaries.len() + 1 < n && !part.prefix.is_empty() {
                boundaries.push(Bytes::copy_from_slice(&part.prefix));
            }
            before += part.weight;
        }
        boundaries
    }
}

struct Sampler<'a> {
    tree: &'a sled::Tree,
    probes: usize,
}

impl Sampler<'_> {
    /// Weighs the keys with a prefix; `None` where there are none.
    fn part(&mut self, prefix: Vec<u8>) -> Result<Option<Part>> {
        self.probes += 1;
        let mut seen = 0usize;
        let mut last = None;
        for key in self.tree.range(prefix.as_slice()..).keys().take(RUN) {
            let key = key.map_err(|e| from_engine(e, Operation::Split))?;
            if !key.starts_with(&prefix) {
                break;
            }
            seen += 1;
            last = Some(key);
        }
        let Some(last) = last else { return Ok(None) };
        #[allow(clippy::cast_precision_loss, reason = "weights are estimates")]
        let exact = seen as f64;
        if seen < RUN {
            return Ok(Some(Part { prefix, weight: exact, whole: true }));
        }
        let share = fraction(last.get(prefix.len()..).unwrap_or_default());
        let weight = (exact - 1.0) / share.max(f64::MIN_POSITIVE);
        let whole = prefix.len() >= MOST_DEPTH;
        // A bound, so that sums stay numbers whatever the keys are.
        Ok(Some(Part { prefix, weight: weight.min(1e18), whole }))
    }

    /// The parts of a part, by its next byte, in order.
    fn divide(&mut self, prefix: &[u8]) -> Result<Vec<Part>> {
        let mut parts = Vec::new();
        let mut from = prefix.to_vec();
        while self.probes < MOST_PROBES {
            self.probes += 1;
            let found = self.tree.range(from.as_slice()..).keys().next().transpose();
            let found = found.map_err(|e| from_engine(e, Operation::Split))?;
            let Some(key) = found.filter(|key| key.starts_with(prefix)) else { break };
            let Some(&byte) = key.get(prefix.len()) else {
                // The prefix itself is a key: the smallest of all.
                parts.push(Part { prefix: prefix.to_vec(), weight: 1.0, whole: true });
                from.push(0);
                continue;
            };
            let mut child = prefix.to_vec();
            child.push(byte);
            parts.extend(self.part(child.clone())?);
            if byte == u8::MAX {
                return Ok(parts);
            }
            child.pop();
            child.push(byte + 1);
            from = child;
        }
        Ok(parts)
    }
}

/// Where in the key space after a prefix a key lies, from 0 to 1.
fn fraction(rest: &[u8]) -> f64 {
    let mut first = [0u8; 8];
    for (to, from) in first.iter_mut().zip(rest) {
        *to = *from;
    }
    #[allow(clippy::cast_precision_loss, reason = "weights are estimates")]
    let fraction = u64::from_be_bytes(first) as f64 / u64::MAX as f64;
    fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree_of(keys: impl Iterator<Item = Vec<u8>>) -> (sled::Db, Vec<Vec<u8>>) {
        let db = sled::Config::new().temporary(true).open().unwrap();
        let mut keys: Vec<Vec<u8>> = keys.collect();
        for key in &keys {
            db.insert(key, b"").unwrap();
        }
        keys.sort();
        (db, keys)
    }

    fn hashed(seed: u64, count: u64, prefix: &'static [u8]) -> impl Iterator<Item = Vec<u8>> {
        (0..count).map(move |i| {
            let mut state = seed ^ i.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let mut key = prefix.to_vec();
            for _ in 0..4 {
                // splitmix64, by Sebastiano Vigna (public domain).
                state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let mut z = state;
                z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                key.extend_from_slice(&(z ^ (z >> 31)).to_be_bytes());
            }
            key
        })
    }

    /// The largest range over the mean.
    fn imbalance(keys: &[Vec<u8>], boundaries: &[Bytes], n: usize) -> f64 {
        assert!(boundaries.is_sorted() && boundaries.len() < n);
        let mut counts = vec![0usize; boundaries.len() + 1];
        for key in keys {
            counts[boundaries.partition_point(|b| b.as_ref() <= key.as_slice())] += 1;
        }
        assert!(counts.iter().all(|&count| count > 0), "{counts:?}");
        *counts.iter().max().unwrap() as f64 * n as f64 / keys.len() as f64
    }

    #[test]
    fn cids_are_divided_evenly_by_keys_not_by_first_byte() {
        let v1 = hashed(1, 12_000, &[0x01, 0x55, 0x12, 0x20]);
        let other_codec = hashed(2, 3_000, &[0x01, 0x70, 0x12, 0x20]);
        let v0 = hashed(3, 6_000, &[0x12, 0x20]);
        let (db, keys) = tree_of(v1.chain(other_codec).chain(v0));
        for n in [2, 3, 4, 7, 16, 64] {
            let sample = Sample::take(&db, n).unwrap();
            let boundaries = sample.boundaries(n);
            let imbalance = imbalance(&keys, &boundaries, n);
            assert!(imbalance < 1.5, "{n}: {imbalance}");
            let off = sample.keys() as f64 / keys.len() as f64;
            assert!((0.8..1.25).contains(&off), "{n}: estimate off by {off}");
        }
    }

    #[test]
    fn few_keys_and_none_are_divided_too() {
        let (db, _) = tree_of(std::iter::empty());
        let sample = Sample::take(&db, 8).unwrap();
        assert_eq!((sample.keys(), sample.boundaries(8).len()), (0, 0));
        let (db, keys) = tree_of(hashed(1, 20, &[1]));
        let sample = Sample::take(&db, 8).unwrap();
        assert_eq!(sample.keys(), 20);
        imbalance(&keys, &sample.boundaries(8), 8);
    }

    #[test]
    fn keys_that_are_prefixes_of_each_other_are_covered() {
        let (db, keys) = tree_of((0..600).map(|len| vec![0u8; len]));
        let sample = Sample::take(&db, 4).unwrap();
        imbalance(&keys, &sample.boundaries(4), 4);
        let (db, keys) = tree_of((0..600).map(|len| vec![0xffu8; len]));
        let sample = Sample::take(&db, 4).unwrap();
        imbalance(&keys, &sample.boundaries(4), 4);
        let (db, keys) = tree_of((0..5_000).map(|i| format!("pin-{i:08}").into_bytes()));
        let sample = Sample::take(&db, 4).unwrap();
        let imbalance = imbalance(&keys, &sample.boundaries(4), 4);
        assert!(imbalance < 2.0, "{imbalance}");
    }
}
