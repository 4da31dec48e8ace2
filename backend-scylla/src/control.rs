//! The contract's control records.

use pinstate_core::control::{MAX_CONTROL_KEY_BYTES, MAX_CONTROL_VALUE_BYTES};
use pinstate_core::{ControlRecord, ControlWritten, ErrorKind, Expect, Operation, Result};

use bytes::Bytes;

use crate::catalog::{Change, Entry, Space, new_revision};
use crate::core::Core;
use crate::error::error;

fn record(entry: Entry) -> ControlRecord {
    // The bytes may be a piece of a whole answer.
    ControlRecord::new(Bytes::copy_from_slice(&entry.value), entry.revision.cast_unsigned())
}

fn check(key: &str, value: &[u8], operation: Operation) -> Result<()> {
    for (what, len, limit) in
        [("key", key.len(), MAX_CONTROL_KEY_BYTES), ("value", value.len(), MAX_CONTROL_VALUE_BYTES)]
    {
        if len > limit {
            return Err(error(
                ErrorKind::TooLarge,
                operation,
                format!("the control record's {what} is {len} bytes long, of at most {limit}"),
            ));
        }
    }
    Ok(())
}

/// Reads a control record.
pub(crate) async fn get(core: &Core, key: &str) -> Result<Option<ControlRecord>> {
    let operation = Operation::ControlGet;
    if key.len() > MAX_CONTROL_KEY_BYTES {
        core.session(operation)?;
        return Ok(None);
    }
    let found = core.catalog(operation).await?.get(Space::Control, key, operation).await?;
    Ok(found.map(record))
}

/// The control records whose keys begin with a prefix.
pub(crate) async fn list(core: &Core, prefix: &str) -> Result<Vec<(String, ControlRecord)>> {
    let operation = Operation::ControlList;
    let found = core.catalog(operation).await?.list(Space::Control, prefix, operation).await?;
    Ok(found.into_iter().map(|(key, entry)| (key, record(entry))).collect())
}

/// Writes a control record, or deletes it where there is no value.
pub(crate) async fn write(
    core: &Core,
    key: &str,
    expect: Expect,
    value: Option<&[u8]>,
    operation: Operation,
) -> Result<ControlWritten> {
    check(key, value.unwrap_or_default(), operation)?;
    let expected = match expect {
        Expect::Absent => None,
        // One that no record of ours can have is never met.
        Expect::Revision(revision) => Some(i64::try_from(revision).unwrap_or(0)),
    };
    let catalog = core.catalog(operation).await?;
    let conflict = |found: Option<Entry>| ControlWritten::Conflict { current: found.map(record) };
    let revision = if value.is_some() { new_revision() } else { 0 };
    let applied = ControlWritten::Applied { revision: revision.cast_unsigned() };
    if expected.is_none() && value.is_none() {
        let found = catalog.get(Space::Control, key, operation).await?;
        return Ok(if found.is_none() { applied } else { conflict(found) });
    }
    let new = value.map(|value| Entry { value: Bytes::copy_from_slice(value), revision });
    let change = Change { key, expected, new };
    if catalog.change(Space::Control, &[change], operation).await? {
        return Ok(applied);
    }
    Ok(conflict(catalog.get(Space::Control, key, operation).await?))
}
