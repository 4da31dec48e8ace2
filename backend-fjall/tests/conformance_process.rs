//! What the conformance suite says of durability over a fjall store that is safe from the
//! death of the process alone.

#[path = "common/plug.rs"]
mod plug;

use std::process::ExitCode;

use lossyfs::LossyDisks;
use pinstate_conformance::{Leg, Suite};
use pinstate_fjall::Safety;

fn main() -> ExitCode {
    let suite = Suite::new(plug::Fjall(Safety::Process)).disks(LossyDisks::new());
    suite.legs(vec![Leg::raw()]).only(&["D"]).main()
}
