//! Jobs between two sled stores whose process is killed at every step, twice in a row.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use pinstate_core::{BatchItem, Result};
use pinstate_migrate::job::{Job, JobFolder, Mode, Phase, Settings, Step, Tuning, Watch, status};
use support::{Fault, Faulty, all, default, fill, sled, source, target};
use tempfile::TempDir;

/// What the child is told: folder, mode, step, and the so-manieth of it at which it dies.
const ORDERS: &str = "PINSTATE_JOB_KILLS_CHILD";
const PAGE: u64 = 40;
const WORKERS: u64 = 3;
const PINS: u64 = 2_000;

const STEPS: [(&str, Step, u64); 12] = [
    ("begun", Step::Begun, 1),
    ("prepared", Step::Prepared, 1),
    ("read", Step::Read, 5),
    ("written", Step::Written, 5),
    ("synced", Step::Synced, 4),
    ("remembered", Step::Remembered, 4),
    ("part-complete", Step::PartComplete, 2),
    ("copied", Step::Copied, 1),
    ("compared", Step::Compared, 1),
    ("replacing", Step::Replacing, 1),
    ("replaced", Step::Replaced, 1),
    ("over", Step::Over, 1),
];

/// Kills the process at a step.
struct Kill {
    step: Step,
    left: AtomicU64,
}

impl Watch for Kill {
    fn at(&self, step: Step) {
        if step == self.step && self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            let this = rustix::process::getpid();
            rustix::process::kill_process(this, rustix::process::Signal::KILL).unwrap();
            loop {
                std::thread::park();
            }
        }
    }
}

/// Writes down how many records are given to the target, so that it survives the process.
struct Count(PathBuf);

impl Fault for Count {
    fn before(&self, batch: &[BatchItem]) -> Result<()> {
        let mut file = std::fs::OpenOptions::new().append(true).create(true).open(&self.0).unwrap();
        file.write_all(format!("{}\n", batch.len()).as_bytes()).unwrap();
        Ok(())
    }
}

fn settings(mode: &str) -> Settings {
    Settings::new().with_mode(match mode {
        "replace" => Mode::Replace,
        "merge" => Mode::Merge,
        _ => Mode::FailIfNotEmpty,
    })
}

/// Not a test of its own: the process that is killed.
#[test]
fn child() {
    let Ok(orders) = std::env::var(ORDERS) else { return };
    let mut orders = orders.split(' ');
    let folder = PathBuf::from(orders.next().unwrap());
    let settings = settings(orders.next().unwrap());
    let name = orders.next().unwrap();
    let (_, step, times) = STEPS.into_iter().find(|(known, ..)| *known == name).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let from = sled(&folder.join("from")).await;
        let to = sled(&folder.join("to")).await;
        let to = Faulty::store(&to, &Arc::new(Count(folder.join("writes"))));
        let mut tuning = Tuning::new();
        tuning.page_rows = usize::try_from(PAGE).unwrap();
        tuning.workers = usize::try_from(WORKERS).unwrap();
        let jobs = folder.join("jobs");
        let job = Job::open(&jobs, source(&from).await, target(&to), &settings, tuning).await;
        let watch = Kill { step, left: AtomicU64::new(times) };
        job.unwrap().watched(Arc::new(watch)).run().await.unwrap();
    });
}

/// Whether the child was killed, and did not come to its end.
fn run(folder: &Path, mode: &str, step: &str) -> bool {
    let ended = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture"])
        .env(ORDERS, format!("{} {mode} {step}", folder.display()))
        .stdout(Stdio::null())
        .output()
        .unwrap();
    let killed = ended.status.code().is_none();
    assert!(killed || ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    killed
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_killed_at_any_step_goes_on_and_writes_little_twice() {
    let origin = TempDir::new().unwrap();
    let from = sled(&origin.path().join("from")).await;
    fill(&from, 0..PINS).await;
    let expected = all(&from, &default()).await;
    from.close().await.unwrap();
    // Every step of one mode, and what is otherwise in the others.
    for (mode, steps) in [("fail-if-not-empty", 0..12), ("replace", 7..12), ("merge", 3..6)] {
        for (step, ..) in &STEPS[steps] {
            let folder = TempDir::new().unwrap();
            copy(&origin.path().join("from"), &folder.path().join("from"));
            let mut kills = 0;
            let jobs = folder.path().join("jobs");
            let mut read = 0;
            // Twice at the step; then when all is done.
            for step in [*step, *step, "over"] {
                kills += u64::from(run(folder.path(), mode, step));
                let now = JobFolder::all(&jobs).unwrap();
                assert!(now.len() <= 1, "one job, however often it was begun");
                let (progress, _) = status(&now[0]).unwrap();
                assert!(progress.counts.read >= read, "a ledger never goes back");
                read = progress.counts.read;
                if progress.phase.is_over() {
                    break;
                }
            }
            let from = sled(&folder.path().join("from")).await;
            let to = sled(&folder.path().join("to")).await;
            let (progress, _) = status(&JobFolder::all(&jobs).unwrap()[0]).unwrap();
            assert_eq!(
                (progress.phase, progress.counts.read),
                (Phase::Done, PINS),
                "{mode} {step}"
            );
            let found = all(&to, &default()).await;
            let bare = |all: &std::collections::BTreeMap<Vec<u8>, (Vec<u8>, i64)>| {
                all.iter().map(|(key, (value, _))| (key.clone(), value.clone())).collect::<Vec<_>>()
            };
            assert_eq!(bare(&found), bare(&expected), "{mode} {step}");
            assert!(mode == "merge" || found == expected, "versions are kept: {mode} {step}");
            assert_eq!(to.list_namespaces().await.unwrap().len(), 1, "{mode} {step}");
            let writes = std::fs::read_to_string(folder.path().join("writes")).unwrap();
            let writes: u64 = writes.lines().map(|line| line.parse::<u64>().unwrap()).sum();
            let twice = writes - PINS;
            assert!(twice <= PAGE * WORKERS * kills, "{mode} {step}: {twice} after {kills} kills");
            from.close().await.unwrap();
            to.close().await.unwrap();
        }
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let place = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &place);
        } else {
            std::fs::copy(entry.path(), place).unwrap();
        }
    }
}
