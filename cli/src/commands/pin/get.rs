//! `pin get` and `pin has`.

use pinstate_core::pin::Cid;
use pinstate_core::{ErrorKind, State};
use serde_json::json;

use crate::args::Global;
use crate::exit::{Exit, Failure, Outcome};
use crate::output::Output;
use crate::pins::{Detail, PinPrinter};
use crate::session::{Access, Session};

/// Shows each pin. A missing one is told and does not keep the others from being shown.
pub(crate) async fn get(global: &Global, cids: Vec<Cid>, out: Output) -> Outcome {
    let session = Session::open(global, out, Access::Read).await?;
    let result = async { get_all(&session.pins().await?, &cids, out).await }.await;
    session.close(result).await
}

async fn get_all(pins: &State, cids: &[Cid], out: Output) -> Outcome {
    let mut exit = Exit::Done;
    let mut printer = PinPrinter::new(out, Detail::Full);
    for cid in cids {
        match pins.get_stored(cid).await {
            Ok(pin) => {
                if !printer.pin(&pin)? && exit == Exit::Done {
                    exit = Exit::Rejected;
                }
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                printer.lines().flush()?;
                exit = out.failure(&Failure::from(error));
            }
            Err(error) => return Err(error.into()),
        }
    }
    printer.finish()?;
    Ok(exit)
}

/// Says of each CID whether it is pinned.
pub(crate) async fn has(global: &Global, cids: Vec<Cid>, out: Output) -> Outcome {
    let session = Session::open(global, out, Access::Read).await?;
    let result = async { has_all(&session.pins().await?, &cids, out).await }.await;
    session.close(result).await
}

async fn has_all(pins: &State, cids: &[Cid], out: Output) -> Outcome {
    let mut exit = Exit::Done;
    let mut lines = out.lines();
    for cid in cids {
        let pinned = pins.has(cid).await?;
        if !pinned {
            exit = Exit::Failed;
        }
        let text = format_args!("{cid}  {pinned}");
        lines.result(text, &json!({ "cid": cid.to_string(), "pinned": pinned }))?;
    }
    lines.finish()?;
    Ok(exit)
}
