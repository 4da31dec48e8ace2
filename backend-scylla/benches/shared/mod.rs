//! What the benchmarks have in common: pins of the usual shape, a session of the driver as
//! the backend makes it, and how figures are told.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "each benchmark takes what it needs"
)]

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use pinstate_core::pin::{self, Cid, PeerId, Pin, UnixSeconds};
use pinstate_scylla::{ScyllaConfig, check_schema};
use scylla::client::PoolSize;
use scylla::client::execution_profile::ExecutionProfile;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::policies::load_balancing::DefaultPolicy;
use scylla::policies::retry::FallthroughRetryPolicy;
use scylla::statement::Consistency;

/// Connections to each node, of either side.
pub(crate) const CONNECTIONS: u16 = 2;

/// A pin of the usual shape, of about 250 bytes.
pub(crate) fn pin(i: usize) -> Pin {
    let mut cid = [7; 36];
    cid[..4].copy_from_slice(&[1, 0x55, 0x12, 0x20]);
    cid[4..12].copy_from_slice(&(i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    let mut pin = Pin::new(Cid::from_bytes(&cid).unwrap());
    pin.name = format!("backup/2024/archive-{i:08}");
    pin.replication_factor_min = 2;
    pin.replication_factor_max = 3;
    pin.metadata.insert("owner".into(), format!("team-{}", i % 40));
    pin.timestamp = Some(UnixSeconds(1_700_000_000 + i as i64));
    let peer = |n: usize| {
        let mut bytes = [(i + n) as u8 % 36; 38];
        bytes[..6].copy_from_slice(&[0x00, 0x24, 0x08, 0x01, 0x12, 0x20]);
        PeerId::from_bytes(&bytes).unwrap()
    };
    pin.allocations = (0..3).map(peer).collect();
    pin
}

/// The bytes under which a pin is stored.
pub(crate) fn stored(pin: &Pin) -> Bytes {
    let mut value = Vec::new();
    pin::encode(pin, &mut value);
    Bytes::from(value)
}

/// A session with the settings that the backend gives its own, and the driver's own
/// policies.
pub(crate) async fn session(builder: SessionBuilder, config: &ScyllaConfig) -> Session {
    let datacenter = config.local_dc.clone().unwrap();
    let policy = DefaultPolicy::builder().prefer_datacenter(datacenter).token_aware(true).build();
    let attempt: Duration = config.attempt_timeout.unwrap().0;
    let profile = ExecutionProfile::builder()
        .consistency(Consistency::LocalQuorum)
        .request_timeout(Some(attempt))
        .load_balancing_policy(policy)
        .retry_policy(Arc::new(FallthroughRetryPolicy::new()))
        .build();
    builder
        .default_execution_profile_handle(profile.into_handle())
        .pool_size(PoolSize::PerShard(NonZeroUsize::new(CONNECTIONS.into()).unwrap()))
        .build()
        .await
        .unwrap()
}

/// The table of the only namespace, as statements name it.
pub(crate) async fn table(config: &ScyllaConfig) -> String {
    let table = check_schema(config).await.unwrap().namespaces[0].1.clone();
    format!("\"{}\".{table}", config.keyspace)
}

/// The figure in the middle.
pub(crate) fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of[of.len() / 2]
}

/// The median, with the range in brackets.
pub(crate) fn spread(of: impl IntoIterator<Item = f64>) -> String {
    let mut of: Vec<f64> = of.into_iter().collect();
    of.sort_by(f64::total_cmp);
    format!("{:.3} ({:.3} to {:.3})", of[of.len() / 2], of[0], of[of.len() - 1])
}
