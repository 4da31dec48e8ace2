//! The conformance suite over the fjall backend, safe from the loss of power.

#[path = "common/plug.rs"]
mod plug;

use std::process::ExitCode;
use std::time::Duration;

use lossyfs::LossyDisks;
use peak_alloc::PeakAlloc;
use pinstate_conformance::{Meter, Suite};
use pinstate_fjall::Safety;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

fn main() -> ExitCode {
    let meter = Meter::new(|| ALLOCATOR.reset_peak_usage(), || ALLOCATOR.peak_usage());
    let suite = Suite::new(plug::Fjall(Safety::Power)).disks(LossyDisks::new()).memory(meter);
    // Making and dropping a namespace costs the engine dozens of syncs, and the full profile
    // does so for each of its sequences.
    suite.hang(Duration::from_secs(600)).main()
}
