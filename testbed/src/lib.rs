//! Real CQL clusters for tests and for people: started, broken and stopped on one machine.
//!
//! A fake server proves nothing about a database, so tests of the ScyllaDB backend run on
//! this: several real nodes, in one or more datacenters, that can be paused, killed, started
//! again and cut off. `docs/testbed.md` tells where clusters come from, which variables
//! there are and what has been run.
//!
//! ```no_run
//! # fn main() -> testbed::Result<()> {
//! let options = testbed::Options::nodes(3)?;
//! let cluster = testbed::Cluster::start(&options)?;
//! let builder = cluster.session_builder()?; // of the `scylla` crate
//! cluster.kill(2)?;
//! cluster.start_node(2)?;
//! # drop(builder);
//! # Ok(())
//! # } // Here the nodes end, and their files go.
//! ```
//!
//! A test says [`for_tests::cluster`] instead: it fails where no cluster can be had, and
//! reports a skip where the user wants none.
//!
//! [`IpfsClusterPeer`] is a real peer of ipfs-cluster, for what moves pins out of one.
//!
//! The rooms: `cluster` is the guard, `stored` are clusters that stay; `source` picks one of
//! `external`, `docker` and `cassandra`, which are `fleet`s; `keeper` cleans up after this
//! process, `range` keeps clusters apart, `ready` waits for them; `certs` and `tls` make and
//! check certificates, `partition` cuts links. [`certify`] asks a server what it answers.
//!
//! Linux alone: it needs `/proc` and the whole of 127.0.0.0/8.

mod access;
mod cassandra;
pub mod certify;
mod certs;
mod cluster;
mod docker;
mod error;
mod external;
mod fleet;
pub mod for_tests;
mod keeper;
mod options;
mod partition;
mod paths;
mod peer;
mod process;
mod range;
mod ready;
mod source;
mod stored;
mod tls;
mod topology;

pub use access::{Access, Login, TlsFiles};
pub use certs::{NodeCertificate, node_name};
pub use cluster::Cluster;
pub use error::{Error, Result};
pub use fleet::{Node, NodeState};
pub use options::{Options, Tls};
pub use partition::Link;
pub use peer::IpfsClusterPeer;
pub use topology::{MAX_NODES, Topology};
