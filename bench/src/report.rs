//! What was measured, written down: `bench.json` for programs, a `.hlog` for each run for the
//! tools around HdrHistogram, one HTML page for people, and a table for their terminals.

mod figures;
mod files;
mod hlog;
mod html;
mod json;
mod table;
mod units;

use std::io;
use std::path::{Path, PathBuf};

pub use html::html;
pub use json::read;
pub use table::table;

use crate::outcome::Report;

/// What was written.
#[derive(Clone, Debug)]
pub struct Files {
    /// `bench.json`: the whole report.
    pub json: PathBuf,
    /// `bench.html`: the page.
    pub page: PathBuf,
    /// A histogram log for each run, in the order of the runs.
    pub logs: Vec<PathBuf>,
}

/// Writes a report into a folder, which is made if need be. Each file is there whole or not at
/// all, and where `bench.json` is, the others are too.
///
/// # Errors
/// What kept one of them from being written.
pub fn write(report: &Report, folder: &Path) -> io::Result<Files> {
    std::fs::create_dir_all(folder)?;
    let mut logs = Vec::new();
    for (index, run) in report.runs.iter().enumerate() {
        let log = folder.join(hlog::name(report, index, run));
        files::put(&log, &hlog::log(report, run)?)?;
        logs.push(log);
    }
    let page = folder.join("bench.html");
    files::put(&page, html(report).as_bytes())?;
    let json = folder.join("bench.json");
    files::put(&json, &json::text(report)?)?;
    Ok(Files { json, page, logs })
}
