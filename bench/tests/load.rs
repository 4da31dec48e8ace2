//! What a run of a workload sees, and what it sees through.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use pinstate_bench::outcome::Run;
use pinstate_bench::{Arrivals, Load, Loop, Session, Subject, Workload};
use pinstate_core::ErrorKind;
use pinstate_core::transfer::StopFlag;
use support::{Idle, Odd, memory};

fn workload(text: &str) -> Workload {
    let head = "about = \"\"\nrate = 1\nclients = 1\npreload = 2_000\n";
    Workload::parse("test", &format!("{head}{text}")).unwrap()
}

fn load(how: Loop) -> Load {
    let mut load = Load::new(how);
    load.window = Duration::from_millis(100);
    load.warmup = Duration::from_millis(300);
    load.measured = Duration::from_millis(1_000);
    load
}

fn open(rate: f64) -> Loop {
    Loop::Open { rate, arrivals: Arrivals::Poisson }
}

async fn run(odd: Odd, workload: &Workload, load: &Load) -> Run {
    let subject = memory("memory", odd).await;
    let stop = StopFlag::new();
    let mut session = Session::begin(subject, workload, 7, &stop).await.unwrap();
    session.run(load, 0, 1, &stop).await.unwrap()
}

const ALL: &str = "batch = 20\nmix = { add = 10, add-batch = 1, replace = 10, modify = 10, rm = 10, get = 40, has = 20, page = 5, list = 1 }";

#[tokio::test(flavor = "multi_thread")]
async fn a_right_store_is_never_called_wrong() {
    for keys in ["uniform", "zipfian", "latest"] {
        let workload = workload(&format!("keys = \"{keys}\"\n{ALL}"));
        for how in [open(2_000.0), Loop::Closed { clients: 8 }] {
            let run = run(Odd::No, &workload, &load(how)).await;
            assert_eq!((run.wrong_count, &run.wrong), (0, &vec![]), "{how:?}");
            assert!(run.operations > 100, "{how:?}: {}", run.operations);
            assert_eq!(run.kinds.len(), 10, "all, and nine kinds");
            assert_eq!(run.kinds[0].latency.count, run.operations);
            let windows: u64 = run.windows.iter().map(|window| window.operations).sum();
            assert_eq!(windows, run.operations);
            let times: u64 =
                run.windows.iter().flat_map(|w| &w.times).map(|(_, n)| u64::from(*n)).sum();
            assert_eq!(times, run.operations);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_answers_are_found_out() {
    for (odd, what) in [
        (Odd::ForgetsRemovals, "can be"),
        (Odd::ForgetsReplacements, "can be"),
        (Odd::Misses, "Nothing"),
        (Odd::ShortLists, "a list has"),
        (Odd::Panics, "has panicked"),
    ] {
        let workload = workload(&format!("keys = \"zipfian\"\n{ALL}"));
        let run = run(odd, &workload, &load(Loop::Closed { clients: 8 })).await;
        assert!(run.wrong_count > 0, "{odd:?}");
        assert!(run.wrong.iter().any(|text| text.contains(what)), "{odd:?}: {:?}", run.wrong);
        assert!(run.wrong.len() <= 20);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_failed_and_was_done_is_no_wrong_answer() {
    let workload = workload(&format!("keys = \"zipfian\"\n{ALL}"));
    let run = run(Odd::FailsApplied, &workload, &load(Loop::Closed { clients: 8 })).await;
    assert_eq!((run.wrong_count, &run.wrong), (0, &vec![]));
    assert!(run.kinds[0].errors["timed out"] > 0, "{:?}", run.kinds[0].errors);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stall_is_charged_to_all_that_were_to_begin_in_it() {
    let workload = workload("mix = { get = 1 }");
    let stall = Odd::Stalls(Duration::from_millis(100));
    let mut all = load(open(2_000.0));
    all.measured = Duration::from_secs(3);
    // While other tests keep the machine busy, it may not give so many operations a second.
    let mut tries = 0;
    let run = loop {
        let run = run(stall, &workload, &all).await;
        tries += 1;
        if run.saturated.is_none() || tries == 5 {
            break run;
        }
    };
    let latency = &run.kinds[0].latency;
    assert!(run.saturated.is_none(), "{:?}", run.saturated);
    // One tenth of the operations fall into a stall, at all times of it.
    assert!(latency.p999 > 90_000_000, "{latency:?}");
    assert!(latency.p50 < 50_000_000, "{latency:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_cannot_keep_up_saturates() {
    let workload = workload("mix = { get = 1 }");
    // A processor and more a second, for each of them.
    let slow = Odd::Slower(Duration::from_millis(2));
    let mut all = load(open(20_000.0));
    all.in_flight = 500;
    let run = run(slow, &workload, &all).await;
    let why = run.saturated.unwrap();
    assert!(why.contains("operations"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_empty_is_refused_untouched() {
    let subject = memory("memory", Odd::No).await;
    let pins = pinstate_bench::Pins::new(1, Default::default());
    subject.add(&pins.pin(0, 0)).await.unwrap();
    let before = subject.list(None, None).await.unwrap();
    let subject: Arc<dyn Subject> = subject;
    let begun = Session::begin(Arc::clone(&subject), &workload(ALL), 7, &StopFlag::new()).await;
    assert_eq!(begun.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(subject.list(None, None).await.unwrap(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_ends_when_it_is_told_to_and_after_so_many_operations() {
    let stop = StopFlag::new();
    let workload = workload("mix = { add = 1 }");
    let mut session = Session::begin(Arc::new(Idle(None)), &workload, 7, &stop).await.unwrap();
    let mut bounded = load(Loop::Closed { clients: 2 });
    bounded.warmup = Duration::ZERO;
    bounded.measured = Duration::from_secs(3_600);
    bounded.operations = 200_000;
    let run = session.run(&bounded, 0, 1, &stop).await.unwrap();
    assert!(run.operations <= 200_002 && run.operations > 0, "{}", run.operations);
    let mut endless = bounded;
    endless.operations = u64::MAX;
    let asked = stop.clone();
    tokio::spawn(async move { asked.stop() });
    let broken_off = session.run(&endless, 0, 2, &stop).await.unwrap_err();
    assert_eq!(broken_off.kind(), ErrorKind::Cancelled);
    let after = session.run(&endless, 0, 3, &StopFlag::new()).await.unwrap_err();
    assert_eq!(after.kind(), ErrorKind::Internal);
}
