//! What backends share whose engine runs in the process: the way from async callers to calls
//! that block and back, and the lock that keeps a second opener out.
//!
//! [`Pool`] has threads that live as long as the store; [`Pace`] tells which reads need none of
//! them; [`Ahead`] reads pages of a scan before they are asked for; [`Barriers`] counts waits for the
//! disk; [`Lock`] ends when the store is closed, whatever the process starts meanwhile. None knows
//! an engine or the contract, so that a backend outside this tree can build on them as well.

mod ahead;
mod barriers;
mod lock;
mod pace;
mod pool;

pub use ahead::{Ahead, ReadPage};
pub use barriers::{BarrierCounts, Barriers};
pub use lock::{Lock, Refused};
pub use pace::Pace;
pub use pool::{Answer, Lost, Permit, Pool};
