//! Changes of the schema.
//!
//! Cassandra settles two changes made at once on two nodes badly, so all of ours go to the
//! same node, the connected one with the lowest id, which does one after the other. An
//! error can mean that the change was made and only its agreement is late, so what was
//! wanted is looked for before an error is believed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use pinstate_core::{Operation, Outcome, Result};
use scylla::client::session::Session;
use scylla::policies::load_balancing::LoadBalancingPolicy;
use scylla::statement::Consistency;
use scylla::statement::unprepared::Statement;
use uuid::Uuid;

use crate::config::ScyllaConfig;
use crate::core::Core;
use crate::error::{Work, from_execution, too_slow};
use crate::open::{Reached, rows};
use crate::replicas::Ordered;
use crate::watch::Watch;

/// How long nodes that this client cannot reach are waited for after a change.
const UNSEEN: Duration = Duration::from_secs(5);
/// The pause between two looks at them.
const POLL: Duration = Duration::from_millis(100);

/// What changes the schema.
pub(crate) struct Ddl {
    session: Arc<Session>,
    watch: Arc<Watch>,
    local: Option<String>,
    limit: Duration,
}

impl Ddl {
    pub(crate) fn new(reached: &Reached, config: &ScyllaConfig) -> Self {
        Self {
            session: Arc::clone(&reached.session),
            watch: Arc::clone(&reached.watch),
            local: reached.local.clone(),
            limit: config.ddl_timeout.0,
        }
    }

    /// The same for an opened store.
    pub(crate) fn of(core: &Core, operation: Operation) -> Result<Self> {
        Ok(Self {
            session: core.session(operation)?,
            watch: Arc::clone(&core.watch),
            local: core.facts.local.clone(),
            limit: core.config.ddl_timeout.0,
        })
    }

    /// Runs a statement, which must be one that does no harm twice, and is there to bring
    /// about what is wanted.
    pub(crate) async fn run(
        &self,
        operation: Operation,
        text: String,
        wanted: Wanted<'_>,
    ) -> Result<()> {
        let cluster = self.session.get_cluster_state();
        let nodes = cluster.get_nodes_info().iter();
        let near = nodes.filter(|node| {
            let dc = node.datacenter.as_ref();
            node.is_connected() && self.local.as_ref().is_none_or(|local| dc == Some(local))
        });
        let mut ids: Vec<_> = near.map(|node| node.host_id).collect();
        ids.sort_by_key(|id| (self.watch.is_silent(*id), *id));
        let mut statement = Statement::new(text);
        statement.set_request_timeout(Some(self.limit));
        let policy: Arc<dyn LoadBalancingPolicy> =
            Arc::new(Ordered::new(ids, Arc::clone(&self.watch)));
        statement.set_load_balancing_policy(Some(Arc::clone(&policy)));
        // The driver waits for the agreement of the nodes within the call as well.
        let limit = self.limit.saturating_mul(2);
        let run = tokio::time::timeout(limit, self.session.query_unpaged(statement, ())).await;
        let failure = match run {
            Ok(Ok(_)) => {
                self.settle(policy).await;
                return Ok(());
            }
            Ok(Err(error)) => from_execution(&error, Work::Schema, operation),
            Err(_) => {
                let what = "the schema could not be changed in time";
                too_slow(operation, what, limit, Outcome::Unknown)
            }
        };
        match self.is_so(wanted).await {
            Ok(true) => {
                tracing::warn!(%failure, "the schema was changed, and the server reported a failure");
                Ok(())
            }
            _ => Err(failure),
        }
    }

    /// Waits for the nodes that this client has no connection to, which the driver does not
    /// ask: they may be up, and would be given writes to a table that they do not have yet. The
    /// node that made the change is asked what it knows of them. One that is down never gets
    /// there, so this is not waited for any longer than nodes that are up take.
    async fn settle(&self, policy: Arc<dyn LoadBalancingPolicy>) {
        let cluster = self.session.get_cluster_state();
        if cluster.get_nodes_info().iter().all(|node| node.is_connected()) {
            return;
        }
        let asked = ["local", "peers"].map(|table| {
            let mut statement =
                Statement::new(format!("SELECT schema_version FROM system.{table}"));
            statement.set_consistency(Consistency::One);
            statement.set_is_idempotent(true);
            statement.set_load_balancing_policy(Some(Arc::clone(&policy)));
            statement
        });
        let agreed = async {
            loop {
                let mut versions = BTreeSet::new();
                for statement in asked.clone() {
                    // What cannot be asked is not waited for.
                    let Ok(answer) = self.session.query_unpaged(statement, ()).await else {
                        return;
                    };
                    let Ok(rows) = answer.into_rows_result() else { return };
                    let Ok(rows) = rows.rows::<(Option<Uuid>,)>() else { return };
                    versions.extend(rows.flatten().map(|(version,)| version));
                }
                if versions.len() <= 1 {
                    return;
                }
                tokio::time::sleep(POLL).await;
            }
        };
        if tokio::time::timeout(UNSEEN.min(self.limit), agreed).await.is_err() {
            tracing::warn!(
                "nodes that cannot be reached from here may not have the new schema yet"
            );
        }
    }

    async fn is_so(&self, wanted: Wanted<'_>) -> Result<bool> {
        match wanted {
            Wanted::Keyspace(name) => {
                let text = format!(
                    "SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = \
                     '{name}'"
                );
                Ok(!rows::<(String,)>(&self.session, text).await?.is_empty())
            }
            Wanted::Table(keyspace, table) => self.has_table(keyspace, table).await,
            Wanted::NoTable(keyspace, table) => Ok(!self.has_table(keyspace, table).await?),
            Wanted::Done => Ok(false),
        }
    }

    async fn has_table(&self, keyspace: &str, table: &str) -> Result<bool> {
        let text = format!(
            "SELECT table_name FROM system_schema.tables WHERE keyspace_name = '{keyspace}' AND \
             table_name = '{table}'"
        );
        Ok(!rows::<(String,)>(&self.session, text).await?.is_empty())
    }
}

/// What a statement is to bring about.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wanted<'a> {
    /// A keyspace is there.
    Keyspace(&'a str),
    /// A table of a keyspace is there.
    Table(&'a str, &'a str),
    /// A table of a keyspace is not there.
    NoTable(&'a str, &'a str),
    /// Only the answer tells.
    Done,
}
