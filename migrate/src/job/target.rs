//! Where a job writes.

use std::sync::Arc;

use pinstate_core::{
    CheckedScan, ControlWritten, Error, ErrorKind, Expect, Namespace, NamespaceName, Operation,
    Result, ScanOptions, Store,
};

use super::settings::Mode;
use super::source::{Identity, STORE};

/// A namespace that is written to, which need not be there yet.
#[derive(Clone, Debug)]
pub struct Target {
    pub(super) store: Arc<dyn Store>,
    pub(super) namespace: NamespaceName,
    pub(super) name: String,
    /// Nobody else writes to the store, says whoever runs the job.
    pub(super) exclusive: bool,
}

impl Target {
    /// The namespace of this name in `store`, called `name` in reports.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, namespace: NamespaceName, name: impl Into<String>) -> Self {
        Self { store, namespace, name: name.into(), exclusive: false }
    }

    /// Says that nobody else writes to the store, where others could.
    #[must_use]
    pub fn exclusive(mut self, exclusive: bool) -> Self {
        self.exclusive = exclusive;
        self
    }

    pub(super) fn identity(&self) -> Identity {
        Identity {
            kind: STORE.to_owned(),
            id: self.store.identity().uuid.to_string(),
            part: self.namespace.to_string(),
            name: self.name.clone(),
        }
    }

    /// Whether others could write to it at the same time, as far as is known.
    pub(super) fn is_shared(&self) -> bool {
        let capabilities = self.store.capabilities();
        capabilities.persistent && !capabilities.exclusive_open && !self.exclusive
    }

    /// The namespace, if it is there.
    pub(super) async fn existing(&self) -> Result<Option<Arc<dyn Namespace>>> {
        open(&*self.store, &self.namespace).await
    }

    /// Whether it has any record; one that is not there has none.
    pub(super) async fn is_empty(&self) -> Result<bool> {
        let Some(namespace) = self.existing().await? else { return Ok(true) };
        let options = ScanOptions::new().keys_only().with_page_rows(1);
        let mut scan = CheckedScan::new(namespace.scan(options).await?);
        while let Some(page) = scan.next_page().await? {
            if !page.items.is_empty() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The namespace to fill, made where it is not there: the target's own, or one that is to
    /// take its place.
    pub(super) async fn prepare(
        &self,
        staging: Option<&NamespaceName>,
    ) -> Result<Arc<dyn Namespace>> {
        let name = staging.unwrap_or(&self.namespace);
        if let Some(namespace) = open(&*self.store, name).await? {
            return Ok(namespace);
        }
        match self.store.create_namespace(name).await {
            // Another process was faster.
            Err(error) if error.kind() == ErrorKind::Conflict => {}
            created => created?,
        }
        self.store.open_namespace(name).await
    }

    /// A name for a namespace that is to take the target's place.
    pub(super) async fn staging(&self) -> Result<NamespaceName> {
        loop {
            let id = uuid::Uuid::new_v4().simple().to_string();
            let name: NamespaceName = format!("migrate-{}", id.get(..12).unwrap_or(&id)).parse()?;
            if !self.store.list_namespaces().await?.iter().any(|taken| taken.name == name) {
                return Ok(name);
            }
        }
    }

    /// Puts what was copied in the target's place. Doing it again does no harm.
    pub(super) async fn replace(&self, staging: &NamespaceName) -> Result<()> {
        match self.store.replace_namespace(&self.namespace, staging).await {
            // It was done, and then the process died.
            Err(error) if error.kind() == ErrorKind::NoNamespace => {
                self.store.open_namespace(&self.namespace).await.map(drop)
            }
            replaced => replaced,
        }
    }

    /// Removes what was to take the target's place, if it is there.
    pub(super) async fn discard(&self, staging: &NamespaceName) -> Result<()> {
        match self.store.drop_namespace(staging).await {
            Err(error) if error.kind() == ErrorKind::NoNamespace => Ok(()),
            dropped => dropped,
        }
    }

    /// Refuses a mode that would lose what others write.
    pub(super) fn check(&self, mode: Mode) -> Result<()> {
        if mode == Mode::Replace && self.is_shared() {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                Operation::Migrate,
                "others can write to the target at the same time, and what they write would be \
                 lost when the new records take its place: stop them, and say so with --exclusive",
            ));
        }
        Ok(())
    }

    /// Takes the target for one job: a control record that says so stays until it is over, so
    /// that no other job, of this host or another, fills the same namespace.
    ///
    /// # Errors
    /// `Locked` while another job has it.
    pub(super) async fn claim(&self, job: &str) -> Result<()> {
        let key = self.claim_key();
        match self.store.control_set(&key, Expect::Absent, job.as_bytes()).await? {
            ControlWritten::Applied { .. } => Ok(()),
            ControlWritten::Conflict { current: Some(record) } if record.value == job => Ok(()),
            ControlWritten::Conflict { current } => {
                let holder = current.map_or_else(String::new, |record| {
                    String::from_utf8_lossy(&record.value).into_owned()
                });
                let message = "another job fills this namespace: finish it, or give it up with \
                               'pinstate migrate abort' (and --lost where its folder is gone)";
                Err(Error::new(ErrorKind::Locked, Operation::Migrate, message)
                    .with_context("job", holder))
            }
        }
    }

    /// Gives the target back, if this job has it; whether it had. For a job that has a folder
    /// this is done when it ends: whoever calls it says that the folder is lost.
    ///
    /// # Errors
    /// What keeps the claim from being read or removed.
    pub async fn release(&self, job: &str) -> Result<bool> {
        let key = self.claim_key();
        match self.store.control_get(&key).await? {
            Some(record) if record.value == job => {
                let expect = Expect::Revision(record.revision);
                // A conflict would mean that it is somebody else's by now.
                Ok(self.store.control_delete(&key, expect).await?.is_applied())
            }
            _ => Ok(false),
        }
    }

    fn claim_key(&self) -> String {
        format!("migrate/{}", self.namespace)
    }
}

async fn open(store: &dyn Store, name: &NamespaceName) -> Result<Option<Arc<dyn Namespace>>> {
    match store.open_namespace(name).await {
        Err(error) if error.kind() == ErrorKind::NoNamespace => Ok(None),
        opened => opened.map(Some),
    }
}
