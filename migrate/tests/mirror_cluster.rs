//! From an embedded store to a cluster of three nodes and back, killed all the time.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "a report, and the pipe to the parent")]

mod kills;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use kills::Targets;
use pinstate_core::Store;
use pinstate_core::layer::Layers;
use pinstate_scylla::{GoDuration, ScyllaConfig, ScyllaStore};
use testbed::{Cluster, Options};

/// Keyspaces of a cluster, one a run.
struct Keyspaces {
    cluster: Cluster,
    made: u32,
}

impl Targets for Keyspaces {
    fn next(&mut self) -> String {
        self.made += 1;
        let hosts = &self.cluster.access().contact_points;
        let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
        format!("mirror_{} {}", self.made, hosts.join(" "))
    }
}

async fn open(target: String) -> Arc<dyn Store> {
    let mut words = target.split(' ').map(str::to_owned);
    let keyspace = words.next().unwrap();
    let mut config = ScyllaConfig::new(words, keyspace).with_local_dc("dc1").create("dc1=3");
    // With patience for a slow machine.
    config.timeout = GoDuration(Duration::from_secs(60));
    config.attempt_timeout = Some(GoDuration(Duration::from_secs(15)));
    let store = Arc::new(ScyllaStore::open(&config).await.unwrap());
    Layers::standard().apply(store)
}

fn main() -> ExitCode {
    kills::main(
        "mirror_cluster",
        20,
        |_, target| Box::pin(open(target)),
        || {
            let cluster = testbed::for_tests::or_skip(Cluster::start(&Options::nodes(3).unwrap()))?;
            Some(Keyspaces { cluster, made: 0 })
        },
    )
}
