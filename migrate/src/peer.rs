//! The pinset of a running ipfs-cluster peer, from its REST API.
//!
//! `GET /allocations?filter=all` (`api/rest` of ipfs-cluster v1.1.6) answers with one JSON
//! document for each pin, in no order. The peer announces the trailer `X-Stream-Error` and sends
//! it behind the last pin: empty where that was the last, or with what went wrong. Whatever ends
//! without it was cut, however well it ends otherwise. An empty pinset is `204 No Content`.
//!
//! A peer goes on while it is read: each reading is its pinset at about that time.

mod address;
mod connection;
mod stream;

use std::fmt;
use std::sync::Arc;

use pinstate_core::Result;
use pinstate_core::format::ndjson::NdjsonDecoder;
use pinstate_core::format::{Decoder, Leniency};
use pinstate_core::pin::ImportOverrides;
use tokio::io::AsyncRead;
use tokio_util::io::StreamReader;

use self::address::Address;
use crate::pinset::OpenFile;

/// A peer of ipfs-cluster that is asked for its pinset.
#[derive(Clone)]
pub struct Peer(Arc<Address>);

impl Peer {
    /// Whether this text is meant as the address of a peer.
    #[must_use]
    pub fn looks_like(text: &str) -> bool {
        address::is_one(text)
    }

    /// The peer whose REST API listens at `http[s]://[USER[:PASSWORD]@]HOST[:PORT][/PATH]`. The
    /// port is 9094 unless it is named. Behind a `?` may stand `password_file=`, `ca_file=`
    /// (PEM, instead of the system's authorities) and `timeout=` (how many seconds to wait for
    /// the connection, and for each piece of the answer; 60).
    ///
    /// # Errors
    /// `Config` for what is no such address, without quoting a password.
    pub fn new(address: &str) -> Result<Self> {
        Ok(Self(Arc::new(address.parse()?)))
    }

    /// Where it is, without what a password could be in.
    #[must_use]
    pub fn location(&self) -> &str {
        &self.0.shown
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Peer").field(&self.0.shown).finish()
    }
}

impl OpenFile for Peer {
    /// The peer is asked when the reader is read for the first time. Reading fails where the
    /// stream did not come to its own end.
    fn open(&self) -> Result<(Box<dyn AsyncRead + Send + Unpin>, Box<dyn Decoder>)> {
        let pieces = stream::pieces(Arc::clone(&self.0));
        let decoder = NdjsonDecoder::new(Leniency::Strict, ImportOverrides::default());
        Ok((Box::new(StreamReader::new(Box::pin(pieces))), Box::new(decoder)))
    }
}
