//! The same seeded pins through ipfs-cluster's own Go state and through pinstate, in one
//! run, round by round in turn.
//!
//! ```text
//! cargo bench -p pinstate --bench side_by_side
//! PINS=50000 ROUNDS=3 ONLY=memory cargo bench -p pinstate --bench side_by_side
//! ```
//!
//! Go runs with `GOMAXPROCS=2` in a process of its own that times only the operation; it is
//! idle while pinstate works, and the other way round. Input comes from memory and output
//! goes nowhere on both sides. Persistent stores are opened anew before every reading
//! round, and have a durable barrier for every 1,000 pins when written.

#![allow(missing_docs, clippy::print_stdout, clippy::unwrap_used, clippy::indexing_slicing)]

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use pinstate_core::config::{Config, OpenOptions, Registry};
use pinstate_core::format::Leniency;
use pinstate_core::format::ndjson::{NdjsonDecoder, NdjsonEncoder};
use pinstate_core::pin::{Cid, ImportOverrides, Zone};
use pinstate_core::transfer::{ExportOptions, ImportOptions, Unwatched, export, import};
use pinstate_core::{Clock, ListOptions, NamespaceName, State, Store};
use pinstate_memory::MemoryBackend;
use pinstate_sled::SledFactory;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// One comparison: what Go does on which store, what pinstate does on which, and the bar.
struct Row {
    name: &'static str,
    go: (&'static str, &'static str),
    ours: (Ours, Where),
    bar: f64,
}

#[derive(Clone, Copy)]
enum Ours {
    List,
    Export,
    Import,
    Marshal,
    Unmarshal,
    Get64,
}

#[derive(Clone, Copy, PartialEq)]
enum Where {
    Memory,
    Sled,
}

const ROWS: [Row; 9] = [
    Row {
        name: "memory list",
        go: ("list", "inmem"),
        ours: (Ours::List, Where::Memory),
        bar: 10.0,
    },
    Row {
        name: "memory NDJSON export",
        go: ("export", "inmem"),
        ours: (Ours::Export, Where::Memory),
        bar: 10.0,
    },
    Row {
        name: "memory NDJSON import",
        go: ("import", "inmem"),
        ours: (Ours::Import, Where::Memory),
        bar: 10.0,
    },
    Row {
        name: "memory snapshot write",
        go: ("marshal", "inmem"),
        ours: (Ours::Marshal, Where::Memory),
        bar: 3.0,
    },
    Row {
        name: "memory snapshot read",
        go: ("unmarshal", "inmem"),
        ours: (Ours::Unmarshal, Where::Memory),
        bar: 2.0,
    },
    Row {
        name: "sled/pebble list",
        go: ("list", "pebble"),
        ours: (Ours::List, Where::Sled),
        bar: 3.0,
    },
    Row {
        name: "sled/pebble NDJSON export",
        go: ("export", "pebble"),
        ours: (Ours::Export, Where::Sled),
        bar: 5.0,
    },
    Row {
        name: "sled/pebble NDJSON import",
        go: ("import", "pebble"),
        ours: (Ours::Import, Where::Sled),
        bar: 1.0,
    },
    Row {
        name: "sled/pebble get, 64 tasks",
        go: ("get64", "pebble"),
        ours: (Ours::Get64, Where::Sled),
        bar: 2.0,
    },
];

fn main() {
    let pins: usize = number("PINS", 300_000);
    let rounds: usize = number("ROUNDS", 7);
    let only = std::env::var("ONLY").unwrap_or_default();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf();
    let scratch = tempfile::tempdir().unwrap();
    let mut go = Go::start(&root, scratch.path(), pins);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut ours = Side::new(scratch.path(), runtime);

    println!("{pins} pins, {rounds} rounds in turn; thousand pins a second, median (min to max)");
    println!("{:<28}{:>26}{:>30}{:>9}{:>7}", "", "Go", "pinstate", "ratio", "bar");
    let mut short = 0;
    for row in ROWS.iter().filter(|row| row.name.contains(&only)) {
        let (mut theirs, mut mine, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..rounds {
            let go_rate = pins as f64 / go.run(row.go) / 1e3;
            let our_rate = pins as f64 / ours.run(row.ours, pins) / 1e3;
            theirs.push(go_rate);
            mine.push(our_rate);
            ratios.push(our_rate / go_rate);
        }
        let ratio = median(&mut ratios);
        short += usize::from(ratio < row.bar);
        println!(
            "{:<28}{:>26}{:>30}{:>8.2}x{:>6.0}x{}",
            row.name,
            spread(&mut theirs),
            spread(&mut mine),
            ratio,
            row.bar,
            if ratio < row.bar { "  below" } else { "" }
        );
    }
    println!("{short} below their bar");
}

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).ok().map_or(default, |text| text.parse().unwrap())
}

fn median(figures: &mut [f64]) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn spread(figures: &mut [f64]) -> String {
    let median = median(figures);
    format!("{median:.0} ({:.0} to {:.0})", figures[0], figures[figures.len() - 1])
}

/// The Go side: a process that does one operation for each line it is sent.
struct Go {
    process: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Go {
    fn start(root: &Path, scratch: &Path, pins: usize) -> Self {
        let interop = root.join("interop");
        let binary = scratch.join("interop");
        let run = |command: &mut Command| {
            assert!(command.status().expect("Go is needed").success(), "{command:?} failed");
        };
        run(Command::new("go")
            .args(["build", "-o"])
            .arg(&binary)
            .arg("./cmd/interop")
            .current_dir(&interop));
        run(Command::new(&binary)
            .args(["gen", "--profile", "plain", "--seed", "42", "--n", &pins.to_string()])
            .args(["--only", "export,snapshot", "--out"])
            .arg(scratch));
        let mut process = Command::new(&binary)
            .arg("bench")
            .arg("--pins")
            .arg(scratch.join("export.ndjson"))
            .arg("--dir")
            .arg(scratch)
            .env("GOMAXPROCS", "2")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let requests = process.stdin.take().unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap());
        // What is asked for before it has loaded the pins waits until it has.
        Self { process, requests, answers }
    }

    fn answer(&mut self) -> serde_json::Value {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    /// Seconds for one operation over all pins.
    fn run(&mut self, (operation, backend): (&str, &str)) -> f64 {
        writeln!(self.requests, "{operation} {backend}").unwrap();
        let answer = self.answer();
        assert!(answer.get("error").is_none_or(serde_json::Value::is_null), "{answer}");
        answer["seconds"].as_f64().unwrap()
    }
}

impl Drop for Go {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Our side.
struct Side {
    runtime: tokio::runtime::Runtime,
    scratch: PathBuf,
    ndjson: Vec<u8>,
    snapshot: Vec<u8>,
    /// Filled once: the memory store that reading rounds read.
    memory: Option<(Arc<dyn Store>, State)>,
    /// Filled once: the folder of the sled store that reading rounds open.
    sled: Option<PathBuf>,
    cids: Vec<Cid>,
    made: usize,
}

impl Side {
    fn new(scratch: &Path, runtime: tokio::runtime::Runtime) -> Self {
        Self {
            runtime,
            scratch: scratch.to_path_buf(),
            ndjson: std::fs::read(scratch.join("export.ndjson")).unwrap(),
            snapshot: std::fs::read(scratch.join("state.snapshot")).unwrap(),
            memory: None,
            sled: None,
            cids: Vec::new(),
            made: 0,
        }
    }

    fn fresh(&mut self, place: Where) -> (Arc<dyn Store>, State, PathBuf) {
        self.made += 1;
        let path = self.scratch.join(format!("ours-{}", self.made));
        let (store, state) = self.runtime.block_on(open(place, &path, true));
        (store, state, path)
    }

    /// A filled store; a persistent one opened anew.
    fn filled(&mut self, place: Where) -> (Arc<dyn Store>, State) {
        match place {
            Where::Memory => {
                if self.memory.is_none() {
                    let (store, state, _) = self.fresh(place);
                    self.load(&state);
                    self.memory = Some((store, state));
                }
                let (store, state) = self.memory.as_ref().unwrap();
                (Arc::clone(store), state.clone())
            }
            Where::Sled => {
                if self.sled.is_none() {
                    let (store, state, path) = self.fresh(place);
                    self.load(&state);
                    self.runtime.block_on(store.close()).unwrap();
                    self.sled = Some(path);
                }
                let path = self.sled.clone().unwrap();
                self.runtime.block_on(open(place, &path, false))
            }
        }
    }

    fn load(&self, state: &State) {
        let options = ImportOptions::new();
        let decoder = Box::new(NdjsonDecoder::new(Leniency::Strict, ImportOverrides::default()));
        let namespace = Arc::clone(state.namespace());
        self.runtime.block_on(async {
            import(namespace, state.clock(), &self.ndjson[..], decoder, options, &mut Unwatched)
                .await
                .complete()
                .unwrap();
        });
    }

    /// Seconds for one operation over all pins.
    fn run(&mut self, (operation, place): (Ours, Where), pins: usize) -> f64 {
        let writes = matches!(operation, Ours::Import | Ours::Unmarshal);
        let (store, state) = if writes {
            let (store, state, _) = self.fresh(place);
            (store, state)
        } else {
            self.filled(place)
        };
        if matches!(operation, Ours::Get64) && self.cids.is_empty() {
            self.cids = self.runtime.block_on(all_cids(&state));
            fastrand::Rng::with_seed(1).shuffle(&mut self.cids);
        }
        let began = Instant::now();
        let seen = self.operate(operation, &state);
        let seconds = if writes {
            self.runtime.block_on(store.sync()).unwrap();
            began.elapsed().as_secs_f64()
        } else {
            began.elapsed().as_secs_f64()
        };
        assert_eq!(seen, pins);
        if place == Where::Sled {
            self.runtime.block_on(store.close()).unwrap();
        }
        seconds
    }

    fn operate(&self, operation: Ours, state: &State) -> usize {
        let runtime = &self.runtime;
        match operation {
            Ours::List => runtime.block_on(async {
                let mut list = state.list(ListOptions::new()).await.unwrap();
                let mut seen = 0;
                let mut allocations = 0;
                while let Some(page) = list.next_page().await.unwrap() {
                    for item in &page.items {
                        let pin = item.as_ref().unwrap();
                        allocations += pin.view().unwrap().allocations().count();
                        seen += 1;
                    }
                }
                assert_eq!(allocations, 3 * seen);
                seen
            }),
            Ours::Export => runtime.block_on(async {
                let encoder = || Box::new(NdjsonEncoder::new(Zone::Utc)) as _;
                let mut sink = tokio::io::sink();
                let namespace = state.namespace();
                export(&**namespace, encoder, &mut sink, ExportOptions::new(), &mut Unwatched)
                    .await
                    .complete()
                    .unwrap()
                    .pins as usize
            }),
            Ours::Import => {
                self.load(state);
                runtime.block_on(state.count(Default::default())).unwrap().value() as usize
            }
            Ours::Marshal => runtime.block_on(async {
                state.marshal(&mut tokio::io::sink()).await.unwrap().pins as usize
            }),
            Ours::Unmarshal => runtime.block_on(async {
                state.unmarshal(&self.snapshot[..], Leniency::Strict).await.unwrap().stored as usize
            }),
            Ours::Get64 => runtime.block_on(async {
                let share = self.cids.len().div_ceil(64);
                let tasks: Vec<_> = self
                    .cids
                    .chunks(share)
                    .map(|cids| {
                        let (state, cids) = (state.clone(), cids.to_vec());
                        tokio::spawn(async move {
                            for cid in &cids {
                                state.get(cid).await.unwrap();
                            }
                            cids.len()
                        })
                    })
                    .collect();
                let mut seen = 0;
                for task in tasks {
                    seen += task.await.unwrap();
                }
                seen
            }),
        }
    }
}

async fn all_cids(state: &State) -> Vec<Cid> {
    let mut list = state.list(ListOptions::new()).await.unwrap();
    let mut cids = Vec::new();
    while let Some(page) = list.next_page().await.unwrap() {
        cids.extend(page.items.into_iter().map(|pin| pin.unwrap().view().unwrap().cid()));
    }
    cids
}

async fn open(place: Where, path: &Path, create: bool) -> (Arc<dyn Store>, State) {
    let registry = Registry::new().with(MemoryBackend::new()).with(SledFactory);
    let uri = match place {
        Where::Memory => "memory:".to_owned(),
        // As much cache as ipfs-cluster gives pebble.
        Where::Sled => format!("sled:{}?durability=power&cache=1GiB", path.display()),
    };
    let options = if create { OpenOptions::create() } else { OpenOptions::new() };
    let store = registry.open(&Config::default(), &uri, options).await.unwrap();
    let name = NamespaceName::default();
    if create {
        store.create_namespace(&name).await.unwrap();
    }
    let namespace = store.open_namespace(&name).await.unwrap();
    let clock = Clock::open(Arc::clone(&store), Default::default()).await.unwrap();
    (store, State::new(namespace, Arc::new(clock)))
}
