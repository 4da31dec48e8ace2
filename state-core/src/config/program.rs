//! What the configuration says of the program itself: what it logs, and where its metrics are.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::Deserialize;

use super::Settings;
use crate::error::Result;

/// The table `[metrics]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
#[non_exhaustive]
pub struct MetricsConfig {
    /// Where commands that run for long serve their metrics: nowhere
    /// unless set.
    #[schemars(example = &"127.0.0.1:9600")]
    pub listen: Option<SocketAddr>,
}

/// The form of a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// A JSON object a line.
    Json,
}

/// From which level on events are logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// None.
    Off,
    /// Failures.
    Error,
    /// What is worth looking at.
    Warn,
    /// What is worth knowing.
    Info,
    /// Every operation.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    /// The level's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// The table `[log]`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
#[non_exhaustive]
pub struct LogConfig {
    /// Its form.
    #[schemars(example = &"json")]
    pub format: Option<LogFormat>,
    /// From which level on this program's own events are logged.
    #[schemars(example = &"info")]
    pub level: Option<LogLevel>,
    /// The same for the events of one module or crate, by its path: `scylla = "info"`.
    #[schemars(example = BTreeMap::from([("scylla", "info")]))]
    pub filters: BTreeMap<String, LogLevel>,
    /// Which part of the operations that succeed is logged, more than 0 and at most 1, which is
    /// all of them.
    #[schemars(example = &0.01)]
    pub sample: Option<f64>,
}

impl LogConfig {
    /// Whether anything is said of the log.
    #[must_use]
    pub fn is_set(&self) -> bool {
        *self != Self::default()
    }

    /// Of operations that succeed, one in so many is logged.
    #[must_use]
    pub fn every(&self) -> u32 {
        // A number too large for the type becomes its largest.
        self.sample.map_or(1, |part| (1.0 / part).round() as u32)
    }

    pub(super) fn read(settings: &Settings) -> Result<Self> {
        let log: Self = settings.extract()?;
        if log.sample.is_some_and(|part| !(part > 0.0 && part <= 1.0)) {
            return Err(settings.refuse(
                "sample",
                "it is the part of the operations to log, more than 0 and at most 1",
            ));
        }
        let is_path = |path: &str| {
            !path.is_empty() && path.chars().all(|c| c.is_ascii_alphanumeric() || "_:".contains(c))
        };
        if let Some(path) = log.filters.keys().find(|path| !is_path(path)) {
            let path = path.escape_debug();
            return Err(settings.refuse("filters", format_args!("'{path}' is no path of a module")));
        }
        Ok(log)
    }
}

impl MetricsConfig {
    pub(super) fn read(settings: &Settings) -> Result<Self> {
        settings.extract()
    }
}
