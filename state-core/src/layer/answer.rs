//! What an answer of the contract amounts to, for whoever counts.

use std::sync::Arc;

use crate::batch::BatchOutcome;
use crate::capability::Durability;
use crate::control::{ControlRecord, ControlWritten};
use crate::error::{Error, ErrorKind, Outcome, Result};
use crate::namespace::{Count, Namespace};
use crate::range::Range;
use crate::record::Record;
use crate::scan::{Scan, ScanStep};
use crate::store::{Health, NamespaceInfo};
use crate::write::Written;

/// What an answer amounts to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Tally {
    /// Rows that a scan gave, damaged ones included.
    pub rows: u64,
    /// Of these, damaged ones.
    pub damaged: u64,
    /// Pages that a scan gave.
    pub pages: u64,
    /// Bytes of keys and values that were read.
    pub bytes: u64,
    /// The first failure among the records of a call that did not fail as a whole.
    pub failure: Option<(ErrorKind, Outcome)>,
}

impl Tally {
    fn of_record(record: &Record) -> Self {
        Self { bytes: (record.key.len() + record.value.len()) as u64, ..Self::default() }
    }

    /// Counts the first failure of a record.
    fn failed(&mut self, error: &Error) {
        self.failure.get_or_insert((error.kind(), error.outcome()));
    }
}

/// What a call of the contract answers with.
pub trait Answer: Send {
    /// What it amounts to.
    fn tally(&self) -> Tally {
        Tally::default()
    }
}

impl Answer for () {}
impl Answer for bool {}
impl Answer for u64 {}
impl Answer for usize {}
impl Answer for Written {}
impl Answer for ControlWritten {}
impl Answer for Option<ControlRecord> {}
impl Answer for Vec<(String, ControlRecord)> {}
impl Answer for Vec<NamespaceInfo> {}
impl Answer for Vec<Range> {}
impl Answer for Arc<dyn Namespace> {}
impl Answer for Box<dyn Scan> {}
impl Answer for Count {}
impl Answer for Durability {}
impl Answer for Health {}

impl Answer for Tally {
    fn tally(&self) -> Tally {
        *self
    }
}

impl Answer for Option<Record> {
    fn tally(&self) -> Tally {
        self.as_ref().map(Tally::of_record).unwrap_or_default()
    }
}

impl Answer for Vec<Result<Option<Record>>> {
    fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        for answer in self {
            match answer {
                Ok(record) => tally.bytes += record.tally().bytes,
                Err(error) => tally.failed(error),
            }
        }
        tally
    }
}

impl Answer for BatchOutcome {
    fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        if let Some((_, error)) = self.first_error() {
            tally.failed(error);
        }
        tally
    }
}

impl Answer for ScanStep {
    fn tally(&self) -> Tally {
        let Self::Page(page) = self else { return Tally::default() };
        let mut tally = Tally { pages: 1, rows: page.items.len() as u64, ..Tally::default() };
        for item in &page.items {
            match item {
                Ok(record) => tally.bytes += Tally::of_record(record).bytes,
                Err(damaged) => {
                    tally.damaged += 1;
                    tally.bytes += (damaged.key.len() + damaged.raw.len()) as u64;
                }
            }
        }
        tally
    }
}
