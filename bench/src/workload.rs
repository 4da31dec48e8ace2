//! What is done to a store: data, and not code.
//!
//! ```toml
//! about = "peers look their pins up, and some are added"
//! preload = 100_000        # pins that are there before
//! rate = 2_000             # operations a second in an open loop
//! clients = 64             # in a closed loop
//! keys = "zipfian"         # or "uniform", "latest"
//! batch = 1_000            # pins of an add-batch
//! page = 100               # pins of a page
//!
//! [mix]                    # how often each kind comes, in relation to the others
//! get = 70
//! has = 25
//! add = 5
//!
//! [pins]                   # least and most
//! name = [4, 60]           # letters
//! metadata = [0, 6]        # entries
//! allocations = [1, 3]     # peers
//! padding = 0              # bytes more
//! ```

use std::collections::BTreeMap;
use std::fmt;

use pinstate_core::config::position;
use serde::{Deserialize, Serialize};

use crate::outcome::Described;

/// The presets: name and text.
const PRESETS: [(&str, &str); 12] = [
    ("pin-ingest", include_str!("../workloads/pin-ingest.toml")),
    ("status-read", include_str!("../workloads/status-read.toml")),
    ("churn", include_str!("../workloads/churn.toml")),
    ("scan-under-write", include_str!("../workloads/scan-under-write.toml")),
    ("bulk-import", include_str!("../workloads/bulk-import.toml")),
    ("hot-key", include_str!("../workloads/hot-key.toml")),
    ("ycsb-a", include_str!("../workloads/ycsb-a.toml")),
    ("ycsb-b", include_str!("../workloads/ycsb-b.toml")),
    ("ycsb-c", include_str!("../workloads/ycsb-c.toml")),
    ("ycsb-d", include_str!("../workloads/ycsb-d.toml")),
    ("ycsb-e", include_str!("../workloads/ycsb-e.toml")),
    ("ycsb-f", include_str!("../workloads/ycsb-f.toml")),
];

/// A kind of operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OperationKind {
    /// A pin that is not there is added.
    Add,
    /// So many of them, in one batch.
    AddBatch,
    /// A pin that is there is added again with other contents.
    Replace,
    /// A pin is read, and then replaced.
    Modify,
    /// A pin that is there is removed.
    Rm,
    /// A pin is read.
    Get,
    /// A pin is asked for.
    Has,
    /// So many pins are listed, from some pin on.
    Page,
    /// All pins are listed.
    List,
}

impl OperationKind {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Add,
        Self::AddBatch,
        Self::Replace,
        Self::Modify,
        Self::Rm,
        Self::Get,
        Self::Has,
        Self::Page,
        Self::List,
    ];

    /// Its name, as workloads and reports have it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::AddBatch => "add-batch",
            Self::Replace => "replace",
            Self::Modify => "modify",
            Self::Rm => "rm",
            Self::Get => "get",
            Self::Has => "has",
            Self::Page => "page",
            Self::List => "list",
        }
    }
}

impl fmt::Display for OperationKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Which of the pins that are there an operation is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Keys {
    /// Any, with the same chance.
    #[default]
    Uniform,
    /// Few of them most of the time: the one at rank `r` as often as `1 / r^0.99`. Which ones
    /// these are has nothing to do with when they were added.
    Zipfian,
    /// The same, and those that were added last are the ones.
    Latest,
}

/// How large pins are: least and most of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PinShape {
    /// Letters of the name.
    pub name: (u32, u32),
    /// Entries of the metadata.
    pub metadata: (u32, u32),
    /// Peers.
    pub allocations: (u32, u32),
    /// Bytes of one more entry of the metadata.
    pub padding: u32,
}

impl Default for PinShape {
    fn default() -> Self {
        Self { name: (4, 60), metadata: (0, 6), allocations: (1, 3), padding: 0 }
    }
}

/// What is done to a store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Workload {
    /// Its name: that of its file, or of the preset.
    #[serde(skip)]
    pub name: String,
    /// What it is for, in a sentence.
    pub about: String,
    /// Pins that are there before.
    pub preload: u64,
    /// Operations a second in an open loop.
    pub rate: f64,
    /// Clients of a closed loop.
    pub clients: usize,
    /// Which pins operations are about.
    #[serde(default)]
    pub keys: Keys,
    /// Pins of an add-batch.
    #[serde(default = "batch")]
    pub batch: u32,
    /// Pins of a page.
    #[serde(default = "page")]
    pub page: u32,
    /// How often each kind comes, in relation to the others.
    pub mix: BTreeMap<OperationKind, f64>,
    /// How large pins are.
    #[serde(default)]
    pub pins: PinShape,
}

fn batch() -> u32 {
    1_000
}

fn page() -> u32 {
    100
}

/// A workload that cannot be used, and why.
#[derive(Debug, thiserror::Error)]
#[error("the workload {name}: {what}")]
pub struct BadWorkload {
    name: String,
    what: String,
}

impl Workload {
    /// The workload of a text.
    ///
    /// # Errors
    /// What is wrong with the text, with the line, or with a value in it.
    pub fn parse(name: &str, text: &str) -> Result<Self, BadWorkload> {
        let bad = |what: String| BadWorkload { name: name.to_owned(), what };
        let mut workload: Self = toml::from_str(text).map_err(|error| {
            // Without the text of the line, which may have no end.
            let (line, column) = position(text, error.span().map_or(0, |span| span.start));
            bad(format!("line {line}, column {column}: {}", error.message().trim_end()))
        })?;
        name.clone_into(&mut workload.name);
        workload.check().map_err(bad)?;
        Ok(workload)
    }

    /// The preset of this name.
    ///
    /// # Errors
    /// That there is none, with those that there are.
    pub fn preset(name: &str) -> Result<Self, BadWorkload> {
        match PRESETS.iter().find(|(preset, _)| *preset == name) {
            Some((name, text)) => Self::parse(name, text),
            None => {
                let names: Vec<_> = PRESETS.iter().map(|(name, _)| *name).collect();
                let what = format!("there is no such preset; there are {}", names.join(", "));
                Err(BadWorkload { name: name.to_owned(), what })
            }
        }
    }

    /// All presets.
    ///
    /// # Errors
    /// None, as long as the presets are what they should be.
    pub fn presets() -> Result<Vec<Self>, BadWorkload> {
        PRESETS.iter().map(|(name, text)| Self::parse(name, text)).collect()
    }

    /// Refuses values that make no sense. Values that were changed after parsing are to be
    /// checked again.
    ///
    /// # Errors
    /// The key, and what it may be.
    pub fn check(&self) -> Result<(), String> {
        if !(self.rate > 0.0 && self.rate <= 10_000_000.0) {
            return Err("'rate' is operations a second: more than 0, and 10,000,000 at most".into());
        }
        if !(1..=100_000).contains(&self.clients) {
            return Err("'clients' is 1 to 100,000".into());
        }
        if !(1..=100_000).contains(&self.batch) || !(1..=100_000).contains(&self.page) {
            return Err("'batch' and 'page' are 1 to 100,000 pins".into());
        }
        if self.preload > 1_000_000_000 {
            return Err("'preload' is 1,000,000,000 pins at most".into());
        }
        for (kind, weight) in &self.mix {
            if !(weight.is_finite() && *weight >= 0.0) {
                return Err(format!("'mix.{kind}' is a weight: 0 or more"));
            }
        }
        if self.mix.values().sum::<f64>() <= 0.0 {
            return Err("'mix' has nothing in it".into());
        }
        let adds = [OperationKind::Add, OperationKind::AddBatch];
        if self.preload == 0 && !self.mix.iter().any(|(kind, n)| adds.contains(kind) && *n > 0.0) {
            return Err("there is nothing to work on: 'preload' is 0 and nothing is added".into());
        }
        let PinShape { name, metadata, allocations, padding } = self.pins;
        for (key, (least, most), limit) in [
            ("name", name, 10_000),
            ("metadata", metadata, 10_000),
            ("allocations", allocations, 12),
            ("padding", (0, padding), 10_000_000),
        ] {
            if least > most || most > limit {
                return Err(format!("'pins.{key}' is least and most, and {limit} at most"));
            }
        }
        Ok(())
    }

    /// What reports say of it.
    #[must_use]
    pub fn described(&self) -> Described {
        // All its values are numbers and names, which TOML has a form for.
        let toml = toml::to_string_pretty(self).unwrap_or_default();
        let hash = blake3::hash(toml.as_bytes()).to_hex();
        Described {
            name: self.name.clone(),
            about: self.about.clone(),
            toml,
            hash: hash.chars().take(16).collect(),
        }
    }
}
