//! The conformance suite: what every pinstate backend must do, as clauses with stable ids.
//!
//! A backend's whole test target is this (`tests/conformance.rs`, with `harness = false`):
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use async_trait::async_trait;
//! # use pinstate_core::{Result, Store};
//! use pinstate_conformance::{Plug, Site, Suite};
//!
//! struct MyBackend;
//! struct MySite; // holds what must go away at the end: a temporary folder, a keyspace
//!
//! #[async_trait]
//! impl Plug for MyBackend {
//!     fn name(&self) -> &str { "mine" }
//!     async fn site(&self) -> Result<Box<dyn Site>> { Ok(Box::new(MySite)) }
//! }
//!
//! #[async_trait]
//! impl Site for MySite {
//!     async fn open(&self) -> Result<Arc<dyn Store>> {
//! #       unimplemented!()
//!         // … open the store of this site, creating it the first time
//!     }
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     Suite::new(MyBackend).main()
//! }
//! ```
//!
//! # What runs
//!
//! Every case runs once for each [`Leg`]: `raw`, the store as the plug opens it, and
//! `layered`, the same under the layers that the binary puts around every store. A trial is
//! named `<leg>::<clause>::<case>`; the arguments are those of `cargo test`, so
//! `cargo test --test conformance -- raw::L9` runs one clause on one leg.
//!
//! * A case that needs a capability runs where it is declared. Where it is not, the
//!   *negative* case runs in its place: the call must answer `Unsupported` and change
//!   nothing. Where there is no call that could be refused, the case is skipped and says why.
//! * No case executed is a failure, and so is one that gives no answer in [`Suite::hang`].
//! * A failure names the clause, what was expected, what came, where, and the seed.
//!   `PINSTATE_CONFORMANCE_SEED` repeats it.
//!
//! # What it touches
//!
//! Only namespaces that it created itself, with random names, which it drops when the case
//! is over; and stores of sites that it asked the plug for. It never lists and deletes.
//!
//! # Where things are
//!
//! `plug.rs` what a backend brings; `clause.rs` how a clause is declared; `case.rs` what a
//! case works with; `check.rs` how it says what is wrong; `gate.rs` the capabilities and
//! their negative cases; `model.rs` the reference model; `clauses/` the clauses, a group a
//! file; `run.rs` the runner.

mod case;
mod check;
mod clause;
mod clauses;
mod gate;
mod model;
mod plug;
mod run;

pub use check::Violation;
pub use clause::Clause;
pub use plug::{Leg, Plug, Site};
pub use run::{Outcome, Suite, Verdict};

/// Every clause of the suite, in order.
#[must_use]
pub fn clauses() -> Vec<&'static Clause> {
    clauses::all().into_iter().map(|declared| declared.clause).collect()
}
