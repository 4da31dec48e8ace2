//! What a job remembers: an append-only file of frames, each a JSON document.
//!
//! A checkpoint is written once what it tells of is durable in the target, and it carries the
//! dead letters of its page, so that what a crash repeats is never counted or told twice.

use std::collections::BTreeMap;
use std::path::Path;

use pinstate_core::{Error, ErrorKind, Operation, Result};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::settings::Settings;
use super::source::Identity;
use crate::frames::{Frame, Frames, Magic};

const MAGIC: Magic = *b"pinjob1\n";
/// The kind of every frame.
const EVENT: u8 = 1;
/// Length beyond which a ledger is written anew when it is opened, without checkpoints that
/// later ones have replaced.
const COMPACT: u64 = 64 << 20;

/// The first frame: what the job is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Header {
    pub(crate) job: Uuid,
    /// Microseconds since the Unix epoch, drawn from the target's clock: the versions of
    /// records that bring none begin here.
    pub(crate) version: i64,
    pub(crate) source: Identity,
    pub(crate) target: Identity,
    pub(crate) settings: Settings,
    /// The secret that rows are hashed under, in hexadecimal.
    pub(crate) secret: String,
    /// The namespace that is filled, where it is to take another one's place.
    pub(crate) staging: Option<String>,
    pub(crate) parts: Vec<String>,
}

/// What was done with the records of a part, or of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Counts {
    /// Records that were read.
    pub read: u64,
    /// Records that were given to the target.
    pub written: u64,
    /// Bytes of their keys and values.
    pub bytes: u64,
    /// Records that the rules leave out.
    pub left_out: u64,
    /// Records that the target has in a newer version, where it can tell.
    pub superseded: u64,
    /// Records that became dead letters.
    pub dead: u64,
}

impl Counts {
    /// Adds others.
    pub fn add(&mut self, other: &Self) {
        self.read += other.read;
        self.written += other.written;
        self.bytes += other.bytes;
        self.left_out += other.left_out;
        self.superseded += other.superseded;
        self.dead += other.dead;
    }
}

/// A record that could not be moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct DeadLetter {
    /// Its key in hexadecimal, where it is known.
    pub key: Option<String>,
    /// Its bytes, in hexadecimal.
    pub raw: String,
    /// What is wrong with it.
    pub reason: String,
    /// Its version, where it has one.
    pub version: Option<i64>,
}

/// How far a part has come. Everything is counted from its beginning.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Checkpoint {
    pub(crate) part: usize,
    /// Where to go on; nothing where the part is complete.
    pub(crate) after: Option<String>,
    pub(crate) counts: Counts,
    /// The sum of the numbers of what was written, in hexadecimal.
    pub(crate) sum: String,
    /// The highest version that was written.
    pub(crate) newest: i64,
    pub(crate) letters: Vec<DeadLetter>,
}

/// Where a job stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Phase {
    /// Records are copied.
    #[default]
    Copying,
    /// The target is compared with what was copied.
    Verifying,
    /// What was copied takes its place.
    Replacing,
    /// All is done, and was compared.
    Done,
    /// The target is not what it should be.
    Different,
    /// It was given up.
    Aborted,
}

impl Phase {
    /// Whether nothing is left to do.
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Different | Self::Aborted)
    }

    /// Its name, as in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Copying => "copying",
            Self::Verifying => "verifying",
            Self::Replacing => "replacing",
            Self::Done => "done",
            Self::Different => "different",
            Self::Aborted => "aborted",
        }
    }
}

/// A process that worked on a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Run {
    /// When it began, in seconds since the Unix epoch.
    pub began: i64,
    /// Its process ID.
    pub pid: u32,
    /// The host it ran on.
    pub host: String,
    /// The version of this program.
    pub program: String,
    /// Parts at a time.
    pub workers: usize,
    /// Records a page.
    pub page_rows: usize,
    /// How the job came to its stop; nothing where the process died.
    pub ended: Option<Ended>,
}

/// How a process stopped working on a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Ended {
    /// When, in seconds since the Unix epoch.
    pub at: i64,
    /// Milliseconds that it waited since it was told to be slow, by the reason.
    pub throttled: BTreeMap<String, u64>,
    /// Calls that were made again.
    pub retries: u64,
    /// What stopped it; nothing where it came to its end.
    pub error: Option<String>,
}

/// What the comparison at the end came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Verified {
    /// When, in seconds since the Unix epoch.
    pub at: i64,
    /// Whether the target is what it should be.
    pub equal: bool,
    /// How that was found out.
    pub by: VerifiedBy,
    /// Records of the source side, as they were copied or as they are now.
    pub source: u64,
    /// Records of the target.
    pub target: u64,
    /// Records that the target should have and has not.
    pub missing: u64,
    /// Records that the target has and should not have.
    pub extra: u64,
    /// Records that are not the same.
    pub different: u64,
    /// Records of the target that are newer than the source's, and may be.
    pub newer: u64,
    /// Records that only the target has, and may have.
    pub other: u64,
    /// The level that everything copied has reached.
    pub durability: String,
}

/// How a target was compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum VerifiedBy {
    /// It was read once, and comes to what was copied.
    Digest,
    /// Both were read once more, and compared record by record.
    Comparison,
}

/// Something that changed while a job ran.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Note {
    /// When, in seconds since the Unix epoch.
    pub at: i64,
    /// What, for people.
    pub text: String,
}

/// One thing that a job remembers.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Event {
    Header(Box<Header>),
    Checkpoint(Checkpoint),
    Phase(Phase),
    RunBegan(Run),
    RunEnded(Ended),
    Verified(Verified),
    /// A dead letter was brought home after all: its key.
    Brought(String),
    Note(Note),
}

/// How far each part has come, and what else is known.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    pub(crate) header: Header,
    /// The last checkpoint of each part that has one.
    pub(crate) parts: BTreeMap<usize, Checkpoint>,
    pub(crate) phase: Phase,
    pub(crate) runs: Vec<Run>,
    pub(crate) verified: Option<Verified>,
    /// Dead letters that were brought home after all.
    pub(crate) brought: u64,
    pub(crate) notes: Vec<Note>,
}

impl Standing {
    /// What was done in all parts.
    pub(crate) fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        self.parts.values().for_each(|part| counts.add(&part.counts));
        counts
    }

    /// Dead letters that are still there.
    pub(crate) fn dead(&self) -> u64 {
        self.counts().dead.saturating_sub(self.brought)
    }

    /// Parts that were read to their ends.
    pub(crate) fn complete(&self) -> usize {
        self.parts.values().filter(|part| part.after.is_none()).count()
    }

    fn take(standing: &mut Option<Self>, event: Event) {
        match (standing, event) {
            (Some(this), event) => this.apply(event),
            (none, Event::Header(header)) => {
                *none = Some(Self {
                    header: *header,
                    parts: BTreeMap::new(),
                    phase: Phase::default(),
                    runs: Vec::new(),
                    verified: None,
                    brought: 0,
                    notes: Vec::new(),
                });
            }
            _ => {}
        }
    }

    /// Takes over what the ledger has been told.
    pub(crate) fn apply(&mut self, event: Event) {
        match event {
            Event::Header(_) => {}
            Event::Checkpoint(mut checkpoint) => {
                // They stay in the file: there may be many.
                checkpoint.letters.clear();
                self.parts.insert(checkpoint.part, checkpoint);
            }
            Event::Phase(phase) => self.phase = phase,
            Event::RunBegan(run) => self.runs.push(run),
            Event::RunEnded(ended) => {
                if let Some(run) = self.runs.last_mut() {
                    run.ended = Some(ended);
                }
            }
            Event::Verified(verified) => self.verified = Some(verified),
            Event::Brought(_) => self.brought += 1,
            Event::Note(note) => self.notes.push(note),
        }
    }
}

/// The ledger of a job, opened to grow. Its calls block.
#[derive(Debug)]
pub(crate) struct Ledger(Frames);

impl Ledger {
    /// Begins one.
    pub(crate) fn create(path: &Path, header: &Header) -> Result<Self> {
        // Whatever has a ledger has a header: it comes under its name once it is whole.
        let mut beside = path.as_os_str().to_owned();
        beside.push(".begun");
        let beside = Path::new(&beside);
        let _ = std::fs::remove_file(beside);
        let mut frames = Frames::create(beside, MAGIC)?;
        frames.append(EVENT, &json(&Event::Header(Box::new(header.clone())))?);
        frames.sync()?;
        frames.rename(path)?;
        Ok(Self(frames))
    }

    /// Opens one, and tells where the job stands.
    pub(crate) fn open(path: &Path) -> Result<(Self, Standing)> {
        let mut standing = None;
        let mut frames = Frames::open(path, MAGIC, |frame| {
            Standing::take(&mut standing, read(path, &frame)?);
            Ok(())
        })?;
        let standing = standing.ok_or_else(|| no_job(path))?;
        if frames.len() > COMPACT {
            compact(path, &mut frames, &standing)?;
        }
        Ok((Self(frames), standing))
    }

    /// Where a job stands that somebody may be working on.
    pub(crate) fn peek(path: &Path) -> Result<Standing> {
        let mut standing = None;
        Frames::peek(path, MAGIC, |frame| {
            Standing::take(&mut standing, read(path, &frame)?);
            Ok(())
        })?;
        standing.ok_or_else(|| no_job(path))
    }

    /// Gives each dead letter that has not been brought home.
    pub(crate) fn letters(
        path: &Path,
        mut take: impl FnMut(DeadLetter) -> Result<()>,
    ) -> Result<()> {
        let mut brought: BTreeMap<String, u64> = BTreeMap::new();
        Frames::peek(path, MAGIC, |frame| {
            if let Event::Brought(key) = read(path, &frame)? {
                *brought.entry(key).or_default() += 1;
            }
            Ok(())
        })?;
        Frames::peek(path, MAGIC, |frame| {
            let Event::Checkpoint(checkpoint) = read(path, &frame)? else { return Ok(()) };
            for letter in checkpoint.letters {
                let place = letter.key.as_ref().and_then(|key| brought.get_mut(key));
                match place {
                    Some(left) if *left > 0 => *left -= 1,
                    _ => take(letter)?,
                }
            }
            Ok(())
        })
    }

    /// Remembers these, durably.
    pub(crate) fn write(&mut self, events: &[Event]) -> Result<()> {
        for event in events {
            self.0.append(EVENT, &json(event)?);
        }
        self.0.sync()
    }
}

fn json(event: &Event) -> Result<Vec<u8>> {
    serde_json::to_vec(event).map_err(|error| {
        Error::new(ErrorKind::Internal, Operation::Migrate, "an event has no JSON form")
            .with_source(error)
    })
}

fn read(path: &Path, frame: &Frame) -> Result<Event> {
    serde_json::from_slice(&frame.payload).map_err(|error| {
        let message = format!("{} was written by another version of pinstate", path.display());
        Error::new(ErrorKind::Incompatible, Operation::Migrate, message).with_source(error)
    })
}

fn no_job(path: &Path) -> Error {
    let message = format!("{} has no job in it", path.display());
    Error::new(ErrorKind::Corrupt, Operation::Migrate, message)
}

/// Leaves out checkpoints that a later one has replaced, unless they carry dead letters.
fn compact(path: &Path, frames: &mut Frames, standing: &Standing) -> Result<()> {
    let mut kept = Vec::new();
    Frames::peek(path, MAGIC, |frame| {
        let keep = match read(path, &frame)? {
            Event::Checkpoint(checkpoint) => {
                let last = standing.parts.get(&checkpoint.part);
                !checkpoint.letters.is_empty()
                    || last.is_some_and(|last| last.counts == checkpoint.counts)
            }
            _ => true,
        };
        if keep {
            kept.push(frame);
        }
        Ok(())
    })?;
    frames.rewrite(kept)
}
