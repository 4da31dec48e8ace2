//! The formats of the command line, and the readers and writers behind them.

use clap::{Args, ValueEnum};
use pinstate_core::format::manifest::Format;
use pinstate_core::format::ndjson::{NdjsonDecoder, NdjsonEncoder};
use pinstate_core::format::snapshot::{SnapshotDecoder, SnapshotEncoder};
use pinstate_core::format::{Decoder, Encoder, Leniency};
use pinstate_core::pin::{ImportOverrides, PeerId, Zone};

use crate::args::parsed;
use crate::exit::{Failure, Outcome};

/// The format of an export.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum WriteFormat {
    /// One JSON document a line, as ipfs-cluster-service writes them
    #[default]
    #[value(alias = "json")]
    Ndjson,
    /// The binary snapshot of ipfs-cluster's state
    Snapshot,
    /// A folder with a raft snapshot
    Raft,
}

impl From<WriteFormat> for Format {
    fn from(format: WriteFormat) -> Self {
        match format {
            WriteFormat::Ndjson => Self::Ndjson,
            WriteFormat::Snapshot => Self::Snapshot,
            WriteFormat::Raft => Self::Raft,
        }
    }
}

/// The format of an input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReadFormat {
    /// By what the input begins with
    #[default]
    Auto,
    /// JSON documents, one a line or not
    #[value(alias = "json")]
    Ndjson,
    /// The binary snapshot of ipfs-cluster's state
    Snapshot,
    /// A folder with a raft snapshot
    Raft,
}

impl ReadFormat {
    /// The format that was named, if one was.
    pub(crate) fn named(self) -> Option<Format> {
        match self {
            Self::Auto => None,
            Self::Ndjson => Some(Format::Ndjson),
            Self::Snapshot => Some(Format::Snapshot),
            Self::Raft => Some(Format::Raft),
        }
    }
}

/// What an import sets in every pin, whatever its document says.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Overrides {
    /// Set the smallest number of peers in every pin (JSON only)
    #[arg(long, visible_alias = "rmin", value_name = "N", value_parser = peers())]
    replication_min: Option<i32>,
    /// Set the largest number of peers in every pin (JSON only)
    #[arg(long, visible_alias = "rmax", value_name = "N", value_parser = peers())]
    replication_max: Option<i32>,
    /// Put these peers in the place of every pin's allocations (JSON only)
    #[arg(long, visible_alias = "allocs", value_name = "PEER,…", value_delimiter = ',',
        value_parser = parsed::<PeerId>)]
    allocations: Vec<PeerId>,
}

/// As in ipfs-cluster, -1 and the default cannot be set this way; here that is said.
fn peers() -> clap::builder::RangedI64ValueParser<i32> {
    clap::value_parser!(i32).range(1..)
}

impl Overrides {
    /// Refuses them for a format whose values are stored as they are.
    pub(crate) fn check(&self, format: Format) -> Outcome<()> {
        let set = self.replication_min.is_some()
            || self.replication_max.is_some()
            || !self.allocations.is_empty();
        if set && format != Format::Ndjson {
            return Err(Failure::usage(format!(
                "--replication-min, --replication-max and --allocations work for JSON only: the \
                 pins of a {format} are stored as they are"
            )));
        }
        Ok(())
    }
}

/// A reader of a format.
pub(crate) fn decoder(
    format: Format,
    leniency: Leniency,
    overrides: &Overrides,
) -> Box<dyn Decoder> {
    match format {
        Format::Ndjson => Box::new(NdjsonDecoder::new(
            leniency,
            ImportOverrides {
                replication_factor_min: overrides.replication_min.unwrap_or(0),
                replication_factor_max: overrides.replication_max.unwrap_or(0),
                allocations: overrides.allocations.clone(),
            },
        )),
        Format::Snapshot | Format::Raft => Box::new(SnapshotDecoder::new(leniency)),
    }
}

/// A writer of a format.
pub(crate) fn encoder(format: Format, zone: &Zone) -> Box<dyn Encoder> {
    match format {
        Format::Ndjson => Box::new(NdjsonEncoder::new(zone.clone())),
        Format::Snapshot | Format::Raft => Box::new(SnapshotEncoder::new()),
    }
}
