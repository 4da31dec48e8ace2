//! What a backend costs over its engine alone, at the same durability.
//!
//! Both sides live in one process, in two folders of one file system, with the same cache,
//! keys and values and the same barrier, take turns, and look at every byte of what they read.
//! The engine alone, too, works on threads other than the first, as in any server: on the
//! system's allocator the first thread's memory is a fifth cheaper than that of all others.
//!
//! Each figure is the median over the rounds, and each ratio the median of the rounds'
//! ratios. The ratio of processor time over all rounds stands beside it, since a busy
//! machine makes whoever uses several threads wait more.
//!
//! `PINSTATE_BENCH_ROWS` sets how many rows there are in the end (400,000),
//! `PINSTATE_BENCH_DIR` where (where cargo keeps what is built).

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use pinstate_core::config::ByteSize;
use pinstate_core::{
    BatchItem, BatchOptions, CheckedScan, Key, Namespace, NamespaceName, Put, ReadOptions, Record,
    Result, ScanOptions, Store, Version,
};
use tokio::runtime::Runtime;

use crate::engine::{Engine, look_at};

/// Opens the backend's store in a folder, or creates it there.
pub(crate) type Open = fn(&Runtime, &Path) -> Arc<dyn Store>;

const ROUNDS: usize = 11;
const BATCH: usize = 1_000;

/// A row as an import makes them: the CID's common beginning and a hash, 269 bytes.
fn row(random: &mut fastrand::Rng) -> (Vec<u8>, Vec<u8>) {
    let mut key = vec![0x01, 0x55, 0x12, 0x20];
    key.extend((0..32).map(|_| random.u8(..)));
    let mut value = vec![0u8; 269];
    random.fill(&mut value[..64]);
    (key, value)
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// What a piece of work took.
#[derive(Clone, Copy, Default)]
struct Spent {
    wall: f64,
    cpu: f64,
}

impl std::ops::AddAssign for Spent {
    fn add_assign(&mut self, other: Self) {
        self.wall += other.wall;
        self.cpu += other.cpu;
    }
}

fn timed(work: impl FnOnce()) -> Spent {
    let cpu = || {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
    };
    let (began, cpu_before) = (Instant::now(), cpu());
    work();
    Spent { wall: began.elapsed().as_secs_f64(), cpu: cpu() - cpu_before }
}

/// As [`timed`], on a thread that is not the first.
fn timed_apart(work: impl FnOnce() + Send) -> Spent {
    std::thread::scope(|scope| scope.spawn(|| timed(work)).join().unwrap())
}

/// What a figure means.
#[derive(Clone, Copy)]
enum Figure {
    /// Rows in a second: more is better.
    Rate(usize),
    /// Milliseconds: less is better.
    Millis,
}

/// Prints medians of both sides and of their ratio; `work` tells what each side took.
fn compare(
    what: &str,
    figure: Figure,
    rounds: usize,
    mut work: impl FnMut(usize) -> (Spent, Spent),
) {
    let (mut raw, mut ours, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let (mut raw_total, mut our_total) = (Spent::default(), Spent::default());
    let read = |spent: Spent| match figure {
        Figure::Rate(rows) => rows as f64 / spent.wall,
        Figure::Millis => spent.wall * 1e3,
    };
    for round in 0..rounds {
        let (r, o) = work(round);
        raw.push(read(r));
        ours.push(read(o));
        ratios.push(read(o) / read(r));
        raw_total += r;
        our_total += o;
    }
    let ratio = median(&mut ratios);
    let unit = if matches!(figure, Figure::Millis) { "ms" } else { "/s" };
    println!(
        "{what:<22} raw {:>9.1} {unit}  ours {:>9.1} {unit}  ratio {ratio:.2} ({:.2} to {:.2})  \
         processor {:.2}",
        median(&mut raw),
        median(&mut ours),
        ratios[0],
        ratios[ratios.len() - 1],
        our_total.cpu / raw_total.cpu,
    );
}

/// Runs both in an order that changes from round to round.
fn in_turn<R, O>(round: usize, raw: impl FnOnce() -> R, ours: impl FnOnce() -> O) -> (R, O) {
    if round.is_multiple_of(2) {
        let raw = raw();
        (raw, ours())
    } else {
        let ours = ours();
        (raw(), ours)
    }
}

/// Compares a backend with its engine.
pub(crate) fn run<E: Engine>(cache: ByteSize, open: Open) {
    let rows: usize =
        std::env::var("PINSTATE_BENCH_ROWS").map_or(400_000, |rows| rows.parse().unwrap());
    let place = std::env::var("PINSTATE_BENCH_DIR");
    // Not where it was started: what a bench that is stopped leaves behind is nobody's source.
    let place = place.unwrap_or_else(|_| env!("CARGO_TARGET_TMPDIR").to_owned());
    let folder = tempfile::tempdir_in(place).unwrap();
    let (raw_path, our_path) = (folder.path().join("raw"), folder.path().join("ours"));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let name: NamespaceName = "pins".parse().unwrap();

    let raw = E::open(&raw_path, cache);
    let store = open(&runtime, &our_path);
    runtime.block_on(store.create_namespace(&name)).unwrap();
    let pins = runtime.block_on(store.open_namespace(&name)).unwrap();

    let mut random = fastrand::Rng::with_seed(7);
    let mut keys: Vec<Vec<u8>> = Vec::with_capacity(rows);
    let batches = rows / ROUNDS / BATCH;
    compare("batched put", Figure::Rate(batches * BATCH), ROUNDS, |round| {
        let (mut raw_time, mut our_time) = (Spent::default(), Spent::default());
        for batch in 0..batches {
            let made: Vec<_> = (0..BATCH).map(|_| row(&mut random)).collect();
            keys.extend(made.iter().map(|(key, _)| key.clone()));
            let items: Vec<BatchItem> = made
                .iter()
                .map(|(k, v)| Put::new(Key::copy_from(k), v.clone(), Version(1)).into())
                .collect();
            let (r, o) = in_turn(
                round + batch,
                || timed_apart(|| raw.put(made.iter().map(|(key, value)| (&key[..], &value[..])))),
                || {
                    timed(|| {
                        let done = runtime.block_on(pins.apply(items, BatchOptions::new()));
                        done.unwrap().into_result().unwrap();
                    })
                },
            );
            raw_time += r;
            our_time += o;
        }
        (raw_time, our_time)
    });

    drop(raw);
    drop(pins);
    runtime.block_on(store.close()).unwrap();
    drop(store);
    open_get_close::<E>(&runtime, (cache, open), [&raw_path, &our_path], &keys, &name);

    let raw = E::open(&raw_path, cache);
    let store = open(&runtime, &our_path);
    let pins = runtime.block_on(store.open_namespace(&name)).unwrap();
    random.shuffle(&mut keys);
    many_gets(&runtime, &raw, &pins, &keys);
    scans(&runtime, &raw, &pins, keys.len());
    single_gets(&runtime, &raw, &pins, &keys);
    for n in [2, 16] {
        let began = Instant::now();
        let parts = runtime.block_on(pins.split(n)).unwrap().len();
        println!("split({n}) into {parts} took {:.1} ms", began.elapsed().as_secs_f64() * 1e3);
    }
    drop(pins);
    runtime.block_on(store.close()).unwrap();
}

fn open_get_close<E: Engine>(
    runtime: &Runtime,
    (cache, open): (ByteSize, Open),
    [raw_path, our_path]: [&Path; 2],
    keys: &[Vec<u8>],
    name: &NamespaceName,
) {
    compare("open, get, close", Figure::Millis, ROUNDS, |round| {
        let key = &keys[round * 1_009 % keys.len()];
        let (r, o) = in_turn(
            round,
            || {
                timed(|| {
                    let raw = E::open(raw_path, cache);
                    black_box(raw.get(key));
                })
            },
            || {
                timed(|| {
                    let store = open(runtime, our_path);
                    runtime.block_on(async {
                        let pins = store.open_namespace(name).await.unwrap();
                        let key = Key::copy_from(key);
                        assert!(pins.get(&key, ReadOptions::new()).await.unwrap().is_some());
                        drop(pins);
                        store.close().await.unwrap();
                    });
                })
            },
        );
        E::until_free(raw_path);
        (r, o)
    });
}

fn many_gets(runtime: &Runtime, raw: &impl Engine, pins: &Arc<dyn Namespace>, keys: &[Vec<u8>]) {
    let mut chunks = keys.chunks_exact(BATCH).cycle();
    for sorted in [false, true] {
        let what = if sorted { "get 1,000, raw sorted" } else { "get 1,000" };
        compare(what, Figure::Rate(10 * BATCH), ROUNDS, |round| {
            let (mut raw_time, mut our_time) = (Spent::default(), Spent::default());
            for turn in 0..10 {
                let mut asked = chunks.next().unwrap().to_vec();
                let ours: Vec<Key> = asked.iter().map(|key| Key::copy_from(key)).collect();
                let (r, o) = in_turn(
                    round + turn,
                    || {
                        timed_apart(|| {
                            if sorted {
                                asked.sort_unstable();
                            }
                            let mut sum = 0;
                            for key in &asked {
                                sum += raw.get(key);
                            }
                            black_box(sum);
                        })
                    },
                    || {
                        timed(|| {
                            let got = runtime.block_on(pins.get_many(&ours, ReadOptions::new()));
                            let look =
                                |got: Result<Option<Record>>| look_at(&got.unwrap().unwrap().value);
                            black_box(got.unwrap().into_iter().map(look).sum::<u64>());
                        })
                    },
                );
                raw_time += r;
                our_time += o;
            }
            (raw_time, our_time)
        });
    }
}

fn scans(runtime: &Runtime, raw: &impl Engine, pins: &Arc<dyn Namespace>, rows: usize) {
    compare("scan", Figure::Rate(rows), 5, |round| {
        let (r, o) = in_turn(
            round,
            || {
                timed_apart(|| {
                    let (mut sum, mut bytes) = (0, 0);
                    raw.scan(|key, value| {
                        bytes += key.len() + value.len();
                        sum += look_at(value);
                    });
                    black_box(sum);
                    assert!(bytes > rows * 305 - 1);
                })
            },
            || {
                timed(|| {
                    runtime.block_on(async {
                        let mut scan =
                            CheckedScan::new(pins.scan(ScanOptions::new()).await.unwrap());
                        let (mut sum, mut bytes) = (0, 0);
                        while let Some(page) = scan.next_page().await.unwrap() {
                            for row in page.items {
                                let row = row.unwrap();
                                bytes += row.key.len() + row.value.len();
                                sum += look_at(&row.value);
                            }
                        }
                        black_box(sum);
                        assert!(bytes > rows * 305 - 1);
                    });
                })
            },
        );
        (r, o)
    });
}

fn single_gets(runtime: &Runtime, raw: &impl Engine, pins: &Arc<dyn Namespace>, keys: &[Vec<u8>]) {
    // Pages in the engine's cache, so that what is compared is the way there.
    let warm: Vec<Vec<u8>> = keys[..2_000].to_vec();
    for _ in 0..3 {
        for key in &warm {
            black_box(raw.get(key));
        }
    }
    let one_by_one = |pins: Arc<dyn Namespace>, keys: Vec<Key>| async move {
        let mut times = Vec::with_capacity(keys.len());
        for key in &keys {
            let began = Instant::now();
            assert!(pins.get(key, ReadOptions::new()).await.unwrap().is_some());
            times.push(began.elapsed().as_secs_f64() * 1e6);
        }
        median(&mut times)
    };
    let (mut raw_medians, mut our_medians) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let ours: Vec<Key> = warm.iter().map(|key| Key::copy_from(key)).collect();
        let (r, o) = in_turn(
            round,
            || {
                let get = |key: &Vec<u8>| {
                    let began = Instant::now();
                    black_box(raw.get(key));
                    began.elapsed().as_secs_f64() * 1e6
                };
                median(&mut warm.iter().map(get).collect::<Vec<_>>())
            },
            || {
                // As a task, since that is how a server calls it.
                runtime.block_on(async {
                    tokio::spawn(one_by_one(Arc::clone(pins), ours)).await.unwrap()
                })
            },
        );
        raw_medians.push(r);
        our_medians.push(o);
    }
    let (r, o) = (median(&mut raw_medians), median(&mut our_medians));
    println!("single get, one caller raw {r:.1} us  ours {o:.1} us  added {:.1} us", o - r);
    let shared: Arc<Vec<Key>> =
        Arc::new(keys.iter().take(64_000).map(|k| Key::copy_from(k)).collect());
    let mut rates: Vec<f64> = (0..5)
        .map(|_| {
            let elapsed = timed(|| {
                runtime.block_on(async {
                    let tasks: Vec<_> = (0..64)
                        .map(|task| {
                            let (pins, keys) = (Arc::clone(pins), Arc::clone(&shared));
                            tokio::spawn(async move {
                                for key in keys.iter().skip(task).step_by(64) {
                                    let got = pins.get(key, ReadOptions::new()).await;
                                    assert!(got.unwrap().is_some());
                                }
                            })
                        })
                        .collect();
                    for task in tasks {
                        task.await.unwrap();
                    }
                });
            });
            shared.len() as f64 / elapsed.wall
        })
        .collect();
    println!("single gets, 64 tasks  ours {:.0} /s", median(&mut rates));
}
