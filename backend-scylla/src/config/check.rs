//! What is refused before anything is connected to: values that contradict each other, and
//! those that nothing could be done with.

use pinstate_core::Result;
use pinstate_core::config::{check_login, invalid};

use super::{Level, ScyllaConfig, seconds};
use crate::error::BACKEND;
use crate::translate::Translation;

/// Longest name of a keyspace.
const MAX_KEYSPACE_BYTES: usize = 48;

fn refuse<T>(text: impl Into<String>) -> Result<T> {
    Err(invalid(text.into()).with_backend(BACKEND))
}

impl ScyllaConfig {
    /// Refuses what no store can be opened with, and warns of what does nothing.
    pub(crate) fn check(&self) -> Result<()> {
        if self.hosts.iter().all(|host| host.trim().is_empty()) {
            return refuse("'hosts' is empty: name at least one node, such as 10.0.0.1:9042");
        }
        check_name("keyspace", &self.keyspace)?;
        check_name("control_keyspace", &self.control_keyspace())?;
        if self.keyspace == self.control_keyspace() {
            return refuse(
                "'control_keyspace' is 'keyspace': control records need one of their own, since \
                 ScyllaDB takes no lightweight transactions where there are tablets",
            );
        }
        if self.dc_aware_routing == Some(true) && self.local_dc.is_none() {
            return refuse("'dc_aware_routing' is on without 'local_dc': name the near datacenter");
        }
        if self.consistency == Level::EachQuorum {
            return refuse(
                "'consistency' is EACH_QUORUM: servers take it for writes and refuse it for \
                 reads; LOCAL_QUORUM, QUORUM and ALL are safe for both",
            );
        }
        if self.degraded_reads == Some(Level::EachQuorum) {
            return refuse("'degraded_reads' is EACH_QUORUM, which servers refuse for reads");
        }
        check_login(
            self.username.as_deref(),
            self.password.as_ref(),
            self.password_file.as_deref(),
        )
        .map_err(|error| error.with_backend(BACKEND))?;
        for (key, value) in [
            ("timeout", self.timeout),
            ("connect_timeout", self.connect_timeout),
            ("ddl_timeout", self.ddl_timeout),
            ("demote_after", self.demote_after),
            ("attempt_timeout", self.attempt_timeout.unwrap_or(seconds(1))),
            ("page_timeout", self.page_timeout.unwrap_or(seconds(1))),
        ] {
            if value.0.is_zero() {
                return refuse(format!("'{key}' is 0: nothing would ever be done in time"));
            }
        }
        for (key, value) in [
            ("num_conns", self.num_conns.map_or(1, u32::from)),
            ("max_in_flight", self.max_in_flight),
            ("page_size", self.page_size),
        ] {
            if value == 0 {
                return refuse(format!("'{key}' is 0: the least is 1"));
            }
        }
        if self.max_value_bytes.0 == 0 || self.max_value_bytes.0 > 256 << 20 {
            return refuse("'max_value_bytes' must be 1 to 256MiB, the longest frame of CQL");
        }
        Translation::of(&self.address_translation)?;
        self.tls.check()?;
        if self.prepared_statement_cache_size.is_some() {
            tracing::warn!(
                "'prepared_statement_cache_size' has no effect: the statements of this backend \
                 are few and all prepared"
            );
        }
        Ok(())
    }
}

/// Keyspaces are always quoted, so any letter will do.
fn check_name(key: &str, name: &str) -> Result<()> {
    let good = (1..=MAX_KEYSPACE_BYTES).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if good {
        return Ok(());
    }
    refuse(format!(
        "'{key}' is '{}': a keyspace's name is 1 to {MAX_KEYSPACE_BYTES} letters, digits and '_'",
        name.escape_debug()
    ))
}
