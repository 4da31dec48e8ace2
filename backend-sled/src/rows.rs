//! Reading and writing rows of one tree. Everything here blocks and runs on a worker; all
//! writes run on the one writer, so that looking and then writing is one step.

use bytes::Bytes;
use pinstate_core::{
    Atomicity, BatchItem, BatchOptions, Error, ErrorKind, Key, Operation, Outcome, Precondition,
    Record, Result, Version, Written,
};

use crate::error::{damaged, error, from_engine};
use crate::format::Row;

/// Longest key in bytes.
pub(crate) const MAX_KEY_BYTES: usize = 65_533;
/// Longest value in bytes. A page of the engine holds up to 16 rows, and reading one row
/// brings in its page.
pub(crate) const MAX_VALUE_BYTES: usize = 1 << 20;
/// Most writes of an atomic batch: the engine keeps all pages that such a batch touches in
/// memory until it is written.
pub(crate) const MAX_ATOMIC_WRITES: usize = 1_000;
/// Most bytes of an atomic batch.
const MAX_ATOMIC_BYTES: usize = 16 << 20;

/// The live record under a key.
pub(crate) fn get(tree: &sled::Tree, key: &Key) -> Result<Option<Record>> {
    let Some(stored) = tree.get(key).map_err(|e| from_engine(e, Operation::Get))? else {
        return Ok(None);
    };
    let row =
        Row::decode(&stored).map_err(|reason| damaged(Operation::Get, key.clone(), reason))?;
    Ok(row.value.map(|value| Record::live(key.clone(), Bytes::copy_from_slice(value), row.version)))
}

/// Many keys, one behind the other in one buffer.
pub(crate) struct Keys {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Keys {
    pub(crate) fn new(keys: &[Key]) -> Self {
        let mut bytes = Vec::with_capacity(keys.iter().map(Key::len).sum());
        let ends = keys
            .iter()
            .map(|key| {
                bytes.extend_from_slice(key.as_bytes());
                bytes.len()
            })
            .collect();
        Self { bytes, ends }
    }

    fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        let mut start = 0;
        self.ends.iter().map(move |&end| {
            let key = self.bytes.get(start..end).unwrap_or_default();
            start = end;
            key
        })
    }
}

/// What was found under many keys: where the value of each lies in one buffer, and its
/// version.
pub(crate) struct Found {
    values: Bytes,
    places: Vec<Result<Option<Place>>>,
}

/// Where a value lies in the buffer of all, and its version.
type Place = (std::ops::Range<usize>, Version);

impl Found {
    /// The records; `keys` are those that were asked for.
    pub(crate) fn into_records(self, keys: &[Key]) -> Vec<Result<Option<Record>>> {
        let Self { values, places } = self;
        let record = |(key, place): (&Key, Result<Option<Place>>)| {
            let live = |(at, version)| Record::live(key.clone(), values.slice(at), version);
            Ok(place?.map(live))
        };
        keys.iter().zip(places).map(record).collect()
    }
}

/// Looks up many keys.
pub(crate) fn get_many(tree: &sled::Tree, keys: &Keys) -> Found {
    // In key order, so that keys of one page are looked up while it is at hand.
    let mut order: Vec<(&[u8], usize)> = keys.iter().zip(0..).collect();
    order.sort_unstable();
    // Pins are of about this size.
    let mut values = Vec::with_capacity(order.len().saturating_mul(320).min(1 << 20));
    let mut places = Vec::new();
    places.resize_with(order.len(), || Ok(None));
    for (key, i) in order {
        let Some(place) = places.get_mut(i) else { continue };
        *place = match tree.get(key) {
            Ok(None) => continue,
            Err(e) => Err(from_engine(e, Operation::GetMany).with_key(Key::copy_from(key))),
            Ok(Some(stored)) => match Row::decode(&stored) {
                Err(reason) => Err(damaged(Operation::GetMany, Key::copy_from(key), reason)),
                Ok(Row { value: None, .. }) => continue,
                Ok(Row { value: Some(value), version }) => {
                    let start = values.len();
                    values.extend_from_slice(value);
                    Ok(Some((start..values.len(), version)))
                }
            },
        };
    }
    Found { values: Bytes::from(values), places }
}

/// Whether a key has a live record, or one that cannot be read.
pub(crate) fn has(tree: &sled::Tree, key: &Key) -> Result<bool> {
    let stored = tree.get(key).map_err(|e| from_engine(e, Operation::Has))?;
    Ok(stored.is_some_and(|stored| !matches!(Row::decode(&stored), Ok(Row { value: None, .. }))))
}

/// Refuses a write that is over a limit.
pub(crate) fn check_size(item: &BatchItem, operation: Operation) -> Result<()> {
    let key = item.key();
    let over = |what: &'static str, limit: usize| {
        Err(error(ErrorKind::TooLarge, operation, what)
            .with_key(key.clone())
            .with_context("limit in bytes", limit))
    };
    if key.len() > MAX_KEY_BYTES {
        return over("the key is too long", MAX_KEY_BYTES);
    }
    match item {
        BatchItem::Put(put) if put.value.len() > MAX_VALUE_BYTES => {
            over("the value is too large", MAX_VALUE_BYTES)
        }
        _ => Ok(()),
    }
}

/// Writes one record if its condition holds.
pub(crate) fn write(
    tree: &sled::Tree,
    item: &BatchItem,
    precondition: Precondition,
    operation: Operation,
    scratch: &mut Vec<u8>,
) -> Result<Written> {
    let (key, new) = match item {
        BatchItem::Put(put) => (&put.key, Row { version: put.version, value: Some(&put.value) }),
        BatchItem::Delete(delete) => (&delete.key, Row { version: delete.version, value: None }),
    };
    let engine = |e: sled::Error| from_engine(e, operation).with_key(key.clone());
    if precondition == Precondition::None {
        match item {
            BatchItem::Put(_) => tree.insert(key, new.encode(scratch)).map_err(engine)?,
            BatchItem::Delete(_) => tree.remove(key).map_err(engine)?,
        };
        return Ok(Written::Applied);
    }
    let stored = tree.get(key).map_err(engine)?;
    let current = match &stored {
        None => None,
        Some(stored) => {
            Some(Row::decode(stored).map_err(|why| damaged(operation, key.clone(), why))?)
        }
    };
    let live = current.filter(|row| row.value.is_some()).map(|row| row.version);
    match precondition {
        Precondition::IfNewer => {
            if let Some(current) = current.filter(|row| !new.contender().beats(&row.contender())) {
                return Ok(Written::Superseded { current: current.version });
            }
        }
        Precondition::IfAbsent if live.is_some() => return Ok(Written::Refused { current: live }),
        Precondition::IfVersion(expected) if live != Some(expected) => {
            return Ok(Written::Refused { current: live });
        }
        Precondition::IfAbsent | Precondition::IfVersion(_) => {}
        _ => {
            return Err(error(
                ErrorKind::Unsupported,
                operation,
                "this backend does not know this condition",
            ));
        }
    }
    tree.insert(key, new.encode(scratch)).map_err(engine)?;
    Ok(Written::Applied)
}

/// Writes each item for itself, in key order and, for one key, in the order given. Rows of
/// one page follow each other then, which the engine rewards by a sixth to a third.
///
/// # Errors
/// Where the engine fails: what came of any item is unknown then.
pub(crate) fn apply_each(
    tree: &sled::Tree,
    items: &[BatchItem],
    options: BatchOptions,
) -> Result<Vec<Result<Written>>> {
    let condition = if options.if_newer { Precondition::IfNewer } else { Precondition::None };
    let mut order: Vec<(&[u8], usize, &BatchItem)> =
        items.iter().enumerate().map(|(i, item)| (item.key().as_bytes(), i, item)).collect();
    order.sort_unstable_by_key(|&(key, i, _)| (key, i));
    let mut outcomes: Vec<Result<Written>> =
        (0..items.len()).map(|_| Ok(Written::Applied)).collect();
    let mut scratch = Vec::new();
    for (_, i, item) in order {
        let Some(outcome) = outcomes.get_mut(i) else { continue };
        *outcome = check_size(item, Operation::Apply)
            .and_then(|()| write(tree, item, condition, Operation::Apply, &mut scratch));
        if let Err(failure) = outcome
            && failure.outcome() == Outcome::Unknown
        {
            return Err(failure.clone());
        }
    }
    Ok(outcomes)
}

/// Refuses an atomic batch that is over a limit.
pub(crate) fn check_atomic(items: &[BatchItem]) -> Result<()> {
    for item in items {
        check_size(item, Operation::Apply)?;
    }
    let bytes: usize = items.iter().map(BatchItem::len).sum();
    if items.len() > MAX_ATOMIC_WRITES || bytes > MAX_ATOMIC_BYTES {
        return Err(error(
            ErrorKind::TooLarge,
            Operation::Apply,
            "the atomic batch is too large: divide it, or apply it per item",
        )
        .with_context("writes", items.len())
        .with_context("most writes", MAX_ATOMIC_WRITES)
        .with_context("bytes", bytes)
        .with_context("most bytes", MAX_ATOMIC_BYTES));
    }
    Ok(())
}

/// Writes all items at once, or none.
pub(crate) fn apply_atomic(tree: &sled::Tree, items: &[BatchItem]) -> Result<()> {
    let mut batch = sled::Batch::default();
    let mut scratch = Vec::new();
    for item in items {
        match item {
            BatchItem::Put(put) => {
                let row = Row { version: put.version, value: Some(&put.value) };
                batch.insert(put.key.as_bytes(), row.encode(&mut scratch));
            }
            BatchItem::Delete(delete) => batch.remove(delete.key.as_bytes()),
        }
    }
    tree.apply_batch(batch).map_err(|e| from_engine(e, Operation::Apply))
}

/// Refuses what no store takes: a delete on condition that there is nothing.
pub(crate) fn check_condition(item: &BatchItem, precondition: Precondition) -> Result<(), Error> {
    match (item, precondition) {
        (BatchItem::Delete(delete), Precondition::IfAbsent) => Err(error(
            ErrorKind::InvalidInput,
            Operation::Delete,
            "a delete cannot ask for the key to be absent",
        )
        .with_key(delete.key.clone())
        .with_outcome(Outcome::NotApplied)),
        _ => Ok(()),
    }
}

/// Whether the options ask for all or nothing.
pub(crate) fn is_atomic(options: BatchOptions) -> Result<bool> {
    match options.atomicity {
        Atomicity::PerItem => Ok(false),
        Atomicity::Required => Ok(true),
        _ => Err(error(
            ErrorKind::Unsupported,
            Operation::Apply,
            "this backend does not know this kind of batch",
        )),
    }
}
