//! From a configuration to a session of the driver.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pinstate_core::config::Secret;
use pinstate_core::{Operation, Outcome, Result};
use scylla::authentication::{AuthError, AuthenticatorProvider, AuthenticatorSession};
use scylla::client::execution_profile::ExecutionProfile;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::client::{PoolSize, SelfIdentity};
use scylla::frame::Compression as FrameCompression;
use scylla::policies::load_balancing::{DefaultPolicy, LoadBalancingPolicy};
use scylla::statement::prepared::PreparedStatement;
use scylla::statement::unprepared::Statement;

use crate::config::{Compression, ScyllaConfig};
use crate::error::{BACKEND, from_prepare, from_session, too_slow};
use crate::replicas::Demoting;
use crate::retry_policy::OneOther;
use crate::translate::Translation;
use crate::watch::Watch;

/// How often the driver asks an idle connection whether the node is there, and how long it
/// waits for the answer. The driver's own 30 s and 30 s would keep a dead node for a minute.
const KEEPALIVE: Duration = Duration::from_secs(5);

/// How often the driver asks for the cluster's nodes and tables anew.
const METADATA_REFRESH: Duration = Duration::from_secs(60);

/// How long the work of opening may take: nodes that do not answer are tried one by one.
fn opening(config: &ScyllaConfig) -> Duration {
    config.connect_timeout.0.saturating_mul(3).max(KEEPALIVE * 3)
}

/// Which nodes are asked for a record: its replicas first, in the near datacenter alone
/// unless failover is on.
pub(crate) fn policy(
    config: &ScyllaConfig,
    datacenter: Option<&str>,
) -> Arc<dyn LoadBalancingPolicy> {
    let mut policy = DefaultPolicy::builder()
        .token_aware(config.token_aware_routing)
        .permit_dc_failover(config.dc_failover);
    if let Some(datacenter) = datacenter {
        policy = policy.prefer_datacenter(datacenter.to_owned());
    }
    policy.build()
}

/// Begins a session, with so many connections to each shard (a Cassandra node counts as
/// one shard).
pub(crate) async fn connect(
    config: &ScyllaConfig,
    watch: &Arc<Watch>,
    datacenter: Option<&str>,
    connections: u16,
) -> Result<Session> {
    let policy = policy(config, datacenter);
    let profile = ExecutionProfile::builder()
        .consistency(config.consistency.driver())
        .serial_consistency(Some(config.serial_consistency.driver()))
        .request_timeout(Some(config.attempt()))
        .load_balancing_policy(Arc::new(Demoting::new(policy, Arc::clone(watch))))
        .retry_policy(Arc::new(OneOther::for_reads()))
        .speculative_execution_policy(None)
        .build()
        .into_handle();
    // Two nodes that answer nothing leave time for a third.
    let metadata = config.timeout.0.min(opening(config) / 3);
    let connections = NonZeroUsize::new(usize::from(connections)).unwrap_or(NonZeroUsize::MIN);
    let mut builder = SessionBuilder::new()
        .known_nodes(config.contact_points())
        .default_execution_profile_handle(profile)
        .pool_size(PoolSize::PerShard(connections))
        .connection_timeout(config.connect_timeout.0)
        .hostname_resolution_timeout(Some(config.connect_timeout.0))
        .keepalive_interval(KEEPALIVE)
        .keepalive_timeout(KEEPALIVE)
        .metadata_request_clientside_timeout(metadata)
        .metadata_request_serverside_timeout(metadata)
        .cluster_metadata_refresh_interval(METADATA_REFRESH)
        .schema_agreement_timeout(config.ddl_timeout.0 / 2)
        .keyspaces_to_fetch([config.keyspace.clone(), config.control_keyspace()])
        // What the client is set up like is nobody else's concern.
        .driver_config_reporting(false)
        .disallow_shard_aware_port(!config.shard_aware_port)
        .compression(match config.compression {
            Compression::None => None,
            Compression::Lz4 => Some(FrameCompression::Lz4),
            Compression::Snappy => Some(FrameCompression::Snappy),
        })
        .custom_identity(SelfIdentity::new().with_application_name("pinstate"))
        .tls_context(config.tls.client()?);
    let translation = Translation::of(&config.address_translation)?;
    if !translation.is_empty() {
        builder = builder.address_translator(Arc::new(translation));
    }
    if let Some(login) = Login::of(config)? {
        builder = builder.authenticator_provider(Arc::new(login));
    }
    let limit = opening(config);
    match tokio::time::timeout(limit, builder.build()).await {
        Ok(session) => session.map_err(|e| {
            from_session(&e).with_context("hosts", config.contact_points().join(", "))
        }),
        Err(_) => Err(too_slow(
            Operation::Open,
            "the cluster could not be reached in time",
            limit,
            Outcome::NotApplied,
        )
        .with_context("hosts", config.contact_points().join(", "))),
    }
}

/// Prepares a statement. The driver prepares on every node and waits for all of them, so a
/// silent one holds it up until its connections are given up.
pub(crate) async fn prepare(
    session: &Session,
    statement: Statement,
    limit: Duration,
    operation: Operation,
) -> Result<PreparedStatement> {
    let limit = limit.max(KEEPALIVE * 2 + Duration::from_secs(1));
    match tokio::time::timeout(limit, session.prepare(statement)).await {
        Ok(prepared) => prepared.map_err(|e| from_prepare(&e, operation)),
        Err(_) => Err(too_slow(
            operation,
            "a statement could not be prepared in time: a node is silent",
            limit,
            Outcome::NotApplied,
        )),
    }
}

/// Name and password, for every login anew.
struct Login {
    username: String,
    password: Password,
}

enum Password {
    Set(Secret),
    /// Read at every login, so that it can be changed while the program runs.
    File(PathBuf),
}

impl Login {
    fn of(config: &ScyllaConfig) -> Result<Option<Self>> {
        let Some(username) = config.username.clone() else { return Ok(None) };
        let password = match (&config.password, &config.password_file) {
            (_, Some(file)) => {
                // Better said now than in the text of a failed login.
                read_password(file)?;
                Password::File(file.clone())
            }
            (Some(secret), None) => Password::Set(secret.clone()),
            (None, None) => return Ok(None),
        };
        Ok(Some(Self { username, password }))
    }

    async fn password(&self) -> std::result::Result<Secret, AuthError> {
        let file = match &self.password {
            Password::Set(secret) => return Ok(secret.clone()),
            Password::File(file) => file,
        };
        let file = file.clone();
        let read = tokio::task::spawn_blocking(move || read_password(&file)).await;
        read.map_err(|_| "the password file could not be read".to_owned())?
            .map_err(|error| error.to_string())
    }
}

fn read_password(file: &Path) -> Result<Secret> {
    Secret::read("password_file", file).map_err(|error| error.with_backend(BACKEND))
}

#[async_trait]
impl AuthenticatorProvider for Login {
    async fn start_authentication_session(
        &self,
        _authenticator_name: &str,
    ) -> std::result::Result<(Option<Vec<u8>>, Box<dyn AuthenticatorSession>), AuthError> {
        let password = self.password().await?;
        let mut first = vec![0];
        first.extend_from_slice(self.username.as_bytes());
        first.push(0);
        first.extend_from_slice(password.expose().as_bytes());
        Ok((Some(first), Box::new(PlainText)))
    }
}

/// What follows the first message of a login by name and password: nothing.
struct PlainText;

#[async_trait]
impl AuthenticatorSession for PlainText {
    async fn evaluate_challenge(
        &mut self,
        _token: Option<&[u8]>,
    ) -> std::result::Result<Option<Vec<u8>>, AuthError> {
        Err("the server asks for more than a name and a password".to_owned())
    }

    async fn success(&mut self, _token: Option<&[u8]>) -> std::result::Result<(), AuthError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_password_is_read_anew_at_every_login() {
        let file = std::env::temp_dir().join(format!("pinstate-password-{}", std::process::id()));
        std::fs::write(&file, "first\n").unwrap();
        let mut config = ScyllaConfig::new(["h"], "k");
        config.username = Some("me".into());
        config.password_file = Some(file.clone());
        let login = Login::of(&config).unwrap().unwrap();
        let first = async || login.start_authentication_session("x").await.unwrap().0.unwrap();
        assert_eq!(first().await, b"\0me\0first");
        std::fs::write(&file, "second").unwrap();
        assert_eq!(first().await, b"\0me\0second");
        std::fs::remove_file(&file).unwrap();
        let error = login.start_authentication_session("x").await.map(|_| ()).unwrap_err();
        assert!(error.contains("pinstate-password") && !error.contains("second"), "{error}");
        assert!(Login::of(&config).is_err());
    }
}
