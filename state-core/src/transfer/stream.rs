//! The entries of an input as a stream, for whoever stores them nowhere.

use tokio::io::AsyncRead;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::error::{Error, ErrorKind, Operation, Result};
use crate::format::{Decoder, Entry};

use super::source::with_entries;

/// Groups of entries that may wait to be taken.
const QUEUE: usize = 2;
/// Entries in a group.
const GROUP: usize = 1_000;

/// The entries that a decoder finds in an input, read and decoded beside whoever takes them.
/// Dropping it ends the reading.
#[derive(Debug)]
pub struct Entries {
    groups: mpsc::Receiver<Result<Vec<Entry>>>,
    reading: JoinHandle<()>,
    ended: bool,
}

impl Entries {
    /// Begins to read. Takes a tokio runtime.
    #[must_use]
    pub fn new<R>(reader: R, decoder: Box<dyn Decoder>) -> Self
    where
        R: AsyncRead + Unpin + Send + 'static,
    {
        let (give, groups) = mpsc::channel(QUEUE);
        let reading = tokio::spawn(with_entries(reader, decoder, GROUP, async move |mut from| {
            while let Some(group) = from.recv().await {
                let (entries, last) = match group {
                    Ok(group) => (Ok(group.entries), group.last),
                    Err(error) => (Err(error), true),
                };
                let empty = entries.as_ref().is_ok_and(Vec::is_empty);
                if !empty && give.send(entries).await.is_err() {
                    return;
                }
                if last {
                    // An end that was reached, and not one that came about.
                    let _ = give.send(Ok(Vec::new())).await;
                    return;
                }
            }
        }));
        Self { groups, reading, ended: false }
    }

    /// The next entries, or `None` when the input has come to its end.
    ///
    /// # Errors
    /// `Io` if the input cannot be read, `TooLarge` for an entry that is too long. Nothing
    /// can be read after that.
    pub async fn next(&mut self) -> Result<Option<Vec<Entry>>> {
        if self.ended {
            return Ok(None);
        }
        match self.groups.recv().await {
            Some(Ok(entries)) if entries.is_empty() => {
                self.ended = true;
                Ok(None)
            }
            Some(Ok(entries)) => Ok(Some(entries)),
            Some(Err(error)) => Err(error),
            None => Err(Error::new(
                ErrorKind::Internal,
                Operation::ReadPins,
                "the reading of the input stopped before its end",
            )),
        }
    }
}

impl Drop for Entries {
    fn drop(&mut self) {
        self.reading.abort();
    }
}
