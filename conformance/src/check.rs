//! How a case says what is wrong.

use std::fmt;
use std::panic::Location;

use pinstate_core::{Error, ErrorKind, Operation, RetryClass};

/// What a case found to break its clause.
#[derive(Clone, Debug)]
pub struct Violation {
    message: String,
    at: &'static Location<'static>,
    sort: Sort,
}

/// What a case that ends early has to tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sort {
    /// The clause is broken.
    Broken,
    /// A call failed where it was expected not to, and may be made again: as bad, unless the
    /// store is disturbed from outside.
    Interrupted,
    /// The suite or its plug failed before it could tell.
    Harness,
    /// What the case needs is not to be had here.
    NotHere,
}

/// The result of a case or of a step of one.
pub(crate) type Checked<T = ()> = Result<T, Violation>;

/// Longest text of a value in a message: a wrong one of 16 MiB must stay readable.
const SHOWN: usize = 600;

/// A value as it stands in a message.
fn shown(value: &dyn fmt::Debug) -> String {
    let mut text = format!("{value:?}");
    if let Some((cut, _)) = text.char_indices().find(|(at, _)| *at >= SHOWN) {
        text.truncate(cut);
        text.push('…');
    }
    text
}

impl Violation {
    #[track_caller]
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), at: Location::caller(), sort: Sort::Broken }
    }

    /// The suite or its plug could not do their part.
    #[track_caller]
    pub(crate) fn harness(what: &str, error: &Error) -> Self {
        Self { sort: Sort::Harness, ..Self::new(format!("{what}: {error}")) }
    }

    /// The files of a store cannot be read or written, which is not the store's doing.
    #[track_caller]
    pub(crate) fn files(what: &str, error: &std::io::Error) -> Self {
        let error = Error::new(ErrorKind::Io, Operation::Open, error.to_string());
        Self::harness(what, &error)
    }

    /// The case cannot run here, for this reason.
    #[track_caller]
    pub(crate) fn not_here(reason: impl Into<String>) -> Self {
        Self { sort: Sort::NotHere, ..Self::new(reason) }
    }

    /// The same, with what was under way when it was found.
    pub(crate) fn within(mut self, what: &str) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }

    pub(crate) fn sort(&self) -> Sort {
        self.sort
    }

    /// The message without the place in the suite.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (at {}:{})", self.message, self.at.file(), self.at.line())
    }
}

impl From<Error> for Violation {
    #[track_caller]
    fn from(error: Error) -> Self {
        let passes = error.retry_class() != RetryClass::Never;
        let sort = if passes { Sort::Interrupted } else { Sort::Broken };
        Self { sort, ..Self::new(format!("expected no error, got: {error}")) }
    }
}

/// `got` must equal `expected`.
#[track_caller]
pub(crate) fn same<T: PartialEq + fmt::Debug>(what: &str, got: T, expected: T) -> Checked {
    if got == expected {
        return Ok(());
    }
    Err(Violation::new(format!("{what}: expected {}, got {}", shown(&expected), shown(&got))))
}

/// `condition` must hold; `what` says what was expected and what came.
#[track_caller]
pub(crate) fn holds(condition: bool, what: impl FnOnce() -> String) -> Checked {
    if condition { Ok(()) } else { Err(Violation::new(what())) }
}

/// The call must have failed with an error of this kind.
#[track_caller]
pub(crate) fn refused<T: fmt::Debug>(
    what: &str,
    result: Result<T, Error>,
    kind: ErrorKind,
) -> Checked<Error> {
    match result {
        Err(error) if error.kind() == kind => Ok(error),
        Err(error) => Err(Violation::new(format!(
            "{what}: expected an error of kind '{}', got: {error}",
            kind.as_str()
        ))),
        Ok(value) => Err(Violation::new(format!(
            "{what}: expected an error of kind '{}', got {}",
            kind.as_str(),
            shown(&value)
        ))),
    }
}

/// The call must have failed with an error of one of these kinds.
#[track_caller]
pub(crate) fn refused_as<T: fmt::Debug>(
    what: &str,
    result: Result<T, Error>,
    kinds: &[ErrorKind],
) -> Checked<Error> {
    match result {
        Err(error) if kinds.contains(&error.kind()) => Ok(error),
        other => Err(Violation::new(format!(
            "{what}: expected an error of a kind out of {kinds:?}, got {}",
            shown(&other)
        ))),
    }
}

/// The option must hold something.
#[track_caller]
pub(crate) fn some<T>(what: &str, option: Option<T>) -> Checked<T> {
    option.ok_or_else(|| Violation::new(format!("{what}: expected something, got nothing")))
}
