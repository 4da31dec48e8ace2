//! The embedded backend on [fjall](https://docs.rs/fjall): a log-structured merge tree in one
//! folder, for one process at a time.
//!
//! ```
//! # use pinstate_core::{Key, Put, ReadOptions, Result, Store, Version, WriteOptions};
//! # use pinstate_fjall::{FjallConfig, FjallStore};
//! # async fn example() -> Result<()> {
//! let mut config = FjallConfig::new("/var/lib/pinstate/main");
//! config.create = true;
//! let store = FjallStore::open(&config).await?;
//! store.create_namespace(&"pins".parse()?).await?;
//! let pins = store.open_namespace(&"pins".parse()?).await?;
//! let key = Key::copy_from(b"the bytes of a CID");
//! pins.put(Put::new(key.clone(), "a pin", Version(1)), WriteOptions::new()).await?;
//! assert!(pins.get(&key, ReadOptions::new()).await?.is_some());
//! store.close().await
//! # }
//! ```
//!
//! As a URI: `fjall:PATH?durability=process&cache=256MiB&create=true`, see [`FjallConfig`].
//!
//! # The rooms
//!
//! `config.rs` what a user may set, `factory.rs` how a store is opened by its name; `store.rs`
//! and `namespace.rs` the two traits of the contract; `directory.rs` the folder: marker, lock,
//! leftovers; `journal.rs` what of the engine's journal may be believed; `engine.rs` the opened
//! engine and its keyspaces;
//! `catalog.rs` namespaces and control records; `commit.rs` the one writer and its groups;
//! `durability.rs` what an acknowledged write is safe from; `room.rs` a namespace and its end;
//! `readers.rs` where reads are made; `rows.rs` a namespace at one moment, `scan.rs` and
//! `split.rs` passes over it; `format.rs` the bytes of a row; `error.rs` what failures are called.
//!
//! # On the disk
//!
//! `PATH/format` says who the store is and in which format; `PATH/db` is the engine's. A
//! namespace has a keyspace of rows, each with version, value and a checksum; values of 16 KiB
//! and more stand in a second keyspace, so that compaction of the rows does not write them again
//! and passes over keys do not read them. Both are written in one batch. The catalog is a third keyspace: names of namespaces, control records.
//!
//! # What is promised
//!
//! * **Acknowledged is durable**, by default against the loss of power ([`Safety`]). All writes
//!   go through one thread: what waits at the same time is one batch of the engine and one
//!   `fsync`, and is shown to readers after it. Conditions are decided on that thread, one
//!   after the other, so no two writes race for a key. They cost a read each there; writes
//!   without a condition cost none.
//! * **A failed write or `fsync`** poisons the engine: those under way hear that the outcome is
//!   unknown, later writes are refused as `Closed` with certainly nothing done, and reads go
//!   on. After opening anew writes work again, and what had been unknown is there or is not.
//! * **Readers** see an atomic batch at once or not at all, since each call reads a snapshot. A
//!   scan is the namespace at one moment; writers do not wait for it, and old rows stay in the
//!   files as long as it is kept. Two of its pages are read before they are asked for.
//! * **Memory** of what was written and not yet written out as a sorted file is at most three
//!   times `write_buffer` for a namespace: writers wait when two full tables do.
//! * **Replacing a namespace** is one batch of the catalog. Keyspaces that no namespace names
//!   are what a crash has left, and go when the store is opened.
//! * **Counting** reads every row but no long value; the estimate is the engine's own, takes no
//!   reading, and counts what was overwritten or deleted until it is compacted away. Splitting
//!   reads every row as well.
//!
//! # What the engine leaves to be done, and what it cannot promise
//!
//! Seen in fjall 3.1.13 by the conformance suite, most of it on a disk that loses power:
//!
//! * It does not sync the folder that a new keyspace's folder is in. After a loss of power the
//!   keyspace was gone, and recovery passes over journal entries of keyspaces that it does not
//!   know. This backend syncs it, and refuses a store whose keyspaces are missing.
//! * It does not sync the folder of its files of separated values (`blobs`) after writing one, and
//!   lets the journal go: lost power can then take values that were acknowledged long before, and
//!   the store does not open. So its separation of keys and values is not used: the keyspace of
//!   long values is compacted like any other.
//! * It takes the first place in its journal that makes no sense for the end, and cuts off
//!   acknowledged writes behind a damaged one. This backend reads the journal first and refuses
//!   that. A damaged *last* batch cannot be told from one that was never finished, and is cut
//!   off; so [`detects_damage`](pinstate_core::Capabilities::detects_damage) is not declared.
//! * A read of a keyspace sees a batch that is only half written. So does a snapshot that is taken
//!   while a batch is being committed and the engine finishes writing out or merging a table. So
//!   every read, of a single row as well, is one of a snapshot, and while a batch is committed it
//!   is one that was taken before.
//! * Its journal is given 64 MiB when it is made, as a hole: a full disk is met while writing
//!   into it. What is left of the room is taken away when the store is closed.
//! * It panics over some damage. A panic while the store is opened is `Corrupt`, and a later one
//!   is an error of the call that met it.
//! * Where its own threads fail (a full disk while memory tables are written out), it is told by
//!   the next write, and by `health`. If four tables wait by then, the engine holds that write
//!   up until the process ends.

mod catalog;
mod commit;
mod config;
mod directory;
mod durability;
mod engine;
mod error;
mod factory;
mod format;
mod journal;
mod moment;
mod namespace;
mod readers;
mod room;
mod rows;
mod scan;
mod split;
mod stats;
mod store;

pub use config::{Compression, FjallConfig};
pub use durability::Safety;
pub use factory::FjallFactory;
pub use store::FjallStore;

/// The backend's name, as it stands in URIs, configuration files and errors.
pub const BACKEND: &str = "fjall";
