//! A node is cut from its peers and not from clients, then from clients and not from its
//! peers, under a steady load of writes, deletes, reads and scans.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;
#[path = "common/load.rs"]
mod load;

use common::Bed;
use load::Load;
use pinstate_scylla::doctor;
use testbed::{Link, Options};

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_while_a_node_is_cut_from_its_peers_or_from_clients() {
    let options = Options::nodes(3).unwrap().with_partitions();
    let Some(bed) = testbed::for_tests::or_skip(Bed::start_with(&options)) else { return };
    let cluster = &bed.cluster;
    let config = bed.config();
    let load = Load::begin(config.clone()).await;
    let peers = doctor(&config).await.unwrap().peers;
    let id = |node: usize| {
        let address = cluster.nodes()[node - 1].address;
        let peer = peers.iter().find(|peer| peer.connected_to == Some(address.to_string()));
        peer.and_then(|peer| peer.host_id).unwrap()
    };
    let mut remaining = Vec::new();
    for node in [1, 3] {
        for (link, whom) in [(Link::Peers, "its peers"), (Link::Clients, "clients")] {
            let cut = load.through(
                format!("node {node} cut from {whom}"),
                || cluster.cut(node, link),
                || cluster.mend(node, link).and_then(|()| cluster.wait_ready()),
            );
            let seen = cut.await;
            remaining.extend(seen.failures);
            assert_eq!(seen.asked_last, [id(node)], "nodes that are asked last");
            let answers = seen.answers[&id(node)];
            println!("  it answered {answers} times at the end");
            // So the right link was cut.
            match link {
                Link::Peers => assert!(answers > 0, "it was cut from clients, too"),
                Link::Clients => assert_eq!(answers, 0, "it was not cut from clients"),
            }
        }
    }
    load.end().await;
    assert!(remaining.is_empty(), "failures that did not cease: {remaining:#?}");
}
