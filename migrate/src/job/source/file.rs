//! The pins of a file, or of a stream, in one of IPFS-Cluster's formats.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use pinstate_core::format::Entry;
use pinstate_core::transfer::Entries;
use pinstate_core::{Capabilities, Error, ErrorKind, Key, Operation, Result};

use super::stream::{KEPT, Kept};
use super::{Identity, Pages, Source, SourcePage, SourceRow, Written};
use crate::pinset::{OpenFile, PinFile, Pinset};

/// The only part of a file.
const WHOLE: &str = "whole";

/// Entries that are looked at together when keys are searched for.
const FIND_ROWS: usize = 1_000;

/// A file that is read from its beginning to its end. A job that goes on reads the entries
/// that it has moved already once more, and writes none of them.
#[derive(Clone)]
pub struct FileSource {
    name: String,
    path: String,
    stamp: String,
    file: Arc<dyn OpenFile>,
    /// The same, where it is a stream that a job keeps.
    kept: Option<Arc<Kept>>,
}

impl FileSource {
    /// The pins of `file`, which is at `path`, called `name` in reports. The `stamp` is what
    /// changes when the file is written to.
    #[must_use]
    pub fn new(
        name: impl Into<String>,
        path: impl Into<String>,
        stamp: impl Into<String>,
        file: Arc<dyn OpenFile>,
    ) -> Self {
        Self { name: name.into(), path: path.into(), stamp: stamp.into(), file, kept: None }
    }

    /// The pins of a stream that can be read only as they are at the moment, such as those of a
    /// running peer, of which `id` says where it comes from. A job keeps it in its folder.
    #[must_use]
    pub fn of_stream(
        name: impl Into<String>,
        id: impl Into<String>,
        stream: Arc<dyn OpenFile>,
    ) -> Self {
        let kept = Arc::new(Kept::new(stream));
        let file = Arc::clone(&kept) as Arc<dyn OpenFile>;
        Self { kept: Some(kept), ..Self::new(name, id, "", file) }
    }
}

impl fmt::Debug for FileSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileSource").field("name", &self.name).finish_non_exhaustive()
    }
}

#[async_trait]
impl Source for FileSource {
    fn identity(&self) -> Identity {
        Identity {
            kind: if self.kept.is_some() { "stream" } else { "file" }.to_owned(),
            id: self.path.clone(),
            part: self.stamp.clone(),
            name: self.name.clone(),
        }
    }

    fn capabilities(&self) -> Option<&Capabilities> {
        None
    }

    async fn keep(&self, folder: &Path) -> Result<()> {
        match &self.kept {
            Some(stream) => stream.fill(folder.join(KEPT)).await,
            None => Ok(()),
        }
    }

    async fn estimate(&self) -> Result<Option<u64>> {
        Ok(None)
    }

    async fn parts(&self, _n: usize) -> Result<Vec<String>> {
        Ok(vec![WHOLE.to_owned()])
    }

    async fn open(
        &self,
        part: &str,
        after: Option<&str>,
        page_rows: usize,
    ) -> Result<Box<dyn Pages>> {
        let after = after.map_or(Some(0), |after| after.parse().ok());
        let (WHOLE, Some(after)) = (part, after) else {
            let message = "this is no place that a file gave";
            return Err(Error::new(ErrorKind::InvalidInput, Operation::Migrate, message));
        };
        let (reader, decoder) = self.file.open()?;
        let entries = Entries::new(reader, decoder);
        let waiting = Vec::new().into_iter();
        Ok(Box::new(Read { entries, waiting, after, passed: 0, page_rows: page_rows.max(1) }))
    }

    async fn find(&self, keys: &[Key]) -> Result<Vec<Option<SourceRow>>> {
        let wanted: HashSet<&Key> = keys.iter().collect();
        let mut found = HashMap::new();
        let mut pages = self.open(WHOLE, None, FIND_ROWS).await?;
        while let Some(page) = pages.next().await? {
            for row in page.rows {
                if let SourceRow::Record { key, .. } = &row
                    && wanted.contains(key)
                {
                    found.insert(key.clone(), row);
                }
            }
        }
        Ok(keys.iter().map(|key| found.get(key).cloned()).collect())
    }

    fn pinset(&self) -> Arc<dyn Pinset> {
        Arc::new(PinFile::shared(self.name.clone(), Arc::clone(&self.file)).lenient())
    }
}

struct Read {
    entries: Entries,
    waiting: std::vec::IntoIter<Entry>,
    /// Entries that were moved already.
    after: u64,
    passed: u64,
    page_rows: usize,
}

#[async_trait]
impl Pages for Read {
    async fn next(&mut self) -> Result<Option<SourcePage>> {
        let mut rows = Vec::new();
        while rows.len() < self.page_rows {
            let Some(entry) = self.waiting.next() else {
                match self.entries.next().await? {
                    Some(entries) => self.waiting = entries.into_iter(),
                    None if rows.is_empty() => return Ok(None),
                    None => break,
                }
                continue;
            };
            self.passed += 1;
            if self.passed > self.after {
                rows.push(row(entry)?);
            }
        }
        Ok(Some(SourcePage { rows, after: self.passed.to_string() }))
    }
}

fn row(entry: Entry) -> Result<SourceRow> {
    match entry.body {
        Ok((key, value)) => Ok(SourceRow::Record {
            key: Key::copy_from(&key),
            value,
            written: Written::Entry(entry.at.ordinal),
        }),
        Err(fault) if fault.recoverable => Ok(SourceRow::Unreadable {
            key: None,
            raw: entry.raw,
            reason: format!("entry {} at byte {}: {fault}", entry.at.ordinal, entry.at.offset),
        }),
        // What comes after it cannot be found.
        Err(fault) => Err(Error::new(
            ErrorKind::InvalidInput,
            Operation::Migrate,
            format!("the file cannot be read on after this: {fault}"),
        )
        .with_context("entry", entry.at.ordinal)
        .with_context("at byte", fault.offset.unwrap_or(entry.at.offset))),
    }
}
