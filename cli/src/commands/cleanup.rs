//! `cleanup`: an empty pinset in the place of the one there is.

use std::sync::Arc;

use clap::Args;
use pinstate_core::CountOptions;
use serde_json::json;

use crate::args::Global;
use crate::exit::{Exit, Failure, Outcome};
use crate::output::Output;
use crate::session::{Access, Session};
use crate::staging::Staging;

/// Whether to do it.
#[derive(Debug, Args)]
pub(crate) struct CleanupArgs {
    /// Really do it; without this it says how many pins would go
    #[arg(long)]
    yes: bool,
    /// Nobody else writes to the store meanwhile; needed where others can
    #[arg(long)]
    exclusive: bool,
}

/// Removes all pins of the namespace in one step: a crash leaves all of them or none.
pub(crate) async fn run(global: &Global, args: CleanupArgs, out: Output) -> Outcome {
    let access = if args.yes { Access::Modify } else { Access::Read };
    let session = Session::open(global, out, access).await?;
    let result = cleanup(&session, &args).await;
    session.close(result).await
}

async fn cleanup(session: &Session, args: &CleanupArgs) -> Outcome {
    let namespace = session.namespace().await?;
    let pins = namespace.count(CountOptions::new()).await?.value();
    let name = &session.namespace;
    if !args.yes {
        return Err(Failure::usage(format!(
            "this removes all {pins} pins of the namespace '{name}': say --yes to do it"
        ))
        .with_hint("'pinstate export FILE' keeps a copy"));
    }
    session.alone(args.exclusive).await?;
    let staging = Staging::begin(Arc::clone(&session.store), name.clone()).await?;
    let reached = staging.put_in_place().await?;
    session.out.result(
        format_args!("removed {pins} pins from '{name}'; durability: {reached}"),
        &json!({ "removed": pins, "namespace": name, "durability": reached }),
    )?;
    Ok(Exit::Done)
}
