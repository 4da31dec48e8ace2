//! The conformance suite over the sled backend, safe from the loss of power.

#[path = "common/plug.rs"]
mod plug;

use std::process::ExitCode;

use lossyfs::LossyDisks;
use pinstate_conformance::Suite;
use pinstate_sled::Safety;

fn main() -> ExitCode {
    // Without the attribute that would make every write durable, so that the barriers are
    // what is tested.
    let disks = LossyDisks::without_attributes();
    Suite::new(plug::Sled(Safety::Power)).disks(disks).main()
}
