//! Where the tables of namespaces come from, and where they go.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use pinstate_core::{Operation, Result};

use crate::core::Core;
use crate::ddl::{Ddl, Wanted};
use crate::schema::{self, TableName};

/// Makes and removes tables: by statements of their own, or out of a pool.
#[derive(Clone, Debug, Default)]
pub(crate) enum Tables {
    /// A new table for each namespace.
    #[default]
    New,
    /// Tables that were used before, emptied.
    Pool(TablePool),
}

/// Tables that are emptied and used again instead of being dropped and made anew, which
/// takes a second or two on a cluster. **For tests alone**: handles that other processes
/// hold on a dropped namespace would go on with the next one in its table.
///
/// A table rests for a while before it is emptied. A write is acknowledged by a quorum, and
/// the last replica's share of it may still be on its way: it would arrive in the emptied
/// table as a record of the next namespace. Servers give such a write up after
/// `write_request_timeout`, two seconds unless configured.
///
/// Emptying a table takes every node that has a part of it, and making one does not. So who
/// breaks nodes holds a lock, and new tables are made meanwhile.
#[derive(Clone, Debug, Default)]
pub struct TablePool {
    tables: Arc<Mutex<VecDeque<(TableName, Instant)>>>,
    /// Held for writing while nodes are broken, and for reading while tables are emptied.
    whole: Arc<tokio::sync::RwLock<()>>,
}

/// How long a table rests.
const REST: Duration = Duration::from_secs(6);

impl TablePool {
    /// An empty pool.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty pool of a cluster whose nodes are broken by whoever holds this for writing.
    #[must_use]
    pub fn breakable(whole: Arc<tokio::sync::RwLock<()>>) -> Self {
        Self { tables: Arc::default(), whole }
    }

    /// Adds a table that nobody has used since then.
    pub fn put(&self, table: &str, since: Instant) {
        self.tables.lock().extend(TableName::parse(table).map(|table| (table, since)));
    }

    /// The table that has rested longest, if it has rested enough.
    fn take(&self) -> Option<(TableName, Instant)> {
        let mut tables = self.tables.lock();
        tables.front().filter(|(_, since)| since.elapsed() >= REST)?;
        tables.pop_front()
    }
}

impl Tables {
    /// An empty table that nobody uses.
    pub(crate) async fn make(&self, core: &Core, operation: Operation) -> Result<TableName> {
        if let Self::Pool(pool) = self
            && let Ok(_whole) = pool.whole.try_read()
            && let Some((table, since)) = pool.take()
        {
            let text = format!("TRUNCATE TABLE \"{}\".{table}", core.config.keyspace);
            let emptied = Ddl::of(core, operation)?.run(operation, text, Wanted::Done).await;
            // For whoever comes next, who empties it first.
            return emptied.map(|()| table.clone()).inspect_err(|_| {
                pool.tables.lock().push_front((table, since));
            });
        }
        let table = TableName::fresh();
        let keyspace = &core.config.keyspace;
        let text = schema::create_table(core.facts.dialect, keyspace, table.as_str());
        let wanted = Wanted::Table(keyspace, table.as_str());
        Ddl::of(core, operation)?.run(operation, text, wanted).await?;
        Ok(table)
    }

    /// Removes a table and all that is in it.
    pub(crate) async fn remove(
        &self,
        core: &Core,
        table: &TableName,
        operation: Operation,
    ) -> Result<()> {
        if let Self::Pool(pool) = self {
            pool.put(table.as_str(), Instant::now());
            return Ok(());
        }
        let keyspace = &core.config.keyspace;
        let ddl = Ddl::of(core, operation)?;
        let wanted = Wanted::NoTable(keyspace, table.as_str());
        ddl.run(operation, schema::drop_table(keyspace, table.as_str()), wanted).await
    }
}
