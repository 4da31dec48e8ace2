//! A store on a cluster of one node.

#![allow(dead_code, reason = "each test file uses a part")]

use std::collections::BTreeMap;
use std::process::Command;

use scylla::client::session::Session;
use testbed::{Cluster, Options};

use crate::common::{Place, Ran, run, sorted};

/// The store, and a place for files.
pub(crate) struct Here {
    pub(crate) place: Place,
    pub(crate) store: String,
    pub(crate) keyspace: String,
    /// To ask the server without the backend.
    runtime: tokio::runtime::Runtime,
    session: Session,
    // Last, so that it is there as long as anybody may ask it.
    pub(crate) cluster: Cluster,
}

impl Here {
    /// Starts it; `None` where the user wants no cluster.
    pub(crate) fn start() -> Option<Self> {
        let cluster = testbed::for_tests::cluster(&Options::nodes(1).unwrap())?;
        let keyspace = format!("pins_{}", std::process::id());
        // Patience for a machine that does much else.
        let store = format!(
            "scylla://{}/{keyspace}?local_dc={}&timeout=60s&attempt_timeout=15s&page_timeout=15s\
             &demote_after=10s",
            cluster.access().contact_points[0],
            cluster.datacenters()[0],
        );
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let session = cluster.session_builder().unwrap();
        let session = runtime.block_on(session.build()).unwrap();
        Some(Self { place: Place::new(), store, keyspace, runtime, session, cluster })
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = self.place.bare();
        command.args(["--store", &self.store]).args(args);
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        run(&mut self.command(args))
    }

    pub(crate) fn count(&self) -> u64 {
        self.run(&["count"]).good().json()[0]["pins"].as_u64().unwrap()
    }

    pub(crate) fn pinset(&self) -> Vec<String> {
        sorted(&self.run(&["export"]).good().stdout)
    }

    /// The CIDs of a namespace and the versions of what is written there, as the server has
    /// them; asked for without the backend.
    pub(crate) fn versions(&self, namespace: &str) -> BTreeMap<Vec<u8>, i64> {
        self.runtime.block_on(async {
            let (session, keyspace) = (&self.session, &self.keyspace);
            let mapping = format!(
                "SELECT value FROM \"{keyspace}_control\".control WHERE space = 'namespace' AND \
                 key = ?"
            );
            let mapping = session.query_unpaged(mapping, (namespace,)).await.unwrap();
            let mapping = mapping.into_rows_result().unwrap();
            let (mapping,) = mapping.single_row::<(Vec<u8>,)>().unwrap();
            let mapping: serde_json::Value = serde_json::from_slice(&mapping).unwrap();
            let table = mapping["table"].as_str().unwrap();
            let rows = format!("SELECT cid, writetime(v) FROM \"{keyspace}\".\"{table}\"");
            let rows = session.query_unpaged(rows, ()).await.unwrap().into_rows_result().unwrap();
            rows.rows::<(Vec<u8>, i64)>().unwrap().map(Result::unwrap).collect()
        })
    }
}
