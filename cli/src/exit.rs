//! How the program ends: its exit codes, and failures with what to do about them.

use std::fmt;
use std::io;
use std::process::ExitCode;

use pinstate_core::{Error, ErrorKind, Operation};

/// The exit codes, which scripts may rely on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Exit {
    /// Done. Also when whoever read the output went away.
    Done = 0,
    /// Failed.
    Failed = 1,
    /// The command line or the configuration is wrong; nothing was done.
    Usage = 2,
    /// Finished, but some records were rejected or cannot be read; each was reported.
    Rejected = 3,
    /// Two pinsets that were compared are not the same.
    Different = 4,
    /// Interrupted; the command can be repeated or resumed.
    Interrupted = 5,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command did not do what it was asked for.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Something to tell the user.
    Error(Box<Told>),
    /// Whoever read the output went away: nothing to tell, and nobody to tell it to.
    ClosedPipe,
}

/// An error as it is told.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) error: Error,
    /// What to do about it, where the error itself does not say.
    pub(crate) hint: Option<String>,
    pub(crate) exit: Exit,
}

/// The result of a command or a part of one.
pub(crate) type Outcome<T = Exit> = Result<T, Failure>;

impl Failure {
    /// A command line that asks for something that makes no sense.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        let error = Error::new(ErrorKind::InvalidInput, Operation::Configure, message.into());
        Self::Error(Box::new(Told { error, hint: None, exit: Exit::Usage }))
    }

    /// A failure to read or write a file.
    pub(crate) fn file(operation: Operation, message: impl fmt::Display, error: io::Error) -> Self {
        // Some readers know better what it is.
        let error = error.downcast::<Error>().unwrap_or_else(|error| {
            Error::new(ErrorKind::Io, operation, message.to_string()).with_source(error)
        });
        error.into()
    }

    /// A failure to write the output of a command.
    pub(crate) fn stdout(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::ClosedPipe;
        }
        Self::file(Operation::Export, "the output cannot be written", error)
    }

    /// Adds what to do about it.
    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        if let Self::Error(told) = &mut self {
            told.hint = Some(hint.into());
        }
        self
    }

    /// Sets the exit code.
    pub(crate) fn with_exit(mut self, exit: Exit) -> Self {
        if let Self::Error(told) = &mut self {
            told.exit = exit;
        }
        self
    }

    /// The error behind it, for whoever passes it on as one.
    pub(crate) fn into_error(self) -> Error {
        match self {
            Self::Error(told) => told.error,
            Self::ClosedPipe => {
                Error::new(ErrorKind::Io, Operation::Export, "whoever read the output went away")
            }
        }
    }

    /// The code to exit with.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Error(told) => told.exit,
            Self::ClosedPipe => Exit::Done,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let exit = match error.kind() {
            ErrorKind::Config => Exit::Usage,
            ErrorKind::Cancelled => Exit::Interrupted,
            _ => Exit::Failed,
        };
        let hint = match error.kind() {
            ErrorKind::Locked => Some(
                "another process has the store open: wait for it to end, or stop it".to_owned(),
            ),
            ErrorKind::Incompatible => Some(
                "the store was written by another version of pinstate, or by another program; \
                 nothing was changed"
                    .to_owned(),
            ),
            _ => None,
        };
        Self::Error(Box::new(Told { error, hint, exit }))
    }
}
