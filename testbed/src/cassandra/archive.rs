//! An archive of Cassandra's classes as Java has loaded them: with it a node starts on a
//! third less of the processor's time.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::config::{self, Site};
use super::fleet::{Runtime, Settings};
use crate::error::{Error, Result};
use crate::keeper::Keeper;
use crate::options::Options;
use crate::process::Life;
use crate::range::{CQL_PORT, Reservation, STORAGE_PORT};

/// For the one node whose classes are archived, on a machine that does other things too.
const PATIENCE: Duration = Duration::from_secs(120);
const HEAP_MIB: usize = 384;

/// The archive that fits this Java and these jars, if there is one.
pub(super) fn existing(runtime: &Runtime) -> Option<PathBuf> {
    Some(path(runtime)).filter(|path| path.is_file())
}

fn path(runtime: &Runtime) -> PathBuf {
    let version = runtime.java.version().chars().filter(char::is_ascii_alphanumeric);
    runtime.jars.folder.join(format!("classes-{}.jsa", version.collect::<String>()))
}

/// Makes the archive unless there is one. Nodes start without it too, so a failure is told
/// and no more.
#[allow(clippy::print_stderr, reason = "the first run takes its time and should say so")]
pub(super) fn make(runtime: &Runtime) {
    if existing(runtime).is_some() {
        return;
    }
    eprintln!("testbed: archiving Cassandra's classes, once, so that nodes start quicker");
    if let Err(e) = try_make(runtime) {
        eprintln!("testbed: no class archive, nodes start slower: {e}");
    }
}

fn try_make(runtime: &Runtime) -> Result<()> {
    let _lock = runtime.jars.lock()?;
    if existing(runtime).is_some() {
        return Ok(());
    }
    let reservation = Reservation::any()?;
    let folder = tempfile::Builder::new()
        .prefix("pinstate-testbed-")
        .tempdir()
        .map_err(Error::io("cannot create a folder in", &std::env::temp_dir()))?;
    let keeper = Keeper::start(folder.path())?;
    let address = reservation.range.address(1);
    let seeds = format!("{address}:{STORAGE_PORT}");
    let site = Site {
        cluster: "archive",
        datacenter: "dc1",
        listen: address,
        rpc: address,
        seeds: &seeds,
        keys: None,
    };
    let node = folder.path().join("node1");
    config::write(&node, &site, &Options::nodes(1)?)?;
    let unfinished = folder.path().join("classes.jsa");
    let mut command = runtime.node(&node, Settings { heap_mib: HEAP_MIB, copies: 1 }, None);
    command.arg(format!("-XX:ArchiveClassesAtExit={}", unfinished.display()));
    let mut process = runtime.spawn(command, &node, keeper.group())?;
    let until = Instant::now() + PATIENCE;
    while TcpStream::connect(SocketAddr::from((address, CQL_PORT))).is_err() {
        if process.life() == Life::Dead || Instant::now() > until {
            let _ = process.kill();
            return Err(Error::failed("the node whose classes were to be archived did not start"));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    process.terminate()?;
    process.wait();
    // Across file systems, so copied beside its place first.
    let near = path(runtime).with_extension("part");
    fs::copy(&unfinished, &near).map_err(Error::io("no class archive at", &unfinished))?;
    fs::rename(&near, path(runtime)).map_err(Error::io("cannot create", &path(runtime)))?;
    keeper.finish(false);
    Ok(())
}
