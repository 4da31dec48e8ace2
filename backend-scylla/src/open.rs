//! Opening a store: what the cluster is, whether the configuration fits it, and what it
//! takes to make a store there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use pinstate_core::config::invalid;
use pinstate_core::{Error, ErrorKind, Operation, Outcome, Result, RetryClass};
use scylla::client::session::Session;
use scylla::deserialize::row::DeserializeRow;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::catalog::{Catalog, Change, Entry, Space, new_revision};
use crate::config::ScyllaConfig;
use crate::ddl::{Ddl, Wanted};
use crate::error::{BACKEND, Work, error, from_execution, from_rows};
use crate::health::agreement;
use crate::schema::{self, CONTROL_TABLE, Dialect, Replication, SCHEMA};
use crate::session::connect;
use crate::statements::ControlStatements;
use crate::watch::Watch;

mod fit;

pub(crate) use fit::{reads_own_writes, too_few_nodes};

/// What was found out about the cluster and the keyspace.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Facts {
    pub(crate) dialect: Dialect,
    /// Nodes by datacenter.
    pub(crate) datacenters: BTreeMap<String, usize>,
    /// The datacenter that requests keep to.
    pub(crate) local: Option<String>,
    pub(crate) replication: Replication,
    /// Whether ScyllaDB keeps the keyspace in tablets.
    pub(crate) tablets: bool,
}

/// The record that says which store a keyspace is.
#[derive(Serialize, Deserialize)]
struct StoreRecord {
    uuid: Uuid,
    schema: u32,
    keyspace: String,
    made_by: String,
}

/// The pause before nodes that may not have caught up are asked again.
pub(crate) const MOMENT: Duration = Duration::from_millis(50);

/// The one key of the records about the store itself.
const STORE_KEY: &str = "store";

/// A cluster that was reached.
pub(crate) struct Reached {
    pub(crate) session: Arc<Session>,
    pub(crate) watch: Arc<Watch>,
    pub(crate) dialect: Dialect,
    pub(crate) datacenters: BTreeMap<String, usize>,
    pub(crate) local: Option<String>,
}

/// Rows of a plain query on a server's own tables.
pub(crate) async fn rows<R>(session: &Session, text: String) -> Result<Vec<R>>
where
    R: for<'f> DeserializeRow<'f, 'f>,
{
    let operation = Operation::Open;
    let mut statement = scylla::statement::unprepared::Statement::new(text);
    statement.set_consistency(scylla::statement::Consistency::One);
    statement.set_is_idempotent(true);
    let mut result = session.query_unpaged(statement.clone(), ()).await;
    if let Err(scylla::errors::ExecutionError::RequestTimeout(_)) = result {
        result = session.query_unpaged(statement, ()).await;
    }
    let result = result.map_err(|e| from_execution(&e, Work::Read, operation))?;
    let rows = result.into_rows_result().map_err(|e| from_rows(&e, operation))?;
    let rows = rows.rows::<R>().map_err(|e| from_rows(&e, operation))?;
    rows.map(|row| row.map_err(|e| from_rows(&e, operation))).collect()
}

/// Reaches the cluster, and finds out what it is.
pub(crate) async fn reach(config: &ScyllaConfig) -> Result<Reached> {
    config.check()?;
    // Whom a request waited for in vain must count as silent when it goes elsewhere.
    let patience = config.demote_after.0.min(config.attempt() / 2);
    let watch = Arc::new(Watch::new(patience));
    let mut session = connect(config, &watch, config.datacenter(), 1).await?;
    let datacenters = datacenters(&session);
    if datacenters.is_empty() {
        // All that is known are the contact points, of which none could be asked so far.
        let what = "no node said what the cluster is made of";
        return Err(error(ErrorKind::Unavailable, Operation::Open, what)
            .with_retry(RetryClass::Backoff)
            .with_outcome(Outcome::NotApplied));
    }
    let known = || datacenters.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    if let Some(local) = &config.local_dc
        && !datacenters.contains_key(local)
    {
        return Err(invalid(format!(
            "'local_dc' is '{local}', and the cluster has no such datacenter; it has: {}",
            known()
        ))
        .with_backend(BACKEND));
    }
    // One datacenter needs no choice.
    let local = match config.datacenter() {
        Some(local) => Some(local.to_owned()),
        None if datacenters.len() == 1 => datacenters.keys().next().cloned(),
        None => None,
    };
    let dialect = dialect(&session).await?;
    let wanted = config.num_conns.unwrap_or(1);
    if dialect == Dialect::Cassandra && wanted > 1 {
        session = connect(config, &watch, config.datacenter(), wanted).await?;
    } else if wanted > 1 {
        tracing::info!("'num_conns' is {wanted}: to ScyllaDB there is one connection a shard");
    }
    Ok(Reached { session: Arc::new(session), watch, dialect, datacenters, local })
}

fn datacenters(session: &Session) -> BTreeMap<String, usize> {
    let mut by_name = BTreeMap::new();
    for node in session.get_cluster_state().get_nodes_info() {
        if let Some(datacenter) = &node.datacenter {
            *by_name.entry(datacenter.clone()).or_default() += 1;
        }
    }
    by_name
}

/// ScyllaDB has a column in its table about itself that Cassandra lacks; every role may
/// look for it.
async fn dialect(session: &Session) -> Result<Dialect> {
    let text = "SELECT column_name FROM system_schema.columns WHERE keyspace_name = 'system' AND \
                table_name = 'local' AND column_name = 'supported_features'";
    let found = rows::<(String,)>(session, text.to_owned()).await?;
    Ok(if found.is_empty() { Dialect::Cassandra } else { Dialect::Scylla })
}

/// A keyspace as the servers show it.
pub(crate) struct Keyspace {
    pub(crate) replication: Replication,
    pub(crate) tablets: bool,
    /// Its tables.
    pub(crate) tables: BTreeSet<String>,
}

impl Reached {
    /// A keyspace, if it is there.
    pub(crate) async fn keyspace(&self, name: &str) -> Result<Option<Keyspace>> {
        let text = format!(
            "SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = '{name}'"
        );
        let found = rows::<(BTreeMap<String, String>,)>(&self.session, text).await?;
        let Some((options,)) = found.into_iter().next() else { return Ok(None) };
        let replication =
            Replication::of_options(&options, self.datacenters.keys().map(String::as_str));
        let text =
            format!("SELECT table_name FROM system_schema.tables WHERE keyspace_name = '{name}'");
        let tables = rows::<(String,)>(&self.session, text).await?;
        let tablets = match self.dialect {
            Dialect::Cassandra => false,
            Dialect::Scylla => {
                let text = format!(
                    "SELECT keyspace_name, initial_tablets FROM system_schema.scylla_keyspaces \
                     WHERE keyspace_name = '{name}'"
                );
                let found = rows::<(String, Option<i32>)>(&self.session, text).await?;
                found.iter().any(|(_, initial)| initial.is_some())
            }
        };
        let tables = tables.into_iter().map(|(table,)| table).collect();
        Ok(Some(Keyspace { replication, tablets, tables }))
    }

    /// Both keyspaces, having checked that they fit each other and the configuration.
    ///
    /// # Errors
    /// `NoStore` where something is missing; `Config` where the configuration does not fit.
    pub(crate) async fn facts(&self, config: &ScyllaConfig) -> Result<Facts> {
        let keyspace = self.keyspace(&config.keyspace).await?;
        let keyspace = keyspace.ok_or_else(|| {
            no_store(format!("there is no keyspace '{}'", config.keyspace), &self.datacenters)
        })?;
        let control = config.control_keyspace();
        let missing = |what: &str| {
            no_store(
                format!("the keyspace '{}' is there, and {what} is not", config.keyspace),
                &self.datacenters,
            )
        };
        let control_keyspace = self.keyspace(&control).await?.ok_or_else(|| {
            missing(&format!("the keyspace of its control records, '{control}',"))
        })?;
        if control_keyspace.tablets {
            return Err(schema::foreign(format!(
                "the keyspace '{control}' is kept in tablets, where ScyllaDB takes no lightweight \
                 transactions"
            )));
        }
        if !control_keyspace.tables.contains(CONTROL_TABLE) {
            return Err(missing(&format!("the table '{control}.{CONTROL_TABLE}'")));
        }
        let facts = Facts {
            dialect: self.dialect,
            datacenters: self.datacenters.clone(),
            local: self.local.clone(),
            replication: keyspace.replication,
            tablets: keyspace.tablets,
        };
        fit::check_replicas(config, &facts, &config.keyspace, &facts.replication)?;
        fit::check_replicas(config, &facts, &control, &control_keyspace.replication)?;
        fit::warn_of_few(config, &facts, &config.keyspace, &facts.replication);
        if control_keyspace.replication != facts.replication {
            fit::warn_of_few(config, &facts, &control, &control_keyspace.replication);
        }
        Ok(facts)
    }

    /// The same of a cluster whose nodes may differ: one that was away when the keyspaces were
    /// made does not know them yet. That something is missing is believed once they agree.
    ///
    /// # Errors
    /// As [`facts`](Self::facts); `Unavailable` where they do not agree in time.
    pub(crate) async fn agreed_facts(&self, config: &ScyllaConfig) -> Result<Facts> {
        let ends = tokio::time::Instant::now() + config.connect_timeout.0;
        let mut agreed = false;
        loop {
            let missing = match self.facts(config).await {
                Err(error) if error.kind() == ErrorKind::NoStore && !agreed => error,
                found => return found,
            };
            let (version, words) = agreement(&self.session).await;
            agreed = version.is_some();
            if !agreed {
                if tokio::time::Instant::now() >= ends {
                    return Err(disagreed(words).with_source(missing));
                }
                tokio::time::sleep(MOMENT).await;
            }
        }
    }

    /// Makes what is missing of the schema. Safe to be done by several at once.
    ///
    /// # Errors
    /// `Config` without a `replication`; the server's.
    pub(crate) async fn create(&self, config: &ScyllaConfig) -> Result<()> {
        let control = config.control_keyspace();
        let ddl = Ddl::new(self, config);
        for (name, is_control) in [(&config.keyspace, false), (&control, true)] {
            let wanted = config.replication.as_deref().map(Replication::parse).transpose()?;
            if let Some(keyspace) = self.keyspace(name).await? {
                if let Some(wanted) = wanted.filter(|wanted| *wanted != keyspace.replication) {
                    tracing::warn!(
                        "the keyspace '{name}' is there already, with the replication {} and not \
                         {wanted}: ALTER KEYSPACE changes that, and a repair after it",
                        keyspace.replication
                    );
                }
                continue;
            }
            let replication = wanted.ok_or_else(|| {
                invalid(format!(
                    "the keyspace '{name}' is to be made, and 'replication' does not say how: \
                     name the replicas of each datacenter, as in {}",
                    example(&self.datacenters)
                ))
                .with_backend(BACKEND)
            })?;
            fit::check_new(&replication, &self.datacenters)?;
            let text = schema::create_keyspace(self.dialect, name, &replication, is_control);
            ddl.run(Operation::Open, text, Wanted::Keyspace(name)).await?;
        }
        let keyspace = self.keyspace(&control).await?;
        if !keyspace.is_some_and(|keyspace| keyspace.tables.contains(CONTROL_TABLE)) {
            let text = schema::create_control_table(&control);
            ddl.run(Operation::Open, text, Wanted::Table(&control, CONTROL_TABLE)).await?;
        }
        Ok(())
    }
}

/// What a node says of the schema counts for nothing while others say something else.
pub(crate) fn disagreed(words: String) -> Error {
    let what = "a node knows nothing of the store, and the nodes do not agree on the schema";
    error(ErrorKind::Unavailable, Operation::Open, what)
        .with_retry(RetryClass::Backoff)
        .with_outcome(Outcome::NotApplied)
        .with_context("schema", words)
}

/// Reads which store it is; writes it down where nobody has, if that is wanted.
pub(crate) async fn store_of(
    session: &Arc<Session>,
    statements: &ControlStatements,
    config: &ScyllaConfig,
) -> Result<Uuid> {
    let operation = Operation::Open;
    let catalog = Catalog::of(Arc::clone(session), statements);
    loop {
        if let Some(entry) = catalog.get(Space::Store, STORE_KEY, operation).await? {
            let record: StoreRecord = serde_json::from_slice(&entry.value)
                .map_err(|_| schema::foreign("the control record about the store is none"))?;
            check_record(&record, config)?;
            return Ok(record.uuid);
        }
        if !config.create {
            return Err(error(
                ErrorKind::NoStore,
                operation,
                format!(
                    "the tables of '{}' are there, and no store was made in them: 'pinstate \
                     schema create' does it",
                    config.keyspace
                ),
            ));
        }
        let record = StoreRecord {
            uuid: Uuid::new_v4(),
            schema: SCHEMA,
            keyspace: config.keyspace.clone(),
            made_by: concat!("pinstate ", env!("CARGO_PKG_VERSION")).to_owned(),
        };
        let value = serde_json::to_vec(&record).map_err(|e| {
            error(ErrorKind::Internal, operation, "the store's record cannot be written")
                .with_source(e)
        })?;
        let new = Entry { value: value.into(), revision: new_revision() };
        let change = Change { key: STORE_KEY, expected: None, new: Some(new) };
        // Whoever is first decides; the others read what was decided.
        catalog.change(Space::Store, &[change], operation).await?;
    }
}

fn check_record(record: &StoreRecord, config: &ScyllaConfig) -> Result<()> {
    let incompatible = |text: String| Err(error(ErrorKind::Incompatible, Operation::Open, text));
    if record.schema > SCHEMA {
        return incompatible(format!(
            "the schema of '{}' has version {}, and this program knows {SCHEMA}: use a newer one",
            config.keyspace, record.schema
        ));
    }
    if record.schema < SCHEMA {
        return incompatible(format!(
            "the schema of '{}' has version {}, and this program wants {SCHEMA}: 'pinstate schema \
             upgrade' brings it there",
            config.keyspace, record.schema
        ));
    }
    if record.keyspace != config.keyspace {
        return incompatible(format!(
            "the control records in '{}' belong to the keyspace '{}', and this is '{}'",
            config.control_keyspace(),
            record.keyspace,
            config.keyspace
        ));
    }
    Ok(())
}

fn example(datacenters: &BTreeMap<String, usize>) -> String {
    let part = |(dc, nodes): (&String, &usize)| format!("{dc}={}", nodes.min(&3));
    let parts: Vec<String> = datacenters.iter().map(part).collect();
    if parts.is_empty() { "dc1=3".to_owned() } else { parts.join(",") }
}

fn no_store(what: String, datacenters: &BTreeMap<String, usize>) -> Error {
    error(
        ErrorKind::NoStore,
        Operation::Open,
        format!(
            "{what}: 'pinstate schema create --replication {}' makes it, and 'pinstate schema \
             show' prints it for a database administrator",
            example(datacenters)
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_other_schemas_and_keyspaces_are_refused() {
        let config = ScyllaConfig::new(["h"], "pins");
        let record = |schema, keyspace: &str| StoreRecord {
            uuid: Uuid::nil(),
            schema,
            keyspace: keyspace.to_owned(),
            made_by: String::new(),
        };
        check_record(&record(SCHEMA, "pins"), &config).unwrap();
        for (record, part) in [
            (record(SCHEMA + 1, "pins"), "use a newer one"),
            (record(SCHEMA - 1, "pins"), "schema upgrade"),
            (record(SCHEMA, "other"), "belong to the keyspace 'other'"),
        ] {
            let error = check_record(&record, &config).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Incompatible);
            assert!(error.to_string().contains(part), "{error}");
        }
    }
}
