//! Failures that are known and accepted for a while.

use jiff::civil::Date;

use crate::clause::Clause;
use crate::verdict::Outcome;

/// One case that is known to fail, why that is accepted, and until when.
///
/// A waiver is strict: where the case passes, where the day is over, and where there is no
/// such case, the run fails, so that none outlives what it was made for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Waiver {
    clause: String,
    case: String,
    leg: Option<String>,
    reason: String,
    until: String,
}

impl Waiver {
    /// Waives a case of a clause on every leg, up to and including a day (`YYYY-MM-DD`).
    #[must_use]
    pub fn new(
        clause: impl Into<String>,
        case: impl Into<String>,
        reason: impl Into<String>,
        until: impl Into<String>,
    ) -> Self {
        Self {
            clause: clause.into(),
            case: case.into(),
            leg: None,
            reason: reason.into(),
            until: until.into(),
        }
    }

    /// Waives it on one leg only.
    #[must_use]
    pub fn on(mut self, leg: impl Into<String>) -> Self {
        self.leg = Some(leg.into());
        self
    }

    /// Whether it speaks of this case.
    pub(crate) fn names(&self, clause: &Clause, case: &str) -> bool {
        self.clause == clause.id && self.case == case
    }

    fn covers(&self, leg: &str, clause: &Clause, case: &str) -> bool {
        self.names(clause, case) && self.leg.as_deref().is_none_or(|named| named == leg)
    }

    /// What is wrong with a waiver whose day has passed, or is none.
    fn lapsed(&self, today: Date) -> Option<String> {
        match self.until.parse::<Date>() {
            Ok(until) if until < today => Some(format!("its waiver ended on {until}")),
            Ok(_) => None,
            Err(_) => Some(format!("its waiver ends on '{}', which is no day", self.until)),
        }
    }

    /// How the report names it.
    pub(crate) fn name(&self) -> String {
        let leg = self.leg.as_deref().unwrap_or("every leg");
        format!("{}::{} on {leg} ({})", self.clause, self.case, self.reason)
    }
}

/// The day that waivers are held against.
pub(crate) fn today() -> Date {
    jiff::tz::TimeZone::UTC.to_datetime(jiff::Timestamp::now()).date()
}

/// What becomes of an outcome under the waivers of a run.
pub(crate) fn judge(
    waivers: &[Waiver],
    today: Date,
    (leg, clause, case): (&str, &Clause, &str),
    outcome: Outcome,
) -> Outcome {
    let Some(waiver) = waivers.iter().find(|waiver| waiver.covers(leg, clause, case)) else {
        return outcome;
    };
    match outcome {
        Outcome::Passed => Outcome::Failed(format!(
            "{clause}: {case} passes, and is waived ({}): take the waiver away",
            waiver.reason
        )),
        Outcome::Failed(failure) => match waiver.lapsed(today) {
            Some(lapsed) => Outcome::Failed(format!("{failure}; {lapsed}")),
            None => Outcome::Waived {
                reason: waiver.reason.clone(),
                until: waiver.until.clone(),
                failure,
            },
        },
        hung @ Outcome::Hung { .. } => match waiver.lapsed(today) {
            Some(_) => hung,
            None => Outcome::Waived {
                reason: waiver.reason.clone(),
                until: waiver.until.clone(),
                failure: hung.message().unwrap_or_default(),
            },
        },
        other => other,
    }
}
