//! What a job is told once and for all, and what may change while it runs.

use std::time::Duration;

use pinstate_core::Result;
use pinstate_core::transfer::StopFlag;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::rules::Rules;

/// What happens to records that the target has already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Mode {
    /// There must be none. Records keep their versions.
    #[default]
    FailIfNotEmpty,
    /// The source's replace them, and all others stay.
    Merge,
    /// The newer of both stays, by their versions. Records of files are as new as the job.
    IfNewer,
    /// None is left: the source's are loaded beside them and take their place in one step.
    /// Records keep their versions.
    Replace,
}

impl Mode {
    /// Its name, as in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::FailIfNotEmpty => "fail-if-not-empty",
            Self::Merge => "merge",
            Self::IfNewer => "if-newer",
            Self::Replace => "replace",
        }
    }

    /// Whether the target has nothing but the source's records afterwards.
    pub(super) const fn is_exact(self) -> bool {
        matches!(self, Self::FailIfNotEmpty | Self::Replace)
    }
}

/// What a job is told once: it stands in its ledger, and a job that goes on must be told the
/// same.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Settings {
    /// What happens to records that the target has already.
    pub mode: Mode,
    /// Which records are moved, and what is changed in them.
    pub rules: Rules,
}

impl Settings {
    /// Everything as it is, into an empty namespace.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets what happens to records that are there.
    #[must_use]
    pub fn with_mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Sets which records are moved, and what is changed in them.
    ///
    /// # Errors
    /// `InvalidInput` for rules that cannot be followed.
    pub fn with_rules(mut self, rules: Rules) -> Result<Self> {
        rules.compile()?;
        self.rules = rules;
        Ok(self)
    }
}

/// What is not the same in two values: its name, and both.
pub(super) fn differences<T: Serialize>(before: &T, now: &T) -> Vec<String> {
    fn walk(name: &str, before: &Value, now: &Value, out: &mut Vec<String>) {
        match (before, now) {
            (Value::Object(left), Value::Object(right)) => {
                let names = left.keys().chain(right.keys().filter(|key| !left.contains_key(*key)));
                for key in names {
                    let inner = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
                    let of = |side: &serde_json::Map<_, _>| {
                        side.get(key).cloned().unwrap_or(Value::Null)
                    };
                    walk(&inner, &of(left), &of(right), out);
                }
            }
            _ if before != now => out.push(format!("{name} was {before} and is now {now}")),
            _ => {}
        }
    }
    let mut out = Vec::new();
    let json = |value| serde_json::to_value(value).unwrap_or(Value::Null);
    walk("", &json(before), &json(now), &mut out);
    out
}

/// How a job works, which may be another each time it goes on.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Tuning {
    /// Parts of the source that are copied at the same time, at least 1.
    pub workers: usize,
    /// Records of a page: what a killed worker has to write again, at most.
    pub page_rows: usize,
    /// Records that may become dead letters, in all.
    pub max_errors: MaxErrors,
    /// How often a call that may be repeated is, before the job stops.
    pub tries: u32,
    /// The pause before the first of them; it doubles each time.
    pub pause: Duration,
    /// Whether the source is read again at the end and compared record by record, which also
    /// shows whether it was written to meanwhile.
    pub recheck: bool,
    /// Asks the job to stop: what was begun is then remembered, and it can go on later.
    pub stop: StopFlag,
}

impl Tuning {
    /// Four parts at a time, 4,000 records a page, no dead letters.
    #[must_use]
    pub fn new() -> Self {
        Self {
            workers: 4,
            page_rows: 4_000,
            max_errors: MaxErrors::Rows(0),
            tries: 8,
            pause: Duration::from_millis(100),
            recheck: false,
            stop: StopFlag::new(),
        }
    }
}

impl Default for Tuning {
    fn default() -> Self {
        Self::new()
    }
}

/// How many records may become dead letters before a job stops.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MaxErrors {
    /// So many, of all parts together.
    Rows(u64),
    /// So many of a hundred records that were read, once a thousand were.
    Percent(f64),
}

impl MaxErrors {
    /// Whether `dead` of `read` are too many.
    #[must_use]
    pub fn exceeded(self, dead: u64, read: u64) -> bool {
        match self {
            Self::Rows(most) => dead > most,
            Self::Percent(percent) => {
                dead > 0 && read >= 1_000 && dead as f64 > percent / 100.0 * read as f64
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_changed_is_named() {
        let before = Settings::new();
        let mut now = before.clone().with_mode(Mode::Merge);
        now.rules.replication_min = Some(2);
        assert_eq!(
            differences(&before, &now),
            [
                "mode was \"fail-if-not-empty\" and is now \"merge\"",
                "rules.replication_min was null and is now 2"
            ]
        );
        assert!(differences(&now, &now).is_empty());
    }

    #[test]
    fn too_many_is_counted_over_all() {
        assert!(!MaxErrors::Rows(2).exceeded(2, 2) && MaxErrors::Rows(2).exceeded(3, 3));
        let percent = MaxErrors::Percent(1.0);
        assert!(!percent.exceeded(1, 1) && !percent.exceeded(10, 1_000));
        assert!(percent.exceeded(11, 1_000) && !percent.exceeded(0, 1_000));
    }
}
