//! How much a run does: sizes of namespaces and values, sequences, rounds.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// How much a run does. What is checked is the same in all of them.
///
/// | | most rows in a namespace | largest values | model sequences | rounds of clients |
/// |---|---|---|---|---|
/// | `quick` | 2,000, 10,000 in the whole of a clause | 1 MiB, and the limit if that is 16 MiB at most | 48 | 12 |
/// | `full`, `soak` | 100,000 | 16 MiB, and the limit if that is 64 MiB at most | 500 | 60 |
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum Profile {
    /// For every commit.
    #[default]
    Quick,
    /// For every night.
    Full,
    /// As [`Full`](Self::Full), and then round after round, each with a seed one higher,
    /// until this time is over. A round that was begun is finished.
    Soak(Duration),
}

/// How long a soak goes on unless that is said.
const SOAK: Duration = Duration::from_secs(30 * 60);

impl Profile {
    /// Its name: `quick`, `full` or `soak`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Quick => "quick",
            Self::Full => "full",
            Self::Soak(_) => "soak",
        }
    }

    /// Whether cases take their full sizes.
    pub(crate) fn is_full(self) -> bool {
        self != Self::Quick
    }

    /// How long rounds are to go on, where time is what ends a run.
    pub(crate) fn budget(self) -> Option<Duration> {
        match self {
            Self::Soak(budget) => Some(budget),
            _ => None,
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that names no profile.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnknownProfile(String);

impl fmt::Display for UnknownProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "there is no profile '{}': give 'quick', 'full', 'soak', or 'soak:SECONDS'",
            self.0.escape_debug()
        )
    }
}

impl std::error::Error for UnknownProfile {}

impl FromStr for Profile {
    type Err = UnknownProfile;

    fn from_str(text: &str) -> Result<Self, UnknownProfile> {
        match text {
            "quick" => Ok(Self::Quick),
            "full" => Ok(Self::Full),
            "soak" => Ok(Self::Soak(SOAK)),
            _ => {
                let seconds = text.strip_prefix("soak:").and_then(|seconds| seconds.parse().ok());
                let budget = seconds.map(Duration::from_secs);
                budget.map(Self::Soak).ok_or_else(|| UnknownProfile(text.to_owned()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, Profile};

    #[test]
    fn profiles_are_read_from_text() {
        for profile in [Profile::Quick, Profile::Full] {
            assert_eq!(profile.name().parse(), Ok(profile));
        }
        assert_eq!("soak:7".parse(), Ok(Profile::Soak(Duration::from_secs(7))));
        assert!(matches!("soak".parse(), Ok(Profile::Soak(_))));
        for wrong in ["", "Quick", "soak:", "soak:x", "quick "] {
            let error = wrong.parse::<Profile>().unwrap_err().to_string();
            assert!(error.contains("'quick', 'full'"), "{error}");
        }
    }
}
