//! Comparing the pinsets of any two stores and files, and moving them, also while they are
//! written to.
//!
//! [`compare`] reads each side once and says exactly which pins are missing, extra or
//! different, in memory that does not grow with the pinsets. It knows stores by the contract
//! of `pinstate-core` alone, so any two that conform can be compared; a file in one of
//! IPFS-Cluster's formats is a [`Pinset`] like them, and so is a running [`Peer`].
//!
//! [`repair`] then makes the second like the first, key by key.
//!
//! A [`job`] moves a pinset to another store while nobody writes to it.
//!
//! A [`mirror`] writes to two stores at once, and moves a pinset from one to the other without
//! stopping whoever writes.
//!
//! Versions of records are not compared: two stores that hold the same pins are equal, however
//! they came by them.

mod compare;
mod difference;
mod files;
mod frames;
pub mod job;
pub mod mirror;
mod pass;
mod peer;
mod pinset;
mod repair;
mod row;
mod sketch;
mod tally;

pub use compare::{CompareOptions, Comparison, Level, Totals, compare};
pub use difference::{Difference, FieldDifference, What};
pub use peer::Peer;
pub use pinset::{Found, OpenFile, PinFile, Pinset, Row, Rows, Side, StoredPins};
pub use repair::{Backup, Repaired, repair};
