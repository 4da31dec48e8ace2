//! The embedded sled backend.

mod catalog;
mod commit;
mod config;
mod directory;
mod durability;
mod engine;
mod error;
mod format;
mod namespace;
mod pool;
mod room;
mod rows;
mod scan;
mod split;
mod store;

pub use config::{DEFAULT_CACHE, MIN_CACHE, SledConfig, SledFactory};
pub use durability::Safety;
pub use error::BACKEND;
pub use store::SledStore;
