//! What a report says beside what became of the cases.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use pinstate_core::Store;
use serde_json::{Map, Value};

use super::{Backend, ClauseReport, Report, SCHEMA, Summary};
use crate::marks::Missed;
use crate::plug::About;

/// What an opened store says of itself.
#[derive(Debug)]
pub(crate) struct Facts {
    location: String,
    format: u32,
    server: BTreeMap<String, String>,
    capabilities: Map<String, Value>,
}

impl Facts {
    pub(crate) async fn of(store: &dyn Store) -> Self {
        let identity = store.identity();
        let mut server = BTreeMap::new();
        // A store that cannot say how it is has its own clauses to answer to.
        if let Ok(health) = store.health().await {
            let details = health.details.into_iter();
            server.extend(details.map(|(name, text)| (name.into_owned(), text)));
        }
        let capabilities = match serde_json::to_value(store.capabilities()) {
            Ok(Value::Object(capabilities)) => capabilities,
            _ => Map::new(),
        };
        Self { location: identity.location.clone(), format: identity.format, server, capabilities }
    }
}

/// What was run, on what.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) backend: String,
    pub(crate) about: About,
    /// There where the store was opened.
    pub(crate) facts: Option<Facts>,
    pub(crate) begun: Timestamp,
    pub(crate) took: Duration,
    pub(crate) seed: u64,
    pub(crate) profile: String,
    pub(crate) repeat: u32,
    pub(crate) legs: Vec<String>,
    pub(crate) only: Vec<String>,
    pub(crate) interrupted: bool,
    pub(crate) unknown_waivers: Vec<String>,
    pub(crate) weak: Vec<Missed>,
}

impl Setup {
    pub(super) fn into_report(
        self,
        summary: Summary,
        problems: Vec<String>,
        clauses: Vec<ClauseReport>,
    ) -> Report {
        let facts = self.facts;
        Report {
            schema: SCHEMA.to_owned(),
            suite: env!("CARGO_PKG_VERSION").to_owned(),
            begun: self.begun.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            seconds: self.took.as_secs_f64(),
            seed: self.seed,
            profile: self.profile,
            repeat: self.repeat,
            only: self.only,
            legs: self.legs,
            interrupted: self.interrupted,
            weak: self.weak,
            saved: Vec::new(),
            backend: Backend {
                name: self.backend,
                version: self.about.version,
                configuration: self.about.configuration,
                location: facts.as_ref().map(|facts| facts.location.clone()),
                format: facts.as_ref().map(|facts| facts.format),
                server: facts.as_ref().map(|facts| facts.server.clone()).unwrap_or_default(),
                capabilities: facts.map(|facts| facts.capabilities).unwrap_or_default(),
            },
            summary,
            problems,
            levels: Vec::new(),
            measured: None,
            clauses,
        }
    }
}
