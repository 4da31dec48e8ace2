//! What a run is reported as: every status on stores that are broken for it, a backend that
//! is none, and the forms of the report.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "report/nothing.rs"]
mod nothing;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pinstate_conformance::report::{Status, compare, html};
use pinstate_conformance::{About, Leg, Plug, Report, Site, Suite, Waiver};
use pinstate_core::layer::{Call, Policy, wrap};
use pinstate_core::{
    Delete, Error, ErrorKind, Key, NamespaceName, Operation, Put, Result, Store, Version,
    WriteOptions,
};
use pinstate_memory::{MemoryConfig, MemoryStore};

/// What is wrong with a memory store, or with how it is plugged in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Wrong {
    Nothing,
    HasFails,
    CountHangs,
    NoSite,
    NoOpening,
    /// What is opened is no store at all, and says yes to everything.
    Empty,
    /// Every opening gives a store that was closed already.
    Closed,
    /// Dropping a namespace takes a record of somebody else's along.
    TakesNeighbours,
    /// Namespaces cannot be dropped.
    KeepsNamespaces,
}

/// A memory store; with `standing`, one that is somebody's.
#[derive(Clone, Copy, Debug)]
struct Stand {
    wrong: Wrong,
    standing: bool,
}

fn error(operation: Operation) -> Error {
    Error::new(ErrorKind::Io, operation, "<b>broken</b> & \"quoted\"").with_backend("memory")
}

#[async_trait]
impl Plug for Stand {
    fn name(&self) -> &str {
        "memory <i>under test</i>"
    }

    async fn site(&self) -> Result<Box<dyn Site>> {
        match self.wrong {
            Wrong::NoSite => Err(error(Operation::Open)),
            _ => Ok(Box::new(*self)),
        }
    }

    async fn standing(&self) -> Result<Option<Box<dyn Site>>> {
        Ok(self.standing.then(|| Box::new(*self) as Box<dyn Site>))
    }

    fn without_sites(&self) -> Option<String> {
        self.standing.then(|| "no place".to_owned())
    }

    fn about(&self) -> About {
        About::version("1.2.3").with_setting("path", "</td><script>alert(1)</script>")
    }
}

#[async_trait]
impl Site for Stand {
    async fn open(&self) -> Result<Arc<dyn Store>> {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::open(&MemoryConfig::default())?);
        match self.wrong {
            Wrong::NoOpening => return Err(error(Operation::Open)),
            Wrong::Empty => return Ok(Arc::new(nothing::Nothing::new())),
            Wrong::Closed => store.close().await?,
            _ => {}
        }
        if self.standing {
            let name = NamespaceName::default();
            store.create_namespace(&name).await?;
            let namespace = store.open_namespace(&name).await?;
            for key in ["a", "b"] {
                let put = Put::new(Key::copy_from(key.as_bytes()), "v", Version(1));
                let _ = namespace.put(put, WriteOptions::new()).await?;
            }
        }
        let inner = Arc::clone(&store);
        Ok(wrap(store, Breaks { wrong: self.wrong, inner }))
    }
}

#[derive(Debug)]
struct Breaks {
    wrong: Wrong,
    inner: Arc<dyn Store>,
}

impl Policy for Breaks {
    async fn run<T, F, Fut>(&self, call: Call<'_>, attempt: F) -> Result<T>
    where
        T: Send,
        F: Fn() -> Fut + Send + Sync,
        Fut: Future<Output = Result<T>> + Send,
    {
        match (self.wrong, call.operation) {
            (Wrong::HasFails, Operation::Has) => Err(error(Operation::Has)),
            (Wrong::CountHangs, Operation::Count) => std::future::pending().await,
            (Wrong::KeepsNamespaces, Operation::DropNamespace) => {
                Err(error(Operation::DropNamespace))
            }
            (Wrong::TakesNeighbours, Operation::DropNamespace) => {
                let namespace = self.inner.open_namespace(&NamespaceName::default()).await?;
                let delete = Delete::new(Key::copy_from(b"a"), Version(2));
                let _ = namespace.delete(delete, WriteOptions::new()).await?;
                attempt().await
            }
            _ => attempt().await,
        }
    }
}

fn suite(wrong: Wrong, standing: bool) -> Suite {
    Suite::new(Stand { wrong, standing }).legs(vec![Leg::raw()]).seed(7)
}

fn run(suite: &Suite, only: &[&str]) -> Report {
    suite.report(only, &mut |_| {}).unwrap()
}

/// The status and the message of a case.
#[track_caller]
fn case(report: &Report, clause: &str, case: &str) -> (Status, String) {
    let clause = report.clauses.iter().find(|known| known.id == clause).unwrap();
    let case = clause.cases.iter().find(|known| known.case == case).unwrap();
    assert_eq!(case.leg, "raw");
    (case.status.clone(), case.message.clone().unwrap_or_default())
}

#[test]
fn what_holds_is_green() {
    let report = run(&suite(Wrong::Nothing, false), &["C", "n1"]);
    assert!(report.is_green(), "{report:#?}");
    assert_eq!(case(&report, "C2", "has_is_get"), (Status::Pass, String::new()));
    let ids: Vec<&str> = report.clauses.iter().map(|clause| clause.id.as_str()).collect();
    assert!(ids.contains(&"C11") && ids.contains(&"N1") && !ids.contains(&"N2"), "{ids:?}");
    assert_eq!(report.summary.executed, report.summary.pass);
    assert_eq!(report.backend.version.as_deref(), Some("1.2.3"));
    assert_eq!(report.backend.capabilities["persistent"], false);
}

#[test]
fn a_broken_clause_is_told_with_its_seed() {
    let report = run(&suite(Wrong::HasFails, false), &["C1", "C2"]);
    let (status, message) = case(&report, "C2", "has_is_get");
    assert_eq!(status, Status::Fail);
    assert!(message.starts_with("C2 (has agrees with get) is broken"), "{message}");
    assert!(message.contains("seed 7") && message.contains("<b>broken</b>"), "{message}");
    assert_eq!((report.summary.fail, report.is_green()), (1, false));
}

#[test]
fn a_hang_is_told_with_what_is_pending() {
    let suite = suite(Wrong::CountHangs, false).hang(Duration::from_secs(1));
    let report = run(&suite, &["C2", "N1"]);
    let (status, message) = case(&report, "C2", "has_is_get");
    let Status::Hang { age, pending } = status else { panic!("{status:?}") };
    assert!(age >= 1.0, "{age}");
    assert!(matches!(pending.as_slice(), [call] if call.starts_with("count for ")), "{pending:?}");
    assert!(message.contains("pending: count for ") && message.contains("seed 7"), "{message}");
    assert!(!report.is_green());
    // What does not count goes on.
    assert_eq!(report.summary.hang + report.summary.pass, report.summary.executed);
}

#[test]
fn a_backend_that_is_none_is_never_green() {
    for wrong in [Wrong::NoSite, Wrong::NoOpening] {
        let report = run(&suite(wrong, false), &[]);
        assert_eq!((report.summary.executed, report.summary.pass), (0, 0), "{wrong:?}");
        assert!(report.summary.harness_error > 100 && !report.is_green(), "{wrong:?}");
        assert!(report.problems.iter().any(|problem| problem.contains("no case")), "{report:?}");
        let (status, message) = case(&report, "C2", "has_is_get");
        assert_eq!(status, Status::HarnessError);
        assert!(message.contains("broken</b>"), "{message}");
    }
    for wrong in [Wrong::Empty, Wrong::Closed] {
        let report = run(&suite(wrong, false).hang(Duration::from_secs(20)), &[]);
        assert!(!report.is_green());
        let passing: Vec<&str> = report
            .clauses
            .iter()
            .filter(|clause| clause.status("raw") == Some(&Status::Pass))
            .map(|clause| clause.id.as_str())
            .collect();
        // Nothing that needs a record to come back holds by itself.
        let most = 8;
        assert!(passing.len() <= most, "{wrong:?}: {passing:?}");
        assert!(report.summary.fail > 80, "{wrong:?}: {:?}", report.summary);
    }
}

#[test]
fn nothing_executed_is_a_failure() {
    let report = run(&suite(Wrong::Nothing, false), &["C99"]);
    assert_eq!(report.summary.executed, 0);
    assert!(!report.is_green());
    // What is said of the run itself shows nothing of the store, and neither do skips.
    let report = run(&suite(Wrong::Nothing, true), &["Z1"]);
    assert!(matches!(report.clauses.as_slice(), [_, y2, y3] if y2.id == "Y2" && y3.id == "Y3"));
    assert_eq!(report.summary.executed, 0);
    assert_eq!(case(&report, "Z1", "files_and_threads").1, "no place");
    assert!(!report.is_green());
    assert!(report.to_junit().unwrap().contains("no case was executed"));
}

#[test]
fn waivers_are_strict() {
    let far = "9999-12-31";
    let waiver = |until: &str| Waiver::new("C2", "has_is_get", "upstream bug 12", until);
    let waived = run(&suite(Wrong::HasFails, false).waive(waiver(far)), &["C1", "C2"]);
    let (status, message) = case(&waived, "C2", "has_is_get");
    let expected = Status::Waived { reason: "upstream bug 12".into(), until: far.into() };
    assert_eq!(status, expected);
    assert!(message.contains("is broken"), "{message}");
    assert!(waived.is_green(), "{:?}", waived.problems);

    let passes = run(&suite(Wrong::Nothing, false).waive(waiver(far)), &["C1", "C2"]);
    let (status, message) = case(&passes, "C2", "has_is_get");
    assert_eq!(status, Status::Fail);
    assert!(message.contains("take the waiver away"), "{message}");
    assert!(!passes.is_green());

    for (until, told) in [("2020-01-01", "ended on 2020-01-01"), ("soon", "which is no day")] {
        let over = run(&suite(Wrong::HasFails, false).waive(waiver(until)), &["C1", "C2"]);
        let (status, message) = case(&over, "C2", "has_is_get");
        assert_eq!(status, Status::Fail);
        assert!(message.contains(told), "{message}");
    }

    let unknown = Waiver::new("C2", "no_such_case", "typed wrong", far);
    let unknown = run(&suite(Wrong::Nothing, false).waive(unknown), &["C1"]);
    assert!(!unknown.is_green() && unknown.problems[0].contains("no_such_case"), "{unknown:?}");

    let elsewhere = waiver(far).on("layered");
    let elsewhere = run(&suite(Wrong::HasFails, false).waive(elsewhere), &["C2"]);
    assert_eq!(case(&elsewhere, "C2", "has_is_get").0, Status::Fail);
}

#[test]
fn a_store_that_is_somebodys_is_left_as_it_was_or_that_is_told() {
    let good = run(&suite(Wrong::Nothing, true), &["C", "R", "F", "L1", "I5"]);
    assert!(good.is_green(), "{good:#?}");
    assert_eq!(case(&good, "Y2", "others_are_as_before").0, Status::Pass);
    assert_eq!(case(&good, "Y3", "nothing_is_left").0, Status::Pass);

    let taken = run(&suite(Wrong::TakesNeighbours, true), &["C2"]);
    assert_eq!(case(&taken, "C2", "has_is_get").0, Status::Pass);
    let (status, message) = case(&taken, "Y2", "others_are_as_before");
    assert_eq!(status, Status::Fail);
    assert!(message.contains("'default'") && message.contains("2 rows before, 1"), "{message}");

    let kept = run(&suite(Wrong::KeepsNamespaces, true), &["C2"]);
    let (status, message) = case(&kept, "Y3", "nothing_is_left");
    assert_eq!(status, Status::Fail);
    assert!(message.contains("the namespace conf-") && message.contains("the control record"));
    assert!(!kept.is_green());
}

#[test]
fn cases_that_run_at_the_same_time_are_told_in_their_order() {
    let told = |at_once| {
        let mut told = Vec::new();
        let suite = suite(Wrong::Nothing, false).at_once(at_once);
        let report = suite
            .report(&["C", "R", "I"], &mut |verdict| {
                told.push((verdict.leg, verdict.clause.id, verdict.case));
            })
            .unwrap();
        assert!(report.is_green(), "{:?}", report.problems);
        told
    };
    let one_by_one = told(1);
    assert!(one_by_one.len() > 20, "{one_by_one:?}");
    assert_eq!(told(8), one_by_one);
}

#[test]
fn rounds_have_seeds_of_their_own() {
    let report = run(&suite(Wrong::Nothing, false).repeat(3), &["C2"]);
    let seeds: Vec<u64> = report.clauses[0].cases.iter().map(|case| case.seed).collect();
    assert_eq!(seeds, [7, 8, 9]);
}

#[test]
fn the_json_report_says_its_form_and_is_read_back() {
    let suite = suite(Wrong::HasFails, true).waive(Waiver::new(
        "N2",
        "has_of_absent",
        "known",
        "9999-12-31",
    ));
    let report = run(&suite, &["C1", "C2", "N2", "Z1", "L11"]);
    let text = report.to_json().unwrap();
    assert!(text.contains("\"schema\": \"pinstate-conformance/1\""), "{text}");
    assert_eq!(Report::from_json(&text).unwrap(), report);
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["clauses"][1]["cases"][0]["status"], "fail");
    let newer = text.replace("pinstate-conformance/1", "pinstate-conformance/2");
    let refused = Report::from_json(&newer).unwrap_err().to_string();
    assert!(refused.contains("pinstate-conformance/2"), "{refused}");
    assert!(Report::from_json("{}").unwrap_err().to_string().contains("no report"));
}

#[test]
fn what_a_store_says_is_text_and_no_markup() {
    let broken = run(&suite(Wrong::HasFails, true), &["C1", "C2"]);
    let good = run(&suite(Wrong::Nothing, true), &["C1", "C2"]);
    for page in [html(&[&broken]), html(&[&good, &broken])] {
        assert!(!page.contains("<script") && !page.contains("<b>broken"), "{page}");
        assert!(!page.contains("<i>under"), "{page}");
        assert!(page.contains("&lt;b&gt;broken&lt;/b&gt; &amp; &quot;quoted&quot;"), "{page}");
        assert!(page.contains("&lt;script&gt;alert(1)"), "{page}");
        // Nothing comes from elsewhere.
        for outside in ["http:", "https:", "src=", "@import", "url("] {
            assert!(!page.contains(outside), "{outside} in {page}");
        }
        assert!(page.contains("a disagreement loses or doubles pins"), "why it matters");
        assert!(page.contains("seed <code>7</code>"), "{page}");
    }
    let junit = broken.to_junit().unwrap();
    assert!(junit.contains("failures=\"1\"") && !junit.contains("<b>"), "{junit}");
}

#[test]
fn two_runs_are_compared_clause_by_clause() {
    let good = run(&suite(Wrong::Nothing, false), &["C1", "C2", "N2"]);
    let broken = run(&suite(Wrong::HasFails, false), &["C1", "C2"]);
    assert!(compare(&good, &good).is_empty());
    let changes = compare(&good, &broken);
    let told: Vec<_> = changes
        .iter()
        .map(|change| (change.clause.as_str(), change.before, change.after, change.worse))
        .collect();
    assert_eq!(told, [("C2", "pass", "fail", true), ("N2", "pass", "not-run", true)]);
    assert!(changes[0].message.as_ref().unwrap().contains("is broken"));
    assert!(compare(&broken, &good).iter().all(|change| !change.worse));
}

#[test]
fn a_run_that_missed_its_marks_is_weak_which_is_not_green() {
    let report = run(&suite(Wrong::Nothing, false), &["C1"]);
    let mut value: serde_json::Value = serde_json::from_str(&report.to_json().unwrap()).unwrap();
    value["weak"] = serde_json::json!([{
        "mark": "page_boundary",
        "leg": "raw",
        "clause": "L1",
        "case": "complete_at_page_bounds",
        "means": "a full page that was not the last",
    }]);
    let weak = Report::from_json(&value.to_string()).unwrap();
    assert!(report.is_green() && !report.is_weak());
    assert!(!weak.is_green() && weak.is_weak());
    let told = "raw::L1::complete_at_page_bounds passed and has not met a full page";
    for form in [html(&[&weak]), weak.to_junit().unwrap()] {
        assert!(form.contains(told) && form.contains("weak"), "{form}");
    }
    // Without the field, as older suites wrote it.
    value.as_object_mut().unwrap().remove("weak");
    assert!(Report::from_json(&value.to_string()).unwrap().is_green());
}

#[test]
fn the_three_files_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("made/on/the/way");
    let report = run(&suite(Wrong::Nothing, false), &["C1"]);
    report.write(&folder).unwrap();
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    assert_eq!(Report::from_json(&read("result.json")).unwrap(), report);
    assert!(read("junit.xml").contains("<testsuites"));
    assert!(read("report.html").starts_with("<!DOCTYPE html>"));
}
