//! The embedded sled backend: a store in one folder, for one process at a time.
//!
//! ```
//! # use pinstate_core::{Key, Put, ReadOptions, Result, Store, Version, WriteOptions};
//! # use pinstate_sled::{SledConfig, SledStore};
//! # async fn example() -> Result<()> {
//! let store = SledStore::open(&SledConfig::new("/var/lib/pinstate/main").create()).await?;
//! store.create_namespace(&"pins".parse()?).await?;
//! let pins = store.open_namespace(&"pins".parse()?).await?;
//! let key = Key::copy_from(b"the bytes of a CID");
//! pins.put(Put::new(key.clone(), "a pin", Version(1)), WriteOptions::new()).await?;
//! assert!(pins.get(&key, ReadOptions::new()).await?.is_some());
//! store.close().await
//! # }
//! ```
//!
//! As a URI: `sled:PATH?durability=process&cache=64MiB&create=true`, see [`SledConfig`].
//!
//! # The rooms
//!
//! `config.rs` what a user may set, `factory.rs` how a store is opened by its name; `store.rs`
//! and `namespace.rs` the two traits of the contract; `engine.rs` the opened engine with its
//! workers, where each call crosses from async to blocking; `rows.rs`, `scan.rs`
//! and `split.rs` what is done in one tree; `ahead.rs` the pages that are read before they
//! are asked for; `room.rs` a namespace's tree and its end; `catalog.rs` namespaces and
//! control records; `commit.rs` group commit; `durability.rs` what a barrier is; `format.rs`
//! the bytes on disk; `directory.rs` the folder: marker, lock, leftovers; `error.rs` what
//! failures are called.
//!
//! # What is promised
//!
//! * **Acknowledged is durable**, by default against the loss of power ([`Safety`]). The
//!   engine's own flush does not do that; `durability.rs` says why and what is done. A
//!   flush that fails poisons the store: those who wait get an unknown outcome, later
//!   writes are refused, and reads go on.
//! * **Writes are in order.** One thread applies them in the order of arrival, and looks
//!   before it writes where there is a condition, so that is one step. What it applied
//!   waits for a barrier together with all that was applied meanwhile.
//! * **Readers** see a write as soon as it is applied, which may be a moment before it is
//!   durable. An atomic batch appears at once, to `get_many` too. A scan reads page by
//!   page while writers go on; it is not the namespace at one moment.
//! * **One opener.** `flock(2)` on a file of ours; it goes with the process however that
//!   ends.
//! * **Replacing a namespace** is one record of the catalog. The old rows are removed after
//!   that, some thousands at a time; what a crash leaves of them goes when the store is
//!   opened next, before it answers. A crash while the engine is dropping an empty tree can
//!   leave a page that nothing points to: space that is not used again, never wrong data.
//!
//! # The engine, measured
//!
//! sled 0.34.7 alone, release build, on a shared 2-core virtual machine with ext4 on an SSD
//! (4 KiB `fdatasync`: 0.14 ms); 36-byte keys that begin with the same 4 bytes, 269-byte
//! values, single inserts, a barrier (flush and `fdatasync`) each 1,000 rows, 32 MiB cache
//! and the engine's own flusher on. Take the shape, not the digits:
//!
//! | rows | order of keys | allocator | put | peak memory |
//! |---|---|---|---|---|
//! | 300,000 | sorted in each 1,000 | system | 23 k/s, 38 µs CPU a row | 78 MB |
//! | 300,000 | sorted in each 1,000 | mimalloc | 48 k/s, 22 µs CPU a row | 136 MB |
//! | 300,000 | sorted in each 50,000 | system | 30 k/s, 24 µs CPU a row | 82 MB |
//! | 300,000 | sorted in each 50,000 | mimalloc | 92 k/s, 12 µs CPU a row | 143 MB |
//! | 1,000,000 | sorted in each 1,000 | mimalloc | 36 k/s | 169 MB |
//! | 1,000,000 | sorted in each 50,000 | mimalloc | 48 k/s | 178 MB |
//! | 1,000,000 | sorted in each 200,000 | mimalloc | 76 k/s | 225 MB with the rows being sorted |
//! | 1,000,000 | ascending | mimalloc | 120 k/s | |
//! | 2,000,000 | sorted in each 50,000 | mimalloc | 26 k/s, falling to 16 k/s | 217 MB |
//!
//! * The engine copies a leaf (up to 16 rows) for each insert, so the allocator is half the
//!   time, and pages that are not in the cache are read back from up to eleven places. So
//!   what counts is how many rows of a sorted run meet in one leaf: whoever loads many
//!   records should sort as many as memory allows and hand them over in order. This
//!   backend sorts within a batch.
//! * Memory: about 40 MB for each million rows for the engine's page table, whatever the
//!   cache, and about one and a half times the cache. 64 MiB of cache gain 2 to 4 % on
//!   1,000,000 rows at 40 MB more.
//! * An atomic batch of 1,000 is no faster than single inserts (22 k/s against 19 to 23 on
//!   the system's allocator) and takes more memory, without limit when the flusher is off.
//!   It is used where atomicity is asked for.
//! * Two inserting threads gain up to 20 % on an idle machine and nothing on a busy one; a
//!   barrier on another thread while the next rows go in gains nothing when the processor
//!   is the limit; segments of 2 MiB and the mode for throughput gain nothing.
//! * Reading 1,000,000 rows freshly opened: random gets 31 to 77 k/s with 32 to 64 MiB of
//!   cache and 375 k/s once all is cached, scans 0.5 to 0.8 M/s, open and get and close
//!   70 to 240 ms.
//! * `chattr +S` on the files costs nothing that can be measured here, since the barrier's
//!   `fdatasync` then finds nothing left to do.
//!
//! Through this backend, in batches of 1,000 out of sorted runs of 50,000, mimalloc, the
//! rows being sorted included: peak memory 180 MB at 300,000 rows, 215 MB at 1,000,000 and
//! 244 MB at 2,000,000 with 32 MiB of cache; 21 MB less with 16 MiB, at the same rate.
//! Hence the default of 24 MiB; a server that mostly reads wants more.
//!
//! `cargo bench -p pinstate-sled` compares the backend with the engine alone.

mod catalog;
mod commit;
mod config;
mod directory;
mod durability;
mod engine;
mod error;
mod factory;
mod format;
mod namespace;
mod room;
mod rows;
mod scan;
mod split;
mod stats;
mod store;

pub use config::{DEFAULT_CACHE, MIN_CACHE, SledConfig};
pub use durability::Safety;
pub use error::BACKEND;
pub use factory::SledFactory;
pub use store::SledStore;
