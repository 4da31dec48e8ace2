//! Writing a namespace to a file or stream.

use async_trait::async_trait;
use bytes::Bytes;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;

use super::{StopFlag, Watch};
use crate::error::{Error, ErrorKind, Operation, Result};
use crate::format::{Encoder, Fault};
use crate::namespace::Namespace;
use crate::scan::{CheckedScan, ScanItem, ScanOptions};

/// Pages, and encoded blocks, that may wait at each encoder.
const QUEUE: usize = 2;

/// Options of an export.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ExportOptions {
    /// What to write.
    pub scan: ScanOptions,
    /// Threads that encode; 0 for as many as there are cores, at most 4.
    pub encoders: usize,
    /// Asks to stop.
    pub stop: StopFlag,
}

impl Default for ExportOptions {
    fn default() -> Self {
        Self { scan: ScanOptions::new(), encoders: 0, stop: StopFlag::new() }
    }
}

impl ExportOptions {
    /// The whole namespace, encoded on as many threads as there are cores.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the flag that asks to stop.
    #[must_use]
    pub fn with_stop(mut self, stop: StopFlag) -> Self {
        self.stop = stop;
        self
    }

    /// Sets the number of encoding threads.
    #[must_use]
    pub fn with_encoders(mut self, encoders: usize) -> Self {
        self.encoders = encoders;
        self
    }
}

/// A stored record that could not be written.
#[derive(Clone, Debug)]
pub struct Skipped {
    /// Its key.
    pub key: Bytes,
    /// What is stored, as it is.
    pub raw: Bytes,
    /// Why.
    pub fault: Fault,
}

/// How an export ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ExportEnd {
    /// Everything was read to the scan's own end.
    Complete,
    /// On request.
    Stopped,
    /// By a failure of the store or the output.
    Failed(Error),
}

/// What an export did. Never discarded unread: a failure stands only in `end`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ExportReport {
    /// Pins written.
    pub pins: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Stored records that could not be written, each told to the watch.
    pub skipped: u64,
    /// How it ended.
    pub end: ExportEnd,
}

impl ExportReport {
    /// The report of a complete export, or the failure.
    ///
    /// # Errors
    /// What ended the export early.
    pub fn complete(self) -> Result<Self> {
        match &self.end {
            ExportEnd::Complete => Ok(self),
            ExportEnd::Failed(error) => Err(error.clone()),
            ExportEnd::Stopped => {
                Err(Error::new(ErrorKind::Cancelled, Operation::Export, "stopped on request"))
            }
        }
    }
}

/// A page's records as text or bytes.
struct Block {
    bytes: Vec<u8>,
    pins: u64,
    skipped: Vec<Skipped>,
}

/// Writes the records of a namespace, in its own order. `encoder` makes an encoder for each
/// thread. The writer is flushed, not closed.
#[must_use = "a failure stands only in the report"]
pub async fn export<W>(
    namespace: &dyn Namespace,
    encoder: impl Fn() -> Box<dyn Encoder>,
    writer: &mut W,
    options: ExportOptions,
    watch: &mut dyn Watch,
) -> ExportReport
where
    W: AsyncWrite + Unpin + Send + ?Sized,
{
    match namespace.scan(options.scan.clone()).await {
        Ok(scan) => {
            export_records(&mut CheckedScan::new(scan), encoder, writer, options, watch).await
        }
        Err(error) => ExportReport { pins: 0, bytes: 0, skipped: 0, end: ExportEnd::Failed(error) },
    }
}

/// Where an export's records come from.
#[async_trait]
pub trait Records: Send {
    /// The next of them, or `None` once certainly all were given.
    ///
    /// # Errors
    /// What keeps them from being read: there is no other way to stop before the end.
    async fn next(&mut self) -> Result<Option<Vec<ScanItem>>>;
}

#[async_trait]
impl Records for CheckedScan {
    async fn next(&mut self) -> Result<Option<Vec<ScanItem>>> {
        Ok(self.next_page().await?.map(|page| page.items))
    }
}

/// Writes these records, in their order; otherwise as [`export`].
#[must_use = "a failure stands only in the report"]
pub async fn export_records<W>(
    records: &mut dyn Records,
    encoder: impl Fn() -> Box<dyn Encoder>,
    writer: &mut W,
    options: ExportOptions,
    watch: &mut dyn Watch,
) -> ExportReport
where
    W: AsyncWrite + Unpin + Send + ?Sized,
{
    let threads = match options.encoders {
        0 => std::thread::available_parallelism().map_or(2, |n| n.get().clamp(1, 4)),
        n => n,
    };
    // Pages go to the encoders in turn and are collected in the same turn: the order holds.
    let mut pages_in = Vec::with_capacity(threads);
    let mut blocks = Vec::with_capacity(threads);
    for _ in 0..threads {
        let (page_in, mut pages) = mpsc::channel::<Vec<ScanItem>>(QUEUE);
        let (block_in, block) = mpsc::channel::<Block>(QUEUE);
        let mut encoder = encoder();
        tokio::task::spawn_blocking(move || {
            while let Some(page) = pages.blocking_recv() {
                if block_in.blocking_send(encode(&mut *encoder, page)).is_err() {
                    break;
                }
            }
        });
        pages_in.push(page_in);
        blocks.push(block);
    }
    let stop = options.stop.clone();
    let scanning = async move {
        let mut sent = 0_u64;
        for page_in in pages_in.iter().cycle() {
            if stop.is_set() {
                return Ok((ExportEnd::Stopped, sent));
            }
            let Some(page) = records.next().await? else { break };
            sent += 1;
            if page_in.send(page).await.is_err() {
                break;
            }
        }
        Ok((ExportEnd::Complete, sent))
    };
    let mut report = ExportReport { pins: 0, bytes: 0, skipped: 0, end: ExportEnd::Complete };
    let writing = write(&mut blocks, writer, watch, &mut report);
    let (scanned, written) = futures::join!(scanning, writing);
    report.end = match (scanned, written) {
        (_, Err(error)) | (Err(error), Ok(_)) => ExportEnd::Failed(error),
        (Ok((end, sent)), Ok(written)) if sent == written => end,
        (Ok((_, sent)), Ok(written)) => ExportEnd::Failed(
            Error::new(ErrorKind::Internal, Operation::Export, "an encoder died")
                .with_context("pages read", sent)
                .with_context("pages written", written),
        ),
    };
    report
}

fn encode(encoder: &mut dyn Encoder, page: Vec<ScanItem>) -> Block {
    let mut block = Block { bytes: Vec::new(), pins: 0, skipped: Vec::new() };
    for item in page {
        match item {
            Ok(record) => {
                match encoder.encode(record.key.as_bytes(), &record.value, &mut block.bytes) {
                    Ok(()) => block.pins += 1,
                    Err(fault) => block.skipped.push(Skipped {
                        key: record.key.into_bytes(),
                        raw: record.value,
                        fault,
                    }),
                }
            }
            Err(damaged) => block.skipped.push(Skipped {
                key: damaged.key.into_bytes(),
                raw: damaged.raw,
                fault: Fault::whole(damaged.reason),
            }),
        }
    }
    block
}

async fn write<W>(
    blocks: &mut Vec<mpsc::Receiver<Block>>,
    writer: &mut W,
    watch: &mut dyn Watch,
    report: &mut ExportReport,
) -> Result<u64>
where
    W: AsyncWrite + Unpin + Send + ?Sized,
{
    let failed = |error: std::io::Error| {
        Error::new(ErrorKind::Io, Operation::Export, "the output cannot be written")
            .with_source(error)
    };
    let mut turn = 0;
    let mut written = 0;
    while let Some(block) = match blocks.get_mut(turn) {
        Some(blocks) => blocks.recv().await,
        None => None,
    } {
        turn = (turn + 1) % blocks.len().max(1);
        if let Err(error) = writer.write_all(&block.bytes).await {
            blocks.clear();
            return Err(failed(error));
        }
        written += 1;
        report.pins += block.pins;
        report.bytes += block.bytes.len() as u64;
        report.skipped += block.skipped.len() as u64;
        for record in &block.skipped {
            watch.skipped(record);
        }
        watch.advance(block.pins, block.bytes.len() as u64);
    }
    // An encoder that died must not keep the scan waiting.
    blocks.clear();
    writer.flush().await.map_err(failed)?;
    Ok(written)
}
