//! What the engine's failures mean for the caller.

use std::io;

use pinstate_core::{Error, ErrorKind, NamespaceName, Operation, Outcome};

use crate::BACKEND;

/// A failure of the engine. What a write came to is unknown unless the caller knows better:
/// what reached the journal before the failure may be there after the next opening.
pub(crate) fn engine(error: fjall::Error, operation: Operation) -> Error {
    let (kind, message) = match &error {
        fjall::Error::Io(source) | fjall::Error::Storage(fjall::LsmError::Io(source)) => {
            let damage = match source.kind() {
                // The engine only opens files that it knows of, and reads where they say.
                io::ErrorKind::NotFound => "a file of the engine is missing: restore from a copy",
                io::ErrorKind::InvalidInput => {
                    "a file of the engine points to where nothing can be: restore from a copy"
                }
                _ => return file(io_of(source), operation),
            };
            return corrupt(operation, damage).with_source(io_of(source));
        }
        fjall::Error::Poisoned => return poisoned(operation),
        fjall::Error::Locked => return locked(operation),
        fjall::Error::KeyspaceDeleted => {
            (ErrorKind::NoNamespace, "the namespace was dropped or replaced: open it anew")
        }
        fjall::Error::InvalidVersion(_) => {
            (ErrorKind::Incompatible, "the engine's files have a format that it does not read")
        }
        // All that is left is about stored bytes that are not what they were.
        _ => (ErrorKind::Corrupt, "the engine found damage: restore from a copy"),
    };
    Error::new(kind, operation, message).with_backend(BACKEND).with_source(Engine(error))
}

/// The same failure for another caller: errors of the system cannot be cloned.
fn io_of(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}

/// A failure of a file.
pub(crate) fn file(error: io::Error, operation: Operation) -> Error {
    let (kind, message) = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            (ErrorKind::Full, "no space is left: make room, then open the store anew")
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            (ErrorKind::PermissionDenied, "the store's files must not be touched")
        }
        io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData => {
            (ErrorKind::Corrupt, "a file ends too early, or is damaged: restore from a copy")
        }
        _ => (ErrorKind::Io, "a file could not be read or written"),
    };
    Error::new(kind, operation, message).with_backend(BACKEND).with_source(error)
}

/// What a write hears after the engine had no room for its files.
pub(crate) fn full(operation: Operation) -> Error {
    Error::new(
        ErrorKind::Full,
        operation,
        "the engine could not write its files, and next to no space is left: make room, then open \
         the store anew",
    )
    .with_backend(BACKEND)
}

/// What a write hears after one before it failed: nothing of it was begun.
pub(crate) fn poisoned(operation: Operation) -> Error {
    Error::new(
        ErrorKind::Closed,
        operation,
        "an earlier write could not be made durable, so the store takes none: open it anew",
    )
    .with_outcome(Outcome::NotApplied)
    .with_backend(BACKEND)
}

pub(crate) fn locked(operation: Operation) -> Error {
    Error::new(ErrorKind::Locked, operation, "another process or handle has the store open")
        .with_backend(BACKEND)
}

/// The error of a closed store.
pub(crate) fn closed(operation: Operation) -> Error {
    Error::new(ErrorKind::Closed, operation, "the store was closed: open it anew")
        .with_outcome(Outcome::NotApplied)
        .with_backend(BACKEND)
}

/// The error of a namespace that is not there by its name.
pub(crate) fn no_namespace(operation: Operation, name: &NamespaceName) -> Error {
    Error::new(
        ErrorKind::NoNamespace,
        operation,
        format!("there is no namespace '{name}': create it first"),
    )
    .with_backend(BACKEND)
}

/// The error of a handle whose namespace has gone.
pub(crate) fn gone(operation: Operation) -> Error {
    Error::new(
        ErrorKind::NoNamespace,
        operation,
        "the namespace was dropped or replaced: open it anew",
    )
    .with_backend(BACKEND)
}

/// The error for work that ended without an answer: the engine panicked, most likely over
/// damaged files.
pub(crate) fn no_answer(operation: Operation) -> Error {
    Error::new(
        ErrorKind::Internal,
        operation,
        "the engine gave up without an answer: its files may be damaged",
    )
    .with_backend(BACKEND)
}

/// Damage of a file of the store's own, or of what stands in one of its records.
pub(crate) fn corrupt(
    operation: Operation,
    message: impl Into<std::borrow::Cow<'static, str>>,
) -> Error {
    Error::new(ErrorKind::Corrupt, operation, message).with_backend(BACKEND)
}

/// An engine error as a cause, in words.
#[derive(Debug)]
struct Engine(fjall::Error);

impl std::fmt::Display for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Engine {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_says_of_itself_is_damage_and_what_the_system_says_is_not() {
        let met = |kind: io::ErrorKind| {
            let storage = fjall::Error::Storage(fjall::LsmError::Io(kind.into()));
            let (plain, storage) = (
                engine(fjall::Error::Io(kind.into()), Operation::Open),
                engine(storage, Operation::Open),
            );
            assert_eq!(plain.kind(), storage.kind());
            plain.kind()
        };
        for damage in [
            io::ErrorKind::NotFound,
            io::ErrorKind::InvalidInput,
            io::ErrorKind::InvalidData,
            io::ErrorKind::UnexpectedEof,
        ] {
            assert_eq!(met(damage), ErrorKind::Corrupt, "{damage}");
        }
        assert_eq!(met(io::ErrorKind::StorageFull), ErrorKind::Full);
        assert_eq!(met(io::ErrorKind::PermissionDenied), ErrorKind::PermissionDenied);
        assert_eq!(met(io::ErrorKind::TimedOut), ErrorKind::Io);
    }
}
