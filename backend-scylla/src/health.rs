//! How a store is now, found out without writing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use pinstate_core::{Health, Operation, Result};
use scylla::client::session::Session;
use scylla::cluster::ClusterState;
use scylla::routing::Token;
use uuid::Uuid;

use crate::catalog::{Catalog, Space};
use crate::config::Level;
use crate::core::Core;
use crate::grace;
use crate::open::Facts;
use crate::watch::Watch;

/// Longest wait for the nodes to say which schema they have.
const AGREEMENT: Duration = Duration::from_secs(5);

/// How many replicas must answer, of those that a record has: all of them, and those in
/// the local datacenter.
fn needed(level: Level, all: usize, local: usize) -> (usize, bool) {
    match level {
        Level::One => (1, false),
        Level::Two => (2, false),
        Level::Three => (3, false),
        Level::Quorum | Level::EachQuorum => (all / 2 + 1, false),
        Level::All => (all, false),
        Level::LocalOne => (1, true),
        Level::LocalQuorum => (local / 2 + 1, true),
    }
}

/// A replica, as far as a level is concerned.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Replica {
    pub(crate) local: bool,
    pub(crate) reachable: bool,
}

/// Whether replicas can meet a level.
pub(crate) fn can_meet(level: Level, replicas: &[Replica]) -> bool {
    let local = replicas.iter().filter(|replica| replica.local).count();
    let (needed, only_local) = needed(level, replicas.len(), local);
    let counted = replicas.iter().filter(|r| r.reachable && (r.local || !only_local)).count();
    counted >= needed
}

/// Of how many parts of the ring the level cannot be met, and how many there are.
pub(crate) fn unmet(
    cluster: &ClusterState,
    facts: &Facts,
    keyspace: &str,
    level: Level,
    watch: &Watch,
) -> (usize, usize) {
    let local = |dc: Option<&str>| facts.local.as_deref().is_none_or(|local| dc == Some(local));
    if facts.tablets {
        // The driver knows only the tablets that it has met, so it is taken that whatever
        // is out of reach has replicas of one record.
        let replicas = worst(facts, &by_datacenter(cluster, watch));
        return (usize::from(!can_meet(level, &replicas)), 1);
    }
    let (mut bad, mut all) = (0, 0);
    for (token, _) in cluster.replica_locator().ring().iter() {
        let owners = cluster.get_token_endpoints(keyspace, "", Token::new(token.value()));
        let replicas: Vec<Replica> = owners
            .iter()
            .map(|(node, _)| Replica {
                local: local(node.datacenter.as_deref()),
                reachable: node.is_connected() && !watch.is_mute(node.host_id),
            })
            .collect();
        all += 1;
        bad += usize::from(!can_meet(level, &replicas));
    }
    (bad, all)
}

/// The replicas of a record that has as many as can be on nodes that are out of reach.
fn worst(facts: &Facts, nodes: &BTreeMap<String, (usize, usize)>) -> Vec<Replica> {
    let mut replicas = Vec::new();
    for dc in facts.replication.datacenters() {
        let (reachable, all) = nodes.get(dc).copied().unwrap_or_default();
        let count = facts.replication.of(dc) as usize;
        let lost = count.min(all - reachable);
        let local = facts.local.as_deref().is_none_or(|local| local == dc);
        replicas.extend((0..count).map(|i| Replica { local, reachable: i >= lost }));
    }
    replicas
}

/// Nodes by datacenter: reachable, and all.
fn by_datacenter(cluster: &ClusterState, watch: &Watch) -> BTreeMap<String, (usize, usize)> {
    let mut counts: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for node in cluster.get_nodes_info() {
        let dc = node.datacenter.clone().unwrap_or_else(|| "?".to_owned());
        let entry = counts.entry(dc).or_default();
        entry.0 += usize::from(node.is_connected() && !watch.is_mute(node.host_id));
        entry.1 += 1;
    }
    counts
}

/// Whether the nodes agree on the schema, in words.
pub(crate) async fn agreement(session: &Session) -> (Option<Uuid>, String) {
    match tokio::time::timeout(AGREEMENT, session.check_schema_agreement()).await {
        Ok(Ok(Some(version))) => (Some(version), "agreed".to_owned()),
        Ok(Ok(None)) => (None, "nodes differ".to_owned()),
        Ok(Err(error)) => (None, format!("cannot be asked: {error}")),
        Err(_) => (None, "no answer in time".to_owned()),
    }
}

/// The health of a store.
pub(crate) async fn health(core: &Core) -> Result<Health> {
    let operation = Operation::Health;
    let session = core.session(operation)?;
    let cluster = session.get_cluster_state();
    let (config, facts) = (&core.config, &core.facts);
    let level = config.consistency;
    let (bad, all) = unmet(&cluster, facts, &config.keyspace, level, &core.watch);
    let met = bad == 0;
    // One that a full store must still be able to answer: not under the limit.
    let catalog = Catalog::of(Arc::clone(&session), &core.control);
    let control = catalog.get(Space::Store, "store", operation).await;
    let control_text = match &control {
        Ok(Some(_)) => "readable".to_owned(),
        Ok(None) => "the store's own record is gone".to_owned(),
        Err(error) => error.to_string(),
    };
    let consistency = if met {
        format!("{level} can be met")
    } else {
        format!("{level} cannot be met for {bad} of {all} parts of the ring")
    };
    let mut health = Health::ready();
    health.ready = met && matches!(control, Ok(Some(_)));
    health = health
        .with_detail("server", facts.dialect.to_string())
        .with_detail("keyspace", config.keyspace.clone())
        .with_detail("replication", facts.replication.to_string())
        .with_detail("consistency", consistency)
        .with_detail("control", control_text)
        .with_detail("schema", agreement(&session).await.1);
    // Good to know, and no matter of being ready.
    let grace = grace::details(&session, &config.keyspace, facts.dialect).await;
    let grace = grace.unwrap_or_else(|error| vec![("gc_grace_seconds", error.to_string())]);
    for (name, text) in grace {
        health = health.with_detail(name, text);
    }
    for (dc, (reachable, nodes)) in by_datacenter(&cluster, &core.watch) {
        let note = if facts.local.as_deref() == Some(dc.as_str()) { ", local" } else { "" };
        let text = format!("{reachable} of {nodes} nodes reachable{note}");
        health = health.with_detail(format!("dc {dc}"), text);
    }
    if let Some(level) = config.degraded_reads {
        let reads = crate::store::load(&core.counters.degraded_reads);
        health =
            health.with_detail("degraded reads", format!("at {level} if need be, {reads} so far"));
    }
    Ok(health)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{Dialect, Replication};

    #[test]
    fn with_tablets_the_worst_is_assumed() {
        let facts = Facts {
            dialect: Dialect::Scylla,
            datacenters: BTreeMap::new(),
            local: Some("dc1".into()),
            replication: Replication::parse("dc1=3,dc2=2").unwrap(),
            tablets: true,
        };
        let met = |reachable, level| {
            let nodes = [("dc1".to_owned(), (reachable, 6)), ("dc2".to_owned(), (2, 2))];
            can_meet(level, &worst(&facts, &nodes.into()))
        };
        assert!(met(6, Level::All) && met(5, Level::LocalQuorum));
        assert!(!met(4, Level::LocalQuorum) && !met(5, Level::All));
        assert!(met(4, Level::Quorum) && !met(3, Level::Quorum));
    }

    #[test]
    fn levels_need_what_the_protocol_says() {
        let replica = |local, reachable| Replica { local, reachable };
        let two_of_three = [replica(true, true), replica(true, true), replica(true, false)];
        let one_of_three = [replica(true, true), replica(true, false), replica(true, false)];
        let local_gone = [replica(true, false), replica(false, true), replica(false, true)];
        for (level, replicas, expected) in [
            (Level::LocalQuorum, &two_of_three, true),
            (Level::LocalQuorum, &one_of_three, false),
            (Level::LocalOne, &one_of_three, true),
            (Level::All, &two_of_three, false),
            (Level::Quorum, &local_gone, true),
            (Level::LocalQuorum, &local_gone, false),
            (Level::One, &local_gone, true),
            (Level::Three, &two_of_three, false),
            (Level::Two, &two_of_three, true),
        ] {
            assert_eq!(can_meet(level, replicas), expected, "{level} {replicas:?}");
        }
    }
}
