//! `State` over the backends.

use std::hint::black_box;
use std::path::PathBuf;
use std::sync::Arc;

use pinstate_core::config::{Config, OpenOptions, Registry};
use pinstate_core::format::Leniency;
use pinstate_core::format::ndjson::{NdjsonDecoder, NdjsonEncoder};
use pinstate_core::pin::{ImportOverrides, Zone};
use pinstate_core::state::StoredPin;
use pinstate_core::transfer::{ExportOptions, ImportOptions, Unwatched, export, import};
use pinstate_core::{Clock, CountOptions, ListOptions, NamespaceName, ReadOptions, State, Store};
use pinstate_fjall::FjallFactory;
use pinstate_memory::MemoryFactory;
use pinstate_scylla::ScyllaFactory;
use pinstate_sled::SledFactory;
use tokio::runtime::Runtime;

use crate::engine::look_at;
use crate::pins::Pins;
use crate::subject::{BATCH, CALLERS, Op, SINGLES, Spent, Subject, measured, share};
use crate::views::views;

/// Which backend, and where.
pub(crate) enum Where {
    Memory,
    /// A URI for a folder, with `{}` for its path: a new one for each empty store.
    Folder(PathBuf, &'static str),
    /// A URI: a new namespace for each empty store.
    Cluster(String),
}

/// One of our backends.
pub(crate) struct Ours {
    name: &'static str,
    place: Where,
    pins: Arc<Pins>,
    runtime: Arc<Runtime>,
    /// A filled store, where it can stay open; else it is opened anew for each reading.
    open: Option<Opened>,
    filled: bool,
    made: usize,
}

struct Opened {
    store: Arc<dyn Store>,
    namespace: NamespaceName,
    state: State,
}

impl Ours {
    pub(crate) fn new(
        name: &'static str,
        place: Where,
        pins: &Arc<Pins>,
        runtime: &Arc<Runtime>,
    ) -> Self {
        let (pins, runtime) = (Arc::clone(pins), Arc::clone(runtime));
        Self { name, place, pins, runtime, open: None, filled: false, made: 0 }
    }

    fn open(&mut self, empty: bool) -> Opened {
        self.made += usize::from(empty);
        let which = if empty { format!("fresh{}", self.made) } else { "filled".to_owned() };
        let (uri, namespace) = match &self.place {
            Where::Memory => ("memory:".to_owned(), NamespaceName::default()),
            Where::Folder(folder, uri) => {
                let path = folder.join(format!("{}-{which}", self.name));
                (uri.replace("{}", path.to_str().unwrap()), NamespaceName::default())
            }
            Where::Cluster(uri) => (uri.clone(), which.parse().unwrap()),
        };
        let registry = Registry::new()
            .with(MemoryFactory::new())
            .with(SledFactory)
            .with(FjallFactory)
            .with(ScyllaFactory::new());
        self.runtime.block_on(async {
            let options = OpenOptions::create();
            let store = registry.open(&Config::default(), &uri, options).await.unwrap();
            let there = store.list_namespaces().await.unwrap();
            if !there.iter().any(|there| there.name == namespace) {
                store.create_namespace(&namespace).await.unwrap();
            }
            let open = store.open_namespace(&namespace).await.unwrap();
            let clock = Clock::open(Arc::clone(&store), Default::default()).await.unwrap();
            let state = State::new(open, Arc::new(clock));
            Opened { store, namespace, state }
        })
    }

    /// Lets go of a store, and of what is in it if it was for one operation alone.
    fn done(&self, opened: Opened, remove: bool) {
        let Opened { store, namespace, state } = opened;
        drop(state);
        self.runtime.block_on(async {
            if remove && matches!(self.place, Where::Cluster(_)) {
                store.drop_namespace(&namespace).await.unwrap();
            }
            store.close().await.unwrap();
        });
        if let (Where::Folder(folder, _), true) = (&self.place, remove) {
            let path = folder.join(format!("{}-fresh{}", self.name, self.made));
            std::fs::remove_dir_all(path).unwrap();
        }
    }

    fn import(&self, state: &State) -> usize {
        let decoder = Box::new(NdjsonDecoder::new(Leniency::Strict, ImportOverrides::default()));
        let (namespace, input) = (Arc::clone(state.namespace()), &self.pins.ndjson[..]);
        let options = ImportOptions::new();
        self.runtime.block_on(async {
            import(namespace, state.clock(), input, decoder, options, &mut Unwatched)
                .await
                .complete()
                .unwrap();
            state.count(CountOptions::new()).await.unwrap().value() as usize
        })
    }

    fn add(&self, state: &State) -> usize {
        self.runtime.block_on(async {
            for pins in self.pins.pins.chunks(BATCH) {
                let mut batch = state.batch();
                for pin in pins {
                    batch.add(pin).unwrap();
                }
                assert_eq!(batch.commit().await.unwrap(), pins.len());
            }
        });
        self.pins.len()
    }

    /// Adds or gets pins one by one, from 64 tasks.
    fn singly(&self, op: Op, state: &State) -> usize {
        let count = if op == Op::Add64 { self.pins.len().min(SINGLES) } else { self.pins.len() };
        self.runtime.block_on(async {
            let tasks: Vec<_> = (0..CALLERS)
                .map(|task| {
                    let (state, pins) = (state.clone(), Arc::clone(&self.pins));
                    tokio::spawn(async move {
                        for i in share(count, task) {
                            match op {
                                Op::Add64 => state.add(&pins.pins[i]).await.unwrap(),
                                Op::View64 => {
                                    let stored = state.get_stored(&pins.asked[i]).await.unwrap();
                                    let pin = stored.view().unwrap();
                                    black_box((pin.name().len(), pin.allocations().count()));
                                }
                                _ => drop(state.get(&pins.asked[i]).await.unwrap()),
                            }
                        }
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
        });
        count
    }

    fn get_many(&self, state: &State) -> usize {
        let mut sum = 0;
        for keys in self.pins.asked_keys.chunks(BATCH) {
            let got = self.runtime.block_on(state.namespace().get_many(keys, ReadOptions::new()));
            for record in got.unwrap() {
                sum += look_at(&record.unwrap().unwrap().value);
            }
        }
        black_box(sum);
        self.pins.len()
    }

    fn list(&self, state: &State, mut look: impl FnMut(&StoredPin)) -> usize {
        self.runtime.block_on(async {
            let mut list = state.list(ListOptions::new()).await.unwrap();
            let mut seen = 0;
            while let Some(page) = list.next_page().await.unwrap() {
                for item in &page.items {
                    look(item.as_ref().unwrap());
                    seen += 1;
                }
            }
            seen
        })
    }

    fn operate(&self, op: Op, state: &State) -> usize {
        match op {
            Op::Add => self.add(state),
            Op::Add64 | Op::Get64 | Op::View64 => self.singly(op, state),
            Op::GetMany => self.get_many(state),
            Op::List => {
                let (seen, allocations) = self.runtime.block_on(views(state));
                assert_eq!(allocations, 3 * seen);
                seen
            }
            Op::Scan => {
                let mut sum = 0;
                let seen = self.list(state, |pin| sum += look_at(&pin.value));
                black_box(sum);
                seen
            }
            Op::Export => self.runtime.block_on(async {
                let encoder = || Box::new(NdjsonEncoder::new(Zone::Utc)) as _;
                let mut sink = tokio::io::sink();
                let (namespace, options) = (state.namespace(), ExportOptions::new());
                export(&**namespace, encoder, &mut sink, options, &mut Unwatched)
                    .await
                    .complete()
                    .unwrap()
                    .pins as usize
            }),
            Op::Import => self.import(state),
            Op::SnapshotWrite => self.runtime.block_on(async {
                state.marshal(&mut tokio::io::sink()).await.unwrap().pins as usize
            }),
            Op::SnapshotRead => self.runtime.block_on(async {
                let snapshot = &self.pins.snapshot[..];
                state.unmarshal(snapshot, Leniency::Strict).await.unwrap().stored as usize
            }),
        }
    }
}

impl Subject for Ours {
    fn name(&self) -> &'static str {
        self.name
    }

    fn can(&self, _op: Op) -> bool {
        true
    }

    fn run(&mut self, op: Op) -> Spent {
        if op.writes() {
            let opened = self.open(true);
            let spent = measured(|| {
                let pins = self.operate(op, &opened.state);
                self.runtime.block_on(opened.store.sync()).unwrap();
                pins
            });
            self.done(opened, true);
            return spent;
        }
        if !self.filled {
            let opened = self.open(false);
            assert_eq!(self.import(&opened.state), self.pins.len());
            self.filled = true;
            match self.place {
                Where::Folder(..) => self.done(opened, false),
                Where::Memory | Where::Cluster(_) => self.open = Some(opened),
            }
        }
        // An embedded store begins each reading with empty caches, as Go's do.
        let opened = self.open.take().unwrap_or_else(|| self.open(false));
        let spent = measured(|| self.operate(op, &opened.state));
        match self.place {
            Where::Folder(..) => self.done(opened, false),
            Where::Memory | Where::Cluster(_) => self.open = Some(opened),
        }
        spent
    }
}
