//! What runs that were killed have left, in the store and on the machine.

use std::path::Path;
use std::time::{Duration, SystemTime};

use clap::Args;
use pinstate_conformance::{leftovers, strays};
use pinstate_core::{Operation, Store};
use serde_json::json;

use super::plug;
use crate::args::Global;
use crate::duration;
use crate::exit::{Exit, Failure, Outcome};
use crate::output::Output;
use crate::session::{Access, Choice, Session};

/// Remove what runs of the suite that were killed have left in the store.
///
/// Only namespaces that a run has marked as its own are removed. In a store that others can
/// have open they must also be so old that no run still works in them. Folders and mounts of
/// runs in the folder for temporary files go as well, once the process that made them is dead.
#[derive(Debug, Args)]
pub(crate) struct GcArgs {
    /// Least age of what is removed, where others can have the store open
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = duration::parse)]
    older_than: Duration,
}

pub(super) async fn gc(global: &Global, args: &GcArgs, out: Output) -> Outcome {
    let choice = Choice::new(global)?;
    let Some(store) = choice.named.clone() else {
        return Err(Failure::usage("name the store to clean up, as --store sled:PATH"));
    };
    let (factory, settings) = choice.checked(&store)?;
    let session = Session::open_choice(choice, global, out, Access::Read).await?;
    let result = sweep(&session, args.older_than, plug::folder(&*factory, &settings)).await;
    session.close(result).await
}

async fn sweep(
    session: &Session,
    older_than: Duration,
    folder: Option<impl AsRef<Path>>,
) -> Outcome {
    let store: &dyn Store = &*session.store;
    // Whoever has the store open alone knows that no run is under way.
    let alone = store.capabilities().exclusive_open;
    let old = |age: Duration| alone || age >= older_than;
    let mut lines = session.out.lines();
    let (mut removed, mut kept) = (0_u64, 0_u64);
    for left in leftovers(store).await? {
        if !old(left.age()) {
            kept += 1;
            continue;
        }
        left.remove(store).await?;
        removed += 1;
        let name = &left.namespace;
        lines.result(format_args!("removed {name}"), &json!({ "removed": name }))?;
    }
    for path in folder.map(|folder| folders(folder.as_ref())).transpose()?.unwrap_or_default() {
        let failed = |error| {
            let message = format!("cannot remove {}", path.display());
            Failure::file(Operation::DropNamespace, message, error)
        };
        let made = path.metadata().and_then(|data| data.modified()).map_err(failed)?;
        if !old(SystemTime::now().duration_since(made).unwrap_or_default()) {
            kept += 1;
            continue;
        }
        std::fs::remove_dir_all(&path).map_err(failed)?;
        removed += 1;
        let shown = path.display().to_string();
        lines.result(format_args!("removed {shown}"), &json!({ "removed": shown }))?;
    }
    let elsewhere = strays().map_err(|error| {
        let message = "cannot look for folders and mounts of killed runs";
        Failure::file(Operation::Open, message.to_owned(), error)
    })?;
    for stray in elsewhere {
        let shown = stray.path().display().to_string();
        stray.remove().map_err(|error| {
            Failure::file(Operation::DropNamespace, format!("cannot remove {shown}"), error)
        })?;
        removed += 1;
        lines.result(format_args!("removed {shown}"), &json!({ "removed": shown }))?;
    }
    lines.finish()?;
    if removed + kept == 0 {
        session.out.note("there was nothing to remove");
    } else if kept > 0 {
        session.out.note(format_args!(
            "{kept} that a run may still be working in were left alone: see --older-than"
        ));
    }
    Ok(Exit::Done)
}

fn folders(path: &Path) -> Outcome<Vec<std::path::PathBuf>> {
    plug::left_beside(path).map_err(|error| {
        let message = format!("cannot look beside {}", path.display());
        Failure::file(Operation::Open, message, error)
    })
}
