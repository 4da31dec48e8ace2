//! Crashes of processes: children that write, and are killed.
//!
//! The suite starts its own program once more as a child, with orders in the environment
//! (`orders.rs`). The child opens the store in a folder that both know, lets writers write
//! (`work.rs`), and tells through a pipe what it is about to do and what was acknowledged
//! (`event.rs`). The parent kills it (`parent.rs`), opens the store itself, and compares
//! with what may be there (`ledger.rs`). The pipe outlives the kill, so that the judgement does
//! not depend on the store. `starting.rs` starts processes that never run, for what a process
//! that is being started has of its parent.

mod event;
mod ledger;
mod orders;
mod parent;
mod starting;
mod work;

pub(crate) use event::{Event, Tell, token, token_of, value};
pub(crate) use ledger::{Ledger, Promise};
pub use orders::Child;
pub(crate) use orders::{Task, is_child};
pub(crate) use parent::{Scene, When, kills, storm};
pub(crate) use starting::Starting;
pub(crate) use work::{Work, Writer, found, rows, work};
