//! The records of a namespace.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use pinstate_core::{
    Capabilities, CheckedScan, CountOptions, Cursor, ErrorKind, Key, Namespace, Range, ReadOptions,
    Record, Result, ScanOptions, Store,
};

use super::{Identity, Pages, STORE, Source, SourcePage, SourceRow, Written};
use crate::pinset::{Pinset, StoredPins};

/// Keys that are looked up in one call.
const LOOK_UP: usize = 500;

/// A namespace that is read.
#[derive(Clone, Debug)]
pub struct StoreSource {
    store: Arc<dyn Store>,
    namespace: Arc<dyn Namespace>,
    name: String,
}

impl StoreSource {
    /// The records of `namespace` in `store`, called `name` in reports.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        namespace: Arc<dyn Namespace>,
        name: impl Into<String>,
    ) -> Self {
        Self { store, namespace, name: name.into() }
    }
}

#[async_trait]
impl Source for StoreSource {
    fn identity(&self) -> Identity {
        Identity {
            kind: STORE.to_owned(),
            id: self.store.identity().uuid.to_string(),
            part: self.namespace.scope().namespace.to_string(),
            name: self.name.clone(),
        }
    }

    fn capabilities(&self) -> Option<&Capabilities> {
        Some(self.namespace.capabilities())
    }

    async fn keep(&self, _folder: &Path) -> Result<()> {
        Ok(())
    }

    async fn estimate(&self) -> Result<Option<u64>> {
        Ok(Some(self.namespace.count(CountOptions::estimate()).await?.value()))
    }

    async fn parts(&self, n: usize) -> Result<Vec<String>> {
        let ranges = self.namespace.split(n.max(1)).await?;
        Ok(ranges.iter().map(Range::to_string).collect())
    }

    async fn open(
        &self,
        part: &str,
        after: Option<&str>,
        page_rows: usize,
    ) -> Result<Box<dyn Pages>> {
        let mut options = ScanOptions::new().with_range(part.parse()?).with_page_rows(page_rows);
        if let Some(after) = after {
            options = options.with_after(after.parse::<Cursor>()?);
        }
        Ok(Box::new(Scanned(CheckedScan::new(self.namespace.scan(options).await?))))
    }

    async fn find(&self, keys: &[Key]) -> Result<Vec<Option<SourceRow>>> {
        let mut found = Vec::with_capacity(keys.len());
        for keys in keys.chunks(LOOK_UP) {
            let records = self.namespace.get_many(keys, ReadOptions::new()).await?;
            for (key, record) in keys.iter().zip(records) {
                found.push(match record {
                    Ok(record) => record.map(row),
                    Err(error) if error.kind() == ErrorKind::Corrupt => {
                        Some(SourceRow::Unreadable {
                            key: Some(key.clone()),
                            raw: Bytes::new(),
                            reason: error.message().to_owned(),
                        })
                    }
                    Err(error) => return Err(error),
                });
            }
        }
        Ok(found)
    }

    fn pinset(&self) -> Arc<dyn Pinset> {
        Arc::new(StoredPins::new(self.name.clone(), Arc::clone(&self.namespace)))
    }
}

fn row(record: Record) -> SourceRow {
    SourceRow::Record {
        key: record.key,
        value: record.value,
        written: Written::Version(record.version),
    }
}

struct Scanned(CheckedScan);

#[async_trait]
impl Pages for Scanned {
    async fn next(&mut self) -> Result<Option<SourcePage>> {
        let Some(page) = self.0.next_page().await? else { return Ok(None) };
        let rows = page.items.into_iter().map(|item| match item {
            Ok(record) => row(record),
            Err(row) => {
                SourceRow::Unreadable { key: Some(row.key), raw: row.raw, reason: row.reason }
            }
        });
        Ok(Some(SourcePage { rows: rows.collect(), after: page.cursor.to_string() }))
    }
}
