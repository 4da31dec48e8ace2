//! The catalog: which namespaces there are, and the control records.
//!
//! One keyspace of the engine, whose values each end in the CRC-32 of key and value:
//!
//! ```text
//! "n" NAME   the number of the namespace's keyspaces (8, big-endian)
//! "c" KEY    a control record: its revision (8), its value
//! "i"        the number of the next namespace (8)
//! "r"        the last revision of any control record (8)
//! ```
//!
//! The writer's thread alone changes it, each time in one batch that is on the disk before it
//! is acknowledged, whatever the store's durability.

use bytes::Bytes;
use fjall::{OwnedWriteBatch, PersistMode, Readable};
use pinstate_core::{ControlRecord, ControlWritten, Expect, NamespaceName, Operation, Result};

use crate::engine::Engine;
use crate::error::{corrupt, engine as engine_error};

const NEXT_ID: &[u8] = b"i";
const LAST_REVISION: &[u8] = b"r";

fn namespace_key(name: &NamespaceName) -> Vec<u8> {
    [b"n", name.as_str().as_bytes()].concat()
}

fn control_key(key: &str) -> Vec<u8> {
    [b"c", key.as_bytes()].concat()
}

fn sealed(key: &[u8], value: &[u8]) -> Vec<u8> {
    let sum = crc32fast::hash(&[key, value].concat());
    [value, &sum.to_be_bytes()].concat()
}

/// The value without its checksum.
fn unsealed(operation: Operation, key: &[u8], sealed: Bytes) -> Result<Bytes> {
    let whole = sealed.split_last_chunk::<4>().filter(|(value, sum)| {
        crc32fast::hash(&[key, *value].concat()) == u32::from_be_bytes(**sum)
    });
    let (value, _) = whole.ok_or_else(|| {
        corrupt(operation, "an entry of the catalog is damaged")
            .with_context("entry", key.escape_ascii())
    })?;
    Ok(sealed.slice_ref(value))
}

fn number(operation: Operation, value: &[u8]) -> Result<u64> {
    let bytes = value.try_into();
    let bytes = bytes.map_err(|_| corrupt(operation, "a number in the catalog is damaged"))?;
    Ok(u64::from_be_bytes(bytes))
}

fn read(engine: &Engine, operation: Operation, key: &[u8]) -> Result<Option<Bytes>> {
    let found = engine
        .moments
        .now()
        .get(&engine.catalog, key)
        .map_err(|error| engine_error(error, operation))?;
    found.map(|value| unsealed(operation, key, value.into())).transpose()
}

/// The entries whose keys begin so, by key and without the prefix's first byte.
fn list(engine: &Engine, operation: Operation, prefix: &[u8]) -> Result<Vec<(String, Bytes)>> {
    let mut listed = Vec::new();
    for entry in engine.moments.now().prefix(&engine.catalog, prefix) {
        let (key, value) = entry.into_inner().map_err(|error| engine_error(error, operation))?;
        let name = key.get(1..).and_then(|name| std::str::from_utf8(name).ok());
        let name = name.ok_or_else(|| corrupt(operation, "a name in the catalog is damaged"))?;
        listed.push((name.to_owned(), unsealed(operation, &key, value.into())?));
    }
    Ok(listed)
}

/// Changes of the catalog that are written as one.
struct Change<'e> {
    engine: &'e Engine,
    batch: OwnedWriteBatch,
}

impl<'e> Change<'e> {
    fn new(engine: &'e Engine) -> Self {
        let batch = engine.db.batch().durability(Some(PersistMode::SyncAll));
        Self { engine, batch }
    }

    fn set(mut self, key: &[u8], value: &[u8]) -> Self {
        self.batch.insert(&self.engine.catalog, key, sealed(key, value));
        self
    }

    fn remove(mut self, key: &[u8]) -> Self {
        self.batch.remove(&self.engine.catalog, key);
        self
    }

    fn commit(self, operation: Operation) -> Result<()> {
        let Self { engine, batch } = self;
        engine.commit(batch, 1, operation)
    }
}

/// The namespaces with the numbers of their keyspaces, by name.
pub(crate) fn namespaces(engine: &Engine) -> Result<Vec<(NamespaceName, u64)>> {
    let listed = list(engine, Operation::Open, b"n")?;
    let parsed = listed.into_iter().map(|(name, value)| {
        let name = name.parse();
        let name =
            name.map_err(|_| corrupt(Operation::Open, "a namespace in the catalog has no name"))?;
        Ok((name, number(Operation::Open, &value)?))
    });
    parsed.collect()
}

/// The number of the next namespace.
pub(crate) fn next_id(engine: &Engine) -> Result<u64> {
    let next = read(engine, Operation::CreateNamespace, NEXT_ID)?;
    next.map_or(Ok(1), |next| number(Operation::CreateNamespace, &next))
}

/// Notes a new namespace.
pub(crate) fn create(engine: &Engine, name: &NamespaceName, id: u64) -> Result<()> {
    Change::new(engine)
        .set(&namespace_key(name), &id.to_be_bytes())
        .set(NEXT_ID, &(id + 1).to_be_bytes())
        .commit(Operation::CreateNamespace)
}

/// Forgets a namespace.
pub(crate) fn drop_namespace(engine: &Engine, name: &NamespaceName) -> Result<()> {
    Change::new(engine).remove(&namespace_key(name)).commit(Operation::DropNamespace)
}

/// Gives the keyspaces of `staged` the name `name`, and takes the other name away.
pub(crate) fn replace(
    engine: &Engine,
    name: &NamespaceName,
    staged: &NamespaceName,
    id: u64,
) -> Result<()> {
    Change::new(engine)
        .set(&namespace_key(name), &id.to_be_bytes())
        .remove(&namespace_key(staged))
        .commit(Operation::ReplaceNamespace)
}

fn record(operation: Operation, value: &Bytes) -> Result<ControlRecord> {
    let split = value.split_first_chunk::<8>();
    let (revision, rest) =
        split.ok_or_else(|| corrupt(operation, "a control record is damaged"))?;
    Ok(ControlRecord::new(value.slice_ref(rest), u64::from_be_bytes(*revision)))
}

/// Reads a control record.
pub(crate) fn control_get(
    engine: &Engine,
    operation: Operation,
    key: &str,
) -> Result<Option<ControlRecord>> {
    let value = read(engine, operation, &control_key(key))?;
    value.map(|value| record(operation, &value)).transpose()
}

/// The control records whose keys begin so.
pub(crate) fn control_list(engine: &Engine, prefix: &str) -> Result<Vec<(String, ControlRecord)>> {
    let operation = Operation::ControlList;
    let listed = list(engine, operation, &control_key(prefix))?;
    listed.into_iter().map(|(key, value)| Ok((key, record(operation, &value)?))).collect()
}

/// What is there, if it is not what was expected.
fn conflict(expect: Expect, current: Option<ControlRecord>) -> Option<ControlWritten> {
    let fits = match (expect, &current) {
        (Expect::Absent, None) => true,
        (Expect::Revision(revision), Some(record)) => record.revision == revision,
        _ => false,
    };
    (!fits).then_some(ControlWritten::Conflict { current })
}

/// Writes a control record if what is there is what was expected.
pub(crate) fn control_set(
    engine: &Engine,
    key: &str,
    expect: Expect,
    value: &[u8],
) -> Result<ControlWritten> {
    let operation = Operation::ControlSet;
    if let Some(conflict) = conflict(expect, control_get(engine, operation, key)?) {
        return Ok(conflict);
    }
    let last = read(engine, operation, LAST_REVISION)?;
    let revision = last.map_or(Ok(0), |last| number(operation, &last))? + 1;
    Change::new(engine)
        .set(&control_key(key), &[&revision.to_be_bytes(), value].concat())
        .set(LAST_REVISION, &revision.to_be_bytes())
        .commit(operation)?;
    Ok(ControlWritten::Applied { revision })
}

/// Deletes a control record if what is there is what was expected.
pub(crate) fn control_delete(engine: &Engine, key: &str, expect: Expect) -> Result<ControlWritten> {
    let operation = Operation::ControlDelete;
    let current = control_get(engine, operation, key)?;
    let is_there = current.is_some();
    if let Some(conflict) = conflict(expect, current) {
        return Ok(conflict);
    }
    if is_there {
        Change::new(engine).remove(&control_key(key)).commit(operation)?;
    }
    Ok(ControlWritten::Applied { revision: 0 })
}
