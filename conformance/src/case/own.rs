//! A store that one case has for itself, to be opened, closed and lost.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pinstate_core::{ErrorKind, Store};

use super::{Cx, Ns, at_last};
use crate::check::{Checked, Violation};
use crate::plug::{Server, Site};

/// A store that one case has for itself.
pub(crate) struct Own {
    pub(super) site: Box<dyn Site>,
    pub(super) cx: Cx,
}

impl Own {
    /// Opens the store, under the layers of the leg.
    pub(crate) async fn open(&self) -> pinstate_core::Result<Arc<dyn Store>> {
        Ok(self.cx.dressed(self.site.open().await?))
    }

    /// Opens the store, asking again for so long while somebody else has it.
    pub(crate) async fn open_when_free(
        &self,
        patience: Duration,
    ) -> pinstate_core::Result<Arc<dyn Store>> {
        let began = Instant::now();
        loop {
            match self.open().await {
                Err(error) if error.kind() == ErrorKind::Locked && began.elapsed() < patience => {
                    tokio::task::yield_now().await;
                }
                opened => return opened,
            }
        }
    }

    /// Opens the store only if it is there.
    pub(crate) async fn open_existing(&self) -> Checked<pinstate_core::Result<Arc<dyn Store>>> {
        match self.site.open_existing().await {
            Some(opened) => Ok(opened.map(|store| self.cx.dressed(store))),
            None => Err(Violation::not_here(
                "needs a way to open a store only if it is there, and the plug's sites have no \
                 'open_existing'",
            )),
        }
    }

    /// Makes the format of the closed store one version newer.
    pub(crate) async fn make_newer(&self) -> Option<pinstate_core::Result<()>> {
        self.site.make_newer().await
    }

    /// The server behind the store.
    pub(crate) fn server(&self) -> Checked<Arc<dyn Server>> {
        self.site.server().ok_or_else(|| {
            Violation::not_here(
                "needs a server that can be taken away, and the plug's sites have no 'server'",
            )
        })
    }

    /// Opens the store and makes a namespace in it.
    pub(crate) async fn open_new(&self) -> Checked<(Arc<dyn Store>, Ns)> {
        let store = self.open().await?;
        let name = self.cx.name()?;
        at_last(|| store.create_namespace(&name), ErrorKind::Conflict).await?;
        let ns = self.cx.open(&store, &name).await?;
        Ok((store, ns))
    }
}
