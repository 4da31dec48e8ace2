//! What this backend costs over the engine alone, with the same attribute on their files as well
//! (see the backend's `durability.rs`): `cargo bench -p pinstate-sled`.

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::indexing_slicing, reason = "a bench")]

#[path = "../../embedded/benches/shared/engine.rs"]
mod engine;
#[path = "../../embedded/benches/shared/over_raw.rs"]
mod over_raw;
#[path = "shared/raw.rs"]
mod raw;

use std::sync::Arc;

use pinstate_sled::{DEFAULT_CACHE, SledConfig, SledStore};
use raw::RawSled;

fn main() {
    over_raw::run::<RawSled>(DEFAULT_CACHE, |runtime, path| {
        let config = SledConfig::new(path).create();
        Arc::new(runtime.block_on(SledStore::open(&config)).unwrap())
    });
}
