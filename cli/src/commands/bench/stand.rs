//! A store under load: a namespace of its own in it, gone when the benchmark ends.

use std::sync::Arc;

use pinstate_bench::{Pins, Pinset, Session as Bench, Workload, fill};
use pinstate_core::transfer::StopFlag;
use pinstate_core::{NamespaceName, State};
use uuid::Uuid;

use crate::args::Global;
use crate::exit::Outcome;
use crate::output::Output;
use crate::redact;
use crate::session::{Access, Choice, Session};

/// An opened store, and the benchmark's namespace.
pub(super) struct Stand {
    session: Session,
    namespace: NamespaceName,
    keep: bool,
}

impl Stand {
    /// Opens the store and makes the namespace.
    pub(super) async fn open(
        global: &Global,
        store: &str,
        keep: bool,
        out: Output,
    ) -> Outcome<Self> {
        let mut choice = Choice::new(global)?;
        choice.named = Some(store.to_owned());
        let session = Session::open_choice(choice, global, out, Access::Create).await?;
        let id = Uuid::new_v4().simple().to_string();
        let made = async {
            let name: NamespaceName = format!("bench-{}", id.get(..12).unwrap_or(&id)).parse()?;
            session.store.create_namespace(&name).await?;
            Ok(name)
        };
        match made.await {
            Ok(namespace) => Ok(Self { session, namespace, keep }),
            Err(failure) => session.close(Err(failure)).await,
        }
    }

    /// Opens the store once more, with a benchmark's namespace that is there.
    pub(super) async fn reopen(
        global: &Global,
        namespace: NamespaceName,
        out: Output,
    ) -> Outcome<Self> {
        let session = Session::open(global, out, Access::Modify).await?;
        Ok(Self { session, namespace, keep: false })
    }

    /// The benchmark's namespace.
    pub(super) fn namespace(&self) -> &NamespaceName {
        &self.namespace
    }

    /// Whether what is stored outlives this process.
    pub(super) fn is_persistent(&self) -> bool {
        self.session.store.capabilities().persistent
    }

    /// Closes the store, and leaves the namespace.
    pub(super) async fn leave(self) -> Outcome<()> {
        self.session.close(Ok(())).await
    }

    /// Fills it for a workload.
    pub(super) async fn begin(
        &self,
        name: &str,
        workload: &Workload,
        seed: u64,
        stop: &StopFlag,
    ) -> Outcome<Bench> {
        let store = &self.session.store;
        let mut pinset = self.pinset(name).await?;
        let folder = std::path::Path::new(&store.identity().location);
        if store.capabilities().exclusive_open && folder.is_dir() {
            pinset = pinset.in_folder(folder);
        }
        Ok(Bench::begin(Arc::new(pinset), workload, seed, stop).await?)
    }

    /// Puts the first pins there, so many of them.
    pub(super) async fn fill(&self, pins: &Pins, count: u64, stop: &StopFlag) -> Outcome<()> {
        Ok(fill(&self.pinset("").await?, pins, count, stop).await?)
    }

    async fn pinset(&self, name: &str) -> Outcome<Pinset> {
        let store = &self.session.store;
        let namespace = store.open_namespace(&self.namespace).await?;
        let state = State::new(namespace, self.session.clock().await?);
        Ok(Pinset::new(name, Arc::clone(store), state))
    }

    /// Removes the namespace, closes the store, and gives the command's result.
    pub(super) async fn close<T>(self, result: Outcome<T>) -> Outcome<T> {
        let Self { session, namespace, keep } = self;
        let cleared = if keep {
            session
                .out
                .note(format_args!("the benchmark's pins stay in the namespace {namespace}"));
            Ok(())
        } else {
            session.store.drop_namespace(&namespace).await.map(drop)
        };
        // What went wrong first is told.
        let result = result.and_then(|value| cleared.map(|()| value).map_err(Into::into));
        session.close(result).await
    }
}

/// What a store is called in reports.
pub(super) fn name_of(store: &str) -> String {
    redact::store(store).to_string()
}
