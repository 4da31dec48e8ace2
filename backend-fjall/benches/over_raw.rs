//! What this backend costs over the engine alone, with the same options of the engine:
//! `cargo bench -p pinstate-fjall --bench over_raw`.

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::indexing_slicing, reason = "a bench")]

#[path = "../../embedded/benches/shared/engine.rs"]
mod engine;
#[path = "../../embedded/benches/shared/over_raw.rs"]
mod over_raw;
#[path = "shared/raw.rs"]
mod raw;

use std::sync::Arc;

use pinstate_fjall::{FjallConfig, FjallStore};
use raw::RawFjall;

fn main() {
    over_raw::run::<RawFjall>(FjallConfig::default().cache, |runtime, path| {
        let mut config = FjallConfig::new(path);
        config.create = true;
        Arc::new(runtime.block_on(FjallStore::open(&config)).unwrap())
    });
}
