//! The store's bookkeeping in the engine's default tree: which namespace is which tree,
//! and the control records. All changes run on the writer, so each is one step; what
//! belongs together is one batch of the engine, so that a crash leaves all of it or none.

use std::collections::BTreeMap;

use pinstate_core::control::{MAX_CONTROL_KEY_BYTES, MAX_CONTROL_VALUE_BYTES};
use pinstate_core::{
    ControlRecord, ControlWritten, Error, ErrorKind, Expect, NamespaceName, Operation, Result,
};
use sled::{Batch, Db};

use crate::directory::Marker;
use crate::error::{error, from_engine};
use crate::format::{
    KEY_BARRIER, KEY_FORMAT, KEY_REVISION, KEY_TREE, PREFIX_CONTROL, PREFIX_NAMESPACE,
    decode_control, decode_number, encode_control, is_tree_of_rows, join, tree_name,
};

/// Rows removed in one job when a namespace is dropped, so that other writes get their turn.
const DROP_ROWS: usize = 4_096;

fn engine(operation: Operation) -> impl Fn(sled::Error) -> Error {
    move |e| from_engine(e, operation)
}

fn corrupt(operation: Operation, what: &'static str) -> Error {
    error(ErrorKind::Corrupt, operation, what)
}

/// Writes what a new store begins with.
pub(crate) fn create(db: &Db, marker: Marker) -> Result<()> {
    db.insert(KEY_FORMAT, marker.text().as_bytes()).map_err(engine(Operation::Open))?;
    Ok(())
}

/// Checks that the engine's files belong to the marker, drops trees that no namespace has
/// (a crash came between two steps), and gives the namespaces with their trees.
pub(crate) fn load(db: &Db, marker: Marker) -> Result<BTreeMap<NamespaceName, u64>> {
    let op = Operation::Open;
    let stored = db.get(KEY_FORMAT).map_err(engine(op))?;
    if stored.as_deref() != Some(marker.text().as_bytes()) {
        return Err(corrupt(
            op,
            "the marker file does not belong to the engine's files beside it: the folder is \
             mixed up, restore it from a backup",
        ));
    }
    let mut namespaces = BTreeMap::new();
    for item in db.scan_prefix(PREFIX_NAMESPACE) {
        let (key, number) = item.map_err(engine(op))?;
        let name = key
            .get(PREFIX_NAMESPACE.len()..)
            .and_then(|name| std::str::from_utf8(name).ok()?.parse::<NamespaceName>().ok());
        match (name, decode_number(&number)) {
            (Some(name), Some(number)) => namespaces.insert(name, number),
            _ => return Err(corrupt(op, "the record of a namespace is damaged")),
        };
    }
    let known: Vec<String> = namespaces.values().copied().map(tree_name).collect();
    let present = db.tree_names();
    for name in &known {
        if !present.iter().any(|tree| tree == name.as_bytes()) {
            return Err(corrupt(op, "the tree of a namespace is missing"));
        }
    }
    for tree in present {
        if is_tree_of_rows(&tree) && !known.iter().any(|name| tree == name.as_bytes()) {
            tracing::info!(tree = %String::from_utf8_lossy(&tree), "dropping what a crash left");
            while drop_rows(db, &tree, op)? {
                db.flush().map_err(engine(op))?;
            }
        }
    }
    Ok(namespaces)
}

/// The number of the last barrier that the log has got to.
pub(crate) fn last_barrier(db: &Db) -> Result<u64> {
    match db.get(KEY_BARRIER).map_err(engine(Operation::Open))? {
        None => Ok(0),
        Some(stored) => decode_number(&stored)
            .ok_or_else(|| corrupt(Operation::Open, "the number of the last barrier is damaged")),
    }
}

/// Makes a tree for a namespace and records it; gives its number.
pub(crate) fn create_namespace(db: &Db, name: &NamespaceName) -> Result<(u64, sled::Tree)> {
    let op = Operation::CreateNamespace;
    let last = db.get(KEY_TREE).map_err(engine(op))?;
    let last = match &last {
        None => 0,
        Some(stored) => decode_number(stored)
            .ok_or_else(|| corrupt(op, "the number of the last tree is damaged"))?,
    };
    let number = last + 1;
    // The tree first: without its record it is dropped at the next start.
    let tree = db.open_tree(tree_name(number)).map_err(engine(op))?;
    let mut batch = Batch::default();
    batch.insert(KEY_TREE, &number.to_be_bytes());
    batch.insert(join(PREFIX_NAMESPACE, name.as_str().as_bytes()), &number.to_be_bytes());
    db.apply_batch(batch).map_err(engine(op))?;
    Ok((number, tree))
}

/// Forgets a namespace. Its tree stays until it is dropped.
pub(crate) fn forget_namespace(db: &Db, name: &NamespaceName) -> Result<()> {
    let key = join(PREFIX_NAMESPACE, name.as_str().as_bytes());
    db.remove(key).map_err(engine(Operation::DropNamespace))?;
    Ok(())
}

/// Gives the tree of `staged` to `name`, in one step.
pub(crate) fn replace_namespace(
    db: &Db,
    name: &NamespaceName,
    staged: &NamespaceName,
    number: u64,
) -> Result<()> {
    let mut batch = Batch::default();
    batch.insert(join(PREFIX_NAMESPACE, name.as_str().as_bytes()), &number.to_be_bytes());
    batch.remove(join(PREFIX_NAMESPACE, staged.as_str().as_bytes()));
    db.apply_batch(batch).map_err(engine(Operation::ReplaceNamespace))
}

/// Removes some of the rows of a tree that no namespace has, and the tree after the last of
/// them; false when all is done.
///
/// Dropping a full tree in one go has the engine hold all its pages in memory until the end,
/// half a gigabyte for a million rows.
pub(crate) fn drop_rows(db: &Db, tree_name: &[u8], operation: Operation) -> Result<bool> {
    let tree = db.open_tree(tree_name).map_err(engine(operation))?;
    let mut removed = 0;
    for key in tree.iter().keys().take(DROP_ROWS) {
        tree.remove(key.map_err(engine(operation))?).map_err(engine(operation))?;
        removed += 1;
    }
    let more = removed == DROP_ROWS;
    if !more {
        db.drop_tree(tree_name).map_err(engine(operation))?;
    }
    Ok(more)
}

/// Reads a control record.
pub(crate) fn control_get(db: &Db, key: &str) -> Result<Option<ControlRecord>> {
    let op = Operation::ControlGet;
    let stored = db.get(join(PREFIX_CONTROL, key.as_bytes())).map_err(engine(op))?;
    stored.map(|stored| read_control(&stored, key, op)).transpose()
}

fn read_control(stored: &[u8], key: &str, operation: Operation) -> Result<ControlRecord> {
    let (revision, value) = decode_control(stored).ok_or_else(|| {
        corrupt(operation, "the control record is damaged").with_context("control record", key)
    })?;
    Ok(ControlRecord::new(value.to_vec(), revision))
}

/// The control records whose keys begin with `prefix`.
pub(crate) fn control_list(db: &Db, prefix: &str) -> Result<Vec<(String, ControlRecord)>> {
    let op = Operation::ControlList;
    let mut records = Vec::new();
    for item in db.scan_prefix(join(PREFIX_CONTROL, prefix.as_bytes())) {
        let (key, stored) = item.map_err(engine(op))?;
        let key = key.get(PREFIX_CONTROL.len()..).unwrap_or_default();
        let key = String::from_utf8(key.to_vec())
            .map_err(|_| corrupt(op, "the key of a control record is damaged"))?;
        let record = read_control(&stored, &key, op)?;
        records.push((key, record));
    }
    Ok(records)
}

/// Writes (or with `None` deletes) a control record if what is there was expected.
pub(crate) fn control_write(
    db: &Db,
    key: &str,
    expect: Expect,
    value: Option<&[u8]>,
    op: Operation,
) -> Result<ControlWritten> {
    let current = control_get(db, key).map_err(|e| e.with_operation(op))?;
    let found = match &current {
        None => Expect::Absent,
        Some(record) => Expect::Revision(record.revision),
    };
    if found != expect {
        return Ok(ControlWritten::Conflict { current });
    }
    let place = join(PREFIX_CONTROL, key.as_bytes());
    let Some(value) = value else {
        if current.is_some() {
            db.remove(place).map_err(engine(op))?;
        }
        return Ok(ControlWritten::Applied { revision: 0 });
    };
    // One count for all control records, so that none comes twice, also after a delete.
    let last = db.get(KEY_REVISION).map_err(engine(op))?;
    let last = match &last {
        None => 0,
        Some(stored) => {
            decode_number(stored).ok_or_else(|| corrupt(op, "the last revision is damaged"))?
        }
    };
    let revision = last + 1;
    let mut batch = Batch::default();
    batch.insert(KEY_REVISION, &revision.to_be_bytes());
    batch.insert(place, encode_control(revision, value));
    db.apply_batch(batch).map_err(engine(op))?;
    Ok(ControlWritten::Applied { revision })
}

/// Refuses a control record that is over a limit.
pub(crate) fn check_control(key: &str, value: &[u8], operation: Operation) -> Result<()> {
    let (what, limit) = if key.len() > MAX_CONTROL_KEY_BYTES {
        ("the key of the control record is too long", MAX_CONTROL_KEY_BYTES)
    } else if value.len() > MAX_CONTROL_VALUE_BYTES {
        ("the value of the control record is too large", MAX_CONTROL_VALUE_BYTES)
    } else {
        return Ok(());
    };
    Err(error(ErrorKind::TooLarge, operation, what).with_context("limit in bytes", limit))
}
