//! The contract of pinstate, and IPFS-Cluster's real formats.
//!
//! A *pinset* is one record for each CID: what is pinned, how deep, on which peers, until
//! when. This crate says what a store of pinsets promises, gives users a [`State`] over any
//! such store, and reads and writes the formats that IPFS-Cluster v1.1.6 itself uses. It
//! knows no driver and no engine.
//!
//! # Who uses what
//!
//! * A **program that keeps pins** opens a store through a [`config::Registry`], puts
//!   [`layer::Layers`] around it, opens a namespace, and works with a [`State`].
//! * A **backend** implements three traits: [`Store`], [`Namespace`] and [`Scan`]. The
//!   crate `pinstate-memory` is the one to copy.
//! * A **tool** that moves pinsets joins a namespace and a codec of [`mod@format`] with
//!   [`transfer`].
//!
//! # The layers of the house
//!
//! ```text
//!   State            pins: typed, validated, filtered                    state/
//!     │  key = CID bytes, value = protobuf bytes, version from the Clock
//!   layers           observer · trace · deadline · retry · timeout · limit  layer/
//!     │
//!   Namespace        records: get put delete apply scan split count      namespace.rs
//!   Store            namespaces, control records, health, sync           store.rs
//!     │
//!   a backend        memory, sled, …                                     its own crate
//! ```
//!
//! # Decisions
//!
//! **A record is bytes.** The key is the full binary CID; the value is the protobuf that
//! IPFS-Cluster wrote, verbatim. Unknown fields, odd encodings and even undecodable values
//! therefore survive every round trip, and a snapshot comes out as it went in.
//!
//! **Every write has a version**, microseconds from the one [`Clock`], drawn once for each
//! logical operation, above every retry. The higher version wins, a delete beats a put of
//! the same version, and of two puts the larger bytes win ([`Contender::beats`]): CQL's own
//! rule for one cell. Engines within one process may apply unconditional writes as they
//! arrive, since for two writes of which one was acknowledged before the other began both
//! orders agree. A caller may choose a version only together with [`Precondition::IfNewer`].
//!
//! **A failure says whether it happened.** Every [`Error`] carries an [`Outcome`]: certainly
//! not applied, or unknown. Only the retry layer repeats a call, only when the error's class
//! allows it, and only when the call is idempotent or certainly did not happen. An outcome
//! that was once unknown stays so, whatever a later attempt is told.
//!
//! **The end of a scan is a value.** [`Scan::next`] gives a page or an [`ScanEnd`] that
//! counts the rows; there is no third way to stop but an error. A row that cannot be read
//! is an item with its key and bytes. Parallel reading is [`Namespace::split`]: disjoint
//! ranges, each with its own scan. Ranges and cursors are values with a text form that name
//! their store, and are refused by any other.
//!
//! **A batch is not a transaction** unless asked: [`Atomicity::PerItem`] is the bulk path
//! and gives an outcome for each write; [`Atomicity::Required`] is a capability.
//!
//! **Control records** are a small key space with compare-and-set beside the pins: clock
//! marks, namespace mappings, markers of imports under way. No scan, count, export or
//! digest sees them.
//!
//! **Replacing a pinset** loads a new namespace, waits for durability, and puts it in the
//! old one's place in one step ([`Store::replace_namespace`]); whoever holds a handle on
//! the old one is told so.
//!
//! **Traits have no default bodies**, so that a wrapper which forgets a method does not
//! compile; [`Store::gauges`] and [`Scan::show`] alone have one and say why. What may grow
//! (options, capabilities, errors, results) is `#[non_exhaustive]` and built by functions; a
//! new power is a new option, or a trait of its own behind an accessor.
//!
//! **Dynamic dispatch is paid per page.** Everything holds `Arc<dyn …>`; scans give pages
//! and bulk calls take many keys, so the cost is spread over a thousand records.
//!
//! # Deviations from the decisions taken before the first line
//!
//! A missing record is `Ok(None)` at record level and [`ErrorKind::NotFound`] at the level
//! of [`State`], where the error's text is part of IPFS-Cluster's own contract.

pub mod batch;
pub mod capability;
pub mod clock;
pub mod config;
pub mod control;
pub mod digest;
pub mod error;
pub mod format;
pub mod gauge;
pub mod layer;
pub mod name;
pub mod namespace;
pub mod pin;
pub mod range;
pub mod record;
pub mod scan;
pub mod state;
pub mod store;
pub mod transfer;
pub mod write;

pub use batch::{Atomicity, BatchItem, BatchOptions, BatchOutcome};
pub use capability::{Capabilities, Consistency, Durability, IfNewer};
pub use clock::{Clock, ClockOptions};
pub use control::{ControlRecord, ControlWritten, Expect};
pub use error::{Error, ErrorKind, NOT_FOUND_TEXT, Operation, Outcome, Result, RetryClass};
pub use gauge::Gauge;
pub use name::NamespaceName;
pub use namespace::{Count, CountOptions, Namespace, ReadOptions};
pub use range::{Cursor, Range, Scope};
pub use record::{Contender, Key, Record, RecordView, Version};
pub use scan::{CheckedScan, Damaged, Page, Scan, ScanEnd, ScanItem, ScanOptions, ScanStep, Shown};
pub use state::{ListOptions, PinFilter, State};
pub use store::{Health, NamespaceInfo, Store, StoreIdentity};
pub use write::{Delete, Precondition, Put, WriteOptions, Written};
