//! `pin add`.

use std::time::Duration;

use clap::{Args, ValueEnum};
use pinstate_core::pin::{Cid, Origin, PeerId, Pin, PinMode, PinType, UnixSeconds};
use pinstate_core::{ErrorKind, State};

use super::list::now;
use super::pin_type;
use crate::args::{Global, parsed};
use crate::duration;
use crate::exit::{Exit, Failure, Outcome};
use crate::output::Output;
use crate::pins::{Detail, PinPrinter};
use crate::session::{Access, Session};

/// Store a pin, in the place of any that the CID has
///
/// The new pin takes the place of the whole pin that the CID had before: what is not given is not
/// kept. As in ipfs-cluster, the type of a pin cannot be changed, and a recursive pin cannot
/// become a direct one; remove it first.
#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// What to pin, in any base
    #[arg(value_parser = parsed::<Cid>)]
    cid: Cid,
    /// Name
    #[arg(long, default_value = "", hide_default_value = true)]
    name: String,
    /// How much is pinned: sets --max-depth to -1 or 0
    #[arg(long, value_enum, default_value_t)]
    mode: Mode,
    /// Peers to hold it, as minimum and maximum; -1 for all peers, 0 for the cluster's default
    #[arg(
        long,
        value_name = "N",
        allow_negative_numbers = true,
        conflicts_with_all = ["replication_min", "replication_max"]
    )]
    replication: Option<i32>,
    /// Smallest number of peers to hold it
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true)]
    replication_min: i32,
    /// Largest number of peers to hold it
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true)]
    replication_max: i32,
    /// Peers that hold it
    #[arg(long, value_name = "PEER,…", value_delimiter = ',', value_parser = parsed::<PeerId>)]
    allocations: Vec<PeerId>,
    /// When it ends, such as 2031-12-31T00:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time)]
    expire_at: Option<UnixSeconds>,
    /// After how long it ends, such as 720h or 1h30m; at least 1s
    #[arg(
        long,
        value_name = "DURATION",
        value_parser = duration::parse,
        conflicts_with = "expire_at"
    )]
    expire_in: Option<Duration>,
    /// A name and value of your own; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = meta)]
    meta: Vec<(String, String)>,
    /// Addresses to fetch it from, each with its /p2p/… part
    #[arg(long, value_name = "MULTIADDR,…", value_delimiter = ',', value_parser = origin)]
    origins: Vec<Origin>,
    /// The pin that this one takes over from
    #[arg(long, value_name = "CID", value_parser = parsed::<Cid>)]
    pin_update: Option<Cid>,
    /// Bytes in a shard
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    shard_size: u64,
    /// What it stands for: pin, meta-pin, clusterdag-pin or shard-pin
    #[arg(long = "type", value_name = "TYPE", default_value = "pin", value_parser = pin_type)]
    pin_type: PinType,
    /// The pin that this one is a part of, where a DAG is sharded
    #[arg(long, value_name = "CID", value_parser = parsed::<Cid>)]
    reference: Option<Cid>,
    /// Levels to pin: -1 for all, 0 for the root alone
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    max_depth: Option<i32>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// The whole DAG
    #[default]
    Recursive,
    /// The root alone
    Direct,
}

fn time(text: &str) -> Result<UnixSeconds, String> {
    match text.parse::<jiff::Timestamp>() {
        Ok(time) => Ok(UnixSeconds(time.as_second())),
        Err(_) => Err("this is no time: write it like 2031-12-31T00:00:00Z".to_owned()),
    }
}

fn meta(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write it as KEY=VALUE".to_owned()),
    }
}

fn origin(text: &str) -> Result<Origin, String> {
    let origin: Origin = parsed(text)?;
    if origin.names_peer() {
        return Ok(origin);
    }
    Err("an origin names its peer: add /p2p/PEER at the end".to_owned())
}

/// Stores the pin and shows it as it is stored.
pub(crate) async fn run(global: &Global, args: AddArgs, out: Output) -> Outcome {
    let pin = pin(args, now())?;
    let session = Session::open(global, out, Access::Create).await?;
    let result = async { add(&session.pins().await?, &pin, out).await }.await;
    session.close(result).await
}

/// The pin that the options describe, checked as ipfs-cluster does before it stores one
/// (`setupPin` of v1.1.6).
fn pin(args: AddArgs, now: UnixSeconds) -> Outcome<Pin> {
    let mut pin = Pin::new(args.cid);
    pin.pin_type = args.pin_type;
    pin.name = args.name;
    pin.max_depth = depth(args.mode, args.max_depth)?;
    pin.replication_factor_min = args.replication.unwrap_or(args.replication_min);
    pin.replication_factor_max = args.replication.unwrap_or(args.replication_max);
    pin.allocations = args.allocations;
    pin.metadata = args.meta.into_iter().collect();
    pin.origins = args.origins;
    pin.pin_update = args.pin_update;
    pin.shard_size = args.shard_size;
    pin.reference = args.reference;
    pin.timestamp = Some(now);
    pin.expire_at = match args.expire_in {
        Some(after) if after < Duration::from_secs(1) => {
            return Err(Failure::usage("--expire-in is less than a second: give at least 1s"));
        }
        Some(after) => {
            let seconds = i64::try_from(after.as_secs()).unwrap_or(i64::MAX);
            Some(UnixSeconds(now.0.saturating_add(seconds)))
        }
        None => args.expire_at,
    };
    if let Some(end) = pin.expire_at
        && end <= now
    {
        return Err(Failure::usage(format!("the pin would have expired already, at {end}")));
    }
    replication(&pin)?;
    Ok(pin)
}

fn depth(mode: Mode, max_depth: Option<i32>) -> Outcome<i32> {
    match (mode, max_depth) {
        (Mode::Recursive, None) => Ok(PinMode::Recursive.depth()),
        (Mode::Direct, None | Some(0)) => Ok(PinMode::Direct.depth()),
        (Mode::Direct, Some(depth)) => Err(Failure::usage(format!(
            "--mode direct pins the root alone, and --max-depth {depth} more than that: leave \
             one of them out"
        ))),
        (Mode::Recursive, Some(depth @ -1..)) => Ok(depth),
        (Mode::Recursive, Some(depth)) => Err(Failure::usage(format!(
            "--max-depth {depth} is no depth: give -1 for all levels, 0 for the root alone, or \
             how many"
        ))),
    }
}

fn replication(pin: &Pin) -> Outcome<()> {
    let (min, max) = (pin.replication_factor_min, pin.replication_factor_max);
    let wrong = if min < -1 || max < -1 {
        Some("below -1, which stands for all peers")
    } else if (min == -1) != (max == -1) {
        Some("-1 (all peers) for one of the two only: give it for both")
    } else if min > max && max != 0 {
        Some("a minimum above the maximum")
    } else if min == -1 && !pin.allocations.is_empty() {
        return Err(Failure::usage(
            "--allocations names peers, and a replication of -1 means all of them: leave one of \
             them out",
        ));
    } else {
        None
    };
    match wrong {
        Some(wrong) => {
            Err(Failure::usage(format!("replication from {min} to {max}: that is {wrong}")))
        }
        None => Ok(()),
    }
}

async fn add(pins: &State, pin: &Pin, out: Output) -> Outcome {
    match pins.get(&pin.cid).await {
        Ok(old) => compare(&old, pin)?,
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) if error.kind() == ErrorKind::Corrupt => {
            out.note(format_args!("the pin that is replaced could not be read: {error}"));
        }
        Err(error) => return Err(error.into()),
    }
    pins.add(pin).await?;
    let stored = pins.get_stored(&pin.cid).await?;
    let mut printer = PinPrinter::new(out, Detail::Full);
    let shown = printer.pin(&stored)?;
    printer.finish()?;
    Ok(if shown { Exit::Done } else { Exit::Rejected })
}

/// What ipfs-cluster refuses to make of an existing pin.
fn compare(old: &Pin, new: &Pin) -> Outcome<()> {
    let wrong = if old.pin_type != new.pin_type {
        format!("{} is a {} and cannot become a {}", new.cid, old.pin_type, new.pin_type)
    } else if old.mode() == PinMode::Recursive && new.mode() == PinMode::Direct {
        format!("{} is pinned recursively and cannot become a direct pin", new.cid)
    } else {
        return Ok(());
    };
    Err(Failure::usage(wrong)
        .with_exit(Exit::Failed)
        .with_hint(format!("remove it first: pinstate pin rm {}", new.cid)))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        add: AddArgs,
    }

    const CID: &str = "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi";
    const PEER: &str = "12D3KooWGzxzKZYveHXtpG6AsrUJBcWxHBFS2HsEoGTxrMLvKXtf";
    const NOW: UnixSeconds = UnixSeconds(1_700_000_000);

    fn made(options: &[&str]) -> Result<Pin, String> {
        let line = ["add", CID].iter().chain(options);
        let line = Line::try_parse_from(line).map_err(|error| error.to_string())?;
        pin(line.add, NOW).map_err(|failure| match failure {
            Failure::Error(told) => told.error.to_string(),
            Failure::ClosedPipe => String::new(),
        })
    }

    #[test]
    fn options_become_the_pin() {
        let plain = made(&[]).unwrap();
        let mut expected = Pin::new(CID.parse().unwrap());
        expected.timestamp = Some(NOW);
        assert_eq!(plain, expected);

        let pin = made(&[
            "--replication=2",
            "--allocations",
            PEER,
            "--meta",
            "a=b=c",
            "--meta",
            "d=",
            "--mode",
            "direct",
            "--type",
            "shard-pin",
            "--expire-in",
            "1h",
            "--reference",
            CID,
            "--name",
            "n",
        ])
        .unwrap();
        assert_eq!((pin.replication_factor_min, pin.replication_factor_max), (2, 2));
        assert_eq!(pin.allocations.len(), 1);
        assert_eq!(pin.metadata["a"], "b=c");
        assert_eq!(pin.metadata["d"], "");
        assert_eq!((pin.max_depth, pin.pin_type), (0, PinType::SHARD));
        assert_eq!(pin.expire_at, Some(UnixSeconds(NOW.0 + 3600)));
        assert_eq!(made(&["--max-depth=3"]).unwrap().max_depth, 3);
        assert_eq!(made(&["--max-depth=-1"]).unwrap().max_depth, -1);
        assert_eq!(made(&["--replication", "-1"]).unwrap().replication_factor_max, -1);
    }

    #[test]
    fn what_ipfs_cluster_refuses_is_refused() {
        for (options, told) in [
            (&["--replication=-2"][..], "below -1"),
            (&["--replication-min=-1", "--replication-max=2"], "for both"),
            (&["--replication-min=3", "--replication-max=2"], "minimum above the maximum"),
            (&["--replication=-1", "--allocations", PEER], "leave one of them out"),
            (&["--replication=1", "--replication-min=1"], "cannot be used with"),
            (&["--expire-in=999ms"], "at least 1s"),
            (&["--expire-at=2001-01-01T00:00:00Z"], "expired already, at 2001-01-01T00:00:00Z"),
            (&["--expire-at=tomorrow"], "2031-12-31"),
            (&["--expire-in=1d"], "no duration"),
            (&["--mode=direct", "--max-depth=2"], "leave one of them out"),
            (&["--max-depth=-2"], "no depth"),
            (&["--type=all"], "clusterdag-pin"),
            (&["--meta=a"], "KEY=VALUE"),
            (&["--origins=/ip4/1.2.3.4/tcp/1"], "/p2p/"),
            (&["--origins=nowhere"], "no multiaddress"),
            (&["--allocations=nobody"], "no peer ID"),
        ] {
            let error = made(options).unwrap_err();
            assert!(error.contains(told), "{options:?}: {error}");
        }
    }
}
