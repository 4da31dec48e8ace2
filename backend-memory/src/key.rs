//! Keys as the tree keeps them.

use std::cmp::Ordering;

use bytes::Bytes;

/// Keys up to this long stand in the tree itself; looking one up then follows no pointer
/// but those of the tree. CIDs with 32-byte digests are 34 to 38 bytes long.
pub(crate) const INLINE_KEY_BYTES: usize = 8 * WORDS;
const WORDS: usize = 5;

/// A key as the tree keeps it. Ordered by its bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum TreeKey {
    /// The bytes as big-endian words, with zeros behind them: the order of words is that of
    /// bytes, and the first word nearly always decides between two CIDs.
    Inline { words: [u64; WORDS], len: u8 },
    /// A key too long for that.
    Long(Box<[u8]>),
}

impl TreeKey {
    pub(crate) fn new(key: &[u8]) -> Self {
        match u8::try_from(key.len()) {
            Ok(len) if key.len() <= INLINE_KEY_BYTES => Self::Inline { words: words_of(key), len },
            _ => Self::Long(key.into()),
        }
    }

    /// The first eight bytes as a big-endian word, with zeros behind a shorter key. Of two
    /// keys whose heads differ, the one with the lower head is the lower one.
    #[inline]
    pub(crate) fn head(&self) -> u64 {
        match self {
            Self::Inline { words: [head, ..], .. } => *head,
            Self::Long(bytes) => {
                let [head, ..] = words_of(bytes);
                head
            }
        }
    }

    /// A byte that differs between most keys.
    pub(crate) fn tag(&self) -> u8 {
        let mixed = match self {
            Self::Inline { words, len } => {
                words.iter().fold(u64::from(*len), |mixed, word| mixed.rotate_left(5) ^ word)
            }
            // Long keys are rare, and those that begin alike differ at their ends.
            Self::Long(bytes) => {
                let end = bytes.rchunks(8).next().unwrap_or_default();
                end.iter()
                    .fold(bytes.len() as u64, |mixed, byte| mixed.rotate_left(8) ^ u64::from(*byte))
            }
        };
        // The golden ratio's bits: the upper ones of the product depend on all below.
        mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()[0]
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Inline { len, .. } => usize::from(*len),
            Self::Long(bytes) => bytes.len(),
        }
    }

    /// Appends the key's bytes.
    pub(crate) fn push(&self, out: &mut Vec<u8>) {
        match self {
            Self::Inline { words, .. } => {
                let end = out.len() + self.len();
                for word in words {
                    out.extend_from_slice(&word.to_be_bytes());
                }
                out.truncate(end);
            }
            Self::Long(bytes) => out.extend_from_slice(bytes),
        }
    }

    pub(crate) fn to_bytes(&self) -> Bytes {
        let mut bytes = Vec::with_capacity(self.len().max(INLINE_KEY_BYTES));
        self.push(&mut bytes);
        bytes.into()
    }
}

/// The first bytes as big-endian words, with zeros behind them.
fn words_of(key: &[u8]) -> [u64; WORDS] {
    let mut bytes = [0; INLINE_KEY_BYTES];
    let head = key.get(..INLINE_KEY_BYTES).unwrap_or(key);
    if let Some(place) = bytes.get_mut(..head.len()) {
        place.copy_from_slice(head);
    }
    let (chunks, _) = bytes.as_chunks::<8>();
    let mut words = [0; WORDS];
    for (word, chunk) in words.iter_mut().zip(chunks) {
        *word = u64::from_be_bytes(*chunk);
    }
    words
}

impl PartialOrd for TreeKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for TreeKey {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        self.head().cmp(&other.head()).then_with(|| self.cmp_whole(other))
    }
}

impl TreeKey {
    fn cmp_whole(&self, other: &Self) -> Ordering {
        match (self, other) {
            // Equal words are one key, or one that goes on with zeros where the other ends.
            (Self::Inline { words, len }, Self::Inline { words: theirs, len: their_len }) => {
                words.cmp(theirs).then(len.cmp(their_len))
            }
            (Self::Long(bytes), Self::Long(theirs)) => bytes.cmp(theirs),
            // Where all of the short one's words are the long one's, it is its beginning.
            (Self::Inline { words, .. }, Self::Long(bytes)) => {
                words.cmp(&words_of(bytes)).then(Ordering::Less)
            }
            (Self::Long(bytes), Self::Inline { words, .. }) => {
                words_of(bytes).cmp(words).then(Ordering::Greater)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tree_keys_have_the_order_and_the_bytes_of_their_keys() {
        let mut keys: Vec<Vec<u8>> = Vec::new();
        for len in [0, 1, 7, 8, 9, 16, 39, 40, 41, 80] {
            for (fill, last) in [(0, 0), (0, 1), (7, 0), (255, 255)] {
                let mut key = vec![fill; len];
                if let Some(byte) = key.last_mut() {
                    *byte = last;
                }
                keys.push(key);
            }
        }
        for a in &keys {
            assert_eq!(TreeKey::new(a).to_bytes(), a);
            for b in &keys {
                assert_eq!(TreeKey::new(a).cmp(&TreeKey::new(b)), a.cmp(b), "{a:?} {b:?}");
            }
        }
    }
}
