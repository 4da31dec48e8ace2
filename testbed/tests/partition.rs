//! Links of real nodes, cut and mended.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use scylla::client::session::Session;
use scylla::policies::host_filter::AllowListHostFilter;
use scylla::statement::{Consistency, Statement};
use testbed::{Cluster, Link, Options, for_tests};

/// A session that speaks with one node alone.
async fn session(cluster: &Cluster, number: usize) -> Session {
    let address = cluster.nodes()[number - 1].address;
    let mut access = cluster.access().clone();
    access.contact_points = vec![address];
    let only = AllowListHostFilter::new([address]).unwrap();
    access.session_builder().unwrap().host_filter(Arc::new(only)).build().await.unwrap()
}

async fn put(session: &Session, consistency: Consistency) -> bool {
    let mut statement = Statement::new("INSERT INTO cut.t (k, v) VALUES (1, 2)");
    statement.set_consistency(consistency);
    statement.set_is_idempotent(true);
    statement.set_request_timeout(Some(Duration::from_secs(12)));
    session.query_unpaged(statement, &[]).await.is_ok()
}

async fn until_put(session: &Session, consistency: Consistency) {
    while !put(session, consistency).await {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_cut_from_its_peers_or_from_clients() {
    let options = Options::nodes(3).unwrap().with_partitions();
    let Some(cluster) = for_tests::cluster(&options) else { return };
    let (one, three) = (session(&cluster, 1).await, session(&cluster, 3).await);
    for statement in [
        "CREATE KEYSPACE cut WITH replication = \
         {'class': 'NetworkTopologyStrategy', 'dc1': 3}",
        "CREATE TABLE cut.t (k int PRIMARY KEY, v int)",
    ] {
        one.query_unpaged(statement, &[]).await.unwrap();
    }
    cluster.wait_ready().unwrap();
    until_put(&one, Consistency::All).await;

    cluster.cut(3, Link::Peers).unwrap();
    assert!(!put(&one, Consistency::All).await, "node 3 heard of it");
    until_put(&one, Consistency::Quorum).await;
    // Clients reach it as before, and it has only itself.
    assert!(put(&three, Consistency::One).await);
    assert!(!put(&three, Consistency::Quorum).await);
    cluster.mend(3, Link::Peers).unwrap();
    until_put(&three, Consistency::All).await;

    cluster.cut(3, Link::Clients).unwrap();
    let refused = TcpStream::connect_timeout(&cluster.nodes()[2].address, Duration::from_secs(1));
    assert!(refused.is_err(), "a client came through");
    assert!(put(&one, Consistency::All).await, "the peers are cut off as well");
    cluster.mend(3, Link::Clients).unwrap();
    cluster.wait_ready().unwrap();

    let SocketAddr::V4(address) = cluster.nodes()[0].address else { panic!("an IPv6 node") };
    let [_, second, third, _] = address.ip().octets();
    let ours = format!("tb{:02x}{third:02x}", second - 18 + 64);
    drop(cluster);
    let left = Command::new("ip").args(["netns", "list"]).output().unwrap();
    let left = String::from_utf8_lossy(&left.stdout).into_owned();
    assert!(!left.contains(&ours), "{left}");
}
