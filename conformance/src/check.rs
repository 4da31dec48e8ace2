//! How a case says what is wrong.

use std::fmt;
use std::panic::Location;

use pinstate_core::{Error, ErrorKind};

/// What a case found to break its clause.
#[derive(Clone, Debug)]
pub struct Violation {
    message: String,
    at: &'static Location<'static>,
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
        Self { message: message.into(), at: Location::caller() }
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
        Self::new(format!("expected no error, got: {error}"))
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
