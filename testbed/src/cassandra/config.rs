//! The files of one node.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::options::Options;
use crate::range::{CQL_PORT, STORAGE_PORT};

/// What tells one node from another.
#[derive(Clone, Debug)]
pub(super) struct Site<'a> {
    /// Unlike that of any other cluster, so that two that meet by mistake refuse each other.
    pub(super) cluster: &'a str,
    pub(super) datacenter: &'a str,
    /// For other nodes.
    pub(super) listen: Ipv4Addr,
    /// For clients.
    pub(super) rpc: Ipv4Addr,
    pub(super) seeds: &'a str,
    /// Keystore and truststore, where clients are spoken to over TLS.
    pub(super) keys: Option<(PathBuf, PathBuf)>,
}

pub(super) const YAML: &str = "cassandra.yaml";
pub(super) const RACK: &str = "rackdc.properties";
pub(super) const LOGBACK: &str = "logback.xml";

/// Writes the files of a node into its folder.
pub(super) fn write(folder: &Path, site: &Site<'_>, options: &Options) -> Result<()> {
    fs::create_dir_all(folder).map_err(Error::io("cannot create", folder))?;
    let files = [
        (YAML, yaml(site, options)),
        (RACK, format!("dc={}\nrack=rack1\n", site.datacenter)),
        (LOGBACK, LOGBACK_TEXT.to_owned()),
    ];
    for (name, text) in files {
        let path = folder.join(name);
        fs::write(&path, text).map_err(Error::io("cannot write", &path))?;
    }
    Ok(())
}

fn yaml(site: &Site<'_>, options: &Options) -> String {
    let Site { cluster, listen, rpc, seeds, .. } = site;
    let segment = options.commitlog_segment_mib;
    let text = format!(
        "cluster_name: {cluster}\n\
         num_tokens: 16\n\
         partitioner: org.apache.cassandra.dht.Murmur3Partitioner\n\
         seed_provider: [{{class_name: org.apache.cassandra.locator.SimpleSeedProvider, \
         parameters: [{{seeds: \"{seeds}\"}}]}}]\n\
         listen_address: {listen}\n\
         rpc_address: {rpc}\n\
         native_transport_port: {CQL_PORT}\n\
         storage_port: {STORAGE_PORT}\n\
         endpoint_snitch: GossipingPropertyFileSnitch\n\
         commitlog_sync: periodic\n\
         commitlog_sync_period: 10000ms\n\
         commitlog_segment_size: {segment}MiB\n\
         auto_snapshot: false\n\
         auto_bootstrap: false\n\
         dynamic_snitch: false\n\
         concurrent_reads: 8\n\
         concurrent_writes: 8\n\
         memtable_heap_space: 64MiB\n\
         memtable_offheap_space: 64MiB\n\
         file_cache_size: 32MiB\n\
         networking_cache_size: 32MiB\n"
    );
    [text, auth(options), encryption(site, options)].concat()
}

fn auth(options: &Options) -> String {
    if !options.auth {
        return String::new();
    }
    // Short validities: a test that grants or changes a password sees it soon. Written to all
    // and read from one: a role gets in while nodes are dead and from every datacenter, where
    // the local quorum of the default has no replicas enough.
    "authenticator: {class_name: PasswordAuthenticator}\n\
     authorizer: {class_name: CassandraAuthorizer}\n\
     role_manager: {class_name: CassandraRoleManager}\n\
     roles_validity: 500ms\n\
     permissions_validity: 500ms\n\
     credentials_validity: 500ms\n\
     auth_read_consistency_level: ONE\n\
     auth_write_consistency_level: ALL\n"
        .to_owned()
}

fn encryption(site: &Site<'_>, options: &Options) -> String {
    let (Some(tls), Some((keystore, truststore))) = (&options.tls, &site.keys) else {
        return String::new();
    };
    format!(
        "client_encryption_options:\n  \
           enabled: true\n  \
           optional: false\n  \
           require_client_auth: {}\n  \
           ssl_context_factory: {{class_name: \
             org.apache.cassandra.security.PEMBasedSslContextFactory}}\n  \
           keystore: {}\n  \
           truststore: {}\n",
        tls.client_certificate,
        keystore.display(),
        truststore.display(),
    )
}

const LOGBACK_TEXT: &str = "<configuration>
  <appender name=\"out\" class=\"ch.qos.logback.core.ConsoleAppender\">
    <encoder><pattern>%-5level [%thread] %date{ISO8601} %logger{20} - %msg%n</pattern></encoder>
  </appender>
  <root level=\"INFO\"><appender-ref ref=\"out\"/></root>
</configuration>
";
