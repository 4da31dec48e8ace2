//! The embedded backend on [fjall](https://docs.rs/fjall), a log-structured merge tree.

mod catalog;
mod commit;
mod config;
mod directory;
mod durability;
mod engine;
mod error;
mod format;
mod journal;
mod namespace;
mod pool;
mod room;
mod rows;
mod scan;
mod split;
mod store;

pub use config::{Compression, FjallConfig, FjallFactory};
pub use durability::Safety;
pub use store::FjallStore;

/// The backend's name, as it stands in URIs, configuration files and errors.
pub const BACKEND: &str = "fjall";
