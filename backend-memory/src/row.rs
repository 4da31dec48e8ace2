//! What is stored under a key.

use bytes::{Bytes, BytesMut};
use pinstate_core::{Contender, Key, Record, Version};

/// Values from this size on are shared with readers; copying a shorter one costs less than
/// counting one more reader of it.
pub(crate) const SHARED_VALUE_BYTES: usize = 1_024;

/// What is stored under a key: a live record, or the hidden marker of a conditional delete.
#[derive(Clone)]
pub(crate) struct Row {
    pub(crate) version: Version,
    /// `None` for a marker.
    pub(crate) value: Option<Bytes>,
}

impl Row {
    /// A live row, which keeps no more than the value in memory.
    pub(crate) fn live(value: Bytes, version: Version) -> Self {
        Self { version, value: Some(own(value)) }
    }

    pub(crate) fn marker(version: Version) -> Self {
        Self { version, value: None }
    }

    pub(crate) fn is_live(&self) -> bool {
        self.value.is_some()
    }

    pub(crate) fn contender(&self) -> Contender<'_> {
        Contender { version: self.version, value: self.value.as_deref() }
    }

    /// The live record, under the key that was asked for.
    pub(crate) fn record(&self, key: &Key) -> Option<Record> {
        let value = self.value.as_ref()?;
        let value = shared(value).unwrap_or_else(|| Bytes::copy_from_slice(value));
        Some(Record::live(key.clone(), value, self.version))
    }
}

/// A value in memory of its own: what nobody else holds is taken over as it is, unless there
/// is room for as much again beside it. Anything else is copied.
fn own(value: Bytes) -> Bytes {
    let len = value.len();
    let mut own = BytesMut::from(value);
    if own.try_reclaim(len.max(1)) { Bytes::copy_from_slice(&own) } else { own.freeze() }
}

/// A long value as bytes that share it; `None` for a short one, which is to be copied.
pub(crate) fn shared(value: &Bytes) -> Option<Bytes> {
    (value.len() >= SHARED_VALUE_BYTES).then(|| value.clone())
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use super::*;

    /// Whether a value that is kept still stands where it stood.
    fn taken_over(value: Bytes) -> bool {
        let (place, text) = (value.as_ptr(), value.to_vec());
        let kept = own(value);
        assert_eq!(kept, text);
        kept.as_ptr() == place
    }

    #[test]
    fn only_what_nobody_else_holds_and_what_fills_its_memory_is_taken_over() {
        let part = |range: Range<usize>| Bytes::from(vec![7; 1_000]).slice(range);
        assert!(taken_over(part(0..1_000)));
        assert!(taken_over(part(300..1_000)), "the smaller part of the memory is lost");
        for range in [0..10, 0..400, 500..510, 990..1_000] {
            assert!(!taken_over(part(range.clone())), "{range:?}");
        }
        let held = part(0..1_000);
        assert!(!taken_over(held.clone()));
        let mut roomy = BytesMut::with_capacity(1_000);
        roomy.extend_from_slice(&[7; 100]);
        assert!(!taken_over(roomy.freeze()));
        assert!(!taken_over(Bytes::from_static(b"in the program")));
        assert!(own(Bytes::new()).is_empty());
    }
}
