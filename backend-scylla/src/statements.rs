//! The statements: all fixed, all prepared.

use std::sync::Arc;
use std::time::Duration;

use pinstate_core::{Operation, Result};
use scylla::client::session::Session;
use scylla::statement::Consistency;
use scylla::statement::prepared::PreparedStatement;
use scylla::statement::unprepared::Statement;

use crate::config::{ScyllaConfig, SerialLevel};
use crate::retry_policy::OneOther;
use crate::schema::{CONTROL_TABLE, Dialect};
use crate::session::prepare;

/// The statements of one namespace's table.
///
/// `v` is the value and its write time the version; `d` is the marker of a conditional
/// delete, whose version is its own write time. A record is live if it has a value and no
/// marker that is as new or newer; so a marker keeps older puts out for as long as it is
/// there, whatever the server does with its tombstones.
#[derive(Debug)]
pub(crate) struct Statements {
    /// `(cid, v, version)`.
    pub(crate) put: PreparedStatement,
    /// `(version, cid)`.
    pub(crate) delete: PreparedStatement,
    /// `(version, cid)`: a delete that leaves its marker.
    pub(crate) mark: PreparedStatement,
    /// `(cid)` gives `(v, version of v, version of d)`.
    pub(crate) get: PreparedStatement,
    /// The same at the level of degraded reads.
    pub(crate) get_degraded: Option<PreparedStatement>,
    /// `(cid)` gives `(version of v, version of d)`.
    pub(crate) has: PreparedStatement,
    /// The same at the level of degraded reads.
    pub(crate) has_degraded: Option<PreparedStatement>,
    /// `(first token, last token)` gives `(cid, v, version of v, version of d)`.
    pub(crate) scan: PreparedStatement,
    /// The same without the value.
    pub(crate) scan_keys: PreparedStatement,
}

impl Statements {
    /// Prepares them.
    pub(crate) async fn prepare(
        session: &Session,
        config: &ScyllaConfig,
        dialect: Dialect,
        table: &str,
        operation: Operation,
    ) -> Result<Self> {
        let table = format!("\"{}\".{table}", config.keyspace);
        let level = config.consistency.driver();
        let (attempt, page) = (config.attempt(), config.page_attempt());
        // A scan reads what nobody else asks for, and its server should stop when we do.
        let extras = match dialect {
            Dialect::Scylla => format!(" BYPASS CACHE USING TIMEOUT {}ms", page.as_millis().max(1)),
            Dialect::Cassandra => String::new(),
        };
        let range = format!("WHERE token(cid) >= ? AND token(cid) <= ?{extras}");
        let one = |text: String| ready(session, text, level, attempt, operation);
        let write = async |text: String| {
            let mut statement = one(text).await?;
            statement.set_retry_policy(Some(Arc::new(OneOther::for_writes())));
            Ok(statement)
        };
        let (put, delete, mark, get, has, scan, scan_keys) = tokio::try_join!(
            write(format!("INSERT INTO {table} (cid, v) VALUES (?, ?) USING TIMESTAMP ?")),
            write(format!("DELETE FROM {table} USING TIMESTAMP ? WHERE cid = ?")),
            write(format!("UPDATE {table} USING TIMESTAMP ? SET v = null, d = true WHERE cid = ?")),
            one(format!("SELECT v, writetime(v), writetime(d) FROM {table} WHERE cid = ?")),
            one(format!("SELECT writetime(v), writetime(d) FROM {table} WHERE cid = ?")),
            ready(
                session,
                format!("SELECT cid, v, writetime(v), writetime(d) FROM {table} {range}"),
                level,
                page,
                operation,
            ),
            ready(
                session,
                format!("SELECT cid, writetime(v), writetime(d) FROM {table} {range}"),
                level,
                page,
                operation,
            ),
        )?;
        let degraded = |statement: &PreparedStatement| {
            config.degraded_reads.map(|level| {
                let mut statement = statement.clone();
                statement.set_consistency(level.driver());
                statement
            })
        };
        let (get_degraded, has_degraded) = (degraded(&get), degraded(&has));
        Ok(Self { put, delete, mark, get, get_degraded, has, has_degraded, scan, scan_keys })
    }
}

/// A prepared statement that may be repeated: versions and conditions make it harmless.
async fn ready(
    session: &Session,
    text: String,
    level: Consistency,
    attempt: Duration,
    operation: Operation,
) -> Result<PreparedStatement> {
    let mut statement = prepare(session, Statement::new(text), attempt, operation).await?;
    statement.set_consistency(level);
    statement.set_is_idempotent(true);
    statement.set_request_timeout(Some(attempt));
    // The columns are named one by one and never change, so answers need not repeat them.
    statement.set_use_cached_result_metadata(true);
    Ok(statement)
}

/// The statements of the table of control records.
#[derive(Debug)]
pub(crate) struct ControlStatements {
    /// `(space, key)` gives `(value, revision)`.
    pub(crate) read: PreparedStatement,
    /// `(space, first key)` gives up to [`LISTED`] of `(key, value, revision)`.
    pub(crate) list: PreparedStatement,
    /// `(space, key, value, revision)`, if there is none.
    pub(crate) insert: PreparedStatement,
    /// `(value, revision, space, key, expected revision)`.
    pub(crate) update: PreparedStatement,
    /// `(space, key, expected revision)`.
    pub(crate) delete: PreparedStatement,
}

/// Control records read at once.
pub(crate) const LISTED: usize = 100;

impl ControlStatements {
    /// Prepares them.
    pub(crate) async fn prepare(session: &Session, config: &ScyllaConfig) -> Result<Self> {
        let table = format!("\"{}\".{CONTROL_TABLE}", config.control_keyspace());
        let serial = config.serial_consistency;
        // What is decided is also spread at once, so that plain readers see it soon.
        let spread = match serial {
            SerialLevel::Serial => Consistency::Quorum,
            SerialLevel::LocalSerial => Consistency::LocalQuorum,
        };
        let (attempt, operation) = (config.attempt(), Operation::Open);
        let read = |text| ready(session, text, serial.for_reads(), attempt, operation);
        let write = async |text| {
            let mut statement = ready(session, text, spread, attempt, operation).await?;
            statement.set_serial_consistency(Some(serial.driver()));
            // A second run would meet what the first has written.
            statement.set_is_idempotent(false);
            // The columns of the answer depend on what was found.
            statement.set_use_cached_result_metadata(false);
            Ok(statement)
        };
        let (one, list, insert, update, delete) = tokio::try_join!(
            read(format!("SELECT value, revision FROM {table} WHERE space = ? AND key = ?")),
            read(format!(
                "SELECT key, value, revision FROM {table} WHERE space = ? AND key >= ? LIMIT \
                 {LISTED}"
            )),
            write(format!(
                "INSERT INTO {table} (space, key, value, revision) VALUES (?, ?, ?, ?) IF NOT \
                 EXISTS"
            )),
            write(format!(
                "UPDATE {table} SET value = ?, revision = ? WHERE space = ? AND key = ? IF \
                 revision = ?"
            )),
            write(format!("DELETE FROM {table} WHERE space = ? AND key = ? IF revision = ?")),
        )?;
        Ok(Self { read: one, list, insert, update, delete })
    }
}
