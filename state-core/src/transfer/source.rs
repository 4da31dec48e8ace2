//! From a byte stream to entries: one task reads, one thread decodes.

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::mpsc;

use crate::error::{Error, ErrorKind, Operation, Result};
use crate::format::{Decoder, Entry};

/// Bytes read at a time.
const CHUNK_BYTES: usize = 256 << 10;
/// Chunks, and groups of entries, that may wait between two stages.
const QUEUE: usize = 4;

/// Longest entry: far beyond any pin, and small enough to hold.
const MAX_ENTRY_BYTES: usize = 64 << 20;

/// Entries in a row.
pub(super) struct Group {
    pub(super) entries: Vec<Entry>,
    /// Bytes of input up to and including the last of them.
    pub(super) bytes: u64,
    /// Whether the input ended with these.
    pub(super) last: bool,
}

/// Runs `work` on the groups of entries that `decoder` finds in `reader`, in order. The
/// reading stops when `work` is done.
pub(super) async fn with_entries<R, T>(
    mut reader: R,
    mut decoder: Box<dyn Decoder>,
    group: usize,
    work: impl AsyncFnOnce(mpsc::Receiver<Result<Group>>) -> T,
) -> T
where
    R: AsyncRead + Unpin + Send,
{
    let (chunks_in, mut chunks) = mpsc::channel::<std::io::Result<Bytes>>(QUEUE);
    let (groups_in, groups) = mpsc::channel::<Result<Group>>(QUEUE);
    let decoding = tokio::task::spawn_blocking(move || {
        decode(&mut chunks, &mut *decoder, group, &groups_in);
    });
    let reading = async {
        loop {
            let mut chunk = Vec::with_capacity(CHUNK_BYTES);
            let read = loop {
                match reader.read_buf(&mut chunk).await {
                    Ok(0) => break Ok(true),
                    Ok(_) if chunk.len() >= CHUNK_BYTES / 2 => break Ok(false),
                    Ok(_) => {}
                    Err(error) => break Err(error),
                }
            };
            let (message, end) = match read {
                Ok(end) => (Ok(Bytes::from(chunk)), end),
                Err(error) => (Err(error), true),
            };
            if chunks_in.send(message).await.is_err() || end {
                break;
            }
        }
        // The decoder takes the closed queue for the end of the input.
        drop(chunks_in);
    };
    let work = work(groups);
    tokio::pin!(work);
    let result = tokio::select! {
        biased;
        result = &mut work => result,
        () = reading => work.await,
    };
    // Ends at once: whoever it could wait for is gone.
    let _ = decoding.await;
    result
}

fn decode(
    chunks: &mut mpsc::Receiver<std::io::Result<Bytes>>,
    decoder: &mut dyn Decoder,
    group: usize,
    groups: &mpsc::Sender<Result<Group>>,
) {
    let mut buffer: Vec<u8> = Vec::new();
    let mut total = 0;
    loop {
        let mut used = 0;
        loop {
            let mut entries = Vec::with_capacity(group);
            let rest = buffer.get(used..).unwrap_or_default();
            let consumed = decoder.decode(rest, false, group, &mut entries);
            used += consumed;
            total += consumed as u64;
            let more = entries.len() >= group;
            if !send(groups, entries, total) {
                return;
            }
            if !more {
                break;
            }
        }
        buffer.drain(..used.min(buffer.len()));
        if buffer.len() > MAX_ENTRY_BYTES {
            let error = Error::new(
                ErrorKind::TooLarge,
                Operation::ReadPins,
                "an entry of the input is too long to be a pin",
            )
            .with_context("begins at byte", total)
            .with_context("limit in bytes", MAX_ENTRY_BYTES);
            let _ = groups.blocking_send(Err(error));
            return;
        }
        match chunks.blocking_recv() {
            Some(Ok(chunk)) => buffer.extend_from_slice(&chunk),
            Some(Err(error)) => {
                let error = unread(error).with_context("after bytes", total + buffer.len() as u64);
                let _ = groups.blocking_send(Err(error));
                return;
            }
            None => break,
        }
    }
    let mut used = 0;
    loop {
        let mut entries = Vec::with_capacity(group);
        let rest = buffer.get(used..).unwrap_or_default();
        let consumed = decoder.decode(rest, true, group, &mut entries);
        used += consumed;
        total += consumed as u64;
        let last = entries.is_empty();
        if groups.blocking_send(Ok(Group { entries, bytes: total, last })).is_err() || last {
            return;
        }
    }
}

fn send(groups: &mpsc::Sender<Result<Group>>, entries: Vec<Entry>, bytes: u64) -> bool {
    if entries.is_empty() {
        return !groups.is_closed();
    }
    groups.blocking_send(Ok(Group { entries, bytes, last: false })).is_ok()
}

/// Why an input could not be read: a reader that knows the contract's errors says it itself.
fn unread(error: std::io::Error) -> Error {
    error.downcast::<Error>().unwrap_or_else(|error| {
        Error::new(ErrorKind::Io, Operation::ReadPins, "the input cannot be read")
            .with_source(error)
    })
}
