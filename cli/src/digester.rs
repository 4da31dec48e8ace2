//! Digests of pinsets, record by record.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use pinstate_core::digest::{Digest, Kind};
use pinstate_core::format::{Encoder, Fault};
use pinstate_core::pin::{PinView, encode};

/// Takes the digest of records that go by.
#[derive(Debug)]
pub(crate) struct Digester {
    digest: Digest,
    canonical: Vec<u8>,
}

impl Digester {
    /// One that has seen nothing yet.
    pub(crate) fn new(kind: Kind) -> Self {
        Self { digest: Digest::new(kind), canonical: Vec::new() }
    }

    /// Adds a record.
    ///
    /// # Errors
    /// In a digest over pins, why the record is none; it is then not part of it.
    pub(crate) fn add(&mut self, key: &[u8], value: &[u8]) -> Result<(), Fault> {
        match self.digest.kind() {
            Kind::Raw => self.digest.add(key, value),
            Kind::Pin => {
                let pin = PinView::new(key, value)?.to_pin().canonical();
                self.canonical.clear();
                encode(&pin, &mut self.canonical);
                self.digest.add(key, &self.canonical);
            }
        }
        Ok(())
    }

    /// The digest of what has gone by.
    pub(crate) fn digest(&self) -> Digest {
        self.digest
    }
}

/// The digest of what several encoders write, each on its own thread.
#[derive(Clone, Debug)]
pub(crate) struct SharedDigest {
    kind: Kind,
    /// One for each encoder, so that they do not wait for each other.
    parts: Arc<Mutex<Vec<Arc<Mutex<Digester>>>>>,
}

impl SharedDigest {
    /// Of nothing yet.
    pub(crate) fn new(kind: Kind) -> Self {
        Self { kind, parts: Arc::default() }
    }

    /// An encoder like `inner` whose records count.
    pub(crate) fn watch(&self, inner: Box<dyn Encoder>) -> Box<dyn Encoder> {
        let part = Arc::new(Mutex::new(Digester::new(self.kind)));
        self.parts.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&part));
        Box::new(Watched { inner, part })
    }

    /// The digest of what all of them have written.
    pub(crate) fn digest(&self) -> Digest {
        let mut digest = Digest::new(self.kind);
        for part in self.parts.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            // All parts are of one kind.
            let _ = digest.merge(&part.lock().unwrap_or_else(PoisonError::into_inner).digest());
        }
        digest
    }
}

struct Watched {
    inner: Box<dyn Encoder>,
    part: Arc<Mutex<Digester>>,
}

impl Encoder for Watched {
    fn encode(&mut self, key: &[u8], value: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        self.inner.encode(key, value, out)?;
        self.part.lock().unwrap_or_else(PoisonError::into_inner).add(key, value)
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched").field("part", &self.part).finish_non_exhaustive()
    }
}
