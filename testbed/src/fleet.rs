//! What every kind of cluster can do with its nodes.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::cassandra;
use crate::docker::Containers;
use crate::error::Result;
use crate::partition::Link;

/// What a node does at the moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NodeState {
    /// It runs, or is starting.
    Running,
    /// It was paused: it holds its connections and says nothing.
    Paused,
    /// It was killed, or died.
    Dead,
}

impl fmt::Display for NodeState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Dead => "dead",
        })
    }
}

/// One node as it was started.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Node {
    /// From 1.
    pub number: usize,
    /// Where clients reach it.
    pub address: SocketAddr,
    /// Its datacenter.
    pub datacenter: String,
    /// What it writes about itself, if this machine has it.
    pub log: Option<PathBuf>,
}

/// The nodes of one cluster, by their place: node 1 is at 0. Places are checked before.
pub(crate) trait Fleet: Send + Sync + fmt::Debug {
    fn state(&self, place: usize) -> Result<NodeState>;
    /// The node falls silent.
    fn pause(&self, place: usize) -> Result<()>;
    fn resume(&self, place: usize) -> Result<()>;
    /// The node dies at once, as by a power cut that the disks survive.
    fn kill(&self, place: usize) -> Result<()>;
    /// The node ends as it is meant to, with all that it has on its disk; returns when it is gone.
    fn end(&self, place: usize) -> Result<()>;
    /// A dead node is started on its data; not waited for.
    fn start(&self, place: usize) -> Result<()>;
    /// Ends all nodes and returns when they are gone.
    fn stop(&self);
    /// Why nodes cannot be paused or killed here, if they cannot.
    fn can_break(&self) -> Result<()>;
    /// Cuts a link of the node, or makes it whole.
    fn link(&self, place: usize, link: Link, whole: bool) -> Result<()>;
    /// The end of the node's log.
    fn last_words(&self, place: usize) -> String;
    /// What a later run needs to find the nodes again, unless they are not ours.
    fn record(&self) -> Option<FleetRecord>;
}

/// What a later run needs to find the nodes again.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FleetRecord {
    Cassandra(cassandra::Record),
    Docker(Containers),
}
