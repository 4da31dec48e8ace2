//! What writers write, in a child or on a disk that loses power.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use pinstate_core::{
    BatchItem, BatchOptions, CheckedScan, Delete, ErrorKind, Expect, Key, Namespace, NamespaceName,
    Outcome, Put, ReadOptions, Result, ScanOptions, Store, Version, WriteOptions,
};
use serde::{Deserialize, Serialize};

use super::event::{Change, Event, Tell, token, token_of, value};
use crate::check::{Checked, Violation, holds, same};

/// Where records are written.
const MAIN: &str = "crash-main";
/// Where a namespace is built that takes the place of [`REPLACED`].
const STAGED: &str = "crash-staged";
/// A namespace that is replaced again and again: all its rows are of one write.
const REPLACED: &str = "crash-replaced";
const ROWS: usize = 20;
/// A control record that is written again and again.
const CONTROL: &str = "crash/control";
/// How long a writer rests after a delete.
const REST: Duration = Duration::from_millis(2);
/// How many records an atomic batch writes, each time the same.
const TOGETHER: usize = 4;

/// Orders for writers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Work {
    pub(crate) seed: u64,
    /// Numbers of writes are above this one, and never used twice; versions too.
    pub(crate) after: u64,
    pub(crate) writers: Vec<Writer>,
    /// How many writes each writer makes, where there is an end.
    pub(crate) steps: Option<u64>,
}

/// One writer: it has keys of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Writer {
    /// Puts, deletes and batches of all sizes, with a barrier after every few.
    Mixed { sync_every: Option<u64> },
    /// Puts some records, then deletes them one by one.
    Deletes { sync_every: Option<u64> },
    /// Atomic batches over the same records.
    Together { sync_every: Option<u64> },
    /// Builds a namespace and puts it in the place of another.
    Namespaces,
    /// A control record.
    Control,
}

fn name(of: &str) -> Checked<NamespaceName> {
    Ok(of.parse::<NamespaceName>()?)
}

/// Runs the writers to their end, if they have one.
pub(crate) async fn work<T: Tell>(store: Arc<dyn Store>, work: Work, tell: Arc<T>) -> Checked {
    let main = name(MAIN)?;
    match store.create_namespace(&main).await {
        Err(error) if error.kind() != ErrorKind::Conflict => return Err(error.into()),
        _ => {}
    }
    let main = store.open_namespace(&main).await?;
    let numbers = Arc::new(AtomicU64::new(work.after));
    let mut tasks = tokio::task::JoinSet::new();
    for (id, writer) in work.writers.iter().enumerate() {
        let busy = Busy {
            id,
            store: Arc::clone(&store),
            main: Arc::clone(&main),
            numbers: Arc::clone(&numbers),
            tell: Arc::clone(&tell),
            random: fastrand::Rng::with_seed(work.seed ^ ((id as u64) << 32)),
        };
        tasks.spawn(busy.run(*writer, work.steps));
    }
    while let Some(ended) = tasks.join_next().await {
        ended.map_err(|error| Violation::new(format!("a writer panicked: {error}")))??;
    }
    Ok(())
}

/// A writer at work.
struct Busy<T> {
    id: usize,
    store: Arc<dyn Store>,
    main: Arc<dyn Namespace>,
    numbers: Arc<AtomicU64>,
    tell: Arc<T>,
    random: fastrand::Rng,
}

impl<T: Tell> Busy<T> {
    async fn run(mut self, writer: Writer, steps: Option<u64>) -> Checked {
        for step in 0..steps.unwrap_or(u64::MAX) {
            let n = self.number();
            let sync_every = match writer {
                Writer::Mixed { sync_every } => {
                    self.mixed(n).await?;
                    sync_every
                }
                Writer::Deletes { sync_every } => {
                    self.deletes(n, step).await?;
                    sync_every
                }
                Writer::Together { sync_every } => {
                    let token = token(n, 20);
                    let write = |i| (format!("together/{}/{i}", self.id), Some(token.clone()));
                    self.write(n, (0..TOGETHER).map(write).collect(), true).await?;
                    sync_every
                }
                Writer::Namespaces => {
                    self.replace(n).await?;
                    None
                }
                Writer::Control => {
                    self.control(n).await?;
                    None
                }
            };
            if sync_every.is_some_and(|every| (step + 1) % every == 0) {
                self.sync().await?;
            }
        }
        Ok(())
    }

    fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed) + 1
    }

    async fn mixed(&mut self, n: u64) -> Checked {
        let id = self.id;
        let mut key = || format!("mixed/{id}/{}", self.random.u8(..120));
        match n % 8 {
            0 => {
                let key = key();
                self.write(n, vec![(key, None)], false).await
            }
            1 | 2 => {
                let keys: BTreeMap<String, ()> = (0..12).map(|_| (key(), ())).collect();
                let write = |(at, key): (usize, String)| {
                    (key, (at % 5 != 4).then(|| token(n, 40 + 10 * at)))
                };
                let writes = keys.into_keys().enumerate().map(write).collect();
                self.write(n, writes, false).await
            }
            _ => {
                let key = key();
                let most = self.main.capabilities().max_value_bytes;
                // Now and then one that engines keep apart from their other values.
                let size = match self.random.u8(..) {
                    0..8 => usize::try_from(most.min(200_000)).unwrap_or(0) / 2,
                    _ => self.random.usize(..400),
                };
                self.write(n, vec![(key, Some(token(n, size)))], false).await
            }
        }
    }

    async fn deletes(&mut self, n: u64, step: u64) -> Checked {
        const KEYS: u64 = 12;
        let key = |i: u64| format!("deleted/{}/{i}", self.id);
        match step % (KEYS + 1) {
            0 => {
                let writes = (0..KEYS).map(|i| (key(i), Some(token(n, 30)))).collect();
                self.write(n, writes, false).await
            }
            i => {
                self.write(n, vec![(key(i - 1), None)], false).await?;
                // A crash is to meet a delete that nothing has followed: without a rest most
                // of the time goes into the write that makes the records anew.
                tokio::time::sleep(REST).await;
                Ok(())
            }
        }
    }

    async fn replace(&mut self, n: u64) -> Checked {
        let (staged, replaced) = (name(STAGED)?, name(REPLACED)?);
        match self.store.drop_namespace(&staged).await {
            Err(error) if error.kind() != ErrorKind::NoNamespace => return Err(error.into()),
            _ => {}
        }
        self.store.create_namespace(&staged).await?;
        let rows = self.store.open_namespace(&staged).await?;
        let token = token(n, 30);
        let items: Vec<BatchItem> = (0..ROWS)
            .map(|i| Put::new(key_of(&format!("{i}")), value(&token), version(n)).into())
            .collect();
        rows.apply(items, BatchOptions::new()).await?.into_result()?;
        // What takes a pinset's place must be as safe as taking it is.
        self.sync().await?;
        self.told(n, vec![(REPLACED.to_owned(), Some(token))], true, async {
            self.store.replace_namespace(&replaced, &staged).await
        })
        .await
    }

    async fn control(&mut self, n: u64) -> Checked {
        let before = self.store.control_get(CONTROL).await?;
        let expect = before.map_or(Expect::Absent, |record| Expect::Revision(record.revision));
        let token = token(n, 30);
        let bytes = value(&token);
        self.told(n, vec![(CONTROL.to_owned(), Some(token))], true, async {
            let set = self.store.control_set(CONTROL, expect, &bytes).await?;
            if set.is_applied() { Ok(()) } else { Err(conflict()) }
        })
        .await
    }

    async fn write(&self, n: u64, changes: Vec<Change>, atomic: bool) -> Checked {
        let items: Vec<BatchItem> = changes
            .iter()
            .map(|(key, token)| match token {
                Some(token) => Put::new(key_of(key), value(token), version(n)).into(),
                None => Delete::new(key_of(key), version(n)).into(),
            })
            .collect();
        self.told(n, changes, false, async {
            match (items.as_slice(), atomic) {
                ([BatchItem::Put(put)], false) => {
                    self.main.put(put.clone(), WriteOptions::new()).await.map(drop)
                }
                ([BatchItem::Delete(delete)], false) => {
                    self.main.delete(delete.clone(), WriteOptions::new()).await.map(drop)
                }
                _ => {
                    let options = if atomic { BatchOptions::atomic() } else { BatchOptions::new() };
                    self.main.apply(items, options).await?.into_result().map(drop)
                }
            }
        })
        .await
    }

    /// A write, told before and after.
    async fn told(
        &self,
        n: u64,
        changes: Vec<Change>,
        firm: bool,
        write: impl Future<Output = Result<()>>,
    ) -> Checked {
        // One item of a batch that was not applied says nothing of the others.
        let single = changes.len() == 1;
        self.tell.tell(Event::Intent { n, changes });
        match write.await {
            Ok(()) => {
                self.tell.tell(Event::Ack { n, firm });
                Ok(())
            }
            Err(error) => {
                if single && error.outcome() == Outcome::NotApplied {
                    self.tell.tell(Event::NotApplied(n));
                }
                Err(error.into())
            }
        }
    }

    async fn sync(&self) -> Checked {
        let id = self.number();
        self.tell.tell(Event::Syncing(id));
        self.store.sync().await?;
        self.tell.tell(Event::Synced(id));
        Ok(())
    }
}

fn conflict() -> pinstate_core::Error {
    pinstate_core::Error::new(
        ErrorKind::Conflict,
        pinstate_core::Operation::ControlSet,
        "a control record has changed and nobody changed it",
    )
}

fn key_of(text: &str) -> Key {
    Key::copy_from(text.as_bytes())
}

fn version(n: u64) -> Version {
    Version(i64::try_from(n).unwrap_or(i64::MAX))
}

/// Everything that writers wrote, as it is in the store now, by the keys of the ledger.
pub(crate) async fn found(store: &dyn Store) -> Checked<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    if let Some(record) = store.control_get(CONTROL).await? {
        let token = token_of(&record.value).map_err(|what| broken("the control record", what))?;
        found.insert(CONTROL.to_owned(), token);
    }
    if let Some(rows) = rows(store, REPLACED).await? {
        same("rows of a namespace that took the place of another", rows.len(), ROWS)?;
        let tokens: Vec<&String> = rows.values().collect();
        let one = tokens.windows(2).all(|pair| pair.first() == pair.last());
        holds(one, || format!("a namespace that was replaced has rows of two: {tokens:?}"))?;
        found.extend(tokens.first().map(|token| (REPLACED.to_owned(), (*token).clone())));
    }
    let main = rows(store, MAIN).await?.unwrap_or_default();
    let mut together: BTreeMap<&str, Vec<&String>> = BTreeMap::new();
    for (key, token) in &main {
        if let Some((group, _)) = key.strip_prefix("together/").and_then(|k| k.split_once('/')) {
            together.entry(group).or_default().push(token);
        }
    }
    for tokens in together.values() {
        let whole = tokens.len() == TOGETHER && tokens.iter().all(|t| Some(t) == tokens.first());
        holds(whole, || format!("half of an atomic batch is there: {tokens:?} of {TOGETHER}"))?;
    }
    found.extend(main);
    Ok(found)
}

fn broken(what: &str, text: String) -> Violation {
    Violation::new(format!("{what} after the crash: {text}"))
}

/// The rows of a namespace, if there is one of this name; reads of all kinds agree on them.
pub(crate) async fn rows(store: &dyn Store, of: &str) -> Checked<Option<BTreeMap<String, String>>> {
    let rows = match store.open_namespace(&name(of)?).await {
        Ok(rows) => rows,
        Err(error) if error.kind() == ErrorKind::NoNamespace => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let (mut found, mut keys, mut tokens) = (BTreeMap::new(), Vec::new(), Vec::new());
    for item in CheckedScan::new(rows.scan(ScanOptions::new()).await?).collect().await? {
        let record = item.map_err(|damaged| {
            Violation::new(format!("a damaged row after the crash: {damaged:?}"))
        })?;
        let key = String::from_utf8_lossy(record.key.as_bytes()).into_owned();
        let token = token_of(&record.value).map_err(|what| broken(&key, what))?;
        keys.push(record.key);
        tokens.push(token.clone());
        let twice = found.insert(key, token).is_some();
        holds(!twice, || "a scan after the crash gives a key twice".to_owned())?;
    }
    let many = rows.get_many(&keys, ReadOptions::new()).await?;
    for ((result, key), token) in many.into_iter().zip(&keys).zip(tokens) {
        let got = result?.and_then(|record| token_of(&record.value).ok());
        same(&format!("a get of {key}, which a scan gave"), got, Some(token))?;
    }
    let count = rows.count(pinstate_core::CountOptions::new()).await?.value();
    same("the count after the crash", count, found.len() as u64)?;
    Ok(Some(found))
}
