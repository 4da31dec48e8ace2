//! An opened store: its identity, its namespaces and its control records.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use serde::Serialize;
use uuid::Uuid;

use crate::capability::{Capabilities, Durability};
use crate::control::{ControlRecord, ControlWritten, Expect};
use crate::error::Result;
use crate::gauge::Gauge;
use crate::name::NamespaceName;
use crate::namespace::Namespace;

/// Who a store is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub struct StoreIdentity {
    /// Drawn when the store was created, kept for its life.
    pub uuid: Uuid,
    /// The backend's name.
    pub backend: &'static str,
    /// The version of its format or schema.
    pub format: u32,
    /// Where it is, for people: a path, a keyspace. Never a secret.
    pub location: String,
}

impl StoreIdentity {
    /// A store's identity.
    #[must_use]
    pub fn new(
        uuid: Uuid,
        backend: &'static str,
        format: u32,
        location: impl Into<String>,
    ) -> Self {
        Self { uuid, backend, format, location: location.into() }
    }
}

/// A namespace of a store.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub struct NamespaceInfo {
    /// Its name.
    pub name: NamespaceName,
}

impl NamespaceInfo {
    /// The namespace of this name.
    #[must_use]
    pub fn new(name: NamespaceName) -> Self {
        Self { name }
    }
}

/// How a store is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub struct Health {
    /// Whether reads and writes can be expected to work.
    pub ready: bool,
    /// Facts for people, name and text.
    pub details: Vec<(Cow<'static, str>, String)>,
}

impl Health {
    /// A healthy store.
    #[must_use]
    pub fn ready() -> Self {
        Self { ready: true, details: Vec::new() }
    }

    /// A store that cannot work now.
    #[must_use]
    pub fn not_ready(reason: impl Into<String>) -> Self {
        Self { ready: false, details: vec![("reason".into(), reason.into())] }
    }

    /// Adds a fact.
    #[must_use]
    pub fn with_detail(
        mut self,
        name: impl Into<Cow<'static, str>>,
        text: impl Into<String>,
    ) -> Self {
        self.details.push((name.into(), text.into()));
        self
    }
}

/// An opened backend.
///
/// # For authors
/// Handles are cheap to share (`Arc`). Namespaces and control records change one at a
/// time: each operation here is atomic, also across a crash. Control writes and changes of
/// namespaces are durable at the level of `sync` when acknowledged.
#[async_trait]
pub trait Store: Send + Sync + fmt::Debug {
    /// Who the store is.
    fn identity(&self) -> &StoreIdentity;

    /// What the store can do.
    fn capabilities(&self) -> &Capabilities;

    /// Creates an empty namespace.
    ///
    /// # Errors
    /// `Conflict` where it exists.
    async fn create_namespace(&self, name: &NamespaceName) -> Result<()>;

    /// A handle on an existing namespace. Handles on one namespace see each other's writes: at
    /// once where the store is [linearizable](crate::Consistency), else in the end, or in the
    /// time that the store names for that.
    ///
    /// # Errors
    /// `NoNamespace` where it does not exist.
    async fn open_namespace(&self, name: &NamespaceName) -> Result<Arc<dyn Namespace>>;

    /// The namespaces, by name.
    async fn list_namespaces(&self) -> Result<Vec<NamespaceInfo>>;

    /// Drops a namespace and all its records, and nothing else.
    ///
    /// # Errors
    /// `NoNamespace` where it does not exist.
    async fn drop_namespace(&self, name: &NamespaceName) -> Result<()>;

    /// Puts the namespace `staged` in the place of `name`, in one step: readers see the old
    /// records or the new ones, and a crash leaves one or the other. The name `staged` and
    /// the old records are gone afterwards; open handles on either answer `NoNamespace`.
    /// `name` need not exist.
    ///
    /// # Errors
    /// `NoNamespace` where `staged` does not exist; `InvalidInput` where both are the same.
    async fn replace_namespace(&self, name: &NamespaceName, staged: &NamespaceName) -> Result<()>;

    /// Reads a control record.
    async fn control_get(&self, key: &str) -> Result<Option<ControlRecord>>;

    /// The control records whose keys begin with `prefix`, by key.
    async fn control_list(&self, prefix: &str) -> Result<Vec<(String, ControlRecord)>>;

    /// Writes a control record if what is there is what was expected.
    async fn control_set(&self, key: &str, expect: Expect, value: &[u8]) -> Result<ControlWritten>;

    /// Deletes a control record if what is there is what was expected; expecting
    /// `Absent` is a conflict where there is one, and nothing to do where there is none.
    async fn control_delete(&self, key: &str, expect: Expect) -> Result<ControlWritten>;

    /// How the store is, without writing.
    async fn health(&self) -> Result<Health>;

    /// Waits until every write acknowledged before the call has reached the level that is
    /// returned.
    async fn sync(&self) -> Result<Durability>;

    /// Flushes, waits for what is under way, and frees files, threads and locks.
    /// Everything else answers `Closed` afterwards; closing twice is no error.
    async fn close(&self) -> Result<()>;

    /// What the store can tell of itself in numbers, at once and without asking anybody:
    /// none where it has none. The only method with a body, since a wrapper that does not
    /// pass it on shows less and does nothing wrong.
    fn gauges(&self) -> Vec<(Gauge, f64)> {
        Vec::new()
    }
}
