//! A pinset on a cluster in several datacenters, seen from one of them.
//!
//! ```text
//! cargo run -p testbed -- up --dcs dc1:2,dc2:1
//! cargo run -p pinstate-docs --example multi-datacenter -- HOST:9042 dc1
//! cargo run -p pinstate-docs --example multi-datacenter -- HOST:9042 dc2
//! ```

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example shows what it does")]

use std::process::ExitCode;
use std::sync::Arc;

use pinstate_core::pin::{Cid, Pin};
use pinstate_core::{Clock, ClockOptions, Result, State, Store};
use pinstate_scylla::{Level, ScyllaConfig, ScyllaStore, SerialLevel, create_schema, doctor};

/// How the cluster is used from a datacenter.
fn config(host: &str, datacenter: &str) -> ScyllaConfig {
    let mut config = ScyllaConfig::new([host], "example_pins").with_local_dc(datacenter);
    // Reads see what was acknowledged here, without waiting for the other datacenter.
    config.consistency = Level::LocalQuorum;
    // Control records are few, and must be agreed on by all.
    config.serial_consistency = SerialLevel::Serial;
    // Rather an error than an answer from a datacenter that may lack the last writes.
    config.dc_failover = false;
    config
}

async fn pin(host: &str, datacenter: &str) -> Result<()> {
    let config = config(host, datacenter);
    create_schema(&config.clone().create("dc1=2,dc2=1")).await?; // what is there stays as it is
    let seen = doctor(&config).await?;
    for peer in &seen.peers {
        println!("{peer:?}");
    }
    let store: Arc<dyn Store> = Arc::new(ScyllaStore::open(&config).await?);
    let store = config.layers().apply(store); // its deadline and retries
    let clock = Arc::new(Clock::open(Arc::clone(&store), ClockOptions::new()).await?);
    let pins = State::new(store.open_namespace(&"default".parse()?).await?, clock);

    let cid: Cid = "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi"
        .parse()
        .expect("this is a CID");
    if pins.has(&cid).await? {
        println!("pinned in {}", pins.get(&cid).await?.name);
    }
    let mut pin = Pin::new(cid);
    pin.name = datacenter.to_owned();
    pins.add(&pin).await?; // a quorum of this datacenter has it; the other one gets it as well
    println!("pinned in {datacenter}");
    store.close().await
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [host, datacenter] = arguments.as_slice() else {
        eprintln!("usage: multi-datacenter HOST[:PORT] DATACENTER");
        return ExitCode::from(2);
    };
    match pin(host, datacenter).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
