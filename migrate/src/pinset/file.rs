//! The pinset of a file in one of IPFS-Cluster's formats.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use pinstate_core::format::{Decoder, Entry};
use pinstate_core::transfer::Entries;
use pinstate_core::{Error, ErrorKind, Key, Operation, Result};
use tokio::io::AsyncRead;

use super::{Found, Pinset, Row, Rows};

/// Opens a file from its beginning, as often as it is to be read.
pub trait OpenFile: Send + Sync {
    /// A reader at the beginning, and a decoder of the file's format.
    ///
    /// # Errors
    /// If it cannot be opened, or is no longer what it was.
    fn open(&self) -> Result<(Box<dyn AsyncRead + Send + Unpin>, Box<dyn Decoder>)>;
}

/// The pins of a file. An entry that is no pin is an error, since nobody can say what it
/// would be compared with.
pub struct PinFile {
    name: String,
    file: Arc<dyn OpenFile>,
    /// Whether entries that are no pins are passed over.
    lenient: bool,
}

impl PinFile {
    /// Those of `file`, called `name` in reports.
    #[must_use]
    pub fn new(name: impl Into<String>, file: Box<dyn OpenFile>) -> Self {
        Self::shared(name, file.into())
    }

    /// As [`new`](Self::new), of a file that others read, too.
    #[must_use]
    pub fn shared(name: impl Into<String>, file: Arc<dyn OpenFile>) -> Self {
        Self { name: name.into(), file, lenient: false }
    }

    /// Passes over entries that are no pins: for whoever has set them aside.
    pub(crate) fn lenient(mut self) -> Self {
        self.lenient = true;
        self
    }

    fn rows(&self) -> Result<Part> {
        let (reader, decoder) = self.file.open()?;
        let entries = Entries::new(reader, decoder);
        Ok(Part { name: self.name.clone(), entries, lenient: self.lenient })
    }
}

impl fmt::Debug for PinFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PinFile").field("name", &self.name).finish_non_exhaustive()
    }
}

#[async_trait]
impl Pinset for PinFile {
    fn name(&self) -> &str {
        &self.name
    }

    async fn parts(&self, _n: usize) -> Result<Vec<Box<dyn Rows>>> {
        Ok(vec![Box::new(self.rows()?)])
    }

    async fn count(&self) -> Result<u64> {
        let mut rows = self.rows()?;
        let mut count = 0;
        while let Some(rows) = rows.next().await? {
            count += rows.len() as u64;
        }
        Ok(count)
    }

    async fn look_up(&self, keys: &[Key]) -> Result<Vec<Found>> {
        let places: HashMap<&Key, usize> = keys.iter().zip(0..).collect();
        let mut found = vec![Found::default(); keys.len()];
        let mut rows = self.rows()?;
        while let Some(rows) = rows.next().await? {
            for row in rows {
                let place = places.get(&row.key).and_then(|place| found.get_mut(*place));
                if let Some(found) = place {
                    found.values.push(row.value);
                }
            }
        }
        // The same key may have been asked for twice.
        let of: Vec<Option<usize>> = keys.iter().map(|key| places.get(key).copied()).collect();
        let one = |place: Option<usize>| place.and_then(|place| found.get(place)).cloned();
        Ok(of.into_iter().map(|place| one(place).unwrap_or_default()).collect())
    }

    fn may_repeat(&self) -> bool {
        true
    }
}

struct Part {
    name: String,
    entries: Entries,
    lenient: bool,
}

#[async_trait]
impl Rows for Part {
    async fn next(&mut self) -> Result<Option<Vec<Row>>> {
        let Some(entries) = self.entries.next().await? else { return Ok(None) };
        let passed_over = |entry: &Entry| {
            self.lenient && entry.body.as_ref().is_err_and(|fault| fault.recoverable)
        };
        let entries = entries.into_iter().filter(|entry| !passed_over(entry));
        entries.map(|entry| row(entry, &self.name)).collect::<Result<_>>().map(Some)
    }
}

fn row(entry: Entry, name: &str) -> Result<Row> {
    match entry.body {
        Ok((key, value)) => Ok(Row { key: Key::copy_from(&key), value, damaged: false }),
        Err(fault) => {
            let error = Error::new(
                ErrorKind::InvalidInput,
                Operation::ReadPins,
                format!("an entry of {name} is no pin: {fault}"),
            )
            .with_context("entry", entry.at.ordinal)
            .with_context("at byte", fault.offset.unwrap_or(entry.at.offset));
            Err(if entry.at.line > 0 { error.with_context("line", entry.at.line) } else { error })
        }
    }
}
