//! The backend as the conformance suite sees it, on a cluster of the test bed.
//!
//! A table takes seconds to make, so keyspaces and tables are made once and emptied between
//! cases.
#![allow(dead_code, reason = "each test target takes what it needs")]

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pinstate_conformance::{Plug, Server, Site};
use pinstate_core::{Error, ErrorKind, Operation, Result, Store};

use crate::common::{Bed, Place};

/// A case that writes 100,000 records shares two processors with three nodes.
pub(crate) const HANG: Duration = Duration::from_secs(400);
/// Cases at the same time: most of one is waiting for a server, or for what it has dropped.
pub(crate) const AT_ONCE: usize = 6;

pub(crate) struct Scylla {
    bed: Arc<Bed>,
    /// Whether cases may stop the whole cluster.
    stops: bool,
}

impl Scylla {
    pub(crate) fn on(bed: Arc<Bed>) -> Self {
        Self { bed, stops: false }
    }

    /// On a cluster that is there to be stopped.
    pub(crate) fn stopping(bed: Arc<Bed>) -> Self {
        Self { bed, stops: true }
    }
}

struct Keyspace {
    bed: Arc<Bed>,
    place: Option<Place>,
    stops: bool,
}

#[async_trait]
impl Plug for Scylla {
    fn name(&self) -> &str {
        "scylla"
    }

    async fn site(&self) -> Result<Box<dyn Site>> {
        let place = Some(self.bed.place().await);
        Ok(Box::new(Keyspace { bed: Arc::clone(&self.bed), place, stops: self.stops }))
    }
}

#[async_trait]
impl Site for Keyspace {
    async fn open(&self) -> Result<Arc<dyn Store>> {
        match &self.place {
            Some(place) => Ok(Arc::new(self.bed.open(place).await?)),
            None => Err(Error::new(ErrorKind::Internal, Operation::Open, "the site is gone")),
        }
    }

    async fn make_newer(&self) -> Option<Result<()>> {
        let place = self.place.as_ref()?;
        let table = format!("\"{}_control\".control", place.config.keyspace);
        let row = "WHERE space = 'store' AND key = 'store'";
        let read = format!("SELECT blobastext(value) FROM {table} {row}");
        let [record] = &*self.bed.run(read).await else {
            let what = "there is no record about the store";
            return Some(Err(Error::new(ErrorKind::Internal, Operation::Open, what)));
        };
        let newer = record.replace("\"schema\":1", "\"schema\":2");
        // Nobody has the store open who could write at the same time.
        self.bed.run(format!("UPDATE {table} SET value = textasblob('{newer}') {row}")).await;
        Some(Ok(()))
    }

    fn server(&self) -> Option<Arc<dyn Server>> {
        self.stops.then(|| -> Arc<dyn Server> { Arc::new(Nodes(Arc::clone(&self.bed))) })
    }
}

impl Drop for Keyspace {
    fn drop(&mut self) {
        if let Some(place) = self.place.take() {
            self.bed.give_back(place);
        }
    }
}

/// All nodes of the cluster as one server.
struct Nodes(Arc<Bed>);

impl Nodes {
    /// Does something to the nodes, which blocks.
    async fn each(&self, act: fn(&Bed) -> testbed::Result<()>) -> Result<()> {
        let bed = Arc::clone(&self.0);
        let done = tokio::task::spawn_blocking(move || act(&bed)).await;
        let failed = |what: String| Error::new(ErrorKind::Internal, Operation::Open, what);
        done.map_err(|error| failed(error.to_string()))?.map_err(|error| failed(error.to_string()))
    }
}

#[async_trait]
impl Server for Nodes {
    async fn stop(&self) -> Result<()> {
        self.each(|bed| {
            // Not killed: what all replicas lose together is lost, as declared.
            bed.cluster.nodes().iter().try_for_each(|node| bed.cluster.end_node(node.number))
        })
        .await
    }

    async fn start(&self) -> Result<()> {
        self.each(|bed| {
            let nodes = bed.cluster.nodes().iter();
            nodes.map(|node| node.number).try_for_each(|number| bed.cluster.launch(number))?;
            bed.cluster.wait_ready()
        })
        .await
    }
}

/// Runs a suite on a cluster of so many nodes, if one can be had.
#[expect(clippy::print_stderr, reason = "a test program speaks to people")]
pub(crate) fn on_cluster(nodes: usize, run: impl FnOnce(Arc<Bed>) -> ExitCode) -> ExitCode {
    match Bed::start(nodes) {
        Ok(bed) => run(Arc::new(bed)),
        Err(testbed::Error::Skipped(why)) => {
            eprintln!("skipped: {why}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
