//! What a job would do, found out by reading alone.

use std::path::Path;
use std::time::{Duration, Instant};

use pinstate_core::{Capabilities, CountOptions, Durability, IfNewer, Result};
use serde::Serialize;

use super::folder::JobFolder;
use super::settings::{Mode, Settings, differences};
use super::source::{Identity, Source, SourceRow};
use super::target::Target;

/// How long the source is read to learn how fast it is and how large its records are.
const LOOK: Duration = Duration::from_secs(2);
/// Records that are looked at for that, at most.
const LOOK_ROWS: usize = 20_000;

/// What speaks for or against a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Weight {
    /// Good to know.
    Note,
    /// Something will be otherwise than at the source.
    Warning,
    /// It would be refused.
    Stop,
}

/// One thing that a plan has found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// How much it matters.
    pub weight: Weight,
    /// What it is, in a sentence without its final stop.
    pub text: String,
}

/// What a job would do.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Plan {
    /// What is read.
    pub source: Identity,
    /// What is written; nothing where that store is not there yet.
    pub target: Option<Identity>,
    /// What it is told.
    pub settings: Settings,
    /// The folder of the unfinished job that would go on.
    pub continues: Option<String>,
    /// About how many records the source has.
    pub records: Option<u64>,
    /// About how many the target has.
    pub target_records: Option<u64>,
    /// Bytes of an average record, of those that were looked at.
    pub record_bytes: Option<u64>,
    /// About how many bytes of keys and values there are.
    pub bytes: Option<u64>,
    /// Seconds that reading the source takes at least, at the speed at which it was looked at
    /// by one reader.
    pub read_seconds: Option<u64>,
    /// What speaks for and against it.
    pub findings: Vec<Finding>,
}

impl Plan {
    /// Whether the job would begin.
    #[must_use]
    pub fn is_possible(&self) -> bool {
        self.findings.iter().all(|finding| finding.weight < Weight::Stop)
    }
}

/// Finds out what a job from `source` to `target` would do, or to a store that is not there
/// yet. Nothing is written.
///
/// # Errors
/// What keeps the source or the target from being read.
pub async fn plan(
    jobs: &Path,
    source: &dyn Source,
    target: Option<&Target>,
    settings: &Settings,
) -> Result<Plan> {
    let records = source.estimate().await?;
    let look = Look::at(source).await?;
    let mut plan = Plan {
        source: source.identity(),
        target: target.map(Target::identity),
        settings: settings.clone(),
        continues: None,
        records,
        target_records: None,
        record_bytes: (look.rows > 0).then(|| look.bytes / look.rows),
        bytes: None,
        read_seconds: records.and_then(|records| look.seconds_for(records)),
        findings: Vec::new(),
    };
    plan.bytes = records.zip(plan.record_bytes).map(|(records, bytes)| records * bytes);
    match target {
        Some(target) => plan.look_at(jobs, source, target, &look).await?,
        None => plan.found(Weight::Note, "the target is not there yet, and will be created"),
    }
    if look.unreadable > 0 {
        let text = format!(
            "{} of the {} records that were looked at cannot be read, and would become dead letters",
            look.unreadable, look.rows
        );
        plan.found(Weight::Warning, text);
    }
    if !settings.rules.is_nothing() {
        plan.found(Weight::Note, "rules leave out or change some of the records");
    }
    plan.findings.sort_by_key(|finding| std::cmp::Reverse(finding.weight));
    Ok(plan)
}

impl Plan {
    fn found(&mut self, weight: Weight, text: impl Into<String>) {
        self.findings.push(Finding { weight, text: text.into() });
    }

    async fn look_at(
        &mut self,
        jobs: &Path,
        source: &dyn Source,
        target: &Target,
        look: &Look,
    ) -> Result<()> {
        let settings = self.settings.clone();
        let settings = &settings;
        let (from, to) = (source.identity(), target.identity());
        let unfinished = JobFolder::unfinished(jobs, &from, &to)?;
        if from.is(&to) {
            self.found(Weight::Stop, "source and target are the same namespace");
        }
        match &unfinished {
            Some((folder, standing)) => {
                let (read, parts) = (standing.counts().read, standing.header.parts.len());
                let text = format!(
                    "the unfinished job in {} goes on: {} of {parts} parts are complete, {read} \
                 records were read",
                    folder.path().display(),
                    standing.complete()
                );
                self.continues = Some(folder.path().display().to_string());
                self.found(Weight::Note, text);
                for changed in differences(&standing.header.settings, settings) {
                    if !changed.starts_with("rules.now ") {
                        self.found(Weight::Stop, format!("it was told something else: {changed}"));
                    }
                }
                if !standing.header.source.is(&from) {
                    self.found(Weight::Stop, format!("{} is no longer what it was", from.name));
                }
            }
            None => {
                if let Err(error) = target.check(settings.mode) {
                    self.found(Weight::Stop, error.message());
                }
                if settings.mode == Mode::FailIfNotEmpty && !target.is_empty().await? {
                    let text = "the target has records already, and the mode is fail-if-not-empty";
                    self.found(Weight::Stop, text);
                }
            }
        }
        let existing = target.existing().await?;
        self.target_records = match &existing {
            Some(namespace) => Some(namespace.count(CountOptions::estimate()).await?.value()),
            None => {
                self.found(
                    Weight::Note,
                    format!("the namespace {} will be created", target.namespace),
                );
                None
            }
        };
        let there = target.store.capabilities();
        self.gaps(source.capabilities(), there);
        let too_large = look.too_large(there);
        if too_large > 0 {
            let text = format!(
                "{too_large} of the {} records that were looked at are too large for the target, \
                 and would become dead letters",
                look.rows
            );
            self.found(Weight::Warning, text);
        }
        for (name, text) in target.store.health().await?.details {
            if matches!(&*name, "tombstone_gc" | "gc_grace_seconds") {
                let text = format!(
                    "{name} of the target is {text}: a job that writes while others delete must \
                     be over before delete markers go"
                );
                self.found(Weight::Note, text);
            }
        }
        Ok(())
    }

    fn gaps(&mut self, from: Option<&Capabilities>, to: &Capabilities) {
        let durable = |capabilities: &Capabilities| capabilities.sync_durability.clone();
        if to.sync_durability == Durability::None {
            let text = "the target keeps nothing beyond its process: a job into it cannot go on in \
                    another one";
            self.found(Weight::Warning, text);
        } else if let Some(from) = from
            && durable(from) == Durability::Power
            && durable(to) == Durability::Process
        {
            let text = "the source survives the loss of power and the target only the death of the \
                    process";
            self.found(Weight::Warning, text);
        }
        if let Some(from) = from {
            let limits = [
                ("keys", from.max_key_bytes, to.max_key_bytes),
                ("values", from.max_value_bytes, to.max_value_bytes),
            ];
            for (what, ours, theirs) in limits {
                if theirs < ours {
                    let text = format!(
                        "the source takes {what} of {ours} bytes and the target of {theirs}: longer \
                     ones would become dead letters"
                    );
                    self.found(Weight::Note, text);
                }
            }
            if from.detects_damage && !to.detects_damage {
                self.found(Weight::Note, "the target does not find damage of its bytes");
            }
        }
        if self.settings.mode == Mode::IfNewer && to.if_newer == IfNewer::Resolved {
            let text = "the target keeps the newer record and cannot say which that was: how many were \
                    newer is found out by the comparison at the end";
            self.found(Weight::Note, text);
        }
    }
}

/// The first records of the source.
struct Look {
    rows: u64,
    bytes: u64,
    unreadable: u64,
    sizes: Vec<(u64, u64)>,
    took: Duration,
}

impl Look {
    async fn at(source: &dyn Source) -> Result<Self> {
        let mut look =
            Self { rows: 0, bytes: 0, unreadable: 0, sizes: Vec::new(), took: Duration::ZERO };
        let began = Instant::now();
        'parts: for part in source.parts(1).await? {
            let mut pages = source.open(&part, None, 1_000).await?;
            while let Some(page) = pages.next().await? {
                for row in page.rows {
                    look.rows += 1;
                    match row {
                        SourceRow::Record { key, value, .. } => {
                            let sizes = (key.len() as u64, value.len() as u64);
                            look.bytes += sizes.0 + sizes.1;
                            look.sizes.push(sizes);
                        }
                        SourceRow::Unreadable { .. } => look.unreadable += 1,
                    }
                }
                if look.rows >= LOOK_ROWS as u64 || began.elapsed() > LOOK {
                    break 'parts;
                }
            }
        }
        look.took = began.elapsed();
        Ok(look)
    }

    fn too_large(&self, target: &Capabilities) -> usize {
        let fits = |(key, value): &&(u64, u64)| {
            *key > target.max_key_bytes || *value > target.max_value_bytes
        };
        self.sizes.iter().filter(fits).count()
    }

    fn seconds_for(&self, records: u64) -> Option<u64> {
        let rate = self.rows as f64 / self.took.as_secs_f64().max(0.000_001);
        (self.rows > 0).then(|| (records as f64 / rate).ceil() as u64)
    }
}
