//! A source under rules, for whoever writes it to a file.
//!
//! A file is written whole or not at all, so there is nothing that a job would have to
//! remember: what is interrupted begins anew.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use pinstate_core::transfer::Records;
use pinstate_core::{Damaged, Key, Record, Result, ScanItem, Version};

use super::ruled::RuledPins;
use super::rules::{Compiled, Ruled, Rules};
use super::source::{Pages, Source, SourceRow};
use crate::pinset::Pinset;

/// The pins of a source as rules leave them, to be compared.
///
/// # Errors
/// `InvalidInput` for rules that cannot be followed.
pub fn ruled_pins(source: &dyn Source, rules: &Rules) -> Result<Arc<dyn Pinset>> {
    Ok(Arc::new(RuledPins::new(source.pinset(), Arc::new(rules.compile()?))))
}

/// One reading of them, from the first part to the last. What cannot be read, or is no pin
/// where the rules ask for one, is given as damaged.
#[derive(Debug)]
pub struct RuledRecords {
    source: Arc<dyn Source>,
    rules: Compiled,
    page_rows: usize,
    /// Those that are not read to their ends.
    parts: VecDeque<String>,
    pages: Reading,
}

impl RuledRecords {
    /// Begins it.
    ///
    /// # Errors
    /// As [`ruled_pins`], and what keeps the source from being divided.
    pub async fn new(source: Arc<dyn Source>, rules: &Rules, page_rows: usize) -> Result<Self> {
        let (rules, parts) = (rules.compile()?, source.parts(1).await?.into());
        Ok(Self { source, rules, page_rows, parts, pages: Reading(None) })
    }
}

/// The part that is being read.
struct Reading(Option<Box<dyn Pages>>);

impl fmt::Debug for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "within a part" } else { "between parts" })
    }
}

#[async_trait]
impl Records for RuledRecords {
    async fn next(&mut self) -> Result<Option<Vec<ScanItem>>> {
        while let Some(part) = self.parts.front() {
            let pages = match &mut self.pages.0 {
                Some(pages) => pages,
                none => none.insert(self.source.open(part, None, self.page_rows).await?),
            };
            if let Some(page) = pages.next().await? {
                let rows = page.rows.into_iter();
                return Ok(Some(rows.filter_map(|row| ruled(&self.rules, row)).collect()));
            }
            self.pages.0 = None;
            self.parts.pop_front();
        }
        Ok(None)
    }
}

fn ruled(rules: &Compiled, row: SourceRow) -> Option<ScanItem> {
    match row {
        SourceRow::Record { key, value, .. } => {
            match rules.apply(key.as_bytes(), value.clone()) {
                // No format has versions.
                Ruled::Moved(value) => Some(Ok(Record::live(key, value, Version(0)))),
                Ruled::Left => None,
                Ruled::NoPin(reason) => Some(Err(Damaged::new(key, value, reason))),
            }
        }
        SourceRow::Unreadable { key, raw, reason } => {
            let key = key.unwrap_or_else(|| Key::new(Bytes::new()));
            Some(Err(Damaged::new(key, raw, reason)))
        }
    }
}
