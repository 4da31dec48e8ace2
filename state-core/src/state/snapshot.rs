//! `Marshal` and `Unmarshal`: the pinset as IPFS-Cluster's snapshot.

use tokio::io::{AsyncRead, AsyncWrite};

use super::State;
use crate::error::Result;
use crate::format::Leniency;
use crate::format::snapshot::{SnapshotDecoder, SnapshotEncoder};
use crate::transfer::{
    ExportOptions, ExportReport, ImportOptions, ImportReport, Unwatched, export, import,
};

impl State {
    /// Writes the pinset as a snapshot: every stored record as it is, readable or not.
    ///
    /// # Errors
    /// The store's and the writer's; what was written before is no whole snapshot.
    pub async fn marshal<W>(&self, writer: &mut W) -> Result<ExportReport>
    where
        W: AsyncWrite + Unpin + Send + ?Sized,
    {
        let encoder = || Box::new(SnapshotEncoder) as _;
        export(&**self.namespace(), encoder, writer, ExportOptions::new(), &mut Unwatched)
            .await
            .complete()
    }

    /// Adds the pins of a snapshot: a pin of the same CID is replaced, others stay.
    ///
    /// Strict ([`Leniency::Strict`]) stops at a truncated entry, a key that is no CID's and
    /// a value that is no pin. Compatible is as IPFS-Cluster's `Unmarshal`, and the report
    /// counts what it let through.
    ///
    /// # Errors
    /// `InvalidInput` for an entry that cannot be stored, naming it; the store's and the
    /// reader's. The pins before it are stored, as the error tells.
    pub async fn unmarshal<R>(&self, reader: R, leniency: Leniency) -> Result<ImportReport>
    where
        R: AsyncRead + Unpin + Send,
    {
        let decoder = Box::new(SnapshotDecoder::new(leniency));
        let namespace = std::sync::Arc::clone(self.namespace());
        let options = ImportOptions::new();
        import(namespace, self.clock(), reader, decoder, options, &mut Unwatched).await.complete()
    }
}
