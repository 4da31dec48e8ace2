//! The conformance suite over a real cluster of three nodes: three replicas, LOCAL_QUORUM.

mod common;
#[path = "common/plug.rs"]
mod plug;

use std::process::ExitCode;

use peak_alloc::PeakAlloc;
use pinstate_conformance::{Meter, Suite};
use plug::{AT_ONCE, HANG, Scylla, on_cluster};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

fn main() -> ExitCode {
    let meter = Meter::new(|| ALLOCATOR.reset_peak_usage(), || ALLOCATOR.peak_usage());
    on_cluster(3, |bed| {
        Suite::new(Scylla::on(bed)).hang(HANG).at_once(AT_ONCE).memory(meter).main()
    })
}
