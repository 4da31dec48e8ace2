//! Reads every row of a store through the bare engine, with the backend's default cache:
//! what `scripts/memory` holds the memory of an export against.
//!
//!     cargo run --release -p pinstate-sled --example raw_scan -- FOLDER

#![allow(clippy::print_stdout, reason = "an example")]

use pinstate_sled::DEFAULT_CACHE;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args_os().nth(1).ok_or("which folder?")?;
    let db = sled::Config::new().path(folder).cache_capacity(DEFAULT_CACHE.0).open()?;
    let (mut rows, mut bytes) = (0u64, 0);
    for name in db.tree_names() {
        for row in db.open_tree(name)?.iter() {
            let (key, value) = row?;
            rows += 1;
            bytes += key.len() + value.len();
        }
    }
    println!("{rows} rows, {bytes} bytes");
    Ok(())
}
