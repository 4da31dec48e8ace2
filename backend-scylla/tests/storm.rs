//! Each node of a cluster in turn falls silent, comes back, dies and is started again, under
//! a steady load of writes, deletes, reads and scans.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;
#[path = "common/load.rs"]
mod load;

use common::Bed;
use load::Load;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_while_each_node_falls_silent_and_dies() {
    let Some(bed) = testbed::for_tests::or_skip(Bed::start(3)) else { return };
    let cluster = &bed.cluster;
    if testbed::for_tests::or_skip(cluster.can_break()).is_none() {
        return;
    }
    let load = Load::begin(bed.config()).await;
    let mut remaining = Vec::new();
    for node in 1..=3 {
        let silent = load.through(
            format!("node {node} silent"),
            || cluster.pause(node),
            || cluster.resume(node).and_then(|()| cluster.wait_ready()),
        );
        remaining.extend(silent.await.failures);
        let dead = load.through(
            format!("node {node} dead"),
            || cluster.kill(node),
            || cluster.start_node(node).and_then(|()| cluster.wait_ready()),
        );
        remaining.extend(dead.await.failures);
    }
    load.end().await;
    assert!(remaining.is_empty(), "failures that did not cease: {remaining:#?}");
}
