//! What the configuration says of the program itself: what it logs, where its metrics are, and
//! where its traces go.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Secret, Settings};
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
        check_part(settings, log.sample)?;
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

/// Refuses a `sample` that is no part of a whole.
fn check_part(settings: &Settings, sample: Option<f64>) -> Result<()> {
    match sample {
        Some(part) if !(part > 0.0 && part <= 1.0) => {
            Err(settings
                .refuse("sample", "it is a part of the operations, more than 0 and at most 1"))
        }
        _ => Ok(()),
    }
}

/// The table `[traces]`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
#[non_exhaustive]
pub struct TracesConfig {
    /// Where spans are sent, as OTLP over HTTP with protobuf. Without a path it is
    /// `/v1/traces`. Nothing is sent unless this or `OTEL_EXPORTER_OTLP_ENDPOINT` is set.
    #[schemars(example = &"http://127.0.0.1:4318")]
    pub endpoint: Option<String>,
    /// Which part of the operations is traced, more than 0 and at most 1, which is all of them.
    #[schemars(example = &0.1)]
    pub sample: Option<f64>,
    /// The name that the program has among others there: `pinstate` unless set.
    #[schemars(example = &"pinstate")]
    pub service_name: Option<String>,
    /// Headers of every request, such as `authorization`. Never shown.
    #[schemars(example = BTreeMap::from([("authorization", "Bearer …")]))]
    pub headers: Option<BTreeMap<String, Secret>>,
}

impl TracesConfig {
    /// The whole URL that spans are sent to.
    #[must_use]
    pub fn url(&self) -> Option<String> {
        let endpoint = self.endpoint.as_deref()?;
        let (_, rest) = endpoint.split_once("://")?;
        Some(match rest.split_once('/') {
            None => format!("{endpoint}/v1/traces"),
            Some((_, "")) => format!("{endpoint}v1/traces"),
            Some(_) => endpoint.to_owned(),
        })
    }

    pub(super) fn read(settings: &Settings) -> Result<Self> {
        let traces: Self = settings.extract()?;
        check_part(settings, traces.sample)?;
        if let Some(endpoint) = &traces.endpoint {
            let rest = ["http://", "https://"].iter().find_map(|it| endpoint.strip_prefix(it));
            let host = rest.map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
            let wrong = match host {
                None | Some("") => "it is a URL: http://HOST:PORT or https://HOST:PORT",
                // It would be told wherever the URL is.
                Some(host) if host.contains('@') => "a password belongs under 'headers'",
                Some(_) => return Ok(traces),
            };
            return Err(settings.refuse("endpoint", wrong));
        }
        Ok(traces)
    }
}

impl MetricsConfig {
    pub(super) fn read(settings: &Settings) -> Result<Self> {
        settings.extract()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_without_a_path_has_the_usual_one() {
        let url = |endpoint: &str| {
            let endpoint = Some(endpoint.to_owned());
            TracesConfig { endpoint, ..TracesConfig::default() }.url().unwrap()
        };
        assert_eq!(url("http://here:4318"), "http://here:4318/v1/traces");
        assert_eq!(url("https://here/"), "https://here/v1/traces");
        assert_eq!(url("http://here:4318/otlp/v1/traces"), "http://here:4318/otlp/v1/traces");
        assert_eq!(TracesConfig::default().url(), None);
    }
}
