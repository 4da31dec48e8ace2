//! The conformance suite over a real cluster of three nodes: three replicas, LOCAL_QUORUM.

mod common;
#[path = "common/plug.rs"]
mod plug;

use std::process::ExitCode;

use pinstate_conformance::Suite;
use plug::{AT_ONCE, HANG, Scylla, on_cluster};

fn main() -> ExitCode {
    on_cluster(3, |bed| Suite::new(Scylla::on(bed)).hang(HANG).at_once(AT_ONCE).main())
}
