//! The digest of what an export writes.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use pinstate_core::digest::{Digest, Kind};
use pinstate_core::format::{Encoder, Fault};

/// The digest of what several encoders write, each on its own thread.
#[derive(Clone, Debug)]
pub(crate) struct SharedDigest {
    kind: Kind,
    /// One for each encoder, so that they do not wait for each other.
    parts: Arc<Mutex<Vec<Arc<Mutex<Digest>>>>>,
}

impl SharedDigest {
    /// Of nothing yet.
    pub(crate) fn new(kind: Kind) -> Self {
        Self { kind, parts: Arc::default() }
    }

    /// An encoder like `inner` whose records count.
    pub(crate) fn watch(&self, inner: Box<dyn Encoder>) -> Box<dyn Encoder> {
        let part = Arc::new(Mutex::new(Digest::new(self.kind)));
        self.parts.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&part));
        Box::new(Watched { inner, part })
    }

    /// The digest of what all of them have written.
    pub(crate) fn digest(&self) -> Digest {
        let mut digest = Digest::new(self.kind);
        for part in self.parts.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            // All parts are of one kind.
            let _ = digest.merge(&part.lock().unwrap_or_else(PoisonError::into_inner));
        }
        digest
    }
}

struct Watched {
    inner: Box<dyn Encoder>,
    part: Arc<Mutex<Digest>>,
}

impl Encoder for Watched {
    fn encode(&mut self, key: &[u8], value: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        self.inner.encode(key, value, out)?;
        self.part.lock().unwrap_or_else(PoisonError::into_inner).add_record(key, value)
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched").field("part", &self.part).finish_non_exhaustive()
    }
}
