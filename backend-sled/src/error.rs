//! What an engine failure means to a caller.

use std::io;

use pinstate_core::{Error, ErrorKind, Key, Operation, Outcome};

/// The backend's name, as errors, capabilities and URIs carry it.
pub const BACKEND: &str = "sled";

/// An error of this backend.
pub(crate) fn error(
    kind: ErrorKind,
    operation: Operation,
    message: impl Into<std::borrow::Cow<'static, str>>,
) -> Error {
    Error::new(kind, operation, message).with_backend(BACKEND)
}

/// What an engine error is called. The engine wraps whatever the file system said, and
/// keeps its kind.
pub(crate) fn from_engine(source: sled::Error, operation: Operation) -> Error {
    let (kind, message) = match &source {
        // Whoever is in a tree keeps it from being dropped.
        sled::Error::CollectionNotFound(_) => (ErrorKind::Internal, "the engine lost a tree"),
        sled::Error::Corruption { .. } => (
            ErrorKind::Corrupt,
            "the engine found damaged bytes in its files: restore a backup or import an export",
        ),
        sled::Error::Unsupported(_) => {
            (ErrorKind::Incompatible, "the engine cannot use these files")
        }
        sled::Error::ReportableBug(_) => (ErrorKind::Internal, "the engine failed"),
        sled::Error::Io(cause) => return from_io_kind(cause.kind(), operation).with_source(source),
    };
    error(kind, operation, message).with_source(source)
}

/// What a file system error is called.
pub(crate) fn from_io(source: io::Error, operation: Operation) -> Error {
    from_io_kind(source.kind(), operation).with_source(source)
}

fn from_io_kind(kind: io::ErrorKind, operation: Operation) -> Error {
    match kind {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => error(
            ErrorKind::Full,
            operation,
            "no space is left for the store: make room, then open it again",
        ),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => error(
            ErrorKind::PermissionDenied,
            operation,
            "the file system refused access to the store",
        )
        .with_outcome(Outcome::Unknown),
        _ => error(ErrorKind::Io, operation, "reading or writing the store's files failed"),
    }
}

/// The answer of a closed store.
pub(crate) fn closed(operation: Operation) -> Error {
    error(ErrorKind::Closed, operation, "the store is closed").with_outcome(Outcome::NotApplied)
}

/// The answer when the engine panicked while at work on a call.
pub(crate) fn panicked(operation: Operation) -> Error {
    error(
        ErrorKind::Internal,
        operation,
        "the engine panicked: its files may be damaged; close the store and open it again",
    )
    .with_outcome(Outcome::Unknown)
}

/// The answer for a row that cannot be read.
pub(crate) fn damaged(operation: Operation, key: Key, reason: &'static str) -> Error {
    error(ErrorKind::Corrupt, operation, reason).with_key(key).with_outcome(Outcome::NotApplied)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engine_errors_keep_their_meaning() {
        let io = |kind: io::ErrorKind| sled::Error::Io(io::Error::from(kind));
        for (source, kind) in [
            (io(io::ErrorKind::StorageFull), ErrorKind::Full),
            (io(io::ErrorKind::QuotaExceeded), ErrorKind::Full),
            (io(io::ErrorKind::PermissionDenied), ErrorKind::PermissionDenied),
            (io(io::ErrorKind::Other), ErrorKind::Io),
            (sled::Error::Unsupported("x".into()), ErrorKind::Incompatible),
            (sled::Error::ReportableBug("x".into()), ErrorKind::Internal),
            (sled::Error::CollectionNotFound(b"x".into()), ErrorKind::Internal),
        ] {
            // A clone is what other threads of the engine see of one failure.
            for source in [source.clone(), source] {
                let error = from_engine(source, Operation::Put);
                assert_eq!(error.kind(), kind, "{error}");
                assert_eq!(error.backend(), Some("sled"));
                assert!(!error.to_string().contains('\n'), "{error}");
            }
        }
    }
}
