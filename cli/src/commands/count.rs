//! `count`.

use clap::Args;
use pinstate_core::{Count, CountOptions};
use serde_json::json;

use crate::args::Global;
use crate::exit::{Exit, Outcome};
use crate::output::Output;
use crate::session::{Access, Session};

/// How to count.
#[derive(Debug, Args)]
pub(crate) struct CountArgs {
    /// What the store can tell without reading every key
    #[arg(long)]
    estimate: bool,
}

/// Says how many pins there are, unreadable ones included.
pub(crate) async fn run(global: &Global, args: CountArgs, out: Output) -> Outcome {
    let session = Session::open(global, out, Access::Read).await?;
    let options = if args.estimate { CountOptions::estimate() } else { CountOptions::new() };
    let result = async { Ok(session.pins().await?.count(options).await?) }.await;
    let count = session.close(result).await?;
    let text = match count {
        Count::Exact(pins) => pins.to_string(),
        Count::Estimate(pins) => format!("about {pins} (an estimate)"),
    };
    let exact = matches!(count, Count::Exact(_));
    out.result(text, &json!({ "pins": count.value(), "exact": exact }))?;
    Ok(Exit::Done)
}
