//! JUnit XML, for build servers.

use std::io;
use std::time::Duration;

use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};

use super::{CaseReport, ClauseReport, Report, Status};

/// One test suite for each leg, and one for what is wrong with the run as a whole.
pub(super) fn junit(report: &Report) -> io::Result<String> {
    let mut document = quick_junit::Report::new(format!("conformance of {}", report.backend.name));
    document.set_time(seconds(report.seconds));
    for leg in &report.legs {
        let mut suite = TestSuite::new(format!("{}::{leg}", report.backend.name));
        suite.add_property(("seed", report.seed.to_string().as_str()));
        for clause in &report.clauses {
            for case in clause.on(leg) {
                suite.add_test_case(of_case(report, clause, case));
            }
        }
        document.add_test_suite(suite);
    }
    if !report.problems.is_empty() {
        let mut suite = TestSuite::new(format!("{}::run", report.backend.name));
        for problem in &report.problems {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
            status.set_message(problem.as_str());
            suite.add_test_case(TestCase::new("the run as a whole", status));
        }
        document.add_test_suite(suite);
    }
    if !report.weak.is_empty() {
        let mut suite = TestSuite::new(format!("{}::weak", report.backend.name));
        for missed in &report.weak {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_message(missed.to_string()).set_type("weak");
            suite.add_test_case(TestCase::new(format!("{}::{}", missed.leg, missed.mark), status));
        }
        document.add_test_suite(suite);
    }
    document.to_string().map_err(io::Error::other)
}

fn of_case(report: &Report, clause: &ClauseReport, case: &CaseReport) -> TestCase {
    let message = case.message.as_deref().unwrap_or_default();
    let status = match &case.status {
        Status::Pass => TestCaseStatus::success(),
        Status::Skipped { .. } | Status::Waived { .. } => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(message);
            status
        }
        failure => {
            let kind = match failure {
                Status::HarnessError => NonSuccessKind::Error,
                _ => NonSuccessKind::Failure,
            };
            let mut status = TestCaseStatus::non_success(kind);
            status.set_message(message).set_type(failure.name());
            if !case.operations.is_empty() {
                status.set_description(case.operations.join("\n"));
            }
            status
        }
    };
    let round = if report.repeat > 1 { format!(" (seed {})", case.seed) } else { String::new() };
    let mut test = TestCase::new(format!("{}::{}{round}", clause.id, case.case), status);
    test.set_classname(format!("{}::{}", report.backend.name, case.leg));
    test.set_time(seconds(case.seconds));
    test
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}
