//! A process that writes through a mirror is killed at any moment, again and again, in every
//! phase and in the middle of cut-overs and rollbacks; then both stores are held against what
//! it was told.
//!
//! The child (this program with `PINSTATE_MIRROR_CHILD`) tells through a pipe what it is about
//! to write, what was acknowledged, what it read, and how long flips held writes. Each key has
//! one writer, which numbers its writes; every fifth is a delete. The pipe outlives the kill.
//!
//! `PINSTATE_MIRROR_RUNS` says how many runs are made, `PINSTATE_MIRROR_SEED` with which seed
//! the first begins.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use pinstate_core::{
    BatchItem, BatchOptions, Delete, Error, ErrorKind, Key, Namespace, NamespaceName, Put,
    ReadOptions, Record, RetryClass, Store, Version, WriteOptions,
};
use pinstate_migrate::mirror::{Mirror, MirrorOptions, Phase, Policy};
use pinstate_sled::{SledConfig, SledStore};

const CHILD: &str = "PINSTATE_MIRROR_CHILD";
const TARGET: &str = "PINSTATE_MIRROR_TARGET";
const WRITERS: usize = 4;
const KEYS: usize = 6;
/// Records that were there before.
const BEFORE: usize = 3_000;
/// Lives of a child in one run.
const LIVES: usize = 6;
const BUDGET: Duration = Duration::from_secs(5);

/// Opens the target of a run: its folder, and what [`Targets::next`] said of it.
pub(crate) type Open = fn(PathBuf, String) -> BoxFuture<'static, Arc<dyn Store>>;

/// Where the runs of a test move a pinset to.
pub(crate) trait Targets {
    /// A target that nobody has used, in words that are told to the child.
    fn next(&mut self) -> String;
}

/// Makes the runs, unless this is the child of one.
pub(crate) fn main<T: Targets>(
    name: &str,
    runs: u64,
    open: Open,
    targets: impl FnOnce() -> Option<T>,
) -> ExitCode {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    if let Ok(folder) = std::env::var(CHILD) {
        let target = std::env::var(TARGET).unwrap();
        runtime.block_on(child(&Scene { folder: folder.into(), target, open }));
        return ExitCode::SUCCESS;
    }
    // What the test harness of other files takes, so that a filter does not start this one.
    let filter = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    if filter.is_some_and(|filter| !name.contains(&filter))
        || std::env::args().any(|arg| arg == "--list")
    {
        return ExitCode::SUCCESS;
    }
    let number = |name: &str, default| {
        std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
    };
    let (runs, seed) = (number("PINSTATE_MIRROR_RUNS", runs), number("PINSTATE_MIRROR_SEED", 1));
    let Some(mut targets) = targets() else { return ExitCode::SUCCESS };
    let mut total = Seen::default();
    for run in seed..seed + runs {
        let folder = tempfile::tempdir().unwrap();
        let scene = Scene { folder: folder.path().into(), target: targets.next(), open };
        runtime.block_on(one_run(&scene, run, &mut total));
    }
    total.report(runs);
    drop(targets);
    ExitCode::SUCCESS
}

/// The stores of a run and the folder of its job.
struct Scene {
    folder: PathBuf,
    target: String,
    open: Open,
}

pub(crate) async fn sled(folder: PathBuf) -> Arc<dyn Store> {
    Arc::new(SledStore::open(&SledConfig::new(folder).create()).await.unwrap())
}

fn name() -> NamespaceName {
    "pins".parse().unwrap()
}

fn key(writer: usize, n: usize) -> Key {
    Key::copy_from(format!("writer {writer} key {n}").as_bytes())
}

fn is_delete(n: u64) -> bool {
    n % 5 == 4
}

async fn stores(scene: &Scene) -> [Arc<dyn Store>; 2] {
    let target = (scene.open)(scene.folder.clone(), scene.target.clone()).await;
    [sled(scene.folder.join("source")).await, target]
}

async fn mirror(scene: &Scene, seed: u64) -> (Mirror, [Arc<dyn Store>; 2]) {
    let stores = stores(scene).await;
    let policy = if seed.is_multiple_of(2) { Policy::Strict } else { Policy::Journal };
    let mut options = MirrorOptions::new().with_policy(policy);
    options.shadow_percent = 50;
    options.repair_pause = Some(Duration::from_millis(20));
    // Nodes are on this machine, and none of them is slow to hear what was sent.
    options.settle = Duration::from_secs(1);
    let [source, target] = stores.clone();
    let job = scene.folder.join("job");
    let opened = Mirror::open((source, name()), (target, name()), &job, options).await;
    (opened.unwrap(), stores)
}

/// A line to the parent, as one write.
fn tell(line: &str) {
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
        // Nobody is there to kill this child any more.
        std::process::exit(1);
    }
}

/// The number of the write that a record is of.
fn number(record: &Record) -> u64 {
    std::str::from_utf8(&record.value).unwrap().parse().unwrap()
}

async fn child(scene: &Scene) {
    let seed: u64 = std::env::var("PINSTATE_MIRROR_SEED").unwrap().parse().unwrap();
    // The number that each key's writer goes on with.
    let next: Vec<u64> = std::env::var("PINSTATE_MIRROR_NEXT")
        .unwrap()
        .split(',')
        .map(|text| text.parse().unwrap())
        .collect();
    let (mirror, _stores) = mirror(scene, seed).await;
    tell(&format!("open {}", mirror.status().phase));
    for writer in 0..WRITERS {
        let next = next[writer * KEYS..(writer + 1) * KEYS].to_vec();
        tokio::spawn(write(mirror.clone(), writer, next, seed));
    }
    let mut rng = fastrand::Rng::with_seed(seed);
    loop {
        tokio::time::sleep(Duration::from_micros(rng.u64(0..30_000))).await;
        let phase = mirror.status().phase;
        tell(&format!("step {phase}"));
        let stepped = match phase {
            Phase::Shadow => mirror.cut_over(BUDGET).await.map(Some),
            Phase::Reverse => mirror.roll_back(BUDGET).await.map(Some),
            _ => mirror.advance().await.map(|_| None),
        };
        match stepped {
            Ok(Some(pause)) => tell(&format!("pause {}", pause.as_micros())),
            Ok(None) => {}
            Err(error) if is_passing(&error) => tell("failed"),
            Err(error) => panic!("{error}"),
        }
    }
}

/// A busy machine, and no defect.
fn is_passing(error: &Error) -> bool {
    error.retry_class() != RetryClass::Never || error.kind() == ErrorKind::Unavailable
}

async fn write(mirror: Mirror, writer: usize, mut next: Vec<u64>, seed: u64) {
    let (namespace, clock) = (mirror.namespace(), mirror.clock());
    let mut rng = fastrand::Rng::with_seed(seed * 100 + writer as u64);
    loop {
        let n = rng.usize(..KEYS);
        let (key, number_of) = (key(writer, n), next[n]);
        tell(&format!("begin {writer} {n} {number_of}"));
        let version = clock.draw().await.unwrap();
        let options = WriteOptions::new();
        let written = if is_delete(number_of) {
            namespace.delete(Delete::new(key.clone(), version), options).await
        } else {
            let put = Put::new(key.clone(), number_of.to_string(), version);
            namespace.put(put, options).await
        };
        match written {
            Ok(_) => tell(&format!("ack {writer} {n} {number_of}")),
            Err(error) if is_passing(&error) => tell("failed"),
            Err(error) => panic!("{error}"),
        }
        next[n] += 1;
        let Ok(found) = namespace.get(&key, ReadOptions::new()).await else {
            tell("failed");
            continue;
        };
        let found = found.map_or("none".to_owned(), |record| number(&record).to_string());
        tell(&format!("read {writer} {n} {found}"));
    }
}

/// What the parent knows of a key.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    /// The last write that was acknowledged, and the last that was begun.
    acknowledged: Option<u64>,
    begun: Option<u64>,
}

impl Known {
    /// Whether a key may be found so: as a write left it that is not older than the last
    /// acknowledged one.
    fn allows(&self, found: Option<u64>) -> bool {
        let Some(begun) = self.begun else { return found.is_none() };
        let first = self.acknowledged.unwrap_or(0);
        let mut states = (first..=begun).map(|n| (!is_delete(n)).then_some(n));
        states.any(|state| state == found) || (self.acknowledged.is_none() && found.is_none())
    }
}

#[derive(Debug, Default)]
struct Seen {
    kills: u64,
    acknowledged: u64,
    reads: u64,
    /// Steps, writes and reads that failed for a while.
    failures: u64,
    /// Phases in which children were killed.
    phases: BTreeMap<String, u64>,
    /// Kills while a flip was under way.
    in_flips: u64,
    pauses: Vec<u64>,
}

impl Seen {
    fn report(&mut self, runs: u64) {
        self.pauses.sort_unstable();
        let at = |percent: usize| {
            let place = (self.pauses.len() * percent).div_ceil(100).max(1) - 1;
            self.pauses.get(place).map_or(0.0, |us| *us as f64 / 1_000.0)
        };
        println!(
            "{runs} runs, {} kills ({} while a flip was under way; by phase {:?}), {} writes \
             acknowledged, {} reads, {} failures; none lost, none back, none backwards. Writes were held {} \
             times: p50 {:.1} ms, p99 {:.1} ms, longest {:.1} ms",
            self.kills,
            self.in_flips,
            self.phases,
            self.acknowledged,
            self.reads,
            self.failures,
            self.pauses.len(),
            at(50),
            at(99),
            at(100),
        );
    }
}

async fn one_run(scene: &Scene, seed: u64, total: &mut Seen) {
    let [source, target] = stores(scene).await;
    source.create_namespace(&name()).await.unwrap();
    let pins = source.open_namespace(&name()).await.unwrap();
    let before = |n: usize| -> BatchItem {
        let key = Key::copy_from(format!("before {n}").as_bytes());
        Put::new(key, n.to_string(), Version(n as i64 + 1)).into()
    };
    let batch = (0..BEFORE).map(before).collect();
    pins.apply(batch, BatchOptions::if_newer()).await.unwrap().into_result().unwrap();
    source.close().await.unwrap();
    target.close().await.unwrap();
    drop((pins, source, target));
    let mut known = vec![Known::default(); WRITERS * KEYS];
    let mut rng = fastrand::Rng::with_seed(seed);
    for life in 0..LIVES {
        one_life(scene, seed + life as u64 * 1_000, &mut known, &mut rng, total);
    }
    judge(scene, seed, &known).await;
}

/// Starts a child, and kills it after some lines of what it says.
fn one_life(
    scene: &Scene,
    seed: u64,
    known: &mut [Known],
    rng: &mut fastrand::Rng,
    total: &mut Seen,
) {
    let next = known.iter().map(|known| known.begun.map_or(0, |begun| begun + 1).to_string());
    let mut child = Command::new(std::env::current_exe().unwrap())
        .env(CHILD, &scene.folder)
        .env(TARGET, &scene.target)
        .env("PINSTATE_MIRROR_SEED", seed.to_string())
        .env("PINSTATE_MIRROR_NEXT", next.collect::<Vec<_>>().join(","))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (mut phase, mut flips) = ("opening".to_owned(), false);
    let mut left = rng.u32(50..1_500);
    // Now and then it is killed just when a step begins.
    let at_step = rng.bool();
    loop {
        let Some(Ok(line)) = lines.next() else { panic!("seed {seed}: the child has ended") };
        let begins_step = line.starts_with("step");
        take(&line, seed, known, &mut phase, &mut flips, total);
        left = left.saturating_sub(1);
        if left == 0 && (begins_step || !at_step) {
            break;
        }
    }
    // Somewhere in the next hundreds of microseconds.
    std::thread::sleep(Duration::from_micros(rng.u64(..2_000)));
    child.kill().unwrap();
    for line in lines.map_while(Result::ok) {
        take(&line, seed, known, &mut phase, &mut flips, total);
    }
    child.wait().unwrap();
    total.kills += 1;
    total.in_flips += u64::from(flips);
    *total.phases.entry(phase).or_default() += 1;
}

fn take(
    line: &str,
    seed: u64,
    known: &mut [Known],
    phase: &mut String,
    flips: &mut bool,
    total: &mut Seen,
) {
    let words: Vec<&str> = line.split(' ').collect();
    let of = |words: &[&str]| -> usize {
        words[1].parse::<usize>().unwrap() * KEYS + words[2].parse::<usize>().unwrap()
    };
    match words[0] {
        "open" | "step" => {
            words[1].clone_into(phase);
            *flips = words[0] == "step" && ["shadow", "reverse"].contains(&words[1]);
        }
        "failed" => {
            total.failures += 1;
            *flips = false;
        }
        "pause" => {
            *flips = false;
            total.pauses.push(words[1].parse().unwrap());
        }
        "begin" => known[of(&words)].begun = Some(words[3].parse().unwrap()),
        "ack" => {
            total.acknowledged += 1;
            known[of(&words)].acknowledged = Some(words[3].parse().unwrap());
        }
        "read" => {
            total.reads += 1;
            let known = known[of(&words)];
            let found = (words[3] != "none").then(|| words[3].parse().unwrap());
            assert!(known.allows(found), "seed {seed}, {phase}: {line}, and {known:?}");
        }
        // A line that the kill has cut.
        _ => {}
    }
}

/// Opens what is left, and looks at every key on both stores.
async fn judge(scene: &Scene, seed: u64, known: &[Known]) {
    let (mirror, stores) = mirror(scene, seed).await;
    while mirror.repair().await.unwrap() > 0 {}
    // Forward to where both are the same.
    while mirror.status().phase < Phase::Shadow {
        mirror.advance().await.unwrap();
    }
    let namespaces: [Arc<dyn Namespace>; 2] = [
        stores[0].open_namespace(&name()).await.unwrap(),
        stores[1].open_namespace(&name()).await.unwrap(),
    ];
    for writer in 0..WRITERS {
        for n in 0..KEYS {
            let read = async |namespace: &dyn Namespace| {
                let record = namespace.get(&key(writer, n), ReadOptions::new()).await.unwrap();
                record.map(|record| number(&record))
            };
            let through = read(&*mirror.namespace()).await;
            let of_both = [read(&*namespaces[0]).await, read(&*namespaces[1]).await];
            let known = known[writer * KEYS + n];
            assert!(
                known.allows(through) && of_both == [through, through],
                "seed {seed}, writer {writer} key {n}: {through:?} of {of_both:?}, and {known:?}"
            );
        }
    }
    let keys: Vec<Key> =
        (0..BEFORE).map(|n| Key::copy_from(format!("before {n}").as_bytes())).collect();
    for namespace in &namespaces {
        let records = namespace.get_many(&keys, ReadOptions::new()).await.unwrap();
        for (n, record) in records.into_iter().enumerate() {
            assert_eq!(record.unwrap().map(|record| number(&record)), Some(n as u64));
        }
    }
    mirror.close().await;
    for store in stores {
        store.close().await.unwrap();
    }
}
