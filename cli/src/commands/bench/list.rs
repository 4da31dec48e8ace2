//! `bench list`.

use clap::Args;
use pinstate_bench::Workload;
use serde_json::json;

use super::load::bad;
use crate::exit::{Exit, Outcome};
use crate::output::Output;

/// What to show.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Show this one as TOML, to be changed and given to --workload as a file
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

pub(super) fn list(args: &ListArgs, out: Output) -> Outcome {
    let workloads = match &args.name {
        Some(name) => vec![Workload::preset(name).map_err(bad)?],
        None => Workload::presets().map_err(bad)?,
    };
    let width = workloads.iter().map(|one| one.name.len()).max().unwrap_or(0);
    let mut lines = out.lines();
    for workload in &workloads {
        let described = workload.described();
        let json =
            json!({ "name": described.name, "about": described.about, "toml": described.toml });
        match &args.name {
            Some(_) => lines.result(described.toml.trim_end(), &json)?,
            None => {
                lines.result(format_args!("{:width$}  {}", workload.name, workload.about), &json)?
            }
        }
    }
    lines.finish()?;
    if args.name.is_none() {
        out.note("how long after a kill a store can be read again: 'pinstate bench restart'");
    }
    Ok(Exit::Done)
}
