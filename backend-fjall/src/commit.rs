//! The one writer: writes that wait at the same time become one batch of the engine, and
//! wait for the disk once.
//!
//! All writes go through one thread. It takes what waits, decides each write's condition
//! against what is stored and what the group has written so far, commits the group, and
//! answers. So no two writes ever race for a key, no reader sees what is not durable yet, and
//! the more clients wait for the disk, the more share each wait.

use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use fjall::OwnedWriteBatch;
use pinstate_core::{Operation, Outcome, Precondition, Result, Version, Written};
use tokio::sync::{mpsc, oneshot};

use crate::engine::Engine;
use crate::error::{closed, corrupt, engine as engine_error, file, no_answer};
use crate::format::{Body, Head, Row, check_long, damaged, record_key};
use crate::room::Space;
use crate::rows::Tables;

/// Calls that may wait in the queue; more wait for room in it.
const QUEUE: usize = 1_024;
/// A group takes no more calls when it has so many writes, or so many bytes of values.
const GROUP_WRITES: usize = 10_000;
const GROUP_BYTES: usize = 8 << 20;

/// What must hold for a write.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rule {
    Given(Precondition),
    /// What is stored is a marker older than this, which goes.
    Purge(Version),
}

/// The writes of one call.
pub(crate) struct Writes {
    pub(crate) space: Arc<Space>,
    pub(crate) operation: Operation,
    /// The engine's keys, and what is to stand there.
    pub(crate) items: Vec<(Bytes, Row)>,
    pub(crate) rule: Rule,
}

/// One for each write of a call.
type Outcomes = Vec<Result<Written>>;
type Reply = oneshot::Sender<Result<Outcomes>>;
type Alone = Box<dyn FnOnce(&Engine) + Send>;

enum Job {
    Writes(Writes, Reply),
    /// Done between groups, when nothing is under way.
    Alone(Alone),
    Stop,
}

/// The way to the writer.
pub(crate) struct Committer {
    queue: mpsc::Sender<Job>,
    thread: parking_lot::Mutex<Option<std::thread::JoinHandle<()>>>,
}

impl Committer {
    /// Starts the writer of an engine.
    pub(crate) fn start(engine: Engine) -> Result<Self> {
        let (queue, jobs) = mpsc::channel(QUEUE);
        let thread = std::thread::Builder::new().name("pinstate-fjall-writer".to_owned());
        let thread = thread.spawn(move || serve(&engine, jobs));
        let thread = thread.map_err(|error| file(error, Operation::Open))?;
        Ok(Self { queue, thread: Some(thread).into() })
    }

    /// Writes, and waits until that is as durable as the store promises.
    pub(crate) async fn write(&self, writes: Writes) -> Result<Outcomes> {
        let operation = writes.operation;
        let (reply, answer) = oneshot::channel();
        let sent = self.queue.send(Job::Writes(writes, reply)).await;
        sent.map_err(|_| closed(operation))?;
        answer.await.unwrap_or_else(|_| Err(no_answer(operation)))
    }

    /// Does something when all writes before it are done and none is under way.
    pub(crate) async fn alone<T: Send + 'static>(
        &self,
        operation: Operation,
        work: impl FnOnce(&Engine) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        let work = Box::new(move |engine: &Engine| {
            let _gone = reply.send(work(engine));
        });
        self.queue.send(Job::Alone(work)).await.map_err(|_| closed(operation))?;
        answer.await.unwrap_or_else(|_| Err(no_answer(operation)))
    }

    /// Calls that wait for their turn.
    pub(crate) fn waiting(&self) -> usize {
        self.queue.max_capacity() - self.queue.capacity()
    }

    /// Waits for all writes before it and ends the writer. Blocks.
    pub(crate) fn stop(&self) {
        if let Some(thread) = self.thread.lock().take() {
            // From a thread of its own: the last handle may go on a thread of a runtime, where
            // tokio does not let anybody wait.
            std::thread::scope(|scope| {
                scope.spawn(|| self.queue.blocking_send(Job::Stop));
            });
            let _panic_was_caught = thread.join();
        }
    }
}

fn serve(engine: &Engine, mut jobs: mpsc::Receiver<Job>) {
    let mut group = Group::new(engine);
    while let Some(job) = jobs.blocking_recv() {
        let mut next = Some(job);
        while let Some(job) = next.take() {
            match job {
                Job::Writes(writes, reply) => {
                    group.add(writes, reply);
                    if !group.is_full() {
                        next = jobs.try_recv().ok();
                    }
                }
                Job::Alone(work) => {
                    group.commit();
                    // Whoever waits for it hears that it gave no answer.
                    let _panic = catch_unwind(AssertUnwindSafe(|| work(engine)));
                }
                Job::Stop => {
                    group.commit();
                    // What came too late was never begun.
                    jobs.close();
                    while let Ok(job) = jobs.try_recv() {
                        if let Job::Writes(writes, reply) = job {
                            let _gone = reply.send(Err(closed(writes.operation)));
                        }
                    }
                    return;
                }
            }
        }
        group.commit();
    }
}

/// Writes that are committed together.
struct Group<'e> {
    engine: &'e Engine,
    /// What stands under each key after the group so far; `None` where nothing does. One
    /// batch of the engine must not have a key twice; and in the order of the keys it is sooner
    /// in the engine's table.
    pending: BTreeMap<(u64, Bytes), Option<Row>>,
    tables: HashMap<u64, Tables>,
    bytes: usize,
    waiting: Vec<(Operation, Outcomes, Reply)>,
}

impl<'e> Group<'e> {
    fn new(engine: &'e Engine) -> Self {
        Self {
            engine,
            pending: BTreeMap::new(),
            tables: HashMap::new(),
            bytes: 0,
            waiting: Vec::new(),
        }
    }

    fn is_full(&self) -> bool {
        self.pending.len() >= GROUP_WRITES || self.bytes >= GROUP_BYTES
    }

    fn add(&mut self, writes: Writes, reply: Reply) {
        let Writes { space, operation, items, rule } = writes;
        let tables = match space.tables(operation) {
            Ok(tables) => tables,
            Err(error) => {
                let _gone = reply.send(Err(error));
                return;
            }
        };
        let write = |(key, row)| self.write(&tables, operation, key, row, rule);
        let outcomes = catch_unwind(AssertUnwindSafe(|| items.into_iter().map(write).collect()));
        match outcomes {
            Ok(outcomes) => {
                self.tables.insert(tables.id, tables);
                self.waiting.push((operation, outcomes, reply));
            }
            // The engine panicked over a row that a condition asked for. What the call had
            // added by then is not taken back: its outcome is unknown, as the error says.
            Err(_) => {
                self.tables.insert(tables.id, tables);
                let _gone = reply.send(Err(no_answer(operation)));
            }
        }
    }

    /// The one place where a write meets what is stored.
    fn write(
        &mut self,
        tables: &Tables,
        operation: Operation,
        key: Bytes,
        row: Row,
        rule: Rule,
    ) -> Result<Written> {
        let at = (tables.id, key);
        let keep = match rule {
            // A write without a condition needs no look at what is there, and a plain delete
            // leaves nothing.
            Rule::Given(Precondition::None) => row.is_live(),
            Rule::Given(condition) => {
                let stored = self.stored(tables, operation, &at, row.version)?;
                if let Some(answer) =
                    condition.refusal(row.contender(), stored.as_ref().map(Row::contender))
                {
                    return Ok(answer);
                }
                true
            }
            Rule::Purge(before) => {
                let stored = self.stored(tables, operation, &at, row.version)?;
                if stored.is_none_or(|row| row.is_live() || row.version >= before) {
                    return Ok(Written::Refused { current: None });
                }
                false
            }
        };
        self.bytes += at.1.len() + row.len();
        self.pending.insert(at, keep.then_some(row));
        Ok(Written::Applied)
    }

    /// What stands under a key now. Its value is right where the version is the one asked
    /// for; else it may be left out, since nobody will look at it.
    fn stored(
        &self,
        tables: &Tables,
        operation: Operation,
        at: &(u64, Bytes),
        version: Version,
    ) -> Result<Option<Row>> {
        if let Some(row) = self.pending.get(at) {
            return Ok(row.clone());
        }
        let key = &at.1;
        let failed = |error| {
            engine_error(error, operation)
                .with_key(record_key(key))
                .with_outcome(Outcome::NotApplied)
        };
        let Some(bytes) = tables.rows.get(key).map_err(failed)? else { return Ok(None) };
        let bytes = Bytes::from(bytes);
        let unfit =
            |reason| damaged(operation, &record_key(key), reason).with_outcome(Outcome::NotApplied);
        let Head { version: stored, body } = Head::decode(key, &bytes).map_err(unfit)?;
        let long = match body {
            Body::Marker | Body::Here(_) => None,
            Body::Apart { .. } if stored != version => Some(Bytes::new()),
            Body::Apart { len, sum } => {
                let values = tables.values.get();
                let value = values.map(|values| values.get(key)).transpose().map_err(failed)?;
                Some(check_long(value.flatten().map(Bytes::from), len, sum).map_err(unfit)?)
            }
        };
        Ok(Some(Row { version: stored, bytes, long }))
    }

    /// Writes the group, and answers everybody in it.
    fn commit(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        let tables = std::mem::take(&mut self.tables);
        self.bytes = 0;
        let (engine, calls) = (self.engine, self.waiting.len());
        let result = catch_unwind(AssertUnwindSafe(|| commit(engine, &tables, pending, calls)));
        let result = result.unwrap_or_else(|_| Err(no_answer(Operation::Apply)));
        for (operation, outcomes, reply) in self.waiting.drain(..) {
            let answer = match &result {
                Ok(()) => Ok(outcomes),
                Err(error) => Err(error.clone().with_operation(operation)),
            };
            let _gone = reply.send(answer);
        }
    }
}

/// One batch of the engine; all of it, or nothing.
fn commit(
    engine: &Engine,
    tables: &HashMap<u64, Tables>,
    pending: BTreeMap<(u64, Bytes), Option<Row>>,
    calls: usize,
) -> Result<()> {
    if pending.is_empty() {
        return Ok(());
    }
    let begun = |error| engine_error(error, Operation::Apply).with_outcome(Outcome::NotApplied);
    tables.values().for_each(Tables::let_it_write_out);
    let mut batch = OwnedWriteBatch::with_capacity(engine.db.clone(), pending.len())
        .durability(Some(engine.safety.mode()));
    for ((id, key), row) in pending {
        let tables = tables
            .get(&id)
            .ok_or_else(|| corrupt(Operation::Apply, "a write is of no namespace"))?;
        let long = row.as_ref().and_then(|row| row.long.as_ref());
        // Its own key: long values wait longer in memory than the rows of their call.
        if let Some(long) = long {
            let values = engine.values(tables).map_err(begun)?;
            batch.insert(values, &key[..], long.clone());
        } else if let Some(values) = tables.values.get()
            && values.contains_key(&key).map_err(begun)?
        {
            batch.remove(values, &key[..]);
        }
        match row {
            Some(row) => {
                batch.insert(&tables.rows, key, row.bytes);
            }
            None => batch.remove(&tables.rows, key),
        }
    }
    engine.commit(batch, calls, Operation::Apply)
}
