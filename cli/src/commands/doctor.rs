//! `doctor`: a close look at the cluster of a store.

use std::fmt::{Display, Write};

use crate::backends::cql::{Doctor, Peer};

use crate::args::Global;
use crate::backends::cql;
use crate::exit::{Exit, Outcome};
use crate::output::Output;
use crate::session::Choice;

/// Says what is found, node by node; exit 1 if something is wrong.
pub(crate) async fn run(global: &Global, out: Output) -> Outcome {
    let config = Choice::new(global)?.scylla()?;
    let found = cql::doctor(&config).await?;
    out.result(text(&found), &found)?;
    Ok(if found.problems.is_empty() { Exit::Done } else { Exit::Failed })
}

fn text(found: &Doctor) -> String {
    let good = found.problems.is_empty();
    let verdict = if good { "nothing is wrong" } else { "something is wrong" };
    let mut text = format!("{verdict}  {} at {}", found.keyspace, found.contact_points.join(", "));
    let mut fact = |name: &str, value: Option<&dyn Display>| {
        if let Some(value) = value {
            let _ = write!(text, "\n  {name:<12} {value}");
        }
    };
    fact("server", found.dialect.as_ref().map(|value| value as _));
    fact("replication", found.replication.as_ref().map(|value| value as _));
    fact("local dc", found.local_dc.as_ref().map(|value| value as _));
    fact("consistency", Some(&found.consistency));
    fact("durability", Some(&found.durability));
    fact("schema", Some(&found.schema));
    for problem in &found.problems {
        fact("problem", Some(problem));
    }
    for peer in &found.peers {
        text.push_str(&of_peer(peer));
    }
    text
}

fn of_peer(peer: &Peer) -> String {
    let state = if peer.connected { "connected" } else { "not connected" };
    let mut text = format!("\n  node {}  {state}", peer.address);
    let mut fact = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            let _ = write!(text, "\n    {name:<12} {value}");
        }
    };
    fact("id", peer.host_id.map(|id| id.to_string()));
    fact("reached at", peer.connected_to.clone());
    fact("datacenter", peer.datacenter.clone());
    fact("rack", peer.rack.clone());
    fact("version", peer.version.clone());
    fact("shards", peer.connected.then(|| peer.shards.to_string()));
    fact("latency", peer.latency_ms.map(|ms| format!("{ms:.1} ms")));
    fact("schema", peer.schema_version.map(|version| version.to_string()));
    fact("clock ahead", peer.clock_ahead_ms.map(|ms| format!("{ms:.1} ms")));
    fact("trouble", peer.trouble.clone());
    text
}
