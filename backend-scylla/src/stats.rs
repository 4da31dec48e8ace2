//! What a store is doing and has done, in numbers.

use std::collections::BTreeMap;
use std::time::Duration;

use pinstate_core::{Gauge, Operation};
use serde::Serialize;
use uuid::Uuid;

use crate::core::Core;
use crate::store::load;

/// Numbers of one opened store. Those that only grow begin with its opening.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub struct Stats {
    /// Requests about single records that are under way, pages included.
    pub under_way: usize,
    /// Most that may be.
    pub limit: usize,
    /// Requests that wait for a place.
    pub waiting: usize,
    /// Requests that had to wait for a place.
    pub waited: u64,
    /// How long they waited, in all.
    pub waited_for: Duration,
    /// Of these, those that were refused.
    pub refused: u64,
    /// Requests about single records.
    pub requests: u64,
    /// Of these, those whose first node did not answer in time, so that another was asked.
    pub silent_attempts: u64,
    /// Reads at a lower consistency than configured.
    pub degraded_reads: u64,
    /// Pages of scans.
    pub pages: u64,
    /// Of these, those that a replica of their range answered.
    pub pages_by_replica: u64,
    /// Attempts at a page that failed.
    pub page_failures: u64,
    /// Control writes whose answer left open what happened.
    pub ambiguous_control_writes: u64,
    /// Nodes that are silent now, or do not reach their peers, and are asked last.
    pub silent_nodes: Vec<Uuid>,
    /// How often a node was found to be so.
    pub demotions: u64,
    /// How often each node, as coordinator, answered a request.
    pub answers: BTreeMap<Uuid, u64>,
}

impl Stats {
    pub(crate) fn of(core: &Core) -> Self {
        let (waited, refused) = core.limit.counts();
        let counters = &core.counters;
        Self {
            under_way: core.limit.under_way(),
            limit: core.limit.total(),
            waiting: core.limit.waiting(),
            waited,
            waited_for: core.limit.waited_for(),
            refused,
            requests: load(&counters.requests),
            silent_attempts: load(&counters.silent_attempts),
            degraded_reads: load(&counters.degraded_reads),
            pages: load(&counters.pages),
            pages_by_replica: load(&counters.pages_by_replica),
            page_failures: load(&counters.page_failures),
            ambiguous_control_writes: load(&counters.ambiguous_control_writes),
            silent_nodes: core.watch.silent(),
            demotions: core.watch.demotions(),
            answers: core.watch.answers(),
        }
    }
}

/// The same for whoever counts, with what the driver knows of the cluster. None once the store
/// is closed.
pub(crate) fn gauges(core: &Core) -> Vec<(Gauge, f64)> {
    let Ok(session) = core.session(Operation::Health) else { return Vec::new() };
    let stats = Stats::of(core);
    let cluster = session.get_cluster_state();
    let nodes = cluster.get_nodes_info();
    let reachable = nodes
        .iter()
        .filter(|node| node.is_connected() && !core.watch.is_mute(node.host_id))
        .count();
    vec![
        (Gauge::Connections, session.get_metrics().get_total_connections() as f64),
        (Gauge::Nodes, nodes.len() as f64),
        (Gauge::NodesReachable, reachable as f64),
        (Gauge::NodesDemoted, stats.silent_nodes.len() as f64),
        (Gauge::NodeDemotions, stats.demotions as f64),
        (Gauge::RequestsUnderWay, stats.under_way as f64),
        (Gauge::RequestsLimit, stats.limit as f64),
        (Gauge::RequestsWaiting, stats.waiting as f64),
        (Gauge::Requests, stats.requests as f64),
        (Gauge::RequestWaits, stats.waited as f64),
        (Gauge::RequestWaitSeconds, stats.waited_for.as_secs_f64()),
        (Gauge::RequestRefusals, stats.refused as f64),
        (Gauge::SecondNodeRequests, stats.silent_attempts as f64),
        (Gauge::DegradedReads, stats.degraded_reads as f64),
        (Gauge::ScanPageFailures, stats.page_failures as f64),
        (Gauge::AmbiguousControlWrites, stats.ambiguous_control_writes as f64),
    ]
}
