//! What the histories of a run showed, beside what the backend declares.

use serde::{Deserialize, Serialize};

use crate::history::Observed;

/// What the histories of a run showed: what clients were told who worked at the same time.
/// That is a measurement, and no promise of the backend.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Measured {
    /// What all of them showed.
    pub shown: Observed,
    /// How many histories there were.
    pub histories: usize,
    /// How many of them showed no more than that.
    pub no_more: usize,
}

impl Measured {
    /// What these histories showed together; `None` where there are none.
    pub(super) fn of(histories: impl IntoIterator<Item = Observed>) -> Option<Self> {
        let histories: Vec<Observed> = histories.into_iter().collect();
        let shown = *histories.iter().min()?;
        let no_more = histories.iter().filter(|each| **each == shown).count();
        Some(Self { shown, histories: histories.len(), no_more })
    }
}

impl std::fmt::Display for Measured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { shown, histories, no_more } = self;
        write!(f, "{histories} histories of clients at the same time showed: {shown}")?;
        if no_more < histories {
            write!(f, " ({no_more} of them no more than that)")?;
        }
        Ok(())
    }
}
