//! Whether the configuration fits the replicas that a keyspace has.

use std::collections::BTreeMap;

use pinstate_core::Result;
use pinstate_core::config::invalid;

use super::Facts;
use crate::config::{Level, ScyllaConfig};
use crate::error::BACKEND;
use crate::schema::Replication;

/// Refuses a replication that a new keyspace cannot have.
pub(super) fn check_new(
    replication: &Replication,
    datacenters: &BTreeMap<String, usize>,
) -> Result<()> {
    let refuse = |text: String| Err(invalid(text).with_backend(BACKEND));
    if let Some(dc) = replication.datacenters().find(|dc| !datacenters.contains_key(*dc)) {
        let known: Vec<&str> = datacenters.keys().map(String::as_str).collect();
        return refuse(format!(
            "'replication' names '{dc}', and the cluster has no such datacenter; it has: {}",
            known.join(", ")
        ));
    }
    match too_few_nodes(replication, datacenters) {
        Some(text) => refuse(format!("'replication' is {replication}: {text}")),
        None => Ok(()),
    }
}

/// What is wrong with a replication that wants more replicas than there are nodes.
pub(crate) fn too_few_nodes(
    replication: &Replication,
    datacenters: &BTreeMap<String, usize>,
) -> Option<String> {
    let dc = replication.datacenters().find(|dc| {
        datacenters.get(*dc).is_some_and(|nodes| (*nodes as u64) < u64::from(replication.of(dc)))
    })?;
    let nodes = match datacenters.get(dc) {
        Some(1) => "one node".to_owned(),
        nodes => format!("{} nodes", nodes.copied().unwrap_or_default()),
    };
    Some(format!(
        "{} replicas are wanted in '{dc}', which has {nodes}: each that nobody has counts as one \
         that is down",
        replication.of(dc)
    ))
}

/// Refuses a consistency that the replicas cannot give, or that a real server answers with
/// nothing instead of an error.
pub(super) fn check_replicas(
    config: &ScyllaConfig,
    facts: &Facts,
    keyspace: &str,
    replication: &Replication,
) -> Result<()> {
    let refuse = |text: String| Err(invalid(text).with_backend(BACKEND));
    let with: Vec<&str> = replication.datacenters().collect();
    if let Some(local) = &facts.local {
        if replication.of(local) == 0 {
            return refuse(format!(
                "the keyspace '{keyspace}' has no replica in '{local}', the datacenter that \
                 requests go to: reads there can come back empty without an error; set 'local_dc' \
                 to one of: {}",
                with.join(", ")
            ));
        }
        if let Some(without) = facts.datacenters.keys().find(|dc| replication.of(dc) == 0)
            && config.dc_failover
        {
            return refuse(format!(
                "'dc_failover' is on, and the keyspace '{keyspace}' has no replica in '{without}': \
                 reads that went there could come back empty without an error"
            ));
        }
    } else {
        if let Some(without) = facts.datacenters.keys().find(|dc| replication.of(dc) == 0) {
            return refuse(format!(
                "'local_dc' is not set, and the keyspace '{keyspace}' has no replica in \
                 '{without}': reads there can come back empty without an error; set 'local_dc' to \
                 one of: {}",
                with.join(", ")
            ));
        }
        if facts.datacenters.len() > 1 && config.consistency.is_local() {
            tracing::warn!(
                "'local_dc' is not set and there are {} datacenters: {} means another one with \
                 each request",
                facts.datacenters.len(),
                config.consistency
            );
        }
    }
    for (key, level) in
        [("consistency", Some(config.consistency)), ("degraded_reads", config.degraded_reads)]
    {
        let needed = match level {
            Some(Level::Two) => 2,
            Some(Level::Three) => 3,
            _ => 1,
        };
        if replication.total() < needed {
            return refuse(format!(
                "'{key}' needs {needed} replicas, and the keyspace '{keyspace}' has {}: {replication}",
                replication.total()
            ));
        }
    }
    Ok(())
}

/// Warns of replicas so few that one node matters.
pub(super) fn warn_of_few(
    config: &ScyllaConfig,
    facts: &Facts,
    keyspace: &str,
    replication: &Replication,
) {
    if let Some(text) = too_few_nodes(replication, &facts.datacenters) {
        tracing::warn!("the keyspace '{keyspace}': {text}");
    }
    let here = facts.local.as_ref().map_or(replication.total(), |local| replication.of(local));
    if here < 3 && config.consistency != Level::One && config.consistency != Level::LocalOne {
        let replicas = if here == 1 { "one replica" } else { "two replicas" };
        tracing::warn!(
            "the keyspace '{keyspace}' has {replicas} where requests go: {} cannot be met without \
             each of them",
            config.consistency
        );
    }
}

/// Whether a handle reads its own writes: the replicas of a read and of a write overlap.
/// With `roaming`, requests may come to go to another datacenter than `local`.
pub(crate) fn reads_own_writes(level: Level, facts: &Facts, roaming: bool) -> bool {
    let total = facts.replication.total();
    let fixed = |count: u32| 2 * count > total;
    match level {
        Level::Quorum | Level::All | Level::EachQuorum => true,
        // In different datacenters from one request to the next it is no quorum of anything.
        Level::LocalQuorum => facts.datacenters.len() == 1 || (facts.local.is_some() && !roaming),
        Level::LocalOne => {
            !roaming && facts.local.as_ref().is_some_and(|dc| facts.replication.of(dc) == 1)
        }
        Level::One => fixed(1),
        Level::Two => fixed(2),
        Level::Three => fixed(3),
    }
}

#[cfg(test)]
mod tests {
    use pinstate_core::ErrorKind;

    use super::*;
    use crate::schema::Dialect;

    fn facts(datacenters: &[&str], local: Option<&str>, replication: &str) -> Facts {
        Facts {
            dialect: Dialect::Cassandra,
            datacenters: datacenters.iter().map(|dc| ((*dc).to_owned(), 3)).collect(),
            local: local.map(str::to_owned),
            replication: Replication::parse(replication).unwrap(),
            tablets: false,
        }
    }

    fn check(config: &ScyllaConfig, facts: &Facts) -> Result<()> {
        check_replicas(config, facts, "pins", &facts.replication)
    }

    #[test]
    fn a_datacenter_without_replicas_is_refused() {
        let config = ScyllaConfig::new(["h"], "pins");
        check(&config, &facts(&["dc1"], Some("dc1"), "dc1=3")).unwrap();
        check(&config, &facts(&["dc1", "dc2"], None, "dc1=3,dc2=1")).unwrap();
        for (local, part) in [(Some("dc2"), "no replica in 'dc2'"), (None, "'local_dc' is not set")]
        {
            let error = check(&config, &facts(&["dc1", "dc2"], local, "dc1=3")).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains(part), "{error}");
            assert!(error.to_string().contains("one of: dc1"), "{error}");
        }
        let mut roaming = config;
        roaming.dc_failover = true;
        let error = check(&roaming, &facts(&["dc1", "dc2"], Some("dc1"), "dc1=3")).unwrap_err();
        assert!(error.to_string().contains("'dc_failover' is on"), "{error}");
    }

    #[test]
    fn more_replicas_than_nodes_are_refused_for_a_new_keyspace() {
        let datacenters = BTreeMap::from([("dc1".to_owned(), 3), ("dc2".to_owned(), 1)]);
        let check = |text: &str| check_new(&Replication::parse(text).unwrap(), &datacenters);
        check("dc1=3,dc2=1").unwrap();
        for (text, part) in [
            ("dc1=3,dc2=2", "2 replicas are wanted in 'dc2', which has one node"),
            ("dc3=1", "no such datacenter; it has: dc1, dc2"),
        ] {
            let error = check(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains(part), "{error}");
        }
    }

    #[test]
    fn too_few_replicas_are_refused() {
        let mut config = ScyllaConfig::new(["h"], "pins");
        config.consistency = Level::Three;
        let error = check(&config, &facts(&["dc1"], Some("dc1"), "dc1=2")).unwrap_err();
        assert!(error.to_string().contains("needs 3 replicas"), "{error}");
        config.consistency = Level::LocalQuorum;
        config.degraded_reads = Some(Level::Two);
        let error = check(&config, &facts(&["dc1"], Some("dc1"), "dc1=1")).unwrap_err();
        assert!(error.to_string().contains("'degraded_reads' needs 2"), "{error}");
    }

    #[test]
    fn only_overlapping_replicas_read_their_own_writes() {
        let one = facts(&["dc1"], Some("dc1"), "dc1=3");
        let apart = facts(&["dc1", "dc2"], None, "dc1=3,dc2=3");
        for (level, facts, expected) in [
            (Level::LocalQuorum, &one, true),
            (Level::LocalQuorum, &facts(&["dc1", "dc2"], Some("dc1"), "dc1=3,dc2=3"), true),
            (Level::LocalQuorum, &apart, false),
            (Level::Quorum, &apart, true),
            (Level::One, &one, false),
            (Level::Two, &one, true),
            (Level::LocalOne, &one, false),
            (Level::LocalOne, &facts(&["dc1"], Some("dc1"), "dc1=1"), true),
        ] {
            assert_eq!(reads_own_writes(level, facts, false), expected, "{level} {facts:?}");
        }
        // A quorum here and one there need not overlap.
        let both = facts(&["dc1", "dc2"], Some("dc1"), "dc1=3,dc2=3");
        assert!(!reads_own_writes(Level::LocalQuorum, &both, true));
        assert!(reads_own_writes(Level::Quorum, &both, true));
    }
}
