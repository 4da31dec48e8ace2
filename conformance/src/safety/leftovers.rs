//! The marks of ownership, and what a run that was killed has left.
//!
//! Before a run makes a namespace it writes a control record, `conformance/<namespace>`,
//! and it deletes that after the namespace is gone. Nothing is removed that has no mark.

use std::time::Duration;

use jiff::Timestamp;
use pinstate_core::{
    ControlWritten, Error, ErrorKind, Expect, NamespaceName, Operation, Result, Store,
};
use serde::{Deserialize, Serialize};

/// What the keys of marks begin with.
pub(super) const MARKS: &str = "conformance/";
/// What the names of namespaces that have marks begin with.
const NAMES: &str = "conf-";

#[derive(Serialize, Deserialize)]
struct Mark {
    namespace: NamespaceName,
    made: Timestamp,
    /// The process that made it: for people who look.
    pid: u32,
}

/// A namespace that a run of the suite made and has not removed.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Leftover {
    /// Its name.
    pub namespace: NamespaceName,
    /// When it was about to be made.
    pub made: Timestamp,
}

pub(super) fn key(namespace: &NamespaceName) -> String {
    format!("{MARKS}{namespace}")
}

/// Writes the mark of a namespace that is about to be made.
pub(super) async fn mark(store: &dyn Store, namespace: &NamespaceName) -> Result<()> {
    let mark =
        Mark { namespace: namespace.clone(), made: Timestamp::now(), pid: std::process::id() };
    let value = serde_json::to_vec(&mark).map_err(|error| {
        Error::new(ErrorKind::Internal, Operation::ControlSet, "a mark cannot be written")
            .with_source(error)
    })?;
    match store.control_set(&key(namespace), Expect::Absent, &value).await? {
        ControlWritten::Applied { .. } => Ok(()),
        ControlWritten::Conflict { .. } => Err(Error::new(
            ErrorKind::Conflict,
            Operation::ControlSet,
            format!("another run of the suite has marked '{namespace}' as its own"),
        )),
    }
}

/// Removes a marked namespace, the control records whose keys begin with its name, and last
/// the mark. What is gone already is no error.
pub(super) async fn remove(store: &dyn Store, namespace: &NamespaceName) -> Result<()> {
    match store.drop_namespace(namespace).await {
        Err(error) if error.kind() != ErrorKind::NoNamespace => return Err(error),
        _ => {}
    }
    let mut records = store.control_list(namespace.as_str()).await?;
    let mark = key(namespace);
    records.extend(store.control_get(&mark).await?.map(|record| (mark, record)));
    for (key, record) in records {
        let expect = Expect::Revision(record.revision);
        if !store.control_delete(&key, expect).await?.is_applied() {
            return Err(Error::new(
                ErrorKind::Conflict,
                Operation::ControlDelete,
                format!("somebody else writes the control record '{}'", key.escape_debug()),
            ));
        }
    }
    Ok(())
}

/// What runs of the suite have made in a store and not removed, by name; what a run that is
/// under way works in is among it.
///
/// # Errors
/// The store's.
pub async fn leftovers(store: &dyn Store) -> Result<Vec<Leftover>> {
    let mut left = Vec::new();
    for (key, record) in store.control_list(MARKS).await? {
        // A record that is no mark of ours is not ours to judge.
        let Ok(mark) = serde_json::from_slice::<Mark>(&record.value) else { continue };
        if mark.namespace.as_str().starts_with(NAMES) && key == self::key(&mark.namespace) {
            left.push(Leftover { namespace: mark.namespace, made: mark.made });
        }
    }
    Ok(left)
}

impl Leftover {
    /// How long ago it was made.
    #[must_use]
    pub fn age(&self) -> Duration {
        Timestamp::now().duration_since(self.made).try_into().unwrap_or_default()
    }

    /// Removes it: the namespace, the control records that belong to it, and its mark.
    ///
    /// # Errors
    /// The store's; what is left then still has its mark.
    pub async fn remove(&self, store: &dyn Store) -> Result<()> {
        remove(store, &self.namespace).await
    }
}
