//! The suite proves itself: stores that are broken on purpose must be found out by the
//! clause that is there for it, and stores that are merely odd must pass.
//!
//! A mutant is a value of [`Bug`] with the clauses that it must be killed by, listed in
//! `mutants/bugs.rs`; what it does stands beside that, in decorators over the memory backend.

#![expect(clippy::unwrap_used, reason = "a test's own stores may panic")]
#![expect(clippy::collapsible_match, reason = "the conditions of mutants wait for the store")]

#[path = "mutants/bugs.rs"]
mod bugs;
#[path = "mutants/calls.rs"]
mod calls;
#[path = "mutants/eventual.rs"]
mod eventual;
#[path = "mutants/matrix.rs"]
mod matrix;
#[path = "mutants/museum.rs"]
mod museum;
#[path = "mutants/namespace.rs"]
mod namespace;
#[path = "mutants/order.rs"]
mod order;
#[path = "mutants/pins.rs"]
mod pins;
#[path = "mutants/racing.rs"]
mod racing;
#[path = "mutants/remote.rs"]
mod remote;
#[path = "mutants/scan.rs"]
mod scan;
#[path = "mutants/store.rs"]
mod store;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use peak_alloc::PeakAlloc;
use pinstate_conformance::history::{Observed, Part, Promise, Saved, saved};
use pinstate_conformance::report::{CaseReport, Kill, kills, unproven};
use pinstate_conformance::{
    Keep, Leg, Meter, Outcome, Plug, Profile, Report, Server, Site, Suite, Verdict,
};
use pinstate_core::{Error, ErrorKind, Operation, Result, Store};
use pinstate_memory::{MemoryConfig, MemoryStore};

use crate::bugs::{Bug, MUTANTS, WORDS};
use crate::store::BrokenStore;

/// What is said of the run as a whole is shown by the tests of reports, with stores that are
/// somebody's.
const ELSEWHERE: &[(&str, &str, &str)] = &[
    ("Y2", "TakesNeighbours", "Dropping a namespace takes a record of somebody else's along."),
    ("Y3", "KeepsNamespaces", "Namespaces cannot be dropped."),
];

struct Broken(Bug);

struct Place {
    bug: Bug,
    opening: std::sync::atomic::AtomicBool,
    server: Option<Arc<remote::Remote>>,
}

#[async_trait]
impl Plug for Broken {
    fn name(&self) -> &str {
        "mutant"
    }

    async fn site(&self) -> Result<Box<dyn Site>> {
        let server = remote::server(self.0);
        Ok(Box::new(Place { bug: self.0, opening: false.into(), server }))
    }
}

#[async_trait]
impl Site for Place {
    async fn open(&self) -> Result<Arc<dyn Store>> {
        if self.bug == Bug::DroppedOpeningKeepsLock {
            if self.opening.swap(true, Ordering::SeqCst) {
                let error = Error::new(ErrorKind::Locked, Operation::Open, "open elsewhere");
                return Err(error.with_backend("memory"));
            }
            for _ in 0..3 {
                tokio::task::yield_now().await;
            }
            self.opening.store(false, Ordering::SeqCst);
        }
        if let Some(store) = eventual::store(self.bug)? {
            return Ok(store);
        }
        let mut inner: Arc<dyn Store> = Arc::new(MemoryStore::open(&MemoryConfig::default())?);
        if let Some(server) = &self.server {
            inner = remote::through(inner, Arc::clone(server), self.bug);
        }
        Ok(calls::around(Arc::new(BrokenStore::new(inner, self.bug)), self.bug))
    }

    fn server(&self) -> Option<Arc<dyn Server>> {
        self.server.clone().map(|server| -> Arc<dyn Server> { server })
    }
}

/// Mutants that are found out by an answer that does not come.
fn hangs(bug: Bug) -> bool {
    [
        Bug::EmptyBatchHangs,
        Bug::CancelledKeepsLock,
        Bug::ScanHoldsWriters,
        Bug::DroppedKeepsPlace,
        Bug::DroppedKeepsKey,
        Bug::DroppedOpeningKeepsLock,
        Bug::ScansStarveWrites,
        Bug::WritesStarveScans,
        Bug::TwoLocksTwoOrders,
        Bug::CloseStrandsWrites,
        Bug::BrokenExportBlocks,
        Bug::ServerStaysLost,
        Bug::ServerStrandsCalls,
        Bug::ReadyWithoutServer,
    ]
    .contains(&bug)
}

/// Threads and memory are counted for the whole process: while one mutant takes more of them
/// than it should, nobody else runs.
static QUIET: RwLock<()> = RwLock::new(());

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Stores of which it is measured how much memory they take.
fn is_measured(bug: Bug) -> bool {
    matches!(bug, Bug::ScanCopiesAll | Bug::WaitingPutsCopied)
}

/// A suite that is told how much memory the process holds.
fn measuring(suite: Suite) -> Suite {
    suite.memory(Meter::new(|| ALLOCATOR.reset_peak_usage(), || ALLOCATOR.peak_usage()))
}

fn verdicts(bug: Bug, clauses: &[&str], seed: u64) -> Vec<Verdict> {
    let mut suite = Suite::new(Broken(bug)).legs(vec![Leg::raw()]).seed(seed);
    if hangs(bug) {
        suite = suite.hang(Duration::from_secs(1));
    }
    let run = || suite.verdicts(clauses).expect("threads can be started");
    if bug == Bug::OpenLeaksThread {
        let _alone = QUIET.write();
        let verdicts = run();
        store::end_leaked_threads();
        return verdicts;
    }
    if is_measured(bug) {
        let _alone = QUIET.write();
        return measuring(suite).verdicts(clauses).expect("threads can be started");
    }
    let _beside = QUIET.read();
    run()
}

/// What failed, as `CLAUSE::case: message`.
fn failures(bug: Bug, clauses: &[&str], seed: u64) -> Vec<String> {
    let failed =
        verdicts(bug, clauses, seed).into_iter().filter_map(|verdict| match verdict.outcome {
            Outcome::Failed(message) | Outcome::Hung { message, .. } => {
                // The report names the clause, not only the assertion.
                assert!(message.starts_with(&format!("{} (", verdict.clause.id)), "{message}");
                assert!(message.contains(&format!("seed {seed}")), "{message}");
                Some(format!("{}::{}: {message}", verdict.clause.id, verdict.case))
            }
            _ => None,
        });
    failed.collect()
}

/// Seeds that are tried before a mutant counts as a survivor: a fault that is a race shows
/// when two clients meet, and on a busy machine they may miss each other.
const SEEDS: u64 = 3;
/// How many of these tries may fail in all.
const MISSED: usize = 3;

#[test]
fn every_mutant_is_killed_by_a_clause_that_is_there_for_it() {
    let known: Vec<&str> = pinstate_conformance::clauses().iter().map(|clause| clause.id).collect();
    let (mut survivors, mut missed) = (Vec::new(), Vec::new());
    let mut killed: BTreeMap<String, Vec<Kill>> = BTreeMap::new();
    for (bug, clauses) in MUTANTS {
        assert!(clauses.iter().all(|clause| known.contains(clause)), "{bug:?}: {clauses:?}");
        let mut failures = failures(*bug, clauses, 1);
        for seed in 2..=SEEDS {
            if failures.is_empty() {
                missed.push(format!("{bug:?} with seed {}", seed - 1));
                failures = self::failures(*bug, clauses, seed);
            }
        }
        match failures.first() {
            Some(first) => println!("{bug:?}: {}", first.get(..200).unwrap_or(first)),
            None => survivors.push(format!("{bug:?} survives {clauses:?}")),
        }
        for clause in *clauses {
            if failures.iter().any(|failure| failure.starts_with(&format!("{clause}::"))) {
                killed.entry((*clause).to_owned()).or_default().push(kill(*bug));
            }
        }
    }
    assert!(survivors.is_empty(), "{survivors:#?}");
    println!("needed another seed: {missed:?}");
    assert!(missed.len() <= MISSED, "{missed:#?}");
    for (clause, mutant, does) in ELSEWHERE {
        let kill = Kill { mutant: (*mutant).to_owned(), does: (*does).to_owned() };
        killed.entry((*clause).to_owned()).or_default().push(kill);
    }
    if std::env::var_os("PINSTATE_WRITE_KILLS").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/report/kills.json");
        std::fs::write(path, serde_json::to_string_pretty(&killed).unwrap() + "\n").unwrap();
    }
}

fn kill(bug: Bug) -> Kill {
    let mutant = format!("{bug:?}");
    let words = WORDS.iter().find(|(name, _)| *name == mutant).unwrap();
    Kill { mutant, does: words.1.trim().to_owned() }
}

/// Which clause kills first may be chance; that each names it and has been seen to is not.
#[test]
fn the_list_of_kills_in_reports_is_that_of_the_mutants() {
    let hint = "run the tests once with PINSTATE_WRITE_KILLS=1";
    // Those of stores in files are held against another program.
    let known: BTreeMap<String, Vec<Kill>> =
        serde_json::from_str(include_str!("../src/report/kills.json")).unwrap();
    for (bug, clauses) in MUTANTS {
        let seen = clauses.iter().filter_map(|clause| known.get(*clause));
        assert!(seen.flatten().any(|seen| *seen == kill(*bug)), "{bug:?} is missing: {hint}");
    }
    let clauses = pinstate_conformance::clauses();
    let ids: BTreeSet<&str> = clauses.iter().map(|clause| clause.id).collect();
    let proven = |id: &str| kills().contains_key(id);
    let bare: Vec<&str> = ids.iter().copied().filter(|id| !proven(id)).collect();
    for id in &bare {
        assert!(unproven(id).is_some(), "no mutant is there for {id}, and no reason is given");
    }
    for id in ids.iter().filter(|id| proven(id)) {
        assert!(unproven(id).is_none(), "{id} is proven: take its reason away");
    }
    assert!(bare.len() * 20 <= ids.len(), "more than 5 % are unproven: {bare:?}");
    for (clause, kills) in &known {
        for listed in kills {
            let elsewhere = ELSEWHERE
                .iter()
                .any(|(id, mutant, _)| (*id, *mutant) == (clause.as_str(), listed.mutant.as_str()));
            let named = elsewhere
                || MUTANTS.iter().any(|(bug, clauses)| {
                    kill(*bug) == *listed && clauses.contains(&clause.as_str())
                });
            assert!(named, "{clause} is not there for {}: {hint}", listed.mutant);
        }
    }
}

#[test]
fn odd_but_right_stores_pass() {
    for bug in [
        Bug::TinyPages,
        Bug::Powerless,
        Bug::Resolving,
        Bug::ByVersion,
        Bug::Slow,
        Bug::FinishesCancelled,
        Bug::HashOrder,
        Bug::BackwardOrder,
        Bug::InSevens,
        Bug::OneAtATime,
        Bug::OftenUnavailable,
        Bug::Remote,
        Bug::Lagging,
        Bug::Eventual,
    ] {
        let began = Instant::now();
        for seed in 1..=odd_seeds() {
            let failures = failures(bug, &[], seed);
            assert!(failures.is_empty(), "{bug:?} with seed {seed}: {failures:#?}");
        }
        println!("{bug:?}: {:.1} s", began.elapsed().as_secs_f64());
    }
}

/// With how many seeds a store that is merely odd must pass, unless `PINSTATE_ODD_SEEDS` says
/// otherwise: a suite that is wrong about a right store may be so in one run of many.
fn odd_seeds() -> u64 {
    let seeds = std::env::var("PINSTATE_ODD_SEEDS").ok();
    seeds.map_or(1, |text| text.parse().expect("PINSTATE_ODD_SEEDS is a number"))
}

#[test]
fn odd_but_right_stores_take_little_memory() {
    // Copies what it gives, in other portions than it was asked for.
    for bug in [Bug::InSevens, Bug::OneAtATime] {
        let suite = Suite::new(Broken(bug)).legs(vec![Leg::raw()]).seed(1);
        let _alone = QUIET.write();
        let verdicts = measuring(suite).verdicts(&["L2", "P1"]).expect("threads can be started");
        assert!(verdicts.iter().all(|verdict| verdict.outcome == Outcome::Passed), "{verdicts:#?}");
    }
}

#[test]
fn a_store_without_a_power_runs_the_negative_case_and_says_what_it_skips() {
    let verdicts = verdicts(Bug::Powerless, &["B2", "R4", "L11"], 1);
    let outcome = |case: &str| {
        verdicts.iter().find(|verdict| verdict.case == case).map(|verdict| &verdict.outcome)
    };
    assert_eq!(outcome("nothing_of_a_refused_batch"), Some(&Outcome::Passed));
    assert_eq!(outcome("if_absent"), Some(&Outcome::Passed));
    let reason = "'ordered_scan' is not declared".to_owned();
    assert_eq!(outcome("in_byte_order"), Some(&Outcome::Skipped(reason)));
}

#[test]
fn a_store_that_promises_less_is_asked_for_less() {
    let verdicts = verdicts(Bug::Lagging, &["X1"], 1);
    let skipped = |verdict: &Verdict| matches!(verdict.outcome, Outcome::Skipped(_));
    assert!(!verdicts.is_empty() && verdicts.iter().all(skipped), "{verdicts:#?}");
}

/// What comes in the time that is named for it is right, and so is the least that this tells of
/// clients at the same time.
#[test]
fn a_store_that_is_eventual_is_judged_when_it_has_settled() {
    let skips = |clauses: &[&str]| {
        let verdicts = verdicts(Bug::Eventual, clauses, 1);
        let skipped = verdicts.iter().filter(|verdict| {
            assert!(!verdict.outcome.is_failure(), "{verdict:#?}");
            matches!(verdict.outcome, Outcome::Skipped(_))
        });
        skipped.map(|verdict| verdict.case).collect::<Vec<_>>()
    };
    assert_eq!(skips(&["X1"]), ["hot_keys", "hot_keys_with_conditions", "hot_keys_in_bulk"]);
    assert_eq!(skips(&["X3", "X4"]), ["own_writes", "scans_see_own_writes"]);
    assert_eq!(skips(&["C2", "C10", "L1", "X2"]), [""; 0]);
    let report = report(Bug::Eventual, &["X3"], Keep::Failing);
    assert_eq!(report.measured.unwrap().shown, Observed::Eventual);
    let declared = &report.backend.capabilities["consistency"];
    assert_eq!(declared.to_string(), r#"{"eventual":{"settle_ms":5}}"#);
}

/// It is given what the suite is told; and that is not the time in which a case hangs.
#[test]
fn a_store_that_names_no_time_is_given_some() {
    let suite = Suite::new(Broken(Bug::InTheEnd)).legs(vec![Leg::raw()]).seed(1);
    let suite = suite.hang(Duration::from_secs(1)).settle(Duration::from_millis(1_500));
    let verdicts = suite.verdicts(&["C2", "X3"]).expect("threads can be started");
    assert!(verdicts.iter().all(|verdict| !verdict.outcome.is_failure()), "{verdicts:#?}");
    let waited = verdicts.iter().filter(|verdict| verdict.took > Duration::from_millis(1_500));
    assert!(waited.count() > 0, "{verdicts:#?}");
}

/// Many sequences take many times as long as one on a store that is slow, which is no fault.
#[test]
fn a_slow_store_has_time_for_each_sequence() {
    let run = |hang: Duration| {
        let suite = Suite::new(Broken(Bug::Slow)).legs(vec![Leg::raw()]).seed(1);
        let suite = suite.profile(Profile::Full).hang(hang);
        let verdicts = suite.verdicts(&["K1"]).expect("threads can be started");
        assert!(verdicts.iter().all(|verdict| !verdict.outcome.is_failure()), "{verdicts:#?}");
        verdicts.iter().map(|verdict| verdict.took).max().unwrap()
    };
    let _alone = QUIET.write();
    run(run(Duration::from_secs(120)) / 2);
}

/// What a run shows is a fact of its report, whatever the store declares.
#[test]
fn what_histories_showed_is_measured() {
    let shown = |bug, clauses: &[&str]| {
        let measured = report(bug, clauses, Keep::Failing).measured.expect("there are histories");
        (measured.shown, measured.histories > 0)
    };
    assert_eq!(shown(Bug::ByVersion, &["X1", "X3"]), (Observed::Linearizable, true));
    let (lagging, _) = shown(Bug::Lagging, &["X3"]);
    assert!(lagging < Observed::Linearizable && lagging >= Observed::ReadYourWrites, "{lagging}");
    let (lost, _) = shown(Bug::ReadsLag, &["X3"]);
    assert!(lost < Observed::ReadYourWrites, "{lost}");
    let report = report(Bug::Lagging, &["X3"], Keep::Failing);
    let text = report.measured.unwrap().to_string();
    assert!(pinstate_conformance::report::html(&[&report]).contains(&text), "{text}");
    let again = Report::from_json(&report.to_json().unwrap()).unwrap();
    assert_eq!(again.measured, report.measured);
}

#[test]
fn amid_failures_a_case_is_begun_anew_and_a_wrong_answer_is_none_the_less_wrong() {
    let failed = |bug, clauses: &[&str], amid: bool| {
        let suite = Suite::new(Broken(bug)).legs(vec![Leg::raw()]).seed(1);
        let suite = if amid { suite.amid_failures() } else { suite };
        let verdicts = suite.verdicts(clauses).expect("threads can be started");
        let failed = verdicts.iter().filter(|verdict| verdict.outcome.is_failure());
        failed.map(|verdict| verdict.clause.id).collect::<Vec<_>>()
    };
    assert_eq!(failed(Bug::Disturbed, &["C3", "R2", "R3"], false).len(), 1);
    assert!(failed(Bug::Disturbed, &["C3", "R2", "R3"], true).is_empty());
    assert!(failed(Bug::ScanEndsEarly, &["L1"], true).contains(&"L1"));
}

fn report(bug: Bug, clauses: &[&str], keep: Keep) -> Report {
    let suite = Suite::new(Broken(bug)).legs(vec![Leg::raw()]).seed(1).histories(keep);
    let _beside = QUIET.read();
    suite.report(clauses, &mut |_| {}).expect("threads can be started")
}

fn case_of<'a>(report: &'a Report, case: &str) -> &'a CaseReport {
    let mut cases = report.clauses.iter().flat_map(|clause| &clause.cases);
    cases.find(|known| known.case == case).expect("the case was run")
}

#[test]
fn a_sequence_that_fails_is_shrunk_and_shown_everywhere() {
    let report = report(Bug::CountCached, &["K1"], Keep::Failing);
    let case = case_of(&report, "model_agrees");
    // The first count is the one of the first operation, and the next one is wrong.
    assert!((1..=2).contains(&case.operations.len()), "{:#?}", case.operations);
    assert!(case.operations.iter().all(|step| step.contains("key ")), "{:#?}", case.operations);
    let step = case.operations.last().unwrap().as_str();
    // Apart from how each form writes quotes.
    let plain = |text: &str| text.replace("&quot;", "").replace("\\\"", "").replace('"', "");
    let forms = [
        report.to_json().unwrap(),
        pinstate_conformance::report::html(&[&report]),
        report.to_junit().unwrap(),
    ];
    for form in forms {
        assert!(plain(&form).contains(&plain(step)), "{step} in {form}");
    }
}

#[test]
fn a_history_that_fails_is_drawn_saved_and_judged_the_same_again() {
    let some_fit = |report: &Report| {
        let drawn = case_of(report, "hot_keys").timeline.as_ref().expect("a timeline");
        drawn.bars.iter().any(|bar| matches!(bar.part, Part::Fits(_)))
    };
    // The clients race: now and then the first answer of all is the wrong one, and nothing
    // fits. That is no picture of an order, so there is another try.
    let mut reports = (0..10).map(|_| report(Bug::ReadsAreCached, &["X1"], Keep::Failing));
    let report = reports.find(some_fit).expect("a history of which a part fits");
    let case = case_of(&report, "hot_keys");
    let drawn = case.timeline.as_ref().expect("a timeline");
    let culprits = drawn.bars.iter().filter(|bar| bar.part == Part::Culprit).count();
    assert_eq!(culprits, 1, "{drawn:#?}");
    let mut fits: Vec<usize> = drawn
        .bars
        .iter()
        .filter_map(|bar| match bar.part {
            Part::Fits(place) => Some(place),
            _ => None,
        })
        .collect();
    fits.sort_unstable();
    assert!(fits.iter().copied().eq(1..=fits.len()) && !fits.is_empty(), "{drawn:#?}");

    let folder = tempfile::tempdir().unwrap();
    report.write(folder.path()).unwrap();
    assert_eq!(case.histories, ["histories/raw-X1-hot_keys-1-0.jsonl"]);
    let page = std::fs::read_to_string(folder.path().join("report.html")).unwrap();
    assert!(page.contains("<svg") && page.contains("class=\"bar culprit"), "{page}");
    for file in &case.histories {
        assert!(page.contains(file), "{file}");
    }
    let read = |path: &std::path::Path| {
        Saved::read(std::io::BufReader::new(std::fs::File::open(path).unwrap())).unwrap()
    };
    let file = case.histories.first().unwrap();
    let files = saved(folder.path()).unwrap();
    assert!(files.contains(&folder.path().join(file)), "{files:?}");
    let again = read(&folder.path().join(file));
    assert_eq!((again.origin.seed, again.promise.clone()), (1, Promise::Linearizable));
    let broken = again.promise.judge(&again.history).unwrap_err();
    assert_eq!(broken.timeline.as_ref(), Some(drawn));
    assert!(case.message.as_ref().unwrap().contains(&broken.message));
}

#[test]
fn histories_that_hold_are_kept_where_that_is_asked_for() {
    for (keep, asked_for) in [(Keep::Failing, false), (Keep::Every, true)] {
        let report = report(Bug::ByVersion, &["X1"], keep);
        assert!(report.is_green());
        // As many as were judged, and that is at least a profile's rounds: there are more until
        // the clients have met.
        let judged = report.measured.as_ref().expect("histories were judged").histories;
        let cases = report.clauses.iter().flat_map(|clause| &clause.cases);
        let files: BTreeSet<&String> = cases.flat_map(|case| &case.histories).collect();
        assert_eq!(files.len(), if asked_for { judged } else { 0 });
        assert_eq!(case_of(&report, "hot_keys").histories.len() >= 12, asked_for);
    }
}
