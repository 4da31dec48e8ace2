//! What kind of cluster is wanted.

use serde::{Deserialize, Serialize};

use crate::certs::NodeCertificate;
use crate::error::Result;
use crate::topology::Topology;

/// What kind of cluster is wanted: made by [`Options::nodes`] or [`Options::topology`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Options {
    pub(crate) topology: Topology,
    pub(crate) heap_mib: usize,
    pub(crate) commitlog_segment_mib: usize,
    pub(crate) auth: bool,
    pub(crate) tls: Option<Tls>,
    pub(crate) partitions: bool,
}

/// TLS between clients and nodes: nothing else is spoken then.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Tls {
    pub(crate) client_certificate: bool,
    pub(crate) nodes: Vec<NodeCertificate>,
}

impl Tls {
    /// Refuse clients that show no certificate of the cluster's CA.
    #[must_use]
    pub fn require_client_certificate(mut self) -> Self {
        self.client_certificate = true;
        self
    }

    /// Another kind of certificate for node `number` than a good one.
    #[must_use]
    pub fn node(mut self, number: usize, kind: NodeCertificate) -> Self {
        let place = number.saturating_sub(1);
        if self.nodes.len() <= place {
            self.nodes.resize(place + 1, NodeCertificate::Good);
        }
        if let Some(slot) = self.nodes.get_mut(place) {
            *slot = kind;
        }
        self
    }

    pub(crate) fn kind(&self, place: usize) -> NodeCertificate {
        self.nodes.get(place).copied().unwrap_or_default()
    }
}

impl Options {
    /// `nodes` nodes in one datacenter, `dc1`.
    ///
    /// # Errors
    /// `Usage` unless there are 1 to [`MAX_NODES`](crate::MAX_NODES).
    pub fn nodes(nodes: usize) -> Result<Self> {
        Ok(Self::topology(Topology::single(nodes)?))
    }

    /// Nodes in the given datacenters.
    #[must_use]
    pub fn topology(topology: Topology) -> Self {
        Self {
            topology,
            heap_mib: 384,
            commitlog_segment_mib: 4,
            auth: false,
            tls: None,
            partitions: false,
        }
    }

    /// For values of up to 15 MiB: Cassandra takes one of half a commit log segment at most,
    /// and segments are small unless this is asked for.
    #[must_use]
    pub fn with_big_values(mut self) -> Self {
        self.commitlog_segment_mib = 32;
        self
    }

    /// Another heap for each node than 384 MiB.
    #[must_use]
    pub fn with_heap_mib(mut self, heap_mib: usize) -> Self {
        self.heap_mib = heap_mib;
        self
    }

    /// Ask clients for a role and a password, and check what the role may do. The first role
    /// is `cassandra` with that password, as in [`Access::login`](crate::Access::login).
    #[must_use]
    pub fn with_auth(mut self) -> Self {
        self.auth = true;
        self
    }

    /// Speak TLS with clients, and nothing else.
    #[must_use]
    pub fn with_tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Put every node into a network namespace, so that its links can be cut; see
    /// [`Cluster::cut`](crate::Cluster::cut). Needs root.
    #[must_use]
    pub fn with_partitions(mut self) -> Self {
        self.partitions = true;
        self
    }
}
