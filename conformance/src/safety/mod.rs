//! Running on a store that is somebody's: touch nothing that the run did not create, leave
//! nothing behind, and show both.
//!
//! `guard.rs` refuses what is not the run's own and marks what is; `neighbours.rs` compares
//! what was there before with what is there afterwards; `leftovers.rs` finds and removes
//! what a run that was killed has left in the store, and `strays.rs` what it has left on the
//! machine.

mod guard;
mod leftovers;
mod neighbours;
mod strays;

pub(crate) use guard::Guard;
pub use leftovers::{Leftover, leftovers};
pub(crate) use neighbours::Neighbours;
pub(crate) use strays::Folder;
pub use strays::{Stray, strays};

use crate::clause::clauses;

// Their cases are about a whole leg, so the runner has them.
clauses! {
    Y2: "a run of this suite changes nothing in the namespaces of others",
        "a suite that destroys the data of the store that it tests is worse than none",
        [];
    Y3: "a run of this suite leaves nothing behind",
        "what is left adds up, and the next one who lists the namespaces wonders whose it is",
        [];
}

/// What the names of a run's namespaces, and the keys of its control records, begin with.
pub(crate) fn prefix(run: &str) -> String {
    format!("conf-{run}-")
}

/// A name that begins with the prefix of a run. All are of one length, so that none begins
/// another.
pub(crate) fn name(prefix: &str, number: u64) -> String {
    format!("{prefix}{number:06}")
}

/// The name of a run.
pub(crate) fn draw_run() -> String {
    format!("{:010x}", fastrand::u64(..1 << 40))
}
