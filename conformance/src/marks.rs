//! Coverage marks: what a case that depends on chance or on pages must have met to have
//! checked anything.
//!
//! A case names a mark when it has met what the mark is called after. Where a case passed and
//! has not, its pass shows less than it says, and the run as a whole is *weak*. A case that
//! was not run, or whose capability is not declared, owes nothing.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::profile::Profile;

/// The marks that a case must meet.
struct Owed {
    clause: &'static str,
    case: &'static str,
    /// Whether it takes the sizes of the full profile.
    full: bool,
    /// Their names, and what each means.
    marks: &'static [(&'static str, &'static str)],
}

macro_rules! marks {
    ($($clause:ident $case:ident $(in $full:ident)?: $($name:literal $means:literal),+;)*) => {
        const OWED: &[Owed] = &[$(Owed {
            clause: stringify!($clause),
            case: stringify!($case),
            full: marks!(@full $($full)?),
            marks: &[$(($name, $means)),+],
        },)*];
    };
    (@full) => { false };
    (@full full) => { true };
}

marks! {
    L1 complete_at_page_bounds:
        "page_boundary" "a full page that was not the last",
        "full_last_page" "a last page that was full";
    L6 indelible_keys:
        "replaced_in_scan" "a record that was replaced while a scan went on",
        "deleted_in_scan" "a record that was deleted while a scan went on";
    L9 resume_after_deleted_key: "cursor_of_deleted" "a cursor whose key was gone";
    L10 split_covers_everything: "several_ranges" "a split into more than one range";
    K1 model_agrees:
        "marker_met" "a conditional write that met the marker of a delete",
        "superseded" "a write that was older than what was stored",
        "equal_versions" "two writes of one version",
        "delete_of_absent" "a delete of what was not there",
        "marker_purged" "a marker that was purged";
    B4 no_mixture: "read_between_batches" "a reader that saw more than one batch";
    X1 hot_keys:
        "writes_at_once" "two writes of one key at the same time",
        "read_during_write" "a read of a key while it was written";
    X1 hot_keys_with_conditions: "condition_lost" "a condition that did not hold";
    X2 counter_by_version: "update_retried" "an update that lost and was made again";
    X2 counter_in_a_control_record: "control_retried" "a compare-and-set that lost";
    S5 found_among_many in full: "many_rows" "a namespace of 100,000 records";
}

/// The name of every mark.
fn names() -> impl Iterator<Item = &'static str> {
    OWED.iter().flat_map(|owed| owed.marks.iter().map(|(name, _)| *name))
}

/// A mark that was missed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Missed {
    /// The mark.
    pub mark: String,
    /// The leg.
    pub leg: String,
    /// The clause whose case should have met it.
    pub clause: String,
    /// The case.
    pub case: String,
    /// What was not met, in words.
    pub means: String,
}

impl fmt::Display for Missed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mark, leg, clause, case, means } = self;
        write!(f, "{leg}::{clause}::{case} passed and has not met {means} ({mark})")
    }
}

/// What the cases of one leg have met.
#[derive(Clone, Default)]
pub(crate) struct Marks(Arc<Mutex<Book>>);

#[derive(Default)]
struct Book {
    hit: BTreeSet<&'static str>,
    passed: BTreeSet<(&'static str, &'static str)>,
}

impl Marks {
    /// A case has met what this mark is called after.
    pub(crate) fn hit(&self, name: &'static str) {
        debug_assert!(names().any(|known| known == name), "{name} is no mark");
        self.0.lock().unwrap_or_else(PoisonError::into_inner).hit.insert(name);
    }

    /// Whether this mark has been met.
    pub(crate) fn has(&self, name: &'static str) -> bool {
        debug_assert!(names().any(|known| known == name), "{name} is no mark");
        self.0.lock().unwrap_or_else(PoisonError::into_inner).hit.contains(name)
    }

    /// A case has passed, itself and not what stands in its place.
    pub(crate) fn passed(&self, clause: &'static str, case: &'static str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).passed.insert((clause, case));
    }

    /// The marks that the cases which passed should have met and have not.
    pub(crate) fn missed(&self, leg: &str, profile: Profile) -> Vec<Missed> {
        let book = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let owed = OWED.iter().filter(|owed| {
            (profile.is_full() || !owed.full) && book.passed.contains(&(owed.clause, owed.case))
        });
        let missed = owed.flat_map(|owed| {
            let missed = owed.marks.iter().filter(|(name, _)| !book.hit.contains(name));
            missed.map(|(mark, means)| Missed {
                mark: (*mark).to_owned(),
                leg: leg.to_owned(),
                clause: owed.clause.to_owned(),
                case: owed.case.to_owned(),
                means: (*means).to_owned(),
            })
        });
        missed.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Marks, OWED, Profile, names};

    #[test]
    fn marks_are_those_of_cases_that_there_are() {
        for owed in OWED {
            let all = crate::clauses::all();
            let mut of = all.iter().filter(|declared| declared.clause.id == owed.clause);
            let known = of.any(|declared| declared.cases.iter().any(|case| case.name == owed.case));
            assert!(known, "{}::{} owes marks", owed.clause, owed.case);
        }
        for name in names() {
            assert_eq!(names().filter(|other| *other == name).count(), 1, "{name}");
        }
    }

    #[test]
    fn only_a_case_that_passed_owes_its_marks() {
        let marks = Marks::default();
        assert!(marks.missed("raw", Profile::Quick).is_empty());
        marks.passed("L9", "resume_after_deleted_key");
        marks.passed("S5", "found_among_many");
        let names = |profile| -> Vec<String> {
            marks.missed("raw", profile).into_iter().map(|missed| missed.mark).collect()
        };
        assert_eq!(names(Profile::Quick), ["cursor_of_deleted"]);
        assert_eq!(names(Profile::Full), ["cursor_of_deleted", "many_rows"]);
        marks.hit("cursor_of_deleted");
        assert!(names(Profile::Quick).is_empty());
    }
}
