//! Where the test bed keeps things, by the XDG Base Directory Specification.

use std::path::PathBuf;

use crate::error::{Error, Result};

/// What is fetched once: `PINSTATE_TESTBED_CACHE`, else the user's cache folder.
pub(crate) fn cache() -> Result<PathBuf> {
    match std::env::var_os("PINSTATE_TESTBED_CACHE") {
        Some(folder) if !folder.is_empty() => Ok(PathBuf::from(folder)),
        _ => base("XDG_CACHE_HOME", ".cache"),
    }
}

/// The clusters that were started to stay.
pub(crate) fn state() -> Result<PathBuf> {
    base("XDG_STATE_HOME", ".local/state")
}

fn base(variable: &str, under_home: &str) -> Result<PathBuf> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    absolute(variable)
        .or_else(|| absolute("HOME").map(|home| home.join(under_home)))
        .map(|base| base.join("pinstate-testbed"))
        .ok_or_else(|| Error::usage(format!("neither {variable} nor HOME names a folder")))
}
