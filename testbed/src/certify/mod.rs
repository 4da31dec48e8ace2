//! `certify`: what a real server answers, fact by fact.
//!
//! A backend relies on facts that only a real ScyllaDB can show, and that change with its
//! versions. Each is one check here: what it shows, what was seen before, what is seen now.
//! Checks work in keyspaces and with a role of their own, whose names are random, and these
//! are removed at the end.

mod answer;
mod book;
mod datacenters;
mod detection;
mod grants;
mod limits;
mod lwt;
mod options_frame;
mod report;
mod routing;
mod scans;
mod schema;
mod site;
mod stamps;

use std::path::Path;

pub use self::answer::Answer;
pub use self::book::{Check, Verdict};
pub use self::report::{Report, SCHEMA, Server, Summary};

use self::book::Book;
use self::site::Site;
use crate::access::Access;
use crate::error::{Error, Result};
use crate::ready::block_on;

/// Runs every check against the cluster.
///
/// # Errors
/// If the cluster cannot be reached, or the keyspace for the checks cannot be made; not if a
/// check differs.
pub fn certify(access: &Access) -> Result<Report> {
    block_on(run(access))?
}

async fn run(access: &Access) -> Result<Report> {
    let site = Site::open(access).await?;
    let mut book = Book::new(site.is_scylla());
    let interrupted = tokio::select! {
        () = checks(&site, &mut book) => false,
        _ = tokio::signal::ctrl_c() => true,
    };
    let left = site.clear().await;
    if interrupted {
        let left = match left.as_slice() {
            [] => "what the checks made was removed".to_owned(),
            left => format!("not removed: {}", left.join("; ")),
        };
        return Err(Error::failed(format!("interrupted; {left}")));
    }
    Ok(Report::new(site.server().clone(), book.into_checks(), left))
}

async fn checks(site: &Site, book: &mut Book) {
    detection::checks(site, book).await;
    routing::checks(site, book).await;
    schema::checks(site, book).await;
    lwt::checks(site, book).await;
    stamps::checks(site, book).await;
    limits::checks(site, book).await;
    scans::checks(site, book).await;
    datacenters::checks(site, book).await;
    grants::checks(site, book).await;
}

/// Writes `report.html` and `report.json` into a folder, which is made if need be.
///
/// # Errors
/// `Io` if they cannot be written.
pub fn write(report: &Report, folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(Error::io("cannot create", folder))?;
    for (name, text) in [("report.json", report.to_json()?), ("report.html", report.to_html())] {
        let path = folder.join(name);
        std::fs::write(&path, text).map_err(Error::io("cannot write", &path))?;
    }
    Ok(())
}
