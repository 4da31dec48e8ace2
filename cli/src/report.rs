//! Where reports go.

use std::fs;
use std::path::Path;

use pinstate_core::Operation;

use crate::exit::{Failure, Outcome};

/// Makes the folder of a report, and finds out whether files can be made in it: before the
/// work, which may take hours, and not after it.
pub(crate) fn prepare(folder: Option<&Path>, operation: Operation) -> Outcome<()> {
    let Some(folder) = folder else { return Ok(()) };
    fs::create_dir_all(folder).and_then(|()| tempfile::tempfile_in(folder)).map_err(|error| {
        let what = format!("the report cannot be written into {}", folder.display());
        Failure::file(operation, what, error)
    })?;
    Ok(())
}
