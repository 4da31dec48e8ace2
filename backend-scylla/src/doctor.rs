//! A close look at the cluster, for whoever has to find out why something does not work.
//! It opens a session of its own, works as far as it gets, and says what it found.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use pinstate_core::Result;
use scylla::client::session::Session;
use scylla::cluster::Node;
use scylla::policies::load_balancing::{NodeIdentifier, SingleTargetLoadBalancingPolicy};
use scylla::response::query_result::QueryRowsResult;
use scylla::statement::unprepared::Statement;
use scylla::value::CqlTimestamp;
use serde::Serialize;
use uuid::Uuid;

use crate::config::ScyllaConfig;
use crate::health::{agreement, unmet};
use crate::open::{Reached, reach, too_few_nodes};
use crate::schema::{Dialect, Replication};
use crate::store::durability_note;
use crate::translate::Translation;

/// What was found.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[non_exhaustive]
pub struct Doctor {
    /// Where it was looked.
    pub contact_points: Vec<String>,
    /// What does not work, or will not for long. Empty is good.
    pub problems: Vec<String>,
    /// The kind of server.
    pub dialect: Option<Dialect>,
    /// The keyspace.
    pub keyspace: String,
    /// Its replicas in each datacenter.
    pub replication: Option<Replication>,
    /// The datacenter that requests go to.
    pub local_dc: Option<String>,
    /// What reads and writes wait for, and whether that can be met now.
    pub consistency: String,
    /// What an acknowledged write is safe from.
    pub durability: String,
    /// Whether the nodes agree on the schema.
    pub schema: String,
    /// The nodes.
    pub peers: Vec<Peer>,
}

/// A node.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[non_exhaustive]
pub struct Peer {
    /// Its id.
    pub host_id: Option<Uuid>,
    /// The address that it goes by in the cluster.
    pub address: String,
    /// The address that the driver is connected to.
    pub connected_to: Option<String>,
    /// Its datacenter.
    pub datacenter: Option<String>,
    /// Its rack.
    pub rack: Option<String>,
    /// The version of its server, as far as it may be known.
    pub version: Option<String>,
    /// Whether it answers.
    pub connected: bool,
    /// Why not.
    pub trouble: Option<String>,
    /// Its shards; a Cassandra node has one.
    pub shards: u16,
    /// How long it took to answer, in milliseconds.
    pub latency_ms: Option<f64>,
    /// The version of its schema.
    pub schema_version: Option<Uuid>,
    /// How far its clock is ahead of this machine's, in milliseconds, give or take half
    /// the latency.
    pub clock_ahead_ms: Option<f64>,
}

/// A clock that is further off than this is told as a problem: versions come from clocks.
const CLOCK_TOLERANCE_MS: f64 = 1_000.0;

/// Looks at the cluster that a configuration names.
///
/// # Errors
/// `Config` for a configuration that nothing can be done with. Everything else that goes
/// wrong is part of the report.
pub async fn doctor(config: &ScyllaConfig) -> Result<Doctor> {
    let mut report = Doctor {
        contact_points: config.contact_points(),
        problems: Vec::new(),
        dialect: None,
        keyspace: config.keyspace.clone(),
        replication: None,
        local_dc: config.datacenter().map(str::to_owned),
        consistency: config.consistency.to_string(),
        durability: durability_note(config.consistency, None),
        schema: "not known".to_owned(),
        peers: Vec::new(),
    };
    config.check()?;
    let reached = match reach(config).await {
        Ok(reached) => reached,
        Err(error) => {
            report.problems.push(error.to_string());
            for host in config.contact_points() {
                report.peers.push(unreached(&host, config.connect_timeout.0).await);
            }
            return Ok(report);
        }
    };
    report.dialect = Some(reached.dialect);
    report.local_dc.clone_from(&reached.local);
    let commitlog = commitlog(&reached).await;
    report.durability = durability_note(config.consistency, commitlog.as_deref());
    let cluster = reached.session.get_cluster_state();
    for node in cluster.get_nodes_info() {
        report.peers.push(peer(&reached, node, config).await);
    }
    match reached.facts(config).await {
        Ok(facts) => {
            let level = config.consistency;
            let (bad, all) = unmet(&cluster, &facts, &config.keyspace, level, &reached.watch);
            report.consistency = if bad == 0 {
                format!("{level}, which can be met")
            } else {
                format!("{level}, which cannot be met for {bad} of {all} parts of the ring")
            };
            if bad > 0 {
                report.problems.push(format!("consistency {}", report.consistency));
            }
            report.problems.extend(too_few_nodes(&facts.replication, &facts.datacenters));
            report.replication = Some(facts.replication);
        }
        Err(error) => report.problems.push(error.to_string()),
    }
    let (_, agreed) = agreement(&reached.session).await;
    if agreed != "agreed" {
        report.problems.push(format!("schema: {agreed}"));
    }
    report.schema = agreed;
    for peer in &report.peers {
        if let Some(trouble) = &peer.trouble {
            report.problems.push(format!("{}: {trouble}", peer.address));
        }
        if let Some(ahead) = peer.clock_ahead_ms.filter(|ms| ms.abs() > CLOCK_TOLERANCE_MS) {
            report.problems.push(format!(
                "{}: its clock differs from this machine's by {ahead:.0} ms",
                peer.address
            ));
        }
    }
    Ok(report)
}

/// Asks one node.
async fn ask(
    session: &Session,
    node: &Arc<Node>,
    text: &str,
    limit: Duration,
) -> std::result::Result<(QueryRowsResult, SocketAddr), String> {
    let mut statement = Statement::new(text);
    statement.set_consistency(scylla::statement::Consistency::One);
    statement.set_request_timeout(Some(limit));
    let target = NodeIdentifier::Node(Arc::clone(node));
    statement.set_load_balancing_policy(Some(SingleTargetLoadBalancingPolicy::new(target, None)));
    let result = session.query_unpaged(statement, ()).await.map_err(|e| e.to_string())?;
    let address = result.request_coordinator().connection_address();
    Ok((result.into_rows_result().map_err(|e| e.to_string())?, address))
}

async fn peer(reached: &Reached, node: &Arc<Node>, config: &ScyllaConfig) -> Peer {
    let mut peer = Peer {
        host_id: Some(node.host_id),
        address: node.address.to_string(),
        connected_to: None,
        datacenter: node.datacenter.clone(),
        rack: node.rack.clone(),
        version: None,
        connected: node.is_connected(),
        trouble: None,
        shards: node.sharder().map_or(1, |sharder| sharder.nr_shards.get()),
        latency_ms: None,
        schema_version: None,
        clock_ahead_ms: None,
    };
    let session = &reached.session;
    let limit = config.attempt();
    if !peer.connected {
        let reached_at = Translation::of(&config.address_translation).ok();
        let reached_at = reached_at.and_then(|rules| rules.of_text(&peer.address));
        let address = reached_at.as_ref().unwrap_or(&peer.address);
        peer.trouble = Some(not_connected(address, config.connect_timeout.0).await);
        return peer;
    }
    let text = "SELECT release_version, schema_version, totimestamp(now()) FROM system.local";
    let began = Instant::now();
    let sent = SystemTime::now();
    match ask(session, node, text, limit).await {
        Err(error) => {
            peer.connected = false;
            peer.trouble = Some(format!("connected, and does not answer: {error}"));
            return peer;
        }
        Ok((rows, address)) => {
            let took = began.elapsed();
            peer.connected_to = Some(address.to_string());
            peer.latency_ms = Some(took.as_secs_f64() * 1_000.0);
            type Row = (Option<String>, Option<Uuid>, Option<CqlTimestamp>);
            if let Ok((version, schema, now)) = rows.first_row::<Row>() {
                peer.version = version;
                peer.schema_version = schema;
                let middle = sent.duration_since(UNIX_EPOCH).unwrap_or_default() + took / 2;
                peer.clock_ahead_ms =
                    now.map(|CqlTimestamp(ms)| ms as f64 - middle.as_secs_f64() * 1_000.0);
            }
        }
    }
    if reached.dialect == Dialect::Scylla {
        // The other version is that of the Cassandra it once looked like. This one needs a
        // grant, so it may be missing.
        let text = "SELECT version FROM system.versions";
        let version = ask(session, node, text, limit).await.ok();
        let version = version.and_then(|(rows, _)| Some(rows.first_row::<(String,)>().ok()?.0));
        peer.version = version;
    }
    peer
}

/// What can be said of a node without speaking its protocol.
async fn not_connected(address: &str, limit: Duration) -> String {
    match tokio::time::timeout(limit, tokio::net::TcpStream::connect(address)).await {
        Ok(Ok(_)) => "takes connections, and the driver could not log in or got no answer: is \
                      the node silent, TLS or the login wrong?"
            .to_owned(),
        Ok(Err(error)) => format!("not reachable: {error}"),
        Err(_) => format!("not reachable: no answer within {} ms", limit.as_millis()),
    }
}

async fn unreached(host: &str, limit: Duration) -> Peer {
    Peer {
        host_id: None,
        address: host.to_owned(),
        connected_to: None,
        datacenter: None,
        rack: None,
        version: None,
        connected: false,
        trouble: Some(not_connected(host, limit).await),
        shards: 0,
        latency_ms: None,
        schema_version: None,
        clock_ahead_ms: None,
    }
}

/// When nodes sync their commit logs, where the role may know it.
async fn commitlog(reached: &Reached) -> Option<String> {
    let text = match reached.dialect {
        Dialect::Scylla => "SELECT value FROM system.config WHERE name = 'commitlog_sync'",
        Dialect::Cassandra => {
            "SELECT value FROM system_views.settings WHERE name = 'commitlog_sync'"
        }
    };
    let rows = crate::open::rows::<(Option<String>,)>(&reached.session, text.to_owned()).await;
    let value = rows.ok()?.into_iter().next()?.0?;
    Some(value.trim_matches('"').to_lowercase())
}
