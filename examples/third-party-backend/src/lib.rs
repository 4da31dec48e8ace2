//! A small store for pinstate: an append-only log, synced before each answer, and an index
//! in memory.
//!
//! All rows are kept in memory as well, so it is for pinsets that fit there, and the log only
//! grows. What it does promise is what its [capabilities](LogStore) say, and the conformance
//! suite holds it to that. Every call works under one lock and does not wait for anything but
//! the disk: there is no moment at which a dropped future could leave half a write.

mod config;
mod factory;
mod log;
mod namespace;
mod store;

use std::borrow::Cow;
use std::io;

use pinstate_core::{Error, ErrorKind, Operation};

pub use config::LogConfig;
pub use factory::LogFactory;
pub use store::LogStore;

/// The backend's name, in errors and reports.
pub const BACKEND: &str = "logstore";

pub(crate) fn fail(
    kind: ErrorKind,
    operation: Operation,
    message: impl Into<Cow<'static, str>>,
) -> Error {
    Error::new(kind, operation, message).with_backend(BACKEND)
}

/// What a failure of the file system is to a caller.
pub fn error(source: io::Error, operation: Operation) -> Error {
    let (kind, message) = match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            (ErrorKind::Full, "no space is left for the store: make room")
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            (ErrorKind::PermissionDenied, "the file system refused access to the store")
        }
        _ => (ErrorKind::Io, "reading or writing the store's file failed"),
    };
    fail(kind, operation, message).with_source(source)
}
