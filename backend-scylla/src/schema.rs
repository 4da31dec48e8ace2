//! Keyspaces and tables: their names, their text in either dialect, and what servers say
//! of them.

use std::collections::BTreeMap;
use std::fmt;

use pinstate_core::config::invalid;
use pinstate_core::{Error, Result};
use uuid::Uuid;

use crate::error::BACKEND;

/// The version of the schema. Counted up when the form of the tables changes; another
/// number than this is refused when opening.
pub const SCHEMA: u32 = 1;

/// The table of control records, in the keyspace that is theirs.
pub(crate) const CONTROL_TABLE: &str = "control";

/// What the names of namespaces' tables begin with.
const TABLE_PREFIX: &str = "n_";

/// Which kind of server it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Dialect {
    /// ScyllaDB.
    Scylla,
    /// Apache Cassandra, or what behaves like it.
    Cassandra,
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scylla => "ScyllaDB",
            Self::Cassandra => "Cassandra",
        })
    }
}

/// The name of a namespace's table: never used twice, and it says when it was made.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct TableName(String);

impl TableName {
    /// A name that nothing else has.
    pub(crate) fn fresh() -> Self {
        Self(format!("{TABLE_PREFIX}{}", Uuid::now_v7().simple()))
    }

    /// The name of a table, if it is one of a namespace.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let uuid = name.strip_prefix(TABLE_PREFIX)?;
        let good = uuid.len() == 32 && uuid.bytes().all(|b| b.is_ascii_hexdigit());
        good.then(|| Self(name.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// When the table was made, in seconds since the Unix epoch.
    pub(crate) fn made(&self) -> Option<u64> {
        let uuid = Uuid::try_parse(self.0.strip_prefix(TABLE_PREFIX)?).ok()?;
        Some(uuid.get_timestamp()?.to_unix().0)
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How many replicas each datacenter has.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize)]
pub struct Replication(BTreeMap<String, u32>);

impl Replication {
    /// Reads `dc1=3,dc2=3`.
    ///
    /// # Errors
    /// `Config` for anything else.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = || {
            invalid(format!(
                "'{}' is no replication: write the replicas of each datacenter, as in \
                 dc1=3,dc2=3",
                text.escape_debug()
            ))
            .with_backend(BACKEND)
        };
        let mut by_dc = BTreeMap::new();
        for part in text.split(',') {
            let (dc, count) = part.split_once('=').ok_or_else(wrong)?;
            let (dc, count) = (dc.trim(), count.trim());
            let legal = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
            let reserved = ["class", "replication_factor"].contains(&dc);
            if dc.is_empty() || reserved || !dc.chars().all(legal) {
                return Err(wrong());
            }
            let count: u32 = count.parse().map_err(|_| wrong())?;
            if !(1..=32).contains(&count) || by_dc.insert(dc.to_owned(), count).is_some() {
                return Err(wrong());
            }
        }
        Ok(Self(by_dc))
    }

    /// What the servers' own table of keyspaces says. Of a strategy that knows no
    /// datacenters every one of `datacenters` may have all replicas.
    pub(crate) fn of_options<'a>(
        options: &BTreeMap<String, String>,
        datacenters: impl Iterator<Item = &'a str>,
    ) -> Self {
        let class = options.get("class").map_or("", String::as_str);
        let count = |text: &String| text.split('/').next().and_then(|n| n.parse().ok());
        if class.ends_with("SimpleStrategy") {
            let all = options.get("replication_factor").and_then(count).unwrap_or(1);
            return Self(datacenters.map(|dc| (dc.to_owned(), all)).collect());
        }
        let by_dc = options.iter().filter(|(key, _)| key.as_str() != "class");
        Self(by_dc.filter_map(|(dc, n)| Some((dc.clone(), count(n)?))).collect())
    }

    /// Replicas in a datacenter.
    pub(crate) fn of(&self, datacenter: &str) -> u32 {
        self.0.get(datacenter).copied().unwrap_or(0)
    }

    /// Replicas altogether.
    pub(crate) fn total(&self) -> u32 {
        self.0.values().sum()
    }

    /// Datacenters that have replicas.
    pub(crate) fn datacenters(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter(|(_, count)| **count > 0).map(|(dc, _)| dc.as_str())
    }
}

impl fmt::Display for Replication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (dc, count)) in self.0.iter().enumerate() {
            write!(f, "{}{dc}={count}", if i == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

/// Makes a keyspace. Pins stay where the server puts them by default; control records need
/// lightweight transactions, which ScyllaDB refuses where there are tablets.
pub(crate) fn create_keyspace(
    dialect: Dialect,
    keyspace: &str,
    replication: &Replication,
    control: bool,
) -> String {
    let mut text = format!(
        "CREATE KEYSPACE IF NOT EXISTS \"{keyspace}\" WITH replication = {{'class': \
         'NetworkTopologyStrategy'"
    );
    for (dc, count) in &replication.0 {
        text.push_str(&format!(", '{dc}': {count}"));
    }
    text.push('}');
    if control && dialect == Dialect::Scylla {
        text.push_str(" AND tablets = {'enabled': false}");
    }
    text
}

/// Makes the table of control records.
pub(crate) fn create_control_table(keyspace: &str) -> String {
    format!(
        "CREATE TABLE IF NOT EXISTS \"{keyspace}\".{CONTROL_TABLE} (space text, key text, value \
         blob, revision bigint, PRIMARY KEY (space, key)) WITH comment = 'pinstate: control \
         records, written by lightweight transactions only'"
    )
}

/// Makes a namespace's table: `v` is the value, and `d` is there once the record was
/// deleted with a condition.
///
/// A read asks one replica more if those that were asked stay silent. How long a node waits
/// before it does so comes from what it has measured on the table, and Cassandra begins with
/// seconds: a new table would be hardly readable while one replica is silent.
pub(crate) fn create_table(dialect: Dialect, keyspace: &str, table: &str) -> String {
    let mut text = format!(
        "CREATE TABLE IF NOT EXISTS \"{keyspace}\".{table} (cid blob PRIMARY KEY, v blob, d \
         boolean) WITH comment = 'pinstate: pins by CID'"
    );
    if dialect == Dialect::Cassandra {
        text.push_str(" AND speculative_retry = 'MIN(99P,50MS)'");
    }
    text
}

/// Drops a namespace's table.
pub(crate) fn drop_table(keyspace: &str, table: &str) -> String {
    format!("DROP TABLE IF EXISTS \"{keyspace}\".{table}")
}

/// The whole schema as text, for people to run. The table is one of a namespace; the store
/// makes one for each.
#[must_use]
pub(crate) fn show(
    dialect: Dialect,
    keyspace: &str,
    control_keyspace: &str,
    replication: &Replication,
) -> Vec<String> {
    vec![
        create_keyspace(dialect, keyspace, replication, false),
        create_keyspace(dialect, control_keyspace, replication, true),
        create_control_table(control_keyspace),
    ]
}

/// A table that is not what it should be.
pub(crate) fn foreign(what: impl fmt::Display) -> Error {
    crate::error::error(
        pinstate_core::ErrorKind::Incompatible,
        pinstate_core::Operation::Open,
        format!("{what}: it is of something else than pinstate, or was changed by hand"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replication_is_read_and_shown() {
        let replication = Replication::parse("dc1=3, eu-west.1=2").unwrap();
        assert_eq!(replication.to_string(), "dc1=3,eu-west.1=2");
        assert_eq!((replication.of("dc1"), replication.of("x"), replication.total()), (3, 0, 5));
        for bad in ["", "3", "dc1", "dc1=0", "dc1=x", "dc1=3,dc1=3", "a'b=3", "class=3", "dc1=33"] {
            assert!(Replication::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn replication_is_read_as_servers_show_it() {
        let options = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
        };
        let nts = options(&[
            ("class", "org.apache.cassandra.locator.NetworkTopologyStrategy"),
            ("dc1", "3"),
            ("dc2", "2/1"),
        ]);
        let read = Replication::of_options(&nts, ["dc1", "dc2", "dc3"].into_iter());
        assert_eq!(read.to_string(), "dc1=3,dc2=2");
        let simple = options(&[("class", "SimpleStrategy"), ("replication_factor", "2")]);
        let read = Replication::of_options(&simple, ["a", "b"].into_iter());
        assert_eq!(read.to_string(), "a=2,b=2");
    }

    #[test]
    fn only_scylla_is_told_of_tablets() {
        let replication = Replication::parse("dc1=3").unwrap();
        let scylla = show(Dialect::Scylla, "pins", "pins_control", &replication).join(";\n");
        let cassandra = show(Dialect::Cassandra, "pins", "pins_control", &replication).join(";\n");
        assert!(scylla.contains("'dc1': 3} AND tablets = {'enabled': false}"), "{scylla}");
        assert_eq!(scylla.replace(" AND tablets = {'enabled': false}", ""), cassandra);
        assert!(cassandra.contains("\"pins_control\".control (space text"), "{cassandra}");
    }

    #[test]
    fn names_of_tables_are_new_and_say_their_age() {
        let (one, two) = (TableName::fresh(), TableName::fresh());
        assert_ne!(one, two);
        assert_eq!(TableName::parse(one.as_str()), Some(one.clone()));
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        assert!(now.as_secs() - one.made().unwrap() <= 1);
        for other in ["control", "n_", "n_zz", "pins"] {
            assert_eq!(TableName::parse(other), None, "{other}");
        }
    }
}
