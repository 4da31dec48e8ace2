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
}

/// What a call of the contract answers with.
pub trait Answer: Send {
    /// The first failure among its records.
    fn failure(&self) -> Option<(ErrorKind, Outcome)> {
        None
    }

    /// What it amounts to. The bytes of every record are counted for it, so it is asked for
    /// once, by who wants to know.
    fn tally(&self) -> Tally {
        Tally { failure: self.failure(), ..Tally::default() }
    }
}

/// What went wrong with a call: what it failed with, or else the first of its records that
/// did. Not to find a record is no failure.
pub(super) fn failure<T: Answer>(result: &Result<T>) -> Option<(ErrorKind, Outcome)> {
    match result {
        Ok(answer) => answer.failure(),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => Some(facts(error)),
    }
}

fn facts(error: &Error) -> (ErrorKind, Outcome) {
    (error.kind(), error.outcome())
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
    fn failure(&self) -> Option<(ErrorKind, Outcome)> {
        self.failure
    }

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
    fn failure(&self) -> Option<(ErrorKind, Outcome)> {
        self.iter().find_map(|answer| answer.as_ref().err()).map(facts)
    }

    fn tally(&self) -> Tally {
        let read = self.iter().flatten().map(|record| record.tally().bytes).sum();
        Tally { bytes: read, failure: self.failure(), ..Tally::default() }
    }
}

impl Answer for BatchOutcome {
    fn failure(&self) -> Option<(ErrorKind, Outcome)> {
        self.first_error().map(|(_, error)| facts(error))
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
