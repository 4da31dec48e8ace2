//! A mirror between two stores: each invariant by itself, with the worst moment chosen, and all
//! of them under clients at random.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "what is skipped is said")]

mod faults;
mod invariants;
mod live;
mod ownership;
mod setup;
mod steps;
