//! A mirror between two stores: each invariant by itself, with the worst moment chosen, and all
//! of them under clients at random.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod faults;
mod invariants;
mod live;
mod ownership;
mod setup;
mod steps;
