//! The conformance suite over the sled backend, safe from the loss of power.

#[path = "common/plug.rs"]
mod plug;

use std::process::ExitCode;

use lossyfs::LossyDisks;
use peak_alloc::PeakAlloc;
use pinstate_conformance::{Meter, Suite};
use pinstate_sled::Safety;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

fn main() -> ExitCode {
    // Without the attribute that would make every write durable, so that the barriers are
    // what is tested.
    let disks = LossyDisks::without_attributes();
    let meter = Meter::new(|| ALLOCATOR.reset_peak_usage(), || ALLOCATOR.peak_usage());
    Suite::new(plug::Sled(Safety::Power)).disks(disks).memory(meter).main()
}
