//! Measures stores of the pinset under load, and compares them.
//!
//! # What is measured
//!
//! A [`Workload`] says what is done: so many pins that are there before, kinds of operations and
//! how often each comes, which pins they are about, how large pins are. From a seed follow all
//! operations in their order, whatever the store answers: each store gets the same.
//!
//! **Open loop**, unless told otherwise: when each operation is to begin is laid down before the
//! first one begins, evenly or as a Poisson process. A slow store does not slow the load, and
//! what has to wait its turn is charged for the waiting: the *latency* counts from the time at
//! which an operation was to begin, the *service time* from when it did. In a closed loop, so
//! many clients each begin the next operation when the last one has ended: good for the most
//! that a store can do, and blind to stalls, since while it stalls nobody asks.
//!
//! A run that could not keep its rate is **saturated**: its latencies tell how long the run was
//! and not how fast the store is. It is marked so and never compared.
//!
//! Before measuring, the load runs until its last windows are alike, or for a time; that part is
//! dropped. Then come windows of equal length, each with its own histograms, so that what is
//! said about a run also says how sure it is.
//!
//! Each answer is held against what may be there by then (`model`). A store that answers
//! wrongly, however fast, fails.
//!
//! # What is compared
//!
//! Stores take turns in an order drawn anew for each round. Throughput and latencies of two
//! stores are compared as ratios, with intervals from resampling rounds and windows
//! ([`stats`]); a difference counts only if it is larger than what matters and chance is an
//! unlikely reason. The promises of the two, durability and consistency, stand beside it.
//!
//! # The way through
//!
//! ```text
//! workload ── operations ──┐
//!             schedule ────┴─ load ── subject ── the store
//!                              ├─ model      was the answer right?
//!                              └─ measure    how long did it take?
//!                                   └─ run ── compare ── report
//! ```

mod contest;
mod find_rate;
mod load;
mod measure;
mod model;
mod operations;
pub mod outcome;
mod pace;
mod pins;
pub mod report;
mod resources;
mod schedule;
mod session;
pub mod stats;
mod subject;
mod warmup;
mod work;
mod workload;

pub use contest::Contest;
pub use find_rate::{Found, Promise, find_rate};
pub use load::{Load, Loop};
pub use operations::{Operation, Operations};
pub use pins::Pins;
pub use schedule::{Arrivals, Schedule};
pub use session::{Session, fill};
pub use subject::{Pinset, Subject};
pub use workload::{BadWorkload, Keys, OperationKind, PinShape, Workload};
