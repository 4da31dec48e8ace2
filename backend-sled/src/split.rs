//! Quantiles of keys without reading them all.
//!
//! The keys are looked at as a tree of their bytes, divided from the top: a part is the
//! keys with one prefix, and is divided by the first byte in which its keys differ. Where
//! that gives many parts, the bytes are a hash (CIDs end in one), and how heavy such a part
//! is follows from the first few of its keys: their share of the part's key space. There
//! only heavy parts are divided again. Everywhere else every part is, up to a limit, since
//! the beginning of such a part says little about the rest.
//!
//! Dividing one part costs a look-up and a run of up to 32 keys for each of at most 256
//! bytes, about 10 ms with the pages at hand, and is done once for each kind of CID there
//! is. Keys of another kind than CIDs may get less even ranges; they still cover
//! everything once.

use bytes::Bytes;
use pinstate_core::{Operation, Result};

use crate::error::from_engine;

/// Keys read to estimate the weight of a part.
const RUN: usize = 32;
/// Most look-ups of one sampling.
const MOST_PROBES: usize = 8_192;
/// A range is made of at least this many parts, where there are as many.
const PARTS_PER_RANGE: f64 = 8.0;
/// With this many different bytes at one place the bytes there count as a hash.
const HASHED: usize = 32;

/// The keys with one prefix.
struct Part {
    prefix: Vec<u8>,
    weight: f64,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Every key was seen: the weight is exact.
    Counted,
    /// The keys go on as a hash: the weight is a fair estimate.
    Hashed,
    /// The weight is a guess.
    Unknown,
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
        let share = as_float(n.max(1)) * PARTS_PER_RANGE;
        while sampler.probes < MOST_PROBES {
            let total: f64 = parts.iter().map(|part| part.weight).sum();
            // Unknown parts first, from the top; then the heaviest.
            let rank = |part: &Part| match part.kind {
                Kind::Counted => None,
                Kind::Unknown => Some((0, as_float(part.prefix.len()))),
                Kind::Hashed => (part.weight > total / share).then_some((1, -part.weight)),
            };
            let next = parts
                .iter()
                .enumerate()
                .filter_map(|(at, part)| Some((at, rank(part)?)))
                .min_by(|(_, a), (_, b)| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
            let Some((at, _)) = next else { break };
            let prefix = parts.get(at).map(|part| part.prefix.clone()).unwrap_or_default();
            parts.splice(at..=at, sampler.divide(prefix)?);
        }
        Ok(Self { parts })
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
        let mean = total / as_float(n.max(1));
        let mut boundaries: Vec<Bytes> = Vec::new();
        let mut before = 0.0;
        for part in &self.parts {
            let next = as_float(boundaries.len() + 1) * mean;
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
        if seen < RUN {
            return Ok(Some(Part { prefix, weight: as_float(seen), kind: Kind::Counted }));
        }
        let share = fraction(last.get(prefix.len()..).unwrap_or_default());
        // Bounded, so that sums stay numbers whatever the keys are.
        let weight = (as_float(seen - 1) / share.max(f64::MIN_POSITIVE)).min(1e15);
        Ok(Some(Part { prefix, weight, kind: Kind::Unknown }))
    }

    /// The parts of a part, in order: by the first byte in which its keys differ.
    fn divide(&mut self, mut prefix: Vec<u8>) -> Result<Vec<Part>> {
        self.extend(&mut prefix)?;
        let mut parts = Vec::new();
        let mut from = prefix.clone();
        loop {
            let Some(key) = self.first(&from)?.filter(|key| key.starts_with(&prefix)) else {
                break;
            };
            let Some(&byte) = key.get(prefix.len()) else {
                // The prefix itself is a key: the smallest of all.
                parts.push(Part { prefix: prefix.clone(), weight: 1.0, kind: Kind::Counted });
                from.push(0);
                continue;
            };
            let mut child = prefix.clone();
            child.push(byte);
            parts.extend(self.part(child)?);
            from.truncate(prefix.len());
            match byte.checked_add(1) {
                Some(next) => from.push(next),
                None => break,
            }
        }
        if parts.len() >= HASHED {
            for part in parts.iter_mut().filter(|part| part.kind == Kind::Unknown) {
                part.kind = Kind::Hashed;
            }
        }
        Ok(parts)
    }

    /// Makes a prefix as long as what all its keys have in common.
    fn extend(&mut self, prefix: &mut Vec<u8>) -> Result<()> {
        let end = successor(prefix);
        let last = match &end {
            Some(end) => self.tree.range(..end.as_slice()).next_back(),
            None => self.tree.iter().next_back(),
        };
        let last = last.transpose().map_err(|e| from_engine(e, Operation::Split))?;
        if let (Some(first), Some((last, _))) = (self.first(prefix)?, last) {
            let common = first.iter().zip(last.iter()).take_while(|(a, b)| a == b).count();
            prefix.extend(first.iter().take(common).skip(prefix.len()));
        }
        Ok(())
    }

    fn first(&mut self, from: &[u8]) -> Result<Option<sled::IVec>> {
        self.probes += 1;
        let first = self.tree.range(from..).keys().next().transpose();
        first.map_err(|e| from_engine(e, Operation::Split))
    }
}

/// The least key above all keys with a prefix, if there is one.
fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|&byte| byte != u8::MAX)?;
    let mut successor = prefix.get(..=last)?.to_vec();
    if let Some(byte) = successor.last_mut() {
        *byte += 1;
    }
    Some(successor)
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

#[allow(clippy::cast_precision_loss, reason = "weights are estimates")]
fn as_float(number: usize) -> f64 {
    number as f64
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
