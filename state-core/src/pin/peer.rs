//! Peer IDs, and a small cache between their bytes and their text.

use std::fmt;
use std::str::FromStr;

use crate::format::Fault;

use super::base;
use super::cid;
use super::fault::fault;
use super::multi::{self, LIBP2P_KEY};

/// The identifier of a peer: the multihash of its public key.
///
/// Any well-formed multihash is taken, as go-libp2p 0.48 takes it from storage; the crate
/// `libp2p-identity` takes only the two hash functions in use today, and to refuse another
/// would make a stored pin unreadable.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(Box<[u8]>);

impl PeerId {
    /// Takes the binary form.
    ///
    /// # Errors
    /// If `bytes` are not exactly one multihash.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Fault> {
        if multi::is_multihash(bytes) {
            Ok(Self(bytes.into()))
        } else {
            Err(fault("peer", "these bytes are no multihash"))
        }
    }

    /// Copies bytes that are known to be one.
    pub(crate) fn from_valid(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }

    /// The binary form.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The bytes of a peer ID's text: base58 (`Qm…`, `12D3…`), or a CIDv1 of a public key.
pub(crate) fn parse_text(text: &[u8]) -> Option<Vec<u8>> {
    if text.starts_with(b"Qm") || text.starts_with(b"1") {
        return base::decode_base58(text).filter(|hash| multi::is_multihash(hash));
    }
    let mut bytes = Vec::new();
    cid::parse_text(text, &mut bytes)?;
    let parts = multi::cid(&bytes)?;
    (parts.codec == LIBP2P_KEY).then(|| bytes.split_off(parts.hash_at))
}

impl FromStr for PeerId {
    type Err = Fault;

    /// Reads base58 text, or a CIDv1 of a public key in any base.
    fn from_str(text: &str) -> Result<Self, Fault> {
        match parse_text(text.as_bytes()) {
            Some(bytes) => Ok(Self(bytes.into())),
            None => Err(fault("peer", format!("{text:?} is no peer ID"))),
        }
    }
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&bs58::encode(&self.0).into_string())
    }
}

impl fmt::Debug for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerId({self})")
    }
}

impl AsRef<[u8]> for PeerId {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Remembers what a few hundred byte strings were turned into.
///
/// A pinset names a few dozen peers, some millions of times; base58 is slow to convert
/// both ways. The cache is set-associative and bounded: a newcomer takes the place of the
/// longest-standing of its set, so no input makes it grow.
pub(crate) struct ByteCache {
    sets: Box<[Set; SETS]>,
}

const SETS: usize = 128;
const WAYS: usize = 4;

#[derive(Default)]
struct Set {
    entries: [Entry; WAYS],
    next: usize,
}

#[derive(Default)]
struct Entry {
    /// Tells most strings apart without a look at them.
    tail: u64,
    from: Box<[u8]>,
    to: Box<[u8]>,
}

impl Entry {
    #[inline]
    fn is(&self, tail: u64, from: &[u8]) -> bool {
        self.tail == tail && !self.from.is_empty() && *self.from == *from
    }
}

/// Longer strings are converted each time: no peer ID in use comes near it.
const LONGEST: usize = 128;

impl ByteCache {
    /// An empty cache.
    pub(crate) fn new() -> Self {
        Self { sets: Box::new(std::array::from_fn(|_| Set::default())) }
    }

    /// What `from` was turned into before.
    pub(crate) fn get(&self, from: &[u8]) -> Option<&[u8]> {
        let tail = tail(from);
        let set = self.sets.get(slot(tail))?;
        let found = set.entries.iter().find(|entry| entry.is(tail, from));
        found.map(|entry| &*entry.to)
    }

    /// What `from` was turned into before, or else what `convert` turns it into now.
    /// A failure of `convert` is not remembered.
    pub(crate) fn get_or<'a>(
        &'a mut self,
        from: &[u8],
        convert: impl FnOnce(&[u8]) -> Option<Vec<u8>>,
    ) -> Option<&'a [u8]> {
        let tail = tail(from);
        let set = self.sets.get_mut(slot(tail))?;
        let found = set.entries.iter().position(|entry| entry.is(tail, from));
        let place = match found {
            Some(place) => place,
            None => {
                let to = convert(from)?;
                let place = set.next;
                set.next = (place + 1) % WAYS;
                let keep = if from.len() <= LONGEST { from } else { &[] };
                *set.entries.get_mut(place)? = Entry { tail, from: keep.into(), to: to.into() };
                place
            }
        };
        set.entries.get(place).map(|entry| &*entry.to)
    }
}

/// The last bytes, in which peer IDs differ, in binary and in text.
fn tail(from: &[u8]) -> u64 {
    from.last_chunk::<8>().map_or(from.len() as u64, |tail| u64::from_le_bytes(*tail))
}

fn slot(tail: u64) -> usize {
    (tail.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 57) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED25519: &str = "12D3KooWGzxzKZYveHXtpG6AsrUJBcWxHBFS2HsEoGTxrMLvKXtf";
    const RSA: &str = "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N";

    #[test]
    fn base58_and_key_cids_are_read_and_base58_is_written() {
        for text in [ED25519, RSA] {
            let peer: PeerId = text.parse().unwrap();
            assert_eq!(peer.to_string(), text);
            assert_eq!(PeerId::from_bytes(peer.as_bytes()).unwrap(), peer);
            let mut key_cid = vec![1, 0x72];
            key_cid.extend_from_slice(peer.as_bytes());
            let as_cid = super::cid::Cid::from_bytes(&key_cid).unwrap().to_string();
            assert_eq!(as_cid.parse::<PeerId>().unwrap(), peer);
        }
    }

    #[test]
    fn other_text_is_refused() {
        let other_codec = "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi";
        for text in ["", "1", "Qm", "peer", &ED25519[..20], other_codec] {
            let error = text.parse::<PeerId>().unwrap_err();
            assert_eq!(error.to_string(), format!("peer: {text:?} is no peer ID"));
        }
        assert!(PeerId::from_bytes(&[]).is_err());
        assert!(PeerId::from_bytes(&[0, 1]).is_err());
    }

    #[test]
    fn the_cache_answers_for_the_right_string_and_stays_small() {
        let mut cache = ByteCache::new();
        let twice = |from: &[u8]| Some([from, from].concat());
        for round in 0..2 {
            for n in 0..2000u32 {
                let from = n.to_string();
                let to = cache.get_or(from.as_bytes(), twice).unwrap();
                assert_eq!(to, [from.as_bytes(), from.as_bytes()].concat(), "{round}");
                assert_eq!(cache.get(from.as_bytes()), twice(from.as_bytes()).as_deref());
                assert_eq!(cache.get(format!("-{n}").as_bytes()), None);
            }
        }
        assert_eq!(cache.get_or(b"", twice), Some(&b""[..]));
        assert_eq!(cache.get_or(b"no", |_| None), None);
        let long = [b'x'; 1000];
        assert_eq!(cache.get_or(&long, twice).map(<[u8]>::len), Some(2000));
        let mut conversions = 0;
        for _ in 0..3 {
            cache.get_or(b"12345678901", |from| {
                conversions += 1;
                twice(from)
            });
        }
        assert_eq!(conversions, 1);
    }
}
