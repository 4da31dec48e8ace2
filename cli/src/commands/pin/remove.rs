//! `pin rm`.

use pinstate_core::State;
use pinstate_core::pin::Cid;
use serde_json::json;

use crate::args::Global;
use crate::exit::{Exit, Outcome};
use crate::output::Output;
use crate::session::{Access, Session};

/// Removes each pin. One that is not there is no error, as in ipfs-cluster, but said.
pub(crate) async fn run(global: &Global, cids: Vec<Cid>, out: Output) -> Outcome {
    let session = Session::open(global, out, Access::Modify).await?;
    let result = async { remove_all(&session.pins().await?, &cids, out).await }.await;
    session.close(result).await
}

async fn remove_all(pins: &State, cids: &[Cid], out: Output) -> Outcome {
    let mut lines = out.lines();
    for cid in cids {
        let removed = pins.has(cid).await?;
        if removed {
            pins.rm(cid).await?;
        }
        let text = if removed { "removed" } else { "was not pinned" };
        lines.result(
            format_args!("{cid}  {text}"),
            &json!({ "cid": cid.to_string(), "removed": removed }),
        )?;
    }
    lines.finish()?;
    Ok(Exit::Done)
}
