//! The clauses on durability prove themselves: stores that keep their files in the wrong
//! way must be found out, by kills, by the loss of power, by failing disks.
//!
//! The store of `durable/` is right unless it is told not to be. Its children are this
//! program, which has a `main` of its own for that.

#[path = "durable/log.rs"]
mod log;
#[path = "durable/marker.rs"]
mod marker;
#[path = "durable/reclaim.rs"]
mod reclaim;
#[path = "durable/store.rs"]
mod store;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use libtest_mimic::{Arguments, Failed, Trial};
use lossyfs::LossyDisks;
use pinstate_conformance::report::Kill;
use pinstate_conformance::{Child, Leg, Outcome, Plug, Site, Suite, Verdict};
use pinstate_core::{Error, ErrorKind, Operation, Result, Store};

use crate::marker::Marker;
use crate::store::FileStore;

macro_rules! bugs {
    ($($(#[doc = $doc:literal])* $name:ident => [$($clause:literal),+];)*) => {
        /// What is wrong, or odd, with a store in files.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub(crate) enum Bug {
            $($(#[doc = $doc])* $name,)*
            /// Nothing.
            None,
            /// Odd but right: what is acknowledged is written at the next barrier.
            WritesBehind,
        }

        /// Every mutant, with its name, what is wrong with it, and the clauses of which each
        /// must kill it.
        const MUTANTS: &[(Bug, &str, &str, &[&str])] =
            &[$((Bug::$name, stringify!($name), concat!($($doc),*), &[$($clause),+]),)*];
    };
}

bugs! {
    /// A barrier is acknowledged and does nothing.
    SyncDoesNothing => ["D2", "D7"];
    /// Writes are acknowledged before they are in the log.
    AcksBeforeLog => ["D3"];
    /// The last entry of the log is dropped when the store is opened.
    LastEntryDropped => ["D1", "T5", "Z2"];
    /// Deletes of the log are done before its puts.
    DeletesReplayedFirst => ["D1", "D13"];
    /// Deletes wait for the next write.
    DeletesLazily => ["D13"];
    /// Control records wait for the next write.
    ControlLazily => ["D5"];
    /// The log points to a value before it is there.
    IndexBeforeValue => ["D7"];
    /// An atomic batch is logged write by write.
    BatchLoggedInParts => ["D6"];
    /// A namespace is dropped first, and then another takes its name.
    ReplaceInTwoSteps => ["D7"];
    /// Nothing is ever synced.
    NothingSynced => ["D7"];
    /// Files are synced, and the folder that names them is not.
    FolderNotSynced => ["D7"];
    /// A line that a crash cut off is an error.
    TornEntryRefused => ["D8"];
    /// The checksums of values are not looked at.
    ValuesUnchecked => ["D9"];
    /// Whoever asks only whether there is a record hears that a damaged one is not.
    HasPassesOverDamage => ["D9"];
    /// A damaged line of the log is passed over.
    DamagedEntrySkipped => ["D9"];
    /// A write that finds no room is acknowledged.
    FullIsSwallowed => ["D10"];
    /// A sync that failed is tried again, which succeeds, and what it has lost is forgotten.
    FailedSyncTriedAgain => ["D10"];
    /// Any number of processes may open the store.
    NoLock => ["D11"];
    /// The lock is a file, which a killed process leaves.
    LockStays => ["D11"];
    /// The lock ends when its file is closed everywhere, and a process that is being started has
    /// a copy of it.
    LockLeftToClosing => ["D11"];
    /// Opening a store that is not there makes one.
    MissingIsMade => ["D12"];
    /// The bytes of values are kept in another order than the last release kept them.
    CodecChanged => ["V1"];
    /// A store of a newer format is opened as if it were known.
    NewerIsOpened => ["V2"];
    /// A store of a newer format is marked as one of this version, and then refused.
    NewerIsRewritten => ["V2"];
    /// The refusal of a newer format does not say which it is.
    NewerIsNotNamed => ["V2"];
    /// What was overwritten stays in the files for good.
    NeverReclaims => ["Z4"];
}

fn name(bug: Bug) -> String {
    format!("{bug:?}")
}

/// Every mutant and every odd store.
fn all() -> impl Iterator<Item = Bug> {
    MUTANTS.iter().map(|(bug, ..)| *bug).chain([Bug::None, Bug::WritesBehind])
}

struct InFiles {
    bug: Bug,
    name: String,
}

struct Folder {
    path: PathBuf,
    bug: Bug,
    _own: Option<tempfile::TempDir>,
}

#[async_trait]
impl Plug for InFiles {
    fn name(&self) -> &str {
        &self.name
    }

    async fn site(&self) -> Result<Box<dyn Site>> {
        let folder = tempfile::tempdir().map_err(|error| {
            Error::new(ErrorKind::Io, Operation::Open, "no folder").with_source(error)
        })?;
        let path = folder.path().join("store");
        Ok(Box::new(Folder { path, bug: self.bug, _own: Some(folder) }))
    }

    fn site_in(&self, folder: &Path) -> Option<Box<dyn Site>> {
        Some(Box::new(Folder { path: folder.join("store"), bug: self.bug, _own: None }))
    }

    fn fixtures(&self) -> Vec<PathBuf> {
        vec![concat!(env!("CARGO_MANIFEST_DIR"), "/tests/durable/format-1").into()]
    }
}

#[async_trait]
impl Site for Folder {
    async fn open(&self) -> Result<Arc<dyn Store>> {
        Ok(Arc::new(FileStore::open(&self.path, true, self.bug).await?))
    }

    async fn open_existing(&self) -> Option<Result<Arc<dyn Store>>> {
        let opened = FileStore::open(&self.path, false, self.bug).await;
        Some(opened.map(|store| Arc::new(store) as Arc<dyn Store>))
    }

    async fn make_newer(&self) -> Option<Result<()>> {
        Some(Marker::read(&self.path).and_then(|marker| {
            let newer = Marker { format: marker.format + 1, ..marker };
            newer.write(&self.path, Bug::None).map_err(|e| log::failed(e, Operation::Open))
        }))
    }
}

fn suite(bug: Bug) -> Suite {
    let plug = InFiles { bug, name: name(bug) };
    Suite::new(plug).legs(vec![Leg::raw()]).disks(LossyDisks::new())
}

fn verdicts(bug: Bug, clauses: &[&str], seed: u64) -> Result<Vec<Verdict>, Failed> {
    suite(bug).seed(seed).verdicts(clauses).map_err(Failed::from)
}

/// How many seeds a mutant has to be killed with one of.
const SEEDS: u64 = 5;

/// What was seen to be killed, by clause.
type Seen = Arc<Mutex<BTreeMap<String, Vec<Kill>>>>;

fn mutant(
    (bug, name, words, clauses): &(Bug, &'static str, &'static str, &'static [&'static str]),
    seen: &Seen,
) -> Result<(), Failed> {
    for clause in *clauses {
        // Which write a kill or a loss of power meets is a matter of moments: what the first
        // seed does not show is looked for with others.
        let mut verdicts = verdicts(*bug, &[clause], 1)?;
        for seed in 2..=SEEDS {
            if verdicts.iter().any(|verdict| matches!(verdict.outcome, Outcome::Failed(_))) {
                break;
            }
            announce(&format!("{name}: {clause} has passed with seed {}", seed - 1));
            verdicts = self::verdicts(*bug, &[clause], seed)?;
        }
        let failed = verdicts.iter().find_map(|verdict| match &verdict.outcome {
            Outcome::Failed(message) => Some((verdict, message)),
            _ => None,
        });
        let Some((verdict, message)) = failed else {
            // Where no disk can lose power the clause has not run at all.
            let all_ran = verdicts.iter().all(|verdict| verdict.outcome.is_executed());
            if all_ran || !needs_disk(clause) {
                return Err(Failed::from(format!("it survives {clause}: {verdicts:#?}")));
            }
            announce(&format!("{name}: {clause} was SKIPPED: {:?}", verdicts.first()));
            continue;
        };
        if !message.starts_with(&format!("{clause} (")) {
            return Err(Failed::from(format!("the report does not name {clause}: {message}")));
        }
        announce(&format!("{name}: {clause}::{}: {message:.260}", verdict.case));
        let kill = Kill { mutant: (*name).to_owned(), does: words.trim().to_owned() };
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.entry((*clause).to_owned()).or_default().push(kill);
    }
    Ok(())
}

fn needs_disk(clause: &str) -> bool {
    ["D7", "D8", "D10"].contains(&clause)
}

/// An odd store passes, and nothing of it is skipped that could have run.
fn passes(bug: Bug, seed: u64) -> Result<(), Failed> {
    for verdict in verdicts(bug, &["D", "I", "N", "V", "Z"], seed)? {
        match &verdict.outcome {
            Outcome::Passed => {}
            Outcome::Skipped(reason) if needs_disk(verdict.clause.id) => {
                announce(&format!("{bug:?}: {} SKIPPED: {reason}", verdict.clause.id));
            }
            // What is not declared is not asked for.
            Outcome::Skipped(reason) if reason.contains("is not declared") => {}
            _ => return Err(Failed::from(format!("{verdict:#?}"))),
        }
    }
    Ok(())
}

/// With how many seeds a right store must pass, unless `PINSTATE_ODD_SEEDS` says otherwise.
fn odd_seeds() -> Result<u64, Failed> {
    let seeds = std::env::var("PINSTATE_ODD_SEEDS");
    let wrong = |error| Failed::from(format!("PINSTATE_ODD_SEEDS: {error}"));
    seeds.map_or(Ok(1), |text| text.parse().map_err(wrong))
}

/// The list of kills in reports says what this program has seen.
fn list_is_current() -> Result<(), Failed> {
    let listed: BTreeMap<String, Vec<Kill>> =
        serde_json::from_str(include_str!("../src/report/kills_durable.json"))?;
    let mut expected: BTreeMap<String, Vec<Kill>> = BTreeMap::new();
    for (_, name, words, clauses) in MUTANTS {
        for clause in *clauses {
            let kill = Kill { mutant: (*name).to_owned(), does: words.trim().to_owned() };
            expected.entry((*clause).to_owned()).or_default().push(kill);
        }
    }
    let sorted = |mut kills: BTreeMap<String, Vec<Kill>>| {
        kills.values_mut().for_each(|kills| kills.sort_by(|a, b| a.mutant.cmp(&b.mutant)));
        kills
    };
    if sorted(listed) == sorted(expected) {
        return Ok(());
    }
    Err(Failed::from("run this program once with PINSTATE_WRITE_KILLS=1"))
}

#[expect(clippy::print_stderr, reason = "the runner of a test program speaks to people")]
fn announce(text: &str) {
    eprintln!("{text}");
}

fn main() -> ExitCode {
    if let Some(child) = Child::summoned() {
        let bug = all().find(|bug| name(*bug) == child.backend());
        return bug.map_or(ExitCode::FAILURE, |bug| child.run(&suite(bug)));
    }
    if let Some(folder) = std::env::var_os("PINSTATE_CONFORMANCE_FIXTURE") {
        let written = suite(Bug::None).fixture(Path::new(&folder));
        return written.map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS);
    }
    let arguments = Arguments::from_args();
    let seen = Seen::default();
    let mut trials: Vec<Trial> = MUTANTS
        .iter()
        .map(|row| {
            let seen = Arc::clone(&seen);
            Trial::test(format!("mutant::{}", row.1), move || mutant(row, &seen))
        })
        .collect();
    for bug in [Bug::None, Bug::WritesBehind] {
        let passes = move || (1..=odd_seeds()?).try_for_each(|seed| passes(bug, seed));
        trials.push(Trial::test(format!("right::{bug:?}"), passes));
    }
    let writes = std::env::var_os("PINSTATE_WRITE_KILLS").is_some();
    if !writes {
        trials.push(Trial::test("the_list_of_kills_is_current", list_is_current));
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    if writes && !conclusion.has_failed() {
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.values_mut().for_each(|kills| kills.sort_by(|a, b| a.mutant.cmp(&b.mutant)));
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/report/kills_durable.json");
        let text = serde_json::to_string_pretty(&*seen).unwrap_or_default() + "\n";
        if let Err(error) = std::fs::write(path, text) {
            announce(&format!("the list of kills cannot be written: {error}"));
            return ExitCode::FAILURE;
        }
    }
    conclusion.exit_code()
}
