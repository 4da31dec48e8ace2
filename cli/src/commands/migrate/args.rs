//! What the command line says about a job.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use pinstate_core::NamespaceName;
use pinstate_core::pin::PinType;
use pinstate_migrate::job::{MaxErrors, Mode, Orders, Rules, Settings, Tuning, Window};

use super::ends::Wanted;
use crate::args::{Global, namespace};
use crate::exit::{Failure, Outcome};
use crate::formats::{ReadFormat, WriteFormat};
use crate::paths;

/// Where jobs live.
#[derive(Debug, Args)]
pub(crate) struct Place {
    /// Folder that jobs live in, or that of one of them [default: ~/.local/state/pinstate/jobs]
    #[arg(long, value_name = "DIR")]
    job: Option<PathBuf>,
}

impl Place {
    /// The folder that jobs live in, or that of one.
    pub(super) fn folder(&self) -> Outcome<PathBuf> {
        self.job.clone().or_else(paths::default_jobs).ok_or_else(|| {
            Failure::usage("there is no home directory to keep jobs in: name a folder with --job")
        })
    }
}

/// From where to where.
#[derive(Debug, Args)]
pub(crate) struct Route {
    /// What is moved: a store, by URI or name, a file as 'export' writes one, or a running
    /// peer of ipfs-cluster, by its REST API: http://HOST:9094, or with a user,
    /// http://USER@HOST:9094?password_file=FILE
    #[arg(long, value_name = "STORE|FILE|PEER")]
    pub(super) from: String,
    /// Where it is moved to: a store, by URI or name; or a file, with --to-format
    #[arg(long, value_name = "STORE|FILE")]
    pub(super) to: String,
    /// Namespace of the source [default: that of --namespace]
    #[arg(long, value_name = "NAME", value_parser = namespace)]
    pub(super) from_namespace: Option<NamespaceName>,
    /// Namespace of the target [default: that of --namespace]
    #[arg(long, value_name = "NAME", value_parser = namespace)]
    to_namespace: Option<NamespaceName>,
    /// Format of a file that is moved
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: ReadFormat,
    /// Nobody else writes to the target, where others could: --mode replace needs that
    #[arg(long)]
    exclusive: bool,
}

impl Route {
    /// The ends that it names.
    pub(super) fn ends(&self, global: &Global) -> Wanted {
        let or =
            |name: &Option<NamespaceName>| name.clone().unwrap_or_else(|| global.namespace.clone());
        Wanted {
            from: self.from.clone(),
            from_namespace: or(&self.from_namespace),
            to: self.to.clone(),
            to_namespace: or(&self.to_namespace),
            format: self.format,
            exclusive: self.exclusive,
        }
    }
}

/// What happens to the pins: a job that goes on must be told the same.
#[derive(Debug, Args)]
#[command(next_help_heading = "Which pins, and how")]
pub(crate) struct Told {
    /// The target is a file, or the folder of a raft snapshot, and is written whole: what is
    /// interrupted begins anew
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub(super) to_format: Option<WriteFormat>,
    /// What happens to pins that the target has already
    #[arg(long, value_enum, default_value_t)]
    mode: Modes,
    /// Move pins of these types only
    #[arg(long = "type", value_name = "TYPE,…", value_delimiter = ',', value_parser = pin_type)]
    types: Vec<String>,
    /// Move pins whose name matches a pattern: *, ?, [a-z], {a,b}
    #[arg(long, value_name = "PATTERN")]
    name: Option<String>,
    /// Move pins with this metadata; again for more of it
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    metadata: Vec<(String, String)>,
    /// Move pins that have expired, or that have not
    #[arg(long, value_name = "true|false")]
    expired: Option<bool>,
    /// Move pins whose CID begins so
    #[arg(long, value_name = "TEXT")]
    cid_prefix: Option<String>,
    /// Set the smallest number of peers in every pin
    #[arg(long, visible_alias = "rmin", value_name = "N", allow_negative_numbers = true)]
    replication_min: Option<i32>,
    /// Set the largest number of peers in every pin
    #[arg(long, visible_alias = "rmax", value_name = "N", allow_negative_numbers = true)]
    replication_max: Option<i32>,
    /// Put a peer in another's place in allocations; again for more
    #[arg(long, value_name = "OLD=NEW", value_parser = pair)]
    peer: Vec<(String, String)>,
}

impl Told {
    pub(super) fn settings(&self, now: i64) -> Outcome<Settings> {
        let rules = Rules {
            types: self.types.clone(),
            name: self.name.clone(),
            metadata: self.metadata.iter().cloned().collect::<BTreeMap<_, _>>(),
            expired: self.expired,
            now: self.expired.map(|_| now),
            cid_prefix: self.cid_prefix.clone(),
            replication_min: self.replication_min,
            replication_max: self.replication_max,
            peers: self.peer.iter().cloned().collect(),
        };
        let settings = Settings::new().with_mode(self.mode.into()).with_rules(rules);
        settings.map_err(|error| Failure::usage(error.message().to_owned()))
    }
}

/// What happens to pins that are there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Modes {
    /// There must be none; pins keep their versions
    #[default]
    FailIfNotEmpty,
    /// The source's replace them, others stay
    Merge,
    /// The newer of both stays
    IfNewer,
    /// None is left: the source's take their place in one step
    Replace,
}

impl From<Modes> for Mode {
    fn from(mode: Modes) -> Self {
        match mode {
            Modes::FailIfNotEmpty => Self::FailIfNotEmpty,
            Modes::Merge => Self::Merge,
            Modes::IfNewer => Self::IfNewer,
            Modes::Replace => Self::Replace,
        }
    }
}

/// How the job works, which may be another each time it goes on.
#[derive(Debug, Args)]
#[command(next_help_heading = "How it works")]
pub(crate) struct Tuned {
    /// Parts that are copied at the same time
    #[arg(long, value_name = "N", default_value_t = 4,
        value_parser = clap::value_parser!(u16).range(1..))]
    workers: u16,
    /// Pins of a page: what a killed worker has to write again, at most
    #[arg(long, value_name = "N", default_value_t = 4_000,
        value_parser = clap::value_parser!(u32).range(1..=100_000))]
    page_rows: u32,
    /// Pins that may become dead letters, in all: a number, or a percentage such as 0.1%
    #[arg(long, value_name = "N|P%", default_value = "0", value_parser = max_errors)]
    max_errors: MaxErrors,
    /// Read the source again at the end and compare pin by pin: shows whether it was written to
    #[arg(long)]
    recheck: bool,
}

impl Tuned {
    pub(super) fn tuning(&self) -> Tuning {
        let mut tuning = Tuning::new();
        tuning.workers = usize::from(self.workers);
        tuning.page_rows = usize::try_from(self.page_rows).unwrap_or(4_000);
        tuning.max_errors = self.max_errors;
        tuning.recheck = self.recheck;
        tuning
    }
}

/// How fast the job may work. 0 takes a limit away.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "How fast")]
pub(crate) struct Speed {
    /// Pins that may be read in a second
    #[arg(long, value_name = "N")]
    read_rows: Option<u64>,
    /// Bytes that may be read in a second
    #[arg(long, value_name = "N")]
    read_bytes: Option<u64>,
    /// Pins that may be written in a second
    #[arg(long, value_name = "N")]
    write_rows: Option<u64>,
    /// Bytes that may be written in a second
    #[arg(long, value_name = "N")]
    write_bytes: Option<u64>,
    /// Milliseconds that writing a page may take before fewer pins are written
    #[arg(long, value_name = "MS")]
    target_latency: Option<u64>,
    /// Work at this time of the day only, in UTC, such as 22:00-06:00; again for more; none for
    /// any time
    #[arg(long, value_name = "FROM-TO", value_parser = window)]
    window: Vec<Windows>,
}

/// A time of the day, or any.
#[derive(Clone, Copy, Debug)]
enum Windows {
    Any,
    At(Window),
}

impl Speed {
    /// Whether anything was said.
    pub(super) fn is_set(&self) -> bool {
        let limits = [
            self.read_rows,
            self.read_bytes,
            self.write_rows,
            self.write_bytes,
            self.target_latency,
        ];
        limits.iter().any(Option::is_some) || !self.window.is_empty()
    }

    /// Changes what was said of it.
    pub(super) fn change(&self, orders: &mut Orders) {
        for (said, limit) in [
            (self.read_rows, &mut orders.read_rows),
            (self.read_bytes, &mut orders.read_bytes),
            (self.write_rows, &mut orders.write_rows),
            (self.write_bytes, &mut orders.write_bytes),
            (self.target_latency, &mut orders.target_latency),
        ] {
            if let Some(said) = said {
                *limit = Some(said).filter(|said| *said > 0);
            }
        }
        if !self.window.is_empty() {
            orders.windows = self
                .window
                .iter()
                .filter_map(|window| match window {
                    Windows::Any => None,
                    Windows::At(window) => Some(*window),
                })
                .collect();
        }
    }
}

fn pin_type(text: &str) -> Result<String, String> {
    let known = PinType::from_name(text).map(|_| text.to_owned());
    known.ok_or_else(|| "types are pin, meta-pin, clusterdag-pin, shard-pin".to_owned())
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("it has no '='")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn window(text: &str) -> Result<Windows, String> {
    if text == "none" {
        return Ok(Windows::Any);
    }
    let window = text.parse().map(Windows::At);
    window.map_err(|error: pinstate_core::Error| error.message().to_owned())
}

fn max_errors(text: &str) -> Result<MaxErrors, String> {
    let wrong = || format!("'{text}' is neither a number nor a percentage such as 0.1%");
    match text.strip_suffix('%') {
        Some(percent) => match percent.parse::<f64>() {
            Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(MaxErrors::Percent(percent)),
            _ => Err(wrong()),
        },
        None => text.parse().map(MaxErrors::Rows).map_err(|_| wrong()),
    }
}
