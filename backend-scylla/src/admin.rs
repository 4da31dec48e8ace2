//! Making, checking and upgrading the schema, for the command line and for programs that
//! set clusters up.

use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

use pinstate_core::{NamespaceName, Operation, Result, Store};
use serde::Serialize;
use uuid::Uuid;

use crate::config::ScyllaConfig;
use crate::ddl::{Ddl, Wanted};
use crate::open::{reach, rows};
use crate::schema::{self, Dialect, Replication, SCHEMA, TableName};
use crate::store::ScyllaStore;
use crate::tables::Tables;

/// A table that no namespace points to may be one that is just being made. After an hour it
/// is what a process has left that died in between.
const LEFT_OVER_AFTER: u64 = 3_600;

/// What a check of the schema found.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub struct SchemaReport {
    /// The kind of server.
    pub dialect: Dialect,
    /// The store.
    pub store: Uuid,
    /// The version of its schema.
    pub schema: u32,
    /// The keyspace of the pins.
    pub keyspace: String,
    /// The keyspace of the control records.
    pub control_keyspace: String,
    /// Replicas in each datacenter.
    pub replication: Replication,
    /// The namespaces, each with its table.
    pub namespaces: Vec<(NamespaceName, String)>,
    /// Tables that no namespace uses.
    pub left_over: Vec<String>,
    /// What is wrong. Empty is good.
    pub problems: Vec<String>,
}

/// Makes what is missing, and the namespace `default`. Doing it again changes nothing.
///
/// # Errors
/// `Config` where a keyspace is to be made and `replication` is not set; the server's.
pub async fn create_schema(config: &ScyllaConfig) -> Result<SchemaReport> {
    let store = ScyllaStore::open(&ScyllaConfig { create: true, ..config.clone() }).await?;
    let made = make_default(&store).await;
    let report = match made {
        Ok(()) => report(&store).await,
        Err(error) => Err(error),
    };
    store.close().await?;
    report
}

async fn make_default(store: &ScyllaStore) -> Result<()> {
    match store.create_namespace(&NamespaceName::default()).await {
        Err(error) if error.kind() == pinstate_core::ErrorKind::Conflict => Ok(()),
        made => made,
    }
}

/// Looks at the schema without changing it.
///
/// # Errors
/// Those of opening the store: what is missing, older, newer or foreign.
pub async fn check_schema(config: &ScyllaConfig) -> Result<SchemaReport> {
    let store = ScyllaStore::open(&ScyllaConfig { create: false, ..config.clone() }).await?;
    let report = report(&store).await;
    store.close().await?;
    report
}

/// Brings the schema to this program's version, and removes what processes have left that
/// died while they made or replaced a namespace. Gives what was found before, with what was
/// removed.
///
/// # Errors
/// Those of opening the store, and the server's.
pub async fn upgrade_schema(config: &ScyllaConfig) -> Result<(SchemaReport, Vec<String>)> {
    let store = ScyllaStore::open(&ScyllaConfig { create: false, ..config.clone() }).await?;
    let done = async {
        let report = report(&store).await?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let mut removed = Vec::new();
        for name in &report.left_over {
            let old = |table: &TableName| {
                table.made().is_some_and(|made| now.saturating_sub(made) > LEFT_OVER_AFTER)
            };
            if let Some(table) = TableName::parse(name).filter(old) {
                Tables::New.remove(store.core(), &table, Operation::Open).await?;
                removed.push(name.clone());
            }
        }
        Ok((report, removed))
    }
    .await;
    store.close().await?;
    done
}

/// The statements that make the schema, in the dialect of the cluster that the
/// configuration names, or in a given one without any cluster.
///
/// # Errors
/// `Config` without a `replication`; those of reaching the cluster.
pub async fn show_schema(config: &ScyllaConfig, dialect: Option<Dialect>) -> Result<Vec<String>> {
    let replication = config.replication.as_deref().ok_or_else(|| {
        pinstate_core::config::invalid(
            "'replication' is not set: name the replicas of each datacenter, as in dc1=3,dc2=3",
        )
        .with_backend(crate::error::BACKEND)
    })?;
    let replication = Replication::parse(replication)?;
    let dialect = match dialect {
        Some(dialect) => dialect,
        None => reach(config).await?.dialect,
    };
    Ok(schema::show(dialect, &config.keyspace, &config.control_keyspace(), &replication))
}

async fn report(store: &ScyllaStore) -> Result<SchemaReport> {
    let operation = Operation::Open;
    let core = store.core();
    let session = core.session(operation)?;
    let keyspace = &core.config.keyspace;
    let text = format!(
        "SELECT table_name, column_name, type FROM system_schema.columns WHERE keyspace_name = \
         '{keyspace}'"
    );
    let columns = rows::<(String, String, String)>(&session, text).await?;
    let tables: BTreeSet<&String> = columns.iter().map(|(table, ..)| table).collect();
    let mapped = store.catalog(operation).await?;
    let mut problems = Vec::new();
    for (name, table) in &mapped {
        let found: BTreeSet<(&str, &str)> = columns
            .iter()
            .filter(|(of, ..)| of == table.as_str())
            .map(|(_, column, kind)| (column.as_str(), kind.as_str()))
            .collect();
        let wanted = BTreeSet::from([("cid", "blob"), ("v", "blob"), ("d", "boolean")]);
        if found.is_empty() {
            problems.push(format!("the table {table} of the namespace '{name}' is not there"));
        } else if let Some((column, kind)) = wanted.difference(&found).next() {
            problems.push(format!(
                "the table {table} of the namespace '{name}' lacks the column {column} {kind}"
            ));
        }
    }
    let used: BTreeSet<&str> = mapped.iter().map(|(_, table)| table.as_str()).collect();
    let left_over = tables
        .iter()
        .filter(|table| TableName::parse(table).is_some() && !used.contains(table.as_str()))
        .map(|table| (*table).clone());
    Ok(SchemaReport {
        dialect: core.facts.dialect,
        store: core.store,
        schema: SCHEMA,
        keyspace: keyspace.clone(),
        control_keyspace: core.config.control_keyspace(),
        replication: core.facts.replication.clone(),
        namespaces: mapped.iter().map(|(n, t)| (n.clone(), t.to_string())).collect(),
        left_over: left_over.collect(),
        problems,
    })
}

/// Changes of the schema by hand, for tests that need something to be wrong.
#[doc(hidden)]
pub async fn run_statement(config: &ScyllaConfig, text: &str) -> Result<()> {
    let reached = reach(config).await?;
    Ddl::new(&reached, config).run(Operation::Open, text.to_owned(), Wanted::Done).await
}
