//! When a cluster is there: every node answers CQL, knows all others, and they agree.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use scylla::client::session::Session;
use scylla::policies::host_filter::AllowListHostFilter;
use scylla::value::CqlValue;

use crate::access::Access;
use crate::error::{Error, Result};

/// Between two looks at a node that is not ready.
const PAUSE: Duration = Duration::from_millis(100);
/// For one look.
const LOOK: Duration = Duration::from_secs(5);

/// Waits until every one of `nodes` answers and lists all others of the `total` that the
/// cluster has. `alive` is asked between looks and fails when a node has died.
pub(crate) fn wait(
    access: &Access,
    nodes: &[SocketAddr],
    total: usize,
    patience: Duration,
    alive: impl Fn() -> Result<()> + Send,
) -> Result<()> {
    let until = Instant::now() + patience;
    for node in nodes {
        loop {
            alive()?;
            let answer = block_on(look(access, *node, total))?;
            let Err(why) = answer else { break };
            if Instant::now() > until {
                let seconds = patience.as_secs();
                return Err(Error::failed(format!("{node} is not ready after {seconds} s: {why}")));
            }
            std::thread::sleep(PAUSE);
        }
    }
    Ok(())
}

/// Runs a future to its end on a thread of its own, so that it does not matter whether the
/// caller is a test in a runtime of its own.
pub(crate) fn block_on<T: Send>(future: impl Future<Output = T> + Send) -> Result<T> {
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime
            .map_err(|source| Error::Io { what: "cannot start a runtime".to_owned(), source })?;
        Ok(runtime.block_on(future))
    };
    std::thread::scope(|scope| {
        scope.spawn(run).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// `Err` with the reason while the node is not ready.
async fn look(access: &Access, node: SocketAddr, total: usize) -> Result<(), String> {
    tokio::time::timeout(LOOK, async {
        // Cheaper than a session that cannot connect.
        tokio::net::TcpStream::connect(node).await.map_err(|e| e.to_string())?;
        let session = session_with(access, node).await?;
        let own = column(&session, "SELECT schema_version FROM system.local").await?;
        let theirs = column(&session, "SELECT schema_version FROM system.peers").await?;
        if theirs.len() + 1 != total {
            return Err(format!("it knows {} of {} other nodes", theirs.len(), total - 1));
        }
        match theirs.iter().all(|version| Some(version) == own.first() && version.is_some()) {
            true => Ok(()),
            false => Err("the nodes do not agree on the schema".to_owned()),
        }
    })
    .await
    .unwrap_or_else(|_| Err(format!("no answer within {} s", LOOK.as_secs())))
}

/// A session that talks to one node alone.
async fn session_with(access: &Access, node: SocketAddr) -> Result<Session, String> {
    let only = AllowListHostFilter::new([node]).map_err(|e| e.to_string())?;
    let builder = access.lax_builder(node).map_err(|e| e.to_string())?;
    let builder = builder.fetch_schema_metadata(false).host_filter(Arc::new(only));
    builder.build().await.map_err(|e| e.to_string())
}

/// Address and datacenter of every node that the cluster knows, the asked one first.
pub(crate) async fn members(access: &Access) -> Result<Vec<(SocketAddr, String)>> {
    let failed = |e: &dyn std::fmt::Display| {
        let points: Vec<_> = access.contact_points.iter().map(ToString::to_string).collect();
        Error::failed(format!("no CQL cluster answers at {}: {e}", points.join(", ")))
    };
    let builder = access.session_builder()?.fetch_schema_metadata(false);
    let session = builder.build().await.map_err(|e| failed(&e))?;
    let state = session.get_cluster_state();
    let members = state.get_nodes_info().iter().map(|node| {
        let address = SocketAddr::new(node.address.ip(), node.address.port());
        (address, node.datacenter.clone().unwrap_or_default())
    });
    Ok(members.collect())
}

async fn column(session: &Session, statement: &str) -> Result<Vec<Option<CqlValue>>, String> {
    let rows = session.query_unpaged(statement, &[]).await.map_err(|e| e.to_string())?;
    let rows = rows.into_rows_result().map_err(|e| e.to_string())?;
    let rows = rows.rows::<(Option<CqlValue>,)>().map_err(|e| e.to_string())?;
    rows.map(|row| row.map(|(value,)| value).map_err(|e| e.to_string())).collect()
}
