//! The museum: mutants that do what stores and tools of others were found to do. None of them
//! is ever dropped.
//!
//! | mutant | where it was found |
//! |---|---|
//! | `UndecodableSkipped` | ipfs-cluster's list logs and skips records that it cannot decode, and its export loses them |
//! | `DeleteOfAbsentCounts` | stores that keep a counter beside their rows and count deletes of what is not there |
//! | `CutOffScanEnds` | gh-ost took a lost connection for the end of the copy, and cut over |
//! | `BatchReapplied` | batches of IPFS datastores that were used again after a commit |
//! | `CursorInclusive` | pinning services whose second page is their first |
//! | `DropTakesPrefix` | a conformance suite that removed volumes it had not made |
//! | `UndeclaredIfAbsentWorks` | conditional writes that OpenDAL's services did not check for being declared |
//! | `AppliedSaysNotApplied` | operations that time out and are done: Temporal's stores are tested with such a fault |
//! | `RefusedShowsForAWhile` | aborted reads, which Jepsen found in ScyllaDB |
//! | `WritesApplyTwice` | retries that draw a new time and so write over what came between |

use crate::{Bug, MUTANTS};

/// Each with where it is told.
pub(crate) const MUSEUM: &[(Bug, &str)] = &[
    (
        Bug::UndecodableSkipped,
        "https://github.com/ipfs-cluster/ipfs-cluster/blob/master/state/dsstate/datastore.go",
    ),
    (Bug::DeleteOfAbsentCounts, "https://github.com/ipfs-cluster/ipfs-cluster/tree/master/state"),
    (Bug::CutOffScanEnds, "https://github.com/github/gh-ost/issues/444"),
    (Bug::BatchReapplied, "https://github.com/ipfs/go-datastore/pull/257"),
    (
        Bug::CursorInclusive,
        "https://github.com/ipfs-shipyard/pinning-service-compliance/issues/114",
    ),
    (Bug::DropTakesPrefix, "https://github.com/kubernetes-csi/csi-test/issues/223"),
    (Bug::UndeclaredIfAbsentWorks, "https://github.com/apache/opendal/issues/7319"),
    (
        Bug::AppliedSaysNotApplied,
        "https://github.com/temporalio/temporal/tree/main/common/persistence/faultinjection",
    ),
    (Bug::RefusedShowsForAWhile, "https://jepsen.io/analyses/scylla-4.2-rc3"),
    (Bug::WritesApplyTwice, "https://github.com/apache/cassandra-java-driver/pull/385"),
];

/// Where a bug was found, of those that were.
pub(crate) fn found(bug: Bug) -> Option<&'static str> {
    MUSEUM.iter().find(|(known, _)| *known == bug).map(|(_, link)| *link)
}

#[test]
fn the_museum_shows_mutants_that_there_are() {
    for (bug, link) in MUSEUM {
        assert!(MUTANTS.iter().any(|(known, _)| known == bug), "{bug:?}");
        assert!(link.starts_with("https://"), "{link}");
        assert_eq!(MUSEUM.iter().filter(|(other, _)| other == bug).count(), 1, "{bug:?}");
    }
}
