//! Both sides of a comparison, opened: stores and files.

use std::sync::Arc;

use pinstate_core::transfer::StopFlag;
use pinstate_core::{Clock, Namespace, NamespaceName};
use pinstate_migrate::Pinset;

use super::Compared;
use crate::args::Global;
use crate::ends::{End, Ends};
use crate::exit::{Failure, Outcome};
use crate::output::Output;
use crate::session::Access;

/// Two pinsets, and the stores behind them.
pub(super) struct Sides {
    left: Side,
    right: Side,
}

struct Side {
    end: End,
    pinset: Arc<dyn Pinset>,
    /// The namespace, where it is one of a store.
    namespace: Option<Arc<dyn Namespace>>,
}

impl Sides {
    /// Opens both; the right one to be changed, where it is to be repaired.
    pub(super) async fn open(
        global: &Global,
        compared: &Compared,
        access: Access,
        out: Output,
        stop: &StopFlag,
    ) -> Outcome<Self> {
        let named = |namespace: &Option<NamespaceName>| {
            namespace.clone().unwrap_or_else(|| global.namespace.clone())
        };
        let (left, right) = (named(&compared.left_namespace), named(&compared.right_namespace));
        let same = compared.left == compared.right;
        if same && left == right {
            return Err(Failure::usage("both sides are the same")
                .with_hint("--left-namespace and --right-namespace compare two of one store"));
        }
        let ends = Ends { global, format: compared.format, out, stop };
        let first = if same { access } else { Access::Read };
        let left = Side::of(ends.open(&compared.left, &left, first).await?).await?;
        let opened = match left.end.session() {
            Some(session) if same => {
                Ok(End::in_store(Arc::clone(session), &compared.right, &right))
            }
            _ => ends.open(&compared.right, &right, access).await,
        };
        let opened = match opened {
            Ok(end) => Side::of(end).await,
            Err(failure) => Err(failure),
        };
        match opened {
            Ok(right) => Ok(Self { left, right }),
            Err(failure) => left.close(Err(failure)).await,
        }
    }

    pub(super) fn pinsets(&self) -> (Arc<dyn Pinset>, Arc<dyn Pinset>) {
        (Arc::clone(&self.left.pinset), Arc::clone(&self.right.pinset))
    }

    /// The namespace that is to be repaired, and the clock of its store.
    pub(super) async fn repaired(&self) -> Outcome<(Arc<dyn Namespace>, Arc<Clock>)> {
        let (Some(namespace), Some(session)) = (&self.right.namespace, self.right.end.session())
        else {
            return Err(Failure::usage(format!(
                "{} is a file, and only a store can be repaired",
                self.right.pinset.name()
            )));
        };
        Ok((Arc::clone(namespace), session.clock().await?))
    }

    /// The barrier of the store that is repaired.
    pub(super) async fn sync(&self) -> Outcome<()> {
        if let Some(session) = self.right.end.session() {
            session.store.sync().await?;
        }
        Ok(())
    }

    /// Closes both and gives the command's result.
    pub(super) async fn close<T>(self, result: Outcome<T>) -> Outcome<T> {
        let result = self.right.close(result).await;
        self.left.close(result).await
    }
}

impl Side {
    async fn of(end: End) -> Outcome<Self> {
        match end.pins().await {
            Ok((pinset, namespace)) => Ok(Self { end, pinset, namespace }),
            Err(failure) => end.close(Err(failure)).await,
        }
    }

    async fn close<T>(self, result: Outcome<T>) -> Outcome<T> {
        self.end.close(result).await
    }
}
