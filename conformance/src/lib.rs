//! The conformance suite: what every pinstate backend must do, as clauses with stable ids.
//!
//! A backend's whole test target is this (`tests/conformance.rs`, with `harness = false`):
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use async_trait::async_trait;
//! # use pinstate_core::{Result, Store};
//! # use pinstate_memory::{MemoryConfig, MemoryStore};
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
//!         // The store of this site, which is created the first time.
//!         Ok(Arc::new(MemoryStore::open(&MemoryConfig::default())?))
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
//! * How much each case does is the [`Profile`]'s: `quick` unless
//!   `PINSTATE_CONFORMANCE_PROFILE` names `full` or `soak`.
//! * No case executed is a failure, and so is one that gives no answer in [`Suite::hang`].
//! * Cases say what they have met: a page that ended where a key was, a record that was
//!   replaced under a scan, two writes at the same time. A whole run that has not met what it
//!   must is *weak*, which is not green: its passes show less than they say.
//! * A failure names the clause, what was expected, what came, where, and the seed.
//!   `PINSTATE_CONFORMANCE_SEED` repeats it.
//!
//! # Durability
//!
//! A plug whose backend keeps files says in one function how a store is kept in a folder:
//!
//! ```no_run
//! # use std::path::{Path, PathBuf};
//! # use std::sync::Arc;
//! # use async_trait::async_trait;
//! # use pinstate_core::{Result, Store};
//! # use pinstate_conformance::{Plug, Site};
//! # struct MyBackend;
//! # struct MySite(PathBuf);
//! # #[async_trait]
//! # impl Site for MySite {
//! #     async fn open(&self) -> Result<Arc<dyn Store>> {
//! #         use pinstate_memory::{MemoryConfig, MemoryStore};
//! #         Ok(Arc::new(MemoryStore::open(&MemoryConfig::default())?))
//! #     }
//! # }
//! # #[async_trait]
//! # impl Plug for MyBackend {
//! #     fn name(&self) -> &str { "mine" }
//! #     async fn site(&self) -> Result<Box<dyn Site>> { Ok(Box::new(MySite(PathBuf::new()))) }
//! fn site_in(&self, folder: &Path) -> Option<Box<dyn Site>> {
//!     Some(Box::new(MySite(folder.join("store"))))
//! }
//! # }
//! ```
//!
//! With it the suite starts the test program again as a child, which writes into such a
//! store and is killed, and compares what is left with what was acknowledged; it turns bits
//! in the store's files; and on a disk from [`Suite::disks`] it loses power, fills up and
//! fails. What must outlive what is what the store declares: `ack_durability` and
//! `sync_durability`. Few times each unless `PINSTATE_CONFORMANCE_KILLS` says otherwise: 5.
//! A program that has no [`Suite::main`] asks [`Child::summoned`] first.
//!
//! # What it touches
//!
//! Only namespaces that it created itself, with random names, which it drops when the case
//! is over; and stores of sites that it asked the plug for. It never lists and deletes.
//!
//! On a store that is somebody's ([`Plug::standing`]) it does more: everything that is not
//! its own is refused before it reaches the store; each namespace has a control record that
//! says whose it is, written before it is made; what a killed run leaves is found by that
//! ([`leftovers`]); and what others have there is compared before and after (`Y2`, `Y3`).
//!
//! # Stores that are eventual
//!
//! One that declares [`Eventual`](pinstate_core::Consistency::Eventual) promises what a read sees
//! when the time it names is over. So where a case reads what it has written, the read begins that
//! time after the last write that had ended before, through whichever handle, and is then judged
//! as that of any other store: all clauses hold for it that are not about clients at the same
//! time. Those are asked for less: linearizable histories and own writes are not (`X1`, `X4`, a part
//! of `X3` and `Q3`), and at the end of `X3` all handles must agree when the time is over, and not
//! later. A store that names no time is given [one of the suite's](Suite::settle), and must agree
//! at last.
//!
//! # Reports
//!
//! [`Suite::report`] gives a [`Report`], which is `result.json`, JUnit XML and one HTML
//! page. A test program writes them into the folder that `PINSTATE_CONFORMANCE_REPORT`
//! names.
//!
//! # Where things are
//!
//! `plug.rs` what a backend brings; `clause.rs` how a clause is declared; `case.rs` what a
//! case works with; `check.rs` how it says what is wrong; `gate.rs` the capabilities and
//! their negative cases; `model.rs` the reference model; `history/` what several clients did
//! at the same time, and whether it is linearizable; `clients.rs` clients that do so at
//! random; `clauses/` the clauses, a group a file; `profile.rs` how much they do; `suite.rs`
//! the suite as a value; `run.rs` one leg under way, `session.rs` the store of a leg, `kill/`
//! child processes that are killed, `disk.rs` disks that lose power, `meter.rs` what memory the
//! process holds, `files.rs` the files of a store, `fixture.rs` stores of earlier releases, `watch.rs` the calls that are pending,
//! `settle.rs` the time that an eventual store is given;
//! `verdict.rs` and `waive.rs` what becomes of a case; `safety/` stores that are somebody's;
//! `report/` the reports; `evidence.rs` what a failure has to show; `marks.rs` what a run must
//! have met.

mod case;
mod check;
mod clause;
mod clauses;
mod clients;
mod disk;
mod evidence;
mod files;
mod fixture;
mod gate;
pub mod history;
mod kill;
mod marks;
mod meter;
mod model;
mod plug;
mod profile;
pub mod report;
mod run;
mod safety;
mod session;
mod settle;
mod suite;
mod verdict;
mod waive;
mod watch;

pub use check::Violation;
pub use clause::Clause;
pub use disk::{Disk, Disks, Fault, Look, Loss, Platter, SOURCE as DISK_SOURCE};
pub use evidence::{Evidence, Keep};
pub use kill::Child;
pub use meter::Meter;
pub use plug::{About, Leg, Plug, Server, Site};
pub use profile::{Profile, UnknownProfile};
pub use report::Report;
pub use safety::{Leftover, Stray, leftovers, strays};
pub use suite::Suite;
pub use verdict::{Outcome, Pending, Verdict};
pub use waive::Waiver;

/// Every clause of the suite, in order.
#[must_use]
pub fn clauses() -> Vec<&'static Clause> {
    clauses::all().into_iter().map(|declared| declared.clause).collect()
}
