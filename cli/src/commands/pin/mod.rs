//! `pin`: single pins, and lists of them.

mod add;
mod get;
mod list;
mod remove;

use clap::{Args, Subcommand};
use pinstate_core::pin::{Cid, PinType};

use crate::args::{Global, parsed};
use crate::exit::Outcome;
use crate::output::Output;

/// What to do with pins.
#[derive(Debug, Subcommand)]
pub(crate) enum PinCommand {
    Add(Box<add::AddArgs>),
    /// Show pins
    Get(CidArgs),
    /// Say whether CIDs are pinned; exit 1 if one is not
    Has(CidArgs),
    /// Remove pins; one that is not there is no error
    Rm(CidArgs),
    Ls(Box<list::ListArgs>),
}

/// CIDs in any base.
#[derive(Debug, Args)]
pub(crate) struct CidArgs {
    /// CIDs
    #[arg(required = true, value_name = "CID", value_parser = parsed::<Cid>)]
    cids: Vec<Cid>,
}

/// Runs one of them.
pub(crate) async fn run(global: &Global, command: PinCommand, out: Output) -> Outcome {
    match command {
        PinCommand::Add(args) => add::run(global, *args, out).await,
        PinCommand::Get(args) => get::get(global, args.cids, out).await,
        PinCommand::Has(args) => get::has(global, args.cids, out).await,
        PinCommand::Rm(args) => remove::run(global, args.cids, out).await,
        PinCommand::Ls(args) => list::run(global, *args, out).await,
    }
}

/// The types that a pin can be given or be listed by.
const TYPES: [PinType; 4] = [PinType::DATA, PinType::META, PinType::CLUSTER_DAG, PinType::SHARD];

fn pin_type(text: &str) -> Result<PinType, String> {
    TYPES
        .into_iter()
        .find(|pin_type| pin_type.name() == text)
        .ok_or_else(|| format!("there are {}", TYPES.map(PinType::name).join(", ")))
}
