//! Why a cluster could not be had, or not be handled as asked.

use std::io;
use std::path::Path;

/// The result of the test bed's operations.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The user said that no cluster is to be used. A test reports this and passes.
    #[error("{0}")]
    Skipped(String),
    /// There is no source of clusters on this machine. A test fails with this.
    #[error("{0}")]
    NoSource(String),
    /// The cluster at hand cannot do what was asked, such as killing a node of the user's.
    #[error("{0}")]
    Unsupported(String),
    /// An argument or a variable makes no sense.
    #[error("{0}")]
    Usage(String),
    /// A node did not start, a program failed, a cluster did not come together.
    #[error("{0}")]
    Failed(String),
    /// Reading or writing a file or starting a program failed.
    #[error("{what}: {source}")]
    Io {
        /// What was done, and to which file.
        what: String,
        /// The system's answer.
        source: io::Error,
    },
}

impl Error {
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::Failed(message.into())
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::Usage(message.into())
    }

    /// For `map_err`: what was done to which file.
    pub(crate) fn io(what: &str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let what = format!("{what} {}", path.display());
        move |source| Self::Io { what, source }
    }

    /// For `map_err`: the program that was to be started.
    pub(crate) fn program(name: &str) -> impl FnOnce(io::Error) -> Self {
        let what = format!("cannot run {name}");
        move |source| Self::Io { what, source }
    }
}
