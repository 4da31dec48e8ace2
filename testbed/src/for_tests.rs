//! How a test gets a cluster, or says why it does nothing.

use std::io::Write;

use crate::cluster::Cluster;
use crate::error::{Error, Result};
use crate::options::Options;

/// A cluster for a test; `None` if the test is to do nothing, which is reported with the
/// reason on the standard error stream, also where the harness captures output.
///
/// # Panics
/// If there is no cluster for any other reason: a test that cannot run has not passed.
#[must_use]
pub fn cluster(options: &Options) -> Option<Cluster> {
    or_skip(Cluster::start(options))
}

/// The result, or `None` after the report of a skip; see [`cluster()`].
///
/// # Panics
/// On an error that is neither `Skipped` nor `Unsupported`.
pub fn or_skip<T>(result: Result<T>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(Error::Skipped(why) | Error::Unsupported(why)) => {
            skip(&why);
            None
        }
        #[allow(clippy::panic, reason = "the test fails")]
        Err(e) => panic!("{e}"),
    }
}

/// Reports that the test that runs on this thread does nothing, and why.
pub fn skip(why: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    // Not by the macro, whose output a harness keeps to itself when a test passes.
    let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {why}");
}
