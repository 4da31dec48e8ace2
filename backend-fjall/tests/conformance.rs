//! The conformance suite over the fjall backend, safe from the loss of power.

#[path = "common/plug.rs"]
mod plug;

use std::process::ExitCode;

use lossyfs::LossyDisks;
use peak_alloc::PeakAlloc;
use pinstate_conformance::{Meter, Suite};
use pinstate_fjall::Safety;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

fn main() -> ExitCode {
    let meter = Meter::new(|| ALLOCATOR.reset_peak_usage(), || ALLOCATOR.peak_usage());
    Suite::new(plug::Fjall(Safety::Power)).disks(LossyDisks::new()).memory(meter).main()
}
