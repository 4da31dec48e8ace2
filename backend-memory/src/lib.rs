//! The in-memory backend: the reference that other backends are compared with, and the
//! skeleton that an author of a new one copies.
//!
//! ```
//! # use pinstate_core::{Key, Put, ReadOptions, Result, Store, Version, WriteOptions};
//! # use pinstate_memory::{MemoryConfig, MemoryStore};
//! # async fn example() -> Result<()> {
//! let store = MemoryStore::open(&MemoryConfig::default())?;
//! store.create_namespace(&"pins".parse()?).await?;
//! let pins = store.open_namespace(&"pins".parse()?).await?;
//! let key = Key::copy_from(b"the bytes of a CID");
//! pins.put(Put::new(key.clone(), "a pin", Version(1)), WriteOptions::new()).await?;
//! let record = pins.get(&key, ReadOptions::new()).await?;
//! assert!(record.is_some_and(|record| record.value == "a pin"));
//! # Ok(()) }
//! ```
//!
//! # Reading this crate to write your own backend
//!
//! A backend is two traits of [`pinstate_core`] and one set of rooms, the same in every
//! backend crate. Read them in this order:
//!
//! 1. `config.rs`: what a user may set. Unknown keys are refused, limits are checked once,
//!    when the store is opened, and every error names the key. `factory.rs` is what a
//!    program lists to offer the backend by name.
//! 2. `store.rs`: [`MemoryStore`] is a [`Store`](pinstate_core::Store). First *who it is*
//!    (`identity`) and *what it can do* (`capabilities`); then namespaces, which are made,
//!    opened, listed, dropped and swapped one at a time; then control records, a small key
//!    space with compare-and-set that pins never see; then `health`, `sync` and `close`.
//! 3. `namespace.rs`: a handle on one namespace is a
//!    [`Namespace`](pinstate_core::Namespace). Reads (`get`, `get_many`, `has`, `count`),
//!    writes (`put`, `delete`, `apply`) with their preconditions, then `scan`, `split` and
//!    `purge_deleted`.
//! 4. `scan.rs`: one scan under way, page by page to an end that says so. (Leave its `show`
//!    out: it is for rows that need not be fetched.)
//! 5. `table.rs`, with `tree.rs`, `row.rs` and `key.rs` below it: the engine. Here it is an ordered
//!    tree in memory; in your crate it is a database, a driver, a service. The other rooms
//!    know nothing of how it works.
//!
//! # What each method must be careful about
//!
//! * **A claim is a promise.** A capability that is declared must work, and what is not
//!   declared must answer `Unsupported` and change nothing. Start from
//!   [`Capabilities::minimal`](pinstate_core::Capabilities::minimal).
//! * **One attempt a call.** Retries, deadlines and limits are layers above. A backend's
//!   part is an error that is truthful about *kind*, *retry class* and *outcome*.
//! * **The version comes from above.** A backend compares versions and stores them; it
//!   never draws one.
//! * **Absent is certain.** `None` and `false` are answers, not what is left over when
//!   something failed.
//! * **A scan ends by saying so.** Anything else, however quiet, is an error. A row that
//!   cannot be read is an item of its page (this store has none: nothing is decoded).
//! * **Bytes that are kept are the store's own.** A value may be a slice of a file that was
//!   mapped or read whole; keeping the slice would keep the file. Copy it, or take it over
//!   where nobody else holds it and nothing else is behind it.
//! * **Handles die loudly.** After `close` everything answers `Closed`, and a handle on a
//!   namespace that was dropped or replaced answers `NoNamespace` for good, even when a new
//!   one has the name.
//!
//! When it compiles, `tests/conformance.rs` is all the test it needs to begin with: copy
//! that too.
//!
//! # How this one works
//!
//! Each namespace has one tree behind one lock. The tree is persistent in the sense of the
//! literature: its copy shares every node with the original until one of them changes. A
//! scan copies the root, which costs the same for one record as for a million, lets go of
//! the lock, and reads at its leisure what the namespace was at that moment, while writers
//! go on. An atomic batch takes the lock once, so nobody sees half of it.

mod config;
mod factory;
mod key;
mod namespace;
mod row;
mod scan;
mod store;
mod table;
mod tree;

pub use config::MemoryConfig;
pub use factory::MemoryFactory;
pub use store::MemoryStore;

/// The backend's name, as it stands in URIs, configuration files and errors.
pub const BACKEND: &str = "memory";
