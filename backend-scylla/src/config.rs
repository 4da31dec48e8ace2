//! What a user may set, under the names that the original ScyllaDB state store gave.

mod check;
mod duration;
mod keys;
mod tls;
pub(crate) mod uri;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use pinstate_core::ErrorKind;
use pinstate_core::config::{ByteSize, Secret};
use pinstate_core::layer::{Layers, RetryOptions};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

pub use duration::GoDuration;
pub use keys::{Compression, Level, LogLevel, Retryable, SerialLevel};
pub use tls::TlsConfig;

/// Longest key that every server takes: ScyllaDB's limit for a key of one column.
pub(crate) const MAX_KEY_BYTES: usize = 65_533;

/// What the keyspace of control records is called unless configured: the keyspace's name
/// with this after it.
const CONTROL_SUFFIX: &str = "_control";

/// How a store on a CQL cluster is opened. Every key but `hosts` has a default.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["hosts"]))]
#[non_exhaustive]
pub struct ScyllaConfig {
    /// Contact points, with or without `:port`. One that answers is enough.
    #[serde(deserialize_with = "one_or_many")]
    #[schemars(with = "Hosts", example = ["127.0.0.1:9042"])]
    pub hosts: Vec<String>,
    /// The CQL port of hosts that name none.
    #[schemars(range(min = 1))]
    pub port: u16,
    /// The keyspace of the pins.
    pub keyspace: String,
    /// The keyspace of control records: `<keyspace>_control` unless set.
    #[schemars(example = &"ipfs_pins_control")]
    pub control_keyspace: Option<String>,
    /// Name of the role to log in as.
    #[schemars(example = &"pinstate")]
    pub username: Option<String>,
    /// Its password.
    #[schemars(example = &"the password")]
    pub password: Option<Secret>,
    /// A file whose text is the password, without a line end. It is read again at every
    /// login, so that the password can be changed without a restart.
    #[schemars(example = &"/run/secrets/pinstate")]
    pub password_file: Option<PathBuf>,
    /// Longest time for one operation on one record or one page, retries included.
    pub timeout: GoDuration,
    /// Longest wait for the answer of one node to a read or write of one record, before
    /// another one is tried: 3 s unless set, and never more than half of `timeout`.
    #[schemars(example = &"3s")]
    pub attempt_timeout: Option<GoDuration>,
    /// The same for a page of a scan.
    #[schemars(example = &"3s")]
    pub page_timeout: Option<GoDuration>,
    /// Longest time to connect to a node. The whole of opening may take three times that.
    pub connect_timeout: GoDuration,
    /// Longest time for one change of the schema, agreement of the nodes included.
    pub ddl_timeout: GoDuration,
    /// Connections to each Cassandra node; to ScyllaDB there is one for each shard.
    #[schemars(example = 1)]
    #[schemars(range(min = 1))]
    pub num_conns: Option<u16>,
    /// Longest wait for a place among the requests under way; then `Unavailable`.
    pub max_wait_time: GoDuration,
    /// Most requests under way for each connection.
    #[schemars(range(min = 1))]
    pub max_in_flight: u32,
    /// Most requests that wait for a place; more are refused at once.
    pub max_queue: u32,
    /// What reads and writes wait for.
    pub consistency: Level,
    /// What control records wait for.
    pub serial_consistency: SerialLevel,
    /// Where `consistency` cannot be met, reads of single records are tried at this level,
    /// and what they find says so. What they do not find stays an error.
    #[schemars(example = &"LOCAL_ONE")]
    pub degraded_reads: Option<Level>,
    /// Sends a request to a replica of its record.
    pub token_aware_routing: bool,
    /// Keeps to the nodes of `local_dc`: true where that is set.
    #[schemars(example = true)]
    pub dc_aware_routing: Option<bool>,
    /// The datacenter that is near.
    #[schemars(example = &"dc1")]
    pub local_dc: Option<String>,
    /// Lets requests go to other datacenters when the local one has no node left. A local
    /// consistency then means the other one, which may lack what was just written.
    pub dc_failover: bool,
    /// Uses ScyllaDB's port for connections to a certain shard (19042) where the server
    /// offers it. Turn it off where it cannot be reached: connecting takes 5 s then.
    pub shard_aware_port: bool,
    /// Where nodes are reached that go by other addresses among themselves, as behind NAT:
    /// from a node's address, with or without a port, to a host, with or without a port. As
    /// one text: `10.0.0.1=203.0.113.7:9142,10.0.0.2=203.0.113.7:9143`. Nodes without a rule
    /// are reached as they are; `hosts` are never translated.
    #[serde(deserialize_with = "rules")]
    #[schemars(with = "Rules")]
    pub address_translation: BTreeMap<String, String>,
    /// Most rows in a page.
    #[schemars(range(min = 1))]
    pub page_size: u32,
    /// Longest value that is taken. Servers have limits of their own above it.
    pub max_value_bytes: ByteSize,
    /// Compression of frames.
    pub compression: Compression,
    /// A node that has not answered for so long while requests wait for it is asked last;
    /// at most half of `attempt_timeout`.
    pub demote_after: GoDuration,
    /// Taken for the sake of existing files: the statements are few and all prepared.
    #[schemars(example = 1000)]
    pub prepared_statement_cache_size: Option<u64>,
    /// Encryption.
    pub tls: TlsConfig,
    /// How failures are tried again, by the layers around the store.
    pub retry_policy: RetryPolicy,
    /// Whether the program should measure, where nothing else says.
    #[schemars(example = true)]
    pub metrics_enabled: Option<bool>,
    /// Whether the program should trace, where nothing else says.
    #[schemars(example = true)]
    pub tracing_enabled: Option<bool>,
    /// How much the program should log, where nothing else says.
    #[schemars(example = &"info")]
    pub log_level: Option<LogLevel>,
    /// Make keyspaces and tables where there are none; wants `replication`.
    pub create: bool,
    /// Replicas in each datacenter when a keyspace is made: `dc1=3,dc2=3`.
    #[schemars(example = &"dc1=3")]
    pub replication: Option<String>,
}

/// How failures are tried again.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// Most repetitions after the first attempt.
    pub num_retries: u32,
    /// Upper bound of the first pause; each later one doubles it. Pauses are random below
    /// their bound.
    pub min_retry_delay: GoDuration,
    /// Upper bound of any pause.
    pub max_retry_delay: GoDuration,
    /// Only these classes are tried again, of what is safe to; all unless set.
    #[schemars(example = ["timeout", "unavailable"])]
    pub retryable_errors: Option<Vec<Retryable>>,
}

const fn seconds(seconds: u64) -> GoDuration {
    GoDuration(Duration::from_secs(seconds))
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            num_retries: 3,
            min_retry_delay: GoDuration(Duration::from_millis(100)),
            max_retry_delay: seconds(10),
            retryable_errors: None,
        }
    }
}

impl Default for ScyllaConfig {
    fn default() -> Self {
        Self {
            hosts: Vec::new(),
            port: 9042,
            keyspace: "ipfs_pins".to_owned(),
            control_keyspace: None,
            username: None,
            password: None,
            password_file: None,
            timeout: seconds(10),
            attempt_timeout: None,
            page_timeout: None,
            connect_timeout: seconds(5),
            ddl_timeout: seconds(60),
            num_conns: None,
            max_wait_time: seconds(1),
            max_in_flight: 256,
            max_queue: 16_384,
            consistency: Level::LocalQuorum,
            serial_consistency: SerialLevel::LocalSerial,
            degraded_reads: None,
            token_aware_routing: true,
            dc_aware_routing: None,
            local_dc: None,
            dc_failover: false,
            shard_aware_port: true,
            address_translation: BTreeMap::new(),
            page_size: 5_000,
            max_value_bytes: ByteSize(1 << 20),
            compression: Compression::None,
            demote_after: seconds(1),
            prepared_statement_cache_size: None,
            tls: TlsConfig::default(),
            retry_policy: RetryPolicy::default(),
            metrics_enabled: None,
            tracing_enabled: None,
            log_level: None,
            create: false,
            replication: None,
        }
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum Hosts {
    Many(Vec<String>),
    One(String),
}

#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum Rules {
    Table(BTreeMap<String, String>),
    One(String),
}

/// A list, or one text with commas, as an environment variable carries it.
fn one_or_many<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    Ok(match Hosts::deserialize(from)? {
        Hosts::Many(hosts) => hosts,
        Hosts::One(text) => text.split(',').map(|host| host.trim().to_owned()).collect(),
    })
}

/// A table of rules, or one text with commas, as a URI or an environment variable carries it.
fn rules<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, String>, D::Error> {
    let text = match Rules::deserialize(from)? {
        Rules::Table(rules) => return Ok(rules),
        Rules::One(text) => text,
    };
    let parts = text.split(',').filter(|part| !part.trim().is_empty());
    let rule = |part: &str| {
        let (node, reached) = part.split_once('=').unwrap_or((part, ""));
        (node.trim().to_owned(), reached.trim().to_owned())
    };
    Ok(parts.map(rule).collect())
}

impl ScyllaConfig {
    /// A store in `keyspace` on the cluster that these hosts belong to.
    pub fn new<H: Into<String>>(
        hosts: impl IntoIterator<Item = H>,
        keyspace: impl Into<String>,
    ) -> Self {
        Self {
            hosts: hosts.into_iter().map(Into::into).collect(),
            keyspace: keyspace.into(),
            ..Self::default()
        }
    }

    /// Sets the datacenter that is near.
    #[must_use]
    pub fn with_local_dc(mut self, datacenter: impl Into<String>) -> Self {
        self.local_dc = Some(datacenter.into());
        self
    }

    /// Makes what is missing, with so many replicas in each datacenter: `dc1=3,dc2=3`.
    #[must_use]
    pub fn create(mut self, replication: impl Into<String>) -> Self {
        self.create = true;
        self.replication = Some(replication.into());
        self
    }

    /// The name of the keyspace of control records.
    pub(crate) fn control_keyspace(&self) -> String {
        self.control_keyspace
            .clone()
            .unwrap_or_else(|| format!("{}{CONTROL_SUFFIX}", self.keyspace))
    }

    /// Longest wait for one node's answer about one record.
    pub(crate) fn attempt(&self) -> Duration {
        self.within_timeout(self.attempt_timeout)
    }

    /// Longest wait for one node's answer with a page.
    pub(crate) fn page_attempt(&self) -> Duration {
        self.within_timeout(self.page_timeout)
    }

    fn within_timeout(&self, set: Option<GoDuration>) -> Duration {
        set.map_or(Duration::from_secs(3), |set| set.0).min(self.timeout.0 / 2)
    }

    /// The datacenter that requests keep to.
    pub(crate) fn datacenter(&self) -> Option<&str> {
        match self.dc_aware_routing {
            Some(false) => None,
            _ => self.local_dc.as_deref(),
        }
    }

    /// The contact points, each with its port.
    pub(crate) fn contact_points(&self) -> Vec<String> {
        let with_port = |host: &String| {
            let host = host.trim();
            // An IPv6 address has colons of its own and wants brackets beside a port.
            let bare_v6 = host.parse::<std::net::Ipv6Addr>().is_ok();
            let has_port = !bare_v6
                && host
                    .rsplit_once(':')
                    .is_some_and(|(_, port)| !port.is_empty() && port.parse::<u16>().is_ok());
            match (bare_v6, has_port) {
                (true, _) => format!("[{host}]:{}", self.port),
                (false, true) => host.to_owned(),
                (false, false) => format!("{host}:{}", self.port),
            }
        };
        self.hosts.iter().map(with_port).collect()
    }

    /// The layers that the configuration asks for. Limits on requests under way and on
    /// each attempt are the backend's own.
    #[must_use]
    pub fn layers(&self) -> Layers {
        let policy = &self.retry_policy;
        let mut retry = RetryOptions::new()
            .with_attempts(policy.num_retries.saturating_add(1))
            .with_elapsed(self.timeout.0)
            .with_pauses(policy.min_retry_delay.0, policy.max_retry_delay.0);
        if let Some(only) = &policy.retryable_errors {
            let mut kinds: Vec<ErrorKind> = only.iter().map(|class| class.kind()).collect();
            kinds.dedup();
            retry = retry.with_only(kinds);
        }
        Layers::none()
            .with_deadline(Some(self.timeout.0))
            .with_retry(Some(retry))
            .with_trace(self.tracing_enabled == Some(true))
            .with_consistency(self.consistency.to_string())
    }
}

#[cfg(test)]
mod tests;
