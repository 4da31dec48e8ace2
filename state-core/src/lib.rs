//! The contract of pinstate, and IPFS-Cluster's real formats.

pub mod digest;
pub mod format;
pub mod pin;
