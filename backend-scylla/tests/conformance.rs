//! The conformance suite over a real cluster of three nodes: three replicas, LOCAL_QUORUM.
//!
//! A table takes seconds to make, so keyspaces and tables are made once and emptied between
//! cases.

mod common;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use common::{Bed, Place};
use pinstate_conformance::{Plug, Site, Suite};
use pinstate_core::{Result, Store};

/// A case that writes 100,000 records shares two processors with three nodes.
const HANG: Duration = Duration::from_secs(400);

struct Scylla(Arc<Bed>);

struct Keyspace {
    bed: Arc<Bed>,
    place: Option<Place>,
}

#[async_trait]
impl Plug for Scylla {
    fn name(&self) -> &str {
        "scylla"
    }

    async fn site(&self) -> Result<Box<dyn Site>> {
        let place = Some(self.0.place().await);
        Ok(Box::new(Keyspace { bed: Arc::clone(&self.0), place }))
    }
}

#[async_trait]
impl Site for Keyspace {
    async fn open(&self) -> Result<Arc<dyn Store>> {
        match &self.place {
            Some(place) => Ok(Arc::new(self.bed.open(place).await?)),
            None => Err(pinstate_core::Error::new(
                pinstate_core::ErrorKind::Internal,
                pinstate_core::Operation::Open,
                "the site is gone",
            )),
        }
    }
}

impl Drop for Keyspace {
    fn drop(&mut self) {
        if let Some(place) = self.place.take() {
            self.bed.give_back(place);
        }
    }
}

#[expect(clippy::print_stderr, reason = "a test program speaks to people")]
fn main() -> ExitCode {
    // Listing the cases, as `cargo test -- --list` does, needs no cluster.
    match Bed::start(3) {
        Ok(bed) => Suite::new(Scylla(Arc::new(bed))).hang(HANG).main(),
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
