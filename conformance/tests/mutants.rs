//! The suite proves itself: stores that are broken on purpose must be found out by the
//! clause that is there for it, and stores that are merely odd must pass.
//!
//! A mutant is a value of [`Bug`] with the clauses that it must be killed by; what it does
//! stands in `mutants/`, in decorators over the memory backend.

#![expect(clippy::unwrap_used, reason = "a test's own stores may panic")]
#![expect(clippy::collapsible_match, reason = "the conditions of mutants wait for the store")]

#[path = "mutants/namespace.rs"]
mod namespace;
#[path = "mutants/store.rs"]
mod store;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pinstate_conformance::{Leg, Outcome, Plug, Site, Suite, Verdict};
use pinstate_core::{Result, Store};
use pinstate_memory::{MemoryConfig, MemoryStore};

use crate::store::BrokenStore;

macro_rules! bugs {
    ($($(#[doc = $doc:literal])* $name:ident => [$($clause:literal),+];)*) => {
        /// What is wrong, or odd, with a store.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        enum Bug {
            $($(#[doc = $doc])* $name,)*
            /// Odd but right: empty pages, and never more than one row in the others.
            TinyPages,
            /// Odd but right: says no to every power that it may lack.
            Powerless,
            /// Odd but right: cannot say which of two writes it kept.
            Resolving,
        }

        /// Every mutant, with the clauses of which at least one must kill it.
        const MUTANTS: &[(Bug, &[&str])] = &[$((Bug::$name, &[$($clause),+]),)*];
    };
}

bugs! {
    /// The last page is left out, and the end counts only what was given.
    ScanEndsEarly => ["L1"];
    /// The last page is left out, and the end counts it.
    ScanEndsShort => ["L1"];
    /// A scan gives ten thousand rows and no more.
    ScanStopsAtTenThousand => ["L1"];
    /// Each page begins with the row that ended the one before.
    PageRepeatsRow => ["L1"];
    /// A namespace that goes away under a scan ends it as if it were complete.
    CutOffScanEnds => ["L7", "N5"];
    /// Every page is read from the present, while one moment is promised.
    ScanOfManyMoments => ["L6"];
    /// The values of a page are swapped between its first two rows.
    ScanTearsRows => ["L1", "L6"];
    /// A scan after a cursor gives the cursor's own row again.
    CursorInclusive => ["L9"];
    /// A cursor whose key was deleted begins anew.
    CursorOfDeletedRestarts => ["L9"];
    /// Cursors and ranges of other namespaces are taken.
    ForeignCursorsTaken => ["L9"];
    /// The last range of a split is missing.
    SplitMissesLast => ["L10"];
    /// A split leaves nearly everything in one range.
    SplitUnbalanced => ["L10"];
    /// Ranges of a split share a row.
    SplitOverlaps => ["L10"];
    /// Deletes of a batch come before its puts.
    BatchReorders => ["B3"];
    /// An atomic batch is applied write by write.
    BatchVisibleInParts => ["B4"];
    /// An atomic batch that is refused has applied what came before the refused write.
    BatchAppliesUpToError => ["B2"];
    /// A batch is cut after ten thousand writes.
    BatchCut => ["B7"];
    /// One item that fails makes the batch look applied.
    BatchHidesFailures => ["B10"];
    /// Deleting what is not there is an error.
    DeleteOfAbsentFails => ["N3", "I2"];
    /// Deleting what is not there counts.
    DeleteOfAbsentCounts => ["N3", "K1"];
    /// A deleted record still shows in scans.
    DeletedIsListed => ["C3"];
    /// A hidden marker is visible in scans.
    MarkerIsListed => ["R6", "N3"];
    /// `has` says false when it could not look.
    HasSwallowsErrors => ["N5"];
    /// `get` says nothing when it could not look.
    GetSwallowsErrors => ["N5"];
    /// `get` of what is not there is an empty record.
    AbsentIsDefault => ["N1"];
    /// `get` takes the first key that begins like the one asked for.
    PrefixIsKey => ["N1", "U1"];
    /// Keys are cut at their first NUL.
    KeyCutAtNul => ["U1"];
    /// Keys are cut after 64 bytes.
    KeyCutAt64 => ["U1"];
    /// Keys are compared without case.
    CaseFolded => ["U3"];
    /// A CIDv1's key is its multihash.
    KeyIsMultihash => ["C4"];
    /// What a longer value leaves behind stays.
    ValueTailKept => ["R2"];
    /// Values end at their first NUL.
    ValueCutAtNul => ["U4"];
    /// The count is taken once and kept.
    CountCached => ["K1"];
    /// Counts are estimates that call themselves exact.
    CountRounded => ["K1", "K2", "R3"];
    /// `if absent` is called unsupported, and works.
    UndeclaredIfAbsentWorks => ["R4"];
    /// An atomic batch is called unsupported, and applies in part.
    UndeclaredBatchWorks => ["B2", "B3"];
    /// `if absent` reads and then writes, with a gap between.
    IfAbsentRaces => ["R4"];
    /// Of two writes of one version the later wins.
    EqualVersionsByArrival => ["R5"];
    /// An older put brings back what was conditionally deleted.
    OlderPutResurrects => ["R6"];
    /// Each handle remembers what it has read.
    StaleHandle => ["C10", "C3"];
    /// A handle goes over to a new namespace of the old name.
    HandleFollowsName => ["N5", "R1"];
    /// Dropping a namespace drops those whose names begin like it.
    DropTakesPrefix => ["C9"];
    /// Dropping a namespace hides it and keeps its records.
    DropKeepsRecords => ["Z3"];
    /// Replacing a namespace merges the two.
    ReplaceMerges => ["R1"];
    /// Control records are counted with the pins.
    ControlIsCounted => ["C9"];
    /// Control records are written without looking at what is there.
    ControlIgnoresRevision => ["R4"];
    /// The longest key that is taken is one shorter than declared.
    LimitOffByOne => ["S1"];
    /// A value that is too long is cut and stored.
    LargeValueCut => ["S1"];
    /// A refused put is stored all the same.
    RefusedIsStored => ["F3", "S1"];
    /// A refusal asks to be tried again.
    RefusalAsksForRetry => ["F2"];
    /// A refusal says that it may have been applied.
    RefusalMayHaveApplied => ["F2"];
    /// Errors do not say which backend they come from.
    ErrorsWithoutBackend => ["F4"];
    /// The memory that a value came in is kept.
    KeepsCallersMemory => ["C11"];
    /// The store opens empty of what makes a namespace exist: creating twice succeeds.
    CreateTwice => ["I5", "F1"];
    /// An empty batch waits for ever.
    EmptyBatchHangs => ["B8"];
}

struct Broken(Bug);

#[async_trait]
impl Plug for Broken {
    fn name(&self) -> &str {
        "mutant"
    }

    async fn site(&self) -> Result<Box<dyn Site>> {
        Ok(Box::new(Self(self.0)))
    }
}

#[async_trait]
impl Site for Broken {
    async fn open(&self) -> Result<Arc<dyn Store>> {
        let inner = Arc::new(MemoryStore::open(&MemoryConfig::default())?);
        Ok(Arc::new(BrokenStore::new(inner, self.0)))
    }
}

fn verdicts(bug: Bug, clauses: &[&str]) -> Vec<Verdict> {
    let mut suite = Suite::new(Broken(bug)).legs(vec![Leg::raw()]).seed(1);
    if bug == Bug::EmptyBatchHangs {
        suite = suite.hang(Duration::from_secs(1));
    }
    suite.verdicts(clauses).expect("threads can be started")
}

/// What failed, as `CLAUSE::case: message`.
fn failures(bug: Bug, clauses: &[&str]) -> Vec<String> {
    let failed = verdicts(bug, clauses).into_iter().filter_map(|verdict| match verdict.outcome {
        Outcome::Failed(message) => {
            // The report names the clause, not only the assertion.
            assert!(message.starts_with(&format!("{} (", verdict.clause.id)), "{message}");
            assert!(message.contains("seed 1"), "{message}");
            Some(format!("{}::{}: {message}", verdict.clause.id, verdict.case))
        }
        _ => None,
    });
    failed.collect()
}

#[test]
fn every_mutant_is_killed_by_a_clause_that_is_there_for_it() {
    let known: Vec<&str> = pinstate_conformance::clauses().iter().map(|clause| clause.id).collect();
    let mut survivors = Vec::new();
    for (bug, clauses) in MUTANTS {
        assert!(clauses.iter().all(|clause| known.contains(clause)), "{bug:?}: {clauses:?}");
        match failures(*bug, clauses).first() {
            Some(first) => println!("{bug:?}: {}", first.get(..200).unwrap_or(first)),
            None => survivors.push(format!("{bug:?} survives {clauses:?}")),
        }
    }
    assert!(survivors.is_empty(), "{survivors:#?}");
}

#[test]
fn odd_but_right_stores_pass() {
    for bug in [Bug::TinyPages, Bug::Powerless, Bug::Resolving] {
        let failures = failures(bug, &[]);
        assert!(failures.is_empty(), "{bug:?}: {failures:#?}");
    }
}

#[test]
fn a_store_without_a_power_runs_the_negative_case_and_says_what_it_skips() {
    let verdicts = verdicts(Bug::Powerless, &["B2", "R4", "L11"]);
    let outcome = |case: &str| {
        verdicts.iter().find(|verdict| verdict.case == case).map(|verdict| &verdict.outcome)
    };
    assert_eq!(outcome("nothing_of_a_refused_batch"), Some(&Outcome::Passed));
    assert_eq!(outcome("if_absent"), Some(&Outcome::Passed));
    let reason = "'ordered_scan' is not declared".to_owned();
    assert_eq!(outcome("in_byte_order"), Some(&Outcome::Skipped(reason)));
}
