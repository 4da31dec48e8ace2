//! What backends share whose engine runs in the process: the way from async callers to calls
//! that block, and back.
//!
//! [`Pool`] has threads that live as long as the store; [`Pace`] tells which reads need none of
//! them. Neither knows an engine or the contract, so that a backend outside this tree can build
//! on them as well.

mod pace;
mod pool;

pub use pace::Pace;
pub use pool::{Answer, Lost, Permit, Pool};
