//! The clause on servers that go away and come back, on a cluster of its own that is as small
//! as can be: where the suite runs, everybody else would wait for three nodes to come up.

mod common;
#[path = "common/plug.rs"]
mod plug;

use std::process::ExitCode;

use pinstate_conformance::Suite;
use plug::{HANG, Scylla, on_cluster};

#[expect(clippy::print_stderr, reason = "a test program speaks to people")]
fn main() -> ExitCode {
    on_cluster(1, |bed| {
        if let Err(why) = bed.cluster.can_break() {
            eprintln!("skipped: {why}");
            return ExitCode::SUCCESS;
        }
        Suite::new(Scylla::stopping(bed)).only(&["H3"]).hang(HANG).main()
    })
}
