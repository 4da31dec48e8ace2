//! Clients that work on a few keys at the same time, at random from a seed, and are recorded.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use pinstate_core::{BatchOptions, Key, ScanOptions, Store, Version, WriteOptions};

use crate::case::{Cx, Ns};
use crate::check::{Checked, Violation, holds};
use crate::history::{Client, History, Recorder};

/// What clients do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mix {
    /// Single reads, and writes without conditions.
    Plain,
    /// And writes with all conditions that are declared.
    Conditions,
    /// And reads and writes of many keys, and scans.
    Bulk,
    /// As plain, and most writes are cancelled on the way.
    Cancelled,
}

/// A round: clients that work on a few keys at the same time, each on a handle of its own.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) mix: Mix,
    pub(crate) clients: u32,
    pub(crate) keys: usize,
    pub(crate) operations: usize,
}

/// A namespace with its recorder.
pub(crate) struct Round {
    pub(crate) cx: Cx,
    store: Arc<dyn Store>,
    name: pinstate_core::NamespaceName,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) keys: Vec<Key>,
}

impl Round {
    pub(crate) async fn new(cx: &Cx, keys: usize) -> Checked<Self> {
        Self::over(cx, cx.unsettled(), keys).await
    }

    /// One whose clients see the shared store as `store`, which stands around it.
    pub(crate) async fn over(cx: &Cx, store: &Arc<dyn Store>, keys: usize) -> Checked<Self> {
        let name = cx.namespace().await?.name;
        let keys = (0..keys).map(|i| Key::copy_from(format!("hot {i}").as_bytes())).collect();
        let (cx, store) = (cx.clone(), Arc::clone(store));
        Ok(Self { cx, store, name, recorder: Recorder::new(), keys })
    }

    /// A client with a handle of its own.
    pub(crate) async fn client(&self, number: u32) -> Checked<Client> {
        let namespace = self.store.open_namespace(&self.name).await?;
        let cx = self.cx.clone();
        Ok(self.recorder.client(number, namespace, Arc::new(move || cx.version())))
    }

    /// Runs all clients of a plan to their end.
    pub(crate) async fn run(&self, plan: Plan, seed: u64) -> Checked<History> {
        let mut tasks = Vec::new();
        for number in 0..plan.clients {
            let work = Work {
                client: self.client(number).await?,
                cx: self.cx.clone(),
                keys: self.keys.clone(),
                rng: fastrand::Rng::with_seed(seed.wrapping_add(u64::from(number) << 32)),
                seen: None,
                held: None,
                written: 0,
            };
            tasks.push(tokio::spawn(work.run(plan)));
        }
        joined(tasks).await?;
        let history = self.recorder.history();
        let answered = history.events.iter().filter(|event| event.answered().is_some()).count();
        // Where hardly anything is answered, hardly anything was checked.
        let enough = if plan.mix == Mix::Cancelled { 4 } else { 2 };
        holds(answered * enough >= history.events.len(), || {
            format!(
                "{} operations: expected most to be answered, got {answered}",
                history.events.len()
            )
        })?;
        Ok(history)
    }
}

/// Clients that never stop until they are told to.
#[derive(Default)]
pub(crate) struct Press {
    stop: Arc<AtomicBool>,
    tasks: Vec<tokio::task::JoinHandle<Checked>>,
}

impl Press {
    /// So many writers, each on a handle of its own.
    pub(crate) async fn writers(cx: &Cx, ns: &Ns, count: usize) -> Checked<Self> {
        let mut press = Self::default();
        for writer in 0..count {
            let handle = cx.open(cx.store(), &ns.name).await?;
            press.begin(move |turn| {
                let handle = handle.clone();
                async move {
                    let key = format!("press {writer} {}", turn % 50);
                    handle.put(key, turn.to_string()).await.map(drop)
                }
            });
        }
        Ok(press)
    }

    /// So many that scan, again and again.
    pub(crate) async fn scanners(cx: &Cx, ns: &Ns, count: usize) -> Checked<Self> {
        let mut press = Self::default();
        for _ in 0..count {
            let handle = cx.open(cx.store(), &ns.name).await?;
            press.begin(move |_| {
                let handle = handle.clone();
                async move { handle.scan(ScanOptions::new().with_page_rows(20)).await.map(drop) }
            });
        }
        Ok(press)
    }

    /// One more, which does this again and again; the number is that of the turn.
    pub(crate) fn begin<F>(&mut self, work: impl Fn(u64) -> F + Send + 'static)
    where
        F: Future<Output = Checked> + Send,
    {
        let stop = Arc::clone(&self.stop);
        self.tasks.push(tokio::spawn(async move {
            let mut turn = 0;
            while !stop.load(Ordering::Acquire) {
                work(turn).await?;
                turn += 1;
                tokio::task::yield_now().await;
            }
            Ok(())
        }));
    }

    pub(crate) async fn end(self) -> Checked {
        self.stop.store(true, Ordering::Release);
        joined(self.tasks).await
    }
}

/// Waits for tasks, of which none may fail.
pub(crate) async fn joined(tasks: Vec<tokio::task::JoinHandle<Checked>>) -> Checked {
    for task in futures::future::join_all(tasks).await {
        task.map_err(|error| Violation::new(error.to_string()))??;
    }
    Ok(())
}

/// One client at work. What fails is written down with its outcome, and that is checked.
struct Work {
    client: Client,
    cx: Cx,
    keys: Vec<Key>,
    rng: fastrand::Rng,
    /// The version that was read last.
    seen: Option<Version>,
    /// A version that was drawn and not used.
    held: Option<Version>,
    written: u32,
}

impl Work {
    async fn run(mut self, plan: Plan) -> Checked {
        for _ in 0..plan.operations {
            let key = self.rng.choice(&self.keys).cloned().unwrap_or_default();
            match (self.rng.u8(..12), plan.mix) {
                (0..=3, _) => self.read(&key).await,
                (4, _) => drop(self.client.has(&key).await),
                (5..=7, Mix::Conditions) => self.conditional(&key).await,
                (5..=7, Mix::Bulk) => self.bulk().await,
                (5..=9, Mix::Cancelled) => self.cancelled(&key).await?,
                (5..=9, _) => {
                    let value = self.value();
                    drop(self.client.put(&key, value, None, WriteOptions::new()).await);
                }
                _ => drop(self.client.delete(&key, None, WriteOptions::new()).await),
            }
            if self.rng.bool() {
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    }

    /// A value that is written once.
    fn value(&mut self) -> Bytes {
        self.written += 1;
        Bytes::from(format!("client {} write {}", self.client.number(), self.written))
    }

    async fn read(&mut self, key: &Key) {
        if let Ok(record) = self.client.get(key).await {
            self.seen = record.map(|record| record.version);
        }
    }

    async fn conditional(&mut self, key: &Key) {
        let capabilities = self.cx.capabilities();
        let (if_absent, if_version) = (capabilities.if_absent, capabilities.if_version);
        let value = self.value();
        let if_newer = WriteOptions::if_newer();
        match (self.rng.u8(..8), self.seen) {
            (0 | 1, _) => drop(self.client.put(key, value, None, if_newer).await),
            (2 | 3, _) => match self.held.take() {
                Some(old) => drop(self.client.put(key, value, Some(old), if_newer).await),
                None => self.held = Some(self.client.draw()),
            },
            (4, _) => drop(self.client.delete(key, None, if_newer).await),
            (5, _) if if_absent => {
                drop(self.client.put(key, value, None, WriteOptions::if_absent()).await);
            }
            (6, Some(seen)) if if_version => {
                drop(self.client.put(key, value, None, WriteOptions::if_version(seen)).await);
            }
            (7, Some(seen)) if if_version => {
                drop(self.client.delete(key, None, WriteOptions::if_version(seen)).await);
            }
            _ => self.read(key).await,
        }
    }

    async fn bulk(&mut self) {
        match self.rng.u8(..4) {
            0 => drop(self.client.get_many(&self.keys).await),
            1 => {
                let mut options = ScanOptions::new();
                options.page_rows = self.rng.usize(1..4);
                drop(self.client.scan(&self.keys, options).await);
            }
            if_newer => {
                let keys = self.keys.clone();
                let mut write = |key| (key, self.rng.u8(..4));
                let writes: Vec<(Key, u8)> = keys.into_iter().map(&mut write).collect();
                let value = |(key, kind)| (key, (kind > 0).then(|| self.value()));
                let writes = writes.into_iter().map(value).collect();
                let options =
                    if if_newer == 3 { BatchOptions::if_newer() } else { BatchOptions::new() };
                drop(self.client.apply(writes, options).await);
            }
        }
    }

    /// Begins a write and lets go of it, or waits for a barrier.
    async fn cancelled(&mut self, key: &Key) -> Checked {
        let polls = self.rng.u8(..6);
        let value = self.value();
        match self.rng.u8(..8) {
            0 => drop(self.client.sync(&**self.cx.store()).await?),
            1 => drop(self.client.put(key, value, None, WriteOptions::new()).await),
            2 => {
                polled(polls, self.client.delete(key, None, WriteOptions::new())).await;
            }
            3 => {
                let if_newer = WriteOptions::if_newer();
                polled(polls, self.client.put(key, value, None, if_newer)).await;
            }
            _ => {
                polled(polls, self.client.put(key, value, None, WriteOptions::new())).await;
            }
        }
        Ok(())
    }
}

/// Polls a future so many times, letting others run between, and drops it.
pub(crate) async fn polled<F: Future>(times: u8, future: F) {
    let mut future = std::pin::pin!(future);
    for _ in 0..times {
        if futures::poll!(&mut future).is_ready() {
            return;
        }
        tokio::task::yield_now().await;
    }
}
