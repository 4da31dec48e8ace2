//! The test bed on itself: real nodes, broken and mended, and nothing left behind.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::net::TcpStream;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use testbed::{Cluster, NodeCertificate, NodeState, Options, Tls, for_tests};

/// One test at a time, so that a small machine holds the nodes.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many nodes run with their files in that folder.
fn processes_of(folder: &str) -> usize {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let arguments = entries.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    let main = "org.apache.cassandra.service.CassandraDaemon";
    let ours = |arguments: &Vec<u8>| {
        let arguments = String::from_utf8_lossy(arguments);
        arguments.contains(main) && arguments.contains(folder)
    };
    arguments.filter(ours).count()
}

fn folder_of(cluster: &Cluster) -> PathBuf {
    let log = cluster.nodes()[0].log.as_ref().unwrap();
    log.parent().unwrap().parent().unwrap().to_path_buf()
}

fn answers(cluster: &Cluster) -> Result<String, String> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let session = cluster.session_builder().unwrap().build().await;
        let session = session.map_err(|e| e.to_string())?;
        let rows = session.query_unpaged("SELECT cluster_name FROM system.local", &[]).await;
        let rows = rows.map_err(|e| e.to_string())?.into_rows_result().unwrap();
        Ok(rows.single_row::<(String,)>().unwrap().0)
    })
}

#[test]
fn nodes_are_silenced_killed_and_brought_back() {
    let _alone = alone();
    let options = Options::topology("dc1:1,dc2:1".parse().unwrap());
    let Some(cluster) = for_tests::cluster(&options) else { return };
    let Some(()) = for_tests::or_skip(cluster.can_break()) else { return };
    assert_eq!(cluster.datacenters(), ["dc1", "dc2"]);
    answers(&cluster).unwrap();

    cluster.pause(2).unwrap();
    while cluster.state(2).unwrap() != NodeState::Paused {}
    // The kernel still accepts, and nobody answers.
    TcpStream::connect(cluster.nodes()[1].address).unwrap();
    assert!(cluster.wait_for_node(2).is_err());
    cluster.resume(2).unwrap();
    cluster.wait_ready().unwrap();

    cluster.kill(2).unwrap();
    assert_eq!(cluster.state(2).unwrap(), NodeState::Dead);
    assert!(TcpStream::connect(cluster.nodes()[1].address).is_err());
    assert!(cluster.start_node(1).unwrap_err().to_string().contains("not dead"));
    cluster.start_node(2).unwrap();
    cluster.wait_ready().unwrap();
    assert!(cluster.kill(3).unwrap_err().to_string().contains("no node 3 of 2"));

    let folder = folder_of(&cluster);
    assert_eq!(processes_of(folder.to_str().unwrap()), 2);
    // A paused node must not survive either.
    cluster.pause(1).unwrap();
    drop(cluster);
    assert_eq!(processes_of(folder.to_str().unwrap()), 0);
    assert!(!folder.exists());
}

#[test]
fn a_panic_ends_the_cluster_and_keeps_its_logs() {
    let _alone = alone();
    let options = Options::nodes(1).unwrap();
    let Some(cluster) = for_tests::cluster(&options) else { return };
    let Some(()) = for_tests::or_skip(cluster.can_break()) else { return };
    let folder = folder_of(&cluster);
    let failed = std::panic::catch_unwind(AssertUnwindSafe(move || {
        let _cluster = cluster;
        panic!("as a test that fails");
    }));
    assert!(failed.is_err());
    assert_eq!(processes_of(folder.to_str().unwrap()), 0);
    let log = std::fs::read_to_string(folder.join("node1/node.log")).unwrap();
    assert!(log.contains("Starting listening for CQL clients"));
    assert!(!folder.join("node1/data").exists());
    std::fs::remove_dir_all(folder).unwrap();
}

/// Not a test of its own: the test below runs it in a process that it kills.
#[test]
fn a_test_that_is_killed() {
    let Some(path) = std::env::var_os("TESTBED_KILLED") else { return };
    let cluster = Cluster::start(&Options::nodes(1).unwrap()).unwrap();
    std::fs::write(path, folder_of(&cluster).to_str().unwrap()).unwrap();
    loop {
        std::thread::park();
    }
}

#[test]
fn a_killed_test_leaves_nothing_behind() {
    let _alone = alone();
    let Some(cluster) = for_tests::cluster(&Options::nodes(1).unwrap()) else { return };
    let Some(()) = for_tests::or_skip(cluster.can_break()) else { return };
    let told = tempfile::tempdir().unwrap();
    let told = told.path().join("folder");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_test_that_is_killed"])
        .env("TESTBED_KILLED", &told)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let folder = loop {
        match std::fs::read_to_string(&told) {
            Ok(folder) if !folder.is_empty() => break folder,
            _ => assert!(child.try_wait().unwrap().is_none(), "it ended before"),
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(processes_of(&folder), 1);
    child.kill().unwrap();
    child.wait().unwrap();
    // The keeper removes the folder last of all.
    while std::fs::exists(&folder).unwrap() {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(processes_of(&folder), 0);
    // The one beside it is another cluster, untouched.
    answers(&cluster).unwrap();
    assert_eq!(cluster.state(1).unwrap(), NodeState::Running);
}

#[test]
fn certificates_and_passwords_are_asked_for() {
    let _alone = alone();
    let tls = Tls::default()
        .require_client_certificate()
        .node(2, NodeCertificate::Expired)
        .node(3, NodeCertificate::DnsOnly);
    let options = Options::nodes(3).unwrap().with_auth().with_tls(tls);
    let Some(cluster) = for_tests::cluster(&options) else { return };
    let Some(()) = for_tests::or_skip(cluster.can_break()) else { return };
    answers(&cluster).unwrap();

    let runtime = tokio::runtime::Runtime::new().unwrap();
    let connect = |node: usize, change: fn(&mut testbed::Access)| {
        let mut access = cluster.access().clone();
        access.contact_points = vec![cluster.nodes()[node - 1].address];
        change(&mut access);
        let builder = access.session_builder().unwrap();
        runtime.block_on(async { builder.build().await.map(drop).map_err(|e| format!("{e:?}")) })
    };
    connect(1, |_| {}).unwrap();
    let refusals = [
        (2, "Expired", (|_| {}) as fn(&mut testbed::Access)),
        (3, "NotValidForName", |_| {}),
        (1, "UnknownIssuer", |access| {
            let tls = access.tls.as_mut().unwrap();
            tls.ca = tls.other_ca();
        }),
        (1, "BrokenConnection", |access| access.tls.as_mut().unwrap().client = None),
        (1, "AuthenticationError", |access| {
            access.login.as_mut().unwrap().password = "wrong".to_owned();
        }),
    ];
    for (node, expected, change) in refusals {
        let refused = connect(node, change).unwrap_err();
        assert!(refused.contains(expected), "node {node}: {refused} instead of {expected}");
    }
}
