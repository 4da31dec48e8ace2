//! Load balancing: which node is asked.
//!
//! [`Demoting`] is the driver's own policy (token-aware, datacenter-aware) with silent
//! nodes last, and those that are cut off from their peers. [`Ordered`] asks given nodes in
//! the given order: a page of a scan goes to a replica of its range, a change of the schema to
//! one node for everybody.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use scylla::cluster::{ClusterState, NodeRef};
use scylla::errors::{DbError, RequestAttemptError};
use scylla::policies::load_balancing::{FallbackPlan, LoadBalancingPolicy, RoutingInfo};
use scylla::routing::Shard;
use uuid::Uuid;

use crate::watch::Watch;

tokio::task_local! {
    /// The node that the request which is under way went to last: the driver does not tell
    /// whom a request waited for in vain.
    static ASKED: Cell<Option<Uuid>>;
}

/// Does a request that may be repeated: an attempt by [`Demoting::last`] in there goes to
/// another node than the one before, if there is any.
pub(crate) fn attempts<F: Future>(request: F) -> impl Future<Output = F::Output> {
    ASKED.scope(Cell::new(None), request)
}

/// The request under way goes to this node.
fn asks(node: NodeRef<'_>) {
    // Not all requests are repeated.
    _ = ASKED.try_with(|asked| asked.set(Some(node.host_id)));
}

/// Another policy, with silent nodes last.
#[derive(Debug)]
pub(crate) struct Demoting {
    inner: Arc<dyn LoadBalancingPolicy>,
    watch: Arc<Watch>,
    /// Whether requests may be used to find out if a silent node is back.
    tries: bool,
}

impl Demoting {
    /// For first attempts.
    pub(crate) fn new(inner: Arc<dyn LoadBalancingPolicy>, watch: Arc<Watch>) -> Self {
        Self { inner, watch, tries: true }
    }

    /// For attempts after which there is no other; see [`attempts`].
    pub(crate) fn last(inner: Arc<dyn LoadBalancingPolicy>, watch: Arc<Watch>) -> Self {
        Self { inner, watch, tries: false }
    }
}

/// Tells the watch what an error shows of a node. Any answer shows that it is there; that it
/// waited for its peers in vain, or did not even try, shows that it may be cut off from them.
fn take_note(watch: &Watch, node: Uuid, error: &RequestAttemptError) {
    match error {
        RequestAttemptError::DbError(
            DbError::Unavailable { .. }
            | DbError::ReadTimeout { .. }
            | DbError::WriteTimeout { .. },
            _,
        ) => watch.hampered(node),
        RequestAttemptError::DbError(..) => watch.answered(node),
        _ => {}
    }
}

impl LoadBalancingPolicy for Demoting {
    fn pick<'a>(
        &'a self,
        request: &'a RoutingInfo<'_>,
        cluster: &'a ClusterState,
    ) -> Option<(NodeRef<'a>, Option<Shard>)> {
        let first = self.inner.pick(request, cluster)?;
        let before = if self.tries { None } else { ASKED.try_with(Cell::get).ok().flatten() };
        let again = before == Some(first.0.host_id);
        if !again && !self.watch.avoid(first.0.host_id, self.tries) {
            asks(first.0);
            return Some(first);
        }
        let others = || {
            let plan = self.inner.fallback(request, cluster);
            plan.filter(|(node, _)| node.is_connected() && before != Some(node.host_id))
        };
        let heard = others().find(|(node, _)| !self.watch.is_silent(node.host_id));
        let other = if again { heard.or_else(|| others().next()) } else { heard };
        if let Some((node, _)) = other {
            self.watch.avoid(node.host_id, self.tries);
        }
        let chosen = other.unwrap_or(first);
        asks(chosen.0);
        Some(chosen)
    }

    fn fallback<'a>(
        &'a self,
        request: &'a RoutingInfo<'_>,
        cluster: &'a ClusterState,
    ) -> FallbackPlan<'a> {
        let plan = self.inner.fallback(request, cluster);
        if !self.watch.any_silent() {
            return Box::new(plan.inspect(|(node, _)| asks(node)));
        }
        let (silent, others): (Vec<_>, Vec<_>) =
            plan.partition(|(node, _)| self.watch.is_silent(node.host_id));
        Box::new(others.into_iter().chain(silent).inspect(|(node, _)| asks(node)))
    }

    fn on_request_success(&self, request: &RoutingInfo<'_>, latency: Duration, node: NodeRef<'_>) {
        self.watch.answered(node.host_id);
        self.inner.on_request_success(request, latency, node);
    }

    fn on_request_failure(
        &self,
        request: &RoutingInfo<'_>,
        latency: Duration,
        node: NodeRef<'_>,
        error: &RequestAttemptError,
    ) {
        take_note(&self.watch, node.host_id, error);
        self.inner.on_request_failure(request, latency, node, error);
    }

    fn name(&self) -> String {
        format!("Demoting({})", self.inner.name())
    }
}

/// These nodes, in this order, as far as they are connected.
#[derive(Debug)]
pub(crate) struct Ordered {
    nodes: Vec<Uuid>,
    watch: Arc<Watch>,
}

impl Ordered {
    pub(crate) fn new(nodes: Vec<Uuid>, watch: Arc<Watch>) -> Self {
        Self { nodes, watch }
    }

    fn connected<'a>(
        &'a self,
        cluster: &'a ClusterState,
    ) -> impl Iterator<Item = (NodeRef<'a>, Option<Shard>)> {
        let known = self.nodes.iter().filter_map(|id| cluster.get_node_by_host_id(*id));
        known.filter(|node| node.is_connected()).map(|node| (node, None))
    }
}

impl LoadBalancingPolicy for Ordered {
    fn pick<'a>(
        &'a self,
        _request: &'a RoutingInfo<'_>,
        cluster: &'a ClusterState,
    ) -> Option<(NodeRef<'a>, Option<Shard>)> {
        self.connected(cluster).next()
    }

    fn fallback<'a>(
        &'a self,
        _request: &'a RoutingInfo<'_>,
        cluster: &'a ClusterState,
    ) -> FallbackPlan<'a> {
        Box::new(self.connected(cluster))
    }

    fn on_request_success(&self, _request: &RoutingInfo<'_>, _took: Duration, node: NodeRef<'_>) {
        self.watch.answered(node.host_id);
    }

    fn on_request_failure(
        &self,
        _request: &RoutingInfo<'_>,
        _took: Duration,
        node: NodeRef<'_>,
        error: &RequestAttemptError,
    ) {
        take_note(&self.watch, node.host_id, error);
    }

    fn name(&self) -> String {
        "Ordered".to_owned()
    }
}
