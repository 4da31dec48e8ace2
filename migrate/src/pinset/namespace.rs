//! The pinset of a namespace.

use std::sync::Arc;

use async_trait::async_trait;
use pinstate_core::{
    CheckedScan, CountOptions, ErrorKind, Key, Namespace, ReadOptions, Result, ScanOptions,
};

use super::{Found, Pinset, Row, Rows};

/// Keys that are looked up in one call.
const LOOK_UP: usize = 500;

/// The records of a namespace.
#[derive(Clone, Debug)]
pub struct StoredPins {
    name: String,
    namespace: Arc<dyn Namespace>,
}

impl StoredPins {
    /// Those of `namespace`, called `name` in reports.
    #[must_use]
    pub fn new(name: impl Into<String>, namespace: Arc<dyn Namespace>) -> Self {
        Self { name: name.into(), namespace }
    }

    /// The namespace.
    #[must_use]
    pub fn namespace(&self) -> &Arc<dyn Namespace> {
        &self.namespace
    }
}

#[async_trait]
impl Pinset for StoredPins {
    fn name(&self) -> &str {
        &self.name
    }

    async fn parts(&self, n: usize) -> Result<Vec<Box<dyn Rows>>> {
        let ranges = self.namespace.split(n.max(1)).await?;
        let part = |range| -> Box<dyn Rows> {
            let options = ScanOptions::new().with_range(range);
            Box::new(Part { namespace: Arc::clone(&self.namespace), options, scan: None })
        };
        Ok(ranges.into_iter().map(part).collect())
    }

    async fn count(&self) -> Result<u64> {
        Ok(self.namespace.count(CountOptions::new()).await?.value())
    }

    async fn look_up(&self, keys: &[Key]) -> Result<Vec<Found>> {
        let mut found = Vec::with_capacity(keys.len());
        for keys in keys.chunks(LOOK_UP) {
            for record in self.namespace.get_many(keys, ReadOptions::new()).await? {
                found.push(match record {
                    Ok(record) => Found {
                        values: record.map(|record| record.value).into_iter().collect(),
                        damaged: false,
                    },
                    Err(error) if error.kind() == ErrorKind::Corrupt => {
                        Found { values: Vec::new(), damaged: true }
                    }
                    Err(error) => return Err(error),
                });
            }
        }
        Ok(found)
    }

    fn may_repeat(&self) -> bool {
        false
    }
}

/// A range of the namespace; its scan begins when the first rows are asked for.
struct Part {
    namespace: Arc<dyn Namespace>,
    options: ScanOptions,
    scan: Option<CheckedScan>,
}

#[async_trait]
impl Rows for Part {
    async fn next(&mut self) -> Result<Option<Vec<Row>>> {
        let scan = match &mut self.scan {
            Some(scan) => scan,
            None => {
                let scan = self.namespace.scan(self.options.clone()).await?;
                self.scan.insert(CheckedScan::new(scan))
            }
        };
        let Some(page) = scan.next_page().await? else { return Ok(None) };
        let rows = page.items.into_iter().map(|item| match item {
            Ok(record) => Row { key: record.key, value: record.value, damaged: false },
            Err(row) => Row { key: row.key, value: row.raw, damaged: true },
        });
        Ok(Some(rows.collect()))
    }
}
