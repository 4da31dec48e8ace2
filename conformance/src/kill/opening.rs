//! Opening stores while children are started.
//!
//! A child that is being started has a copy of every open file of its parent, until it has
//! become the program that it is to be. A lock on a file that the parent gives up meanwhile
//! is kept by the child for that moment, and whoever opens the store then is told that it is
//! in use. So nobody opens one while a child is started.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pinstate_core::{ErrorKind, Result, Store};
use tokio::sync::RwLock;

use crate::plug::Site;

static STARTING: RwLock<()> = RwLock::const_new(());

/// How long a store that says it is in use is asked again: a process that somebody else starts
/// has the files of this one, and with them their locks, until it has become another program.
const INHERITED: Duration = Duration::from_millis(500);

/// Opens the store of a site.
pub(crate) async fn opened(site: &dyn Site) -> Result<Arc<dyn Store>> {
    let began = Instant::now();
    loop {
        let nobody_starts = STARTING.read().await;
        let opened = site.open().await;
        drop(nobody_starts);
        match opened {
            Err(error) if error.kind() == ErrorKind::Locked && began.elapsed() < INHERITED => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            opened => return opened,
        }
    }
}

/// Opens the store of a site only if it is there.
pub(crate) async fn opened_existing(site: &dyn Site) -> Option<Result<Arc<dyn Store>>> {
    let _nobody_starts = STARTING.read().await;
    site.open_existing().await
}

/// Starts a process.
pub(crate) async fn started(
    command: &mut std::process::Command,
) -> std::io::Result<std::process::Child> {
    let _nobody_opens = STARTING.write().await;
    command.spawn()
}
