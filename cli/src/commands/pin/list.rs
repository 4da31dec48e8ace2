//! `pin ls`.

use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use pinstate_core::pin::{PeerId, PinType, UnixSeconds};
use pinstate_core::transfer::StopFlag;
use pinstate_core::{Cursor, ListOptions, PinFilter, State};
use serde_json::json;

use super::pin_type;
use crate::args::{Global, parsed};
use crate::exit::{Exit, Outcome};
use crate::output::Output;
use crate::pins::{Detail, PinPrinter};
use crate::session::{Access, Session};
use crate::signal;

/// List pins
///
/// Of the conditions that are given all must hold. In JSON each line is the pin as an
/// export has it. With --limit the place to go on from follows where there may be more: on
/// stderr, or in JSON as the last line, {"cursor":…}.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Only this type; several may be given
    #[arg(long = "type", value_name = "TYPE", value_parser = pin_type)]
    types: Vec<PinType>,
    /// Only names that match a pattern: *, ?, [a-z], {a,b}
    #[arg(long, value_name = "GLOB")]
    name: Option<String>,
    /// Only pins allocated to this peer
    #[arg(long, value_name = "PEER", value_parser = parsed::<PeerId>)]
    allocation: Option<PeerId>,
    /// Only pins that have expired
    #[arg(long)]
    expired: bool,
    /// At most so many
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// Go on after the place where another list stopped
    #[arg(long, value_name = "CURSOR", value_parser = cursor)]
    after: Option<Cursor>,
}

fn cursor(text: &str) -> Result<Cursor, String> {
    text.parse().map_err(|error: pinstate_core::Error| error.message().to_owned())
}

/// Lists pins in the store's own order.
pub(crate) async fn run(global: &Global, args: ListArgs, out: Output) -> Outcome {
    let options = options(args)?;
    let stop = signal::watch();
    let session = Session::open(global, out, Access::Read).await?;
    let result = async { list(&session.pins().await?, options, &stop, out).await }.await;
    session.close(result).await
}

fn options(args: ListArgs) -> Outcome<ListOptions> {
    let mut filter = PinFilter::new();
    for pin_type in args.types {
        filter = filter.with_type(pin_type);
    }
    if let Some(pattern) = &args.name {
        filter = filter
            .with_name(pattern)
            .map_err(|error| crate::exit::Failure::from(error).with_exit(Exit::Usage))?;
    }
    if let Some(peer) = args.allocation {
        filter = filter.with_allocation(peer);
    }
    if args.expired {
        filter = filter.with_expired(true, now());
    }
    let mut options = ListOptions::new().with_filter(filter);
    options.limit = args.limit;
    options.after = args.after;
    Ok(options)
}

/// The wall clock.
pub(super) fn now() -> UnixSeconds {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixSeconds(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

async fn list(pins: &State, options: ListOptions, stop: &StopFlag, out: Output) -> Outcome {
    let limit = options.limit;
    let mut shown = 0;
    let mut exit = Exit::Done;
    let mut printer = PinPrinter::new(out, Detail::Line);
    let mut list = pins.list(options).await?;
    let mut cursor = None;
    while let Some(page) = list.next_page().await? {
        shown += page.items.len() as u64;
        for item in page.items {
            let readable = match item {
                Ok(pin) => printer.pin(&pin)?,
                Err(bad) => {
                    printer.lines().flush()?;
                    out.unreadable(bad.key.as_bytes(), &bad.fault);
                    false
                }
            };
            if !readable {
                exit = Exit::Rejected;
            }
        }
        cursor = Some(page.cursor);
        if stop.is_set() {
            exit = Exit::Interrupted;
            break;
        }
    }
    let may_be_more = exit == Exit::Interrupted || limit.is_some_and(|limit| shown >= limit);
    if let (true, Some(cursor)) = (may_be_more, cursor) {
        if out.is_json() {
            printer.lines().result("", &json!({ "cursor": cursor.to_string() }))?;
        } else {
            printer.lines().flush()?;
            out.note(format_args!("go on with --after {cursor}"));
        }
    }
    printer.finish()?;
    Ok(exit)
}
