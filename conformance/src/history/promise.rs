//! What a history is judged by, and histories that were saved with it.

use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::event::History;
use super::session::{check_sessions, check_settled};
use super::timeline::Timeline;
use super::verdict::{Verdict, check};

/// What a store promised of a history.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Promise {
    /// That each key behaves as if operations happened one at a time: [`check`].
    Linearizable,
    /// That each client reads its own writes: [`check_sessions`].
    OwnWrites,
    /// That these clients, who asked when all else had ended, were told the same:
    /// [`check_settled`].
    Settled {
        /// The clients.
        observers: Vec<u32>,
    },
}

/// A promise that a history breaks.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct BrokenPromise {
    /// How, in words.
    pub message: String,
    /// The part that is wrong by itself, to be drawn.
    pub timeline: Option<Timeline>,
}

impl Promise {
    /// Judges a history.
    ///
    /// # Errors
    /// How the promise is broken; or that the search was given up, which shows nothing.
    pub fn judge(&self, history: &History) -> Result<(), BrokenPromise> {
        let broken = match self {
            Self::Linearizable => match check(history) {
                Verdict::Legal => return Ok(()),
                verdict => {
                    let timeline = match &verdict {
                        Verdict::Illegal(example) => {
                            Some(Timeline::of_counterexample(history, example))
                        }
                        _ => None,
                    };
                    let message = format!("expected a linearizable history, got: {verdict}");
                    return Err(BrokenPromise { message, timeline });
                }
            },
            Self::OwnWrites => check_sessions(history),
            Self::Settled { observers } => check_settled(history, observers),
        };
        broken.map_err(|broken| BrokenPromise {
            message: broken.to_string(),
            timeline: Some(Timeline::of_broken(history, &broken)),
        })
    }
}

/// Where a history comes from.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Origin {
    /// The leg.
    pub leg: String,
    /// The clause.
    pub clause: String,
    /// The case.
    pub case: String,
    /// The seed that it ran with.
    pub seed: u64,
    /// Which one of its histories it is, from 0.
    pub number: usize,
}

/// A history with what it is judged by.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Saved {
    /// Where it comes from.
    pub origin: Origin,
    /// What was promised.
    pub promise: Promise,
    /// What happened.
    pub history: History,
}

/// The folder of histories in that of a report.
const FOLDER: &str = "histories";
/// What the files' names end with.
const EXTENSION: &str = "jsonl";

impl Saved {
    /// The name of its file in the folder of a report.
    #[must_use]
    pub fn file(&self) -> String {
        let Origin { leg, clause, case, seed, number } = &self.origin;
        let plain = |text: &str| -> String {
            let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
            text.chars().map(plain).collect()
        };
        let (leg, clause, case) = (plain(leg), plain(clause), plain(case));
        format!("{FOLDER}/{leg}-{clause}-{case}-{seed}-{number}.{EXTENSION}")
    }

    /// Writes it into the folder of a report.
    ///
    /// # Errors
    /// What kept it from being written.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        std::fs::create_dir_all(folder.join(FOLDER))?;
        self.write_to(std::fs::File::create(folder.join(self.file()))?)
    }

    /// Writes it as JSON lines: those of [`History::write`], with a header that says more.
    ///
    /// # Errors
    /// The writer's.
    pub fn write_to(&self, to: impl Write) -> io::Result<()> {
        self.history.write_with(to, Some((self.origin.clone(), self.promise.clone())))
    }

    /// Reads what [`write_to`](Self::write_to) wrote.
    ///
    /// # Errors
    /// The reader's, and `InvalidData` where it is no such thing.
    pub fn read(from: impl BufRead) -> io::Result<Self> {
        let (history, about) = History::read_with(from)?;
        let (origin, promise) = about.ok_or_else(|| {
            let what = "this history does not say what it is to be judged by";
            io::Error::new(io::ErrorKind::InvalidData, what)
        })?;
        Ok(Self { origin, promise, history })
    }
}

/// The files of saved histories in the folder of a report, or in the one of its histories,
/// in the order of their names.
///
/// # Errors
/// What keeps the folder from being read.
pub fn saved(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let inner = folder.join(FOLDER);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(if inner.is_dir() { &inner } else { folder })? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == EXTENSION) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
