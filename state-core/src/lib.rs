//! The contract of pinstate, and IPFS-Cluster's real formats.

pub mod batch;
pub mod capability;
pub mod clock;
pub mod config;
pub mod control;
pub mod error;
pub mod format;
pub mod layer;
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
pub use capability::{Capabilities, Consistency, IfNewer};
pub use clock::{Clock, ClockOptions};
pub use control::{ControlRecord, ControlWritten, Expect};
pub use error::{Error, ErrorKind, NOT_FOUND_TEXT, Operation, Outcome, Result, RetryClass};
pub use namespace::{Count, CountOptions, Namespace, NamespaceName, ReadOptions};
pub use range::{Cursor, Range, Scope};
pub use record::{Contender, Key, Record, Version};
pub use scan::{CheckedScan, Damaged, Page, Scan, ScanEnd, ScanItem, ScanOptions, ScanStep};
pub use state::{ListOptions, PinFilter, State};
pub use store::{Durability, Health, NamespaceInfo, Store, StoreIdentity};
pub use write::{Delete, Precondition, Put, WriteOptions, Written};
