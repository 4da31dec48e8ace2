//! From one embedded store to another, killed all the time.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "a report, and the pipe to the parent")]

mod kills;

use std::process::ExitCode;

use kills::{Targets, sled};

struct Folders;

impl Targets for Folders {
    fn next(&mut self) -> String {
        "target".to_owned()
    }
}

fn main() -> ExitCode {
    let open: kills::Open = |folder, name| Box::pin(sled(folder.join(name)));
    kills::main("mirror_kills", 8, open, || Some(Folders))
}
