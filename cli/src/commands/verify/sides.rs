//! Both sides of a comparison, opened: stores and files.

use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use pinstate_core::config::StoreUri;
use pinstate_core::format::manifest::Format;
use pinstate_core::format::{Decoder, Leniency};
use pinstate_core::transfer::StopFlag;
use pinstate_core::{Clock, Namespace, NamespaceName, Result};
use pinstate_migrate::{OpenFile, PinFile, Pinset, StoredPins};
use tokio::io::AsyncRead;

use super::Compared;
use crate::args::Global;
use crate::exit::{Failure, Outcome};
use crate::formats::{Overrides, decoder};
use crate::input::Input;
use crate::output::Output;
use crate::redact;
use crate::session::{Access, Choice, Session};

/// Two pinsets, and the stores behind them.
pub(super) struct Sides {
    left: Opened,
    right: Opened,
}

struct Opened {
    pinset: Arc<dyn Pinset>,
    /// The store and its namespace; `None` for a file. Both sides may be in one store.
    store: Option<(Arc<Session>, Arc<dyn Namespace>)>,
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
        let opening = Opening { global, compared, out, stop };
        let first = if same { access } else { Access::Read };
        let left = opening.side(&compared.left, &left, first).await?;
        let opened = match &left.store {
            Some((session, _)) if same => {
                Opened::in_store(Arc::clone(session), &compared.right, &right).await
            }
            _ => opening.side(&compared.right, &right, access).await,
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
        let Some((session, namespace)) = &self.right.store else {
            return Err(Failure::usage(format!(
                "{} is a file, and only a store can be repaired",
                self.right.pinset.name()
            )));
        };
        Ok((Arc::clone(namespace), session.clock().await?))
    }

    /// The barrier of the store that is repaired.
    pub(super) async fn sync(&self) -> Outcome<()> {
        if let Some((session, _)) = &self.right.store {
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

/// What the command line says about both sides.
struct Opening<'a> {
    global: &'a Global,
    compared: &'a Compared,
    out: Output,
    stop: &'a StopFlag,
}

impl Opening<'_> {
    async fn side(&self, what: &str, name: &NamespaceName, access: Access) -> Outcome<Opened> {
        let mut choice = Choice::new(self.global)?;
        let path = Path::new(what);
        let is_store = StoreUri::looks_like(what) || choice.config.stores.contains_key(what);
        if !is_store && (what == "-" || path.exists()) {
            return self.file(path).await;
        }
        if !is_store && !what.contains(':') {
            return Err(Failure::usage(format!(
                "'{}' is neither a file nor a store of the configuration",
                redact::store(what)
            ))
            .with_hint("name a store as sled:PATH, or by its name in the configuration"));
        }
        choice.named = Some(what.to_owned());
        let session = Session::open_choice(choice, self.global, self.out, access).await?;
        Opened::in_store(Arc::new(session), what, name).await
    }

    async fn file(&self, path: &Path) -> Outcome<Opened> {
        let format = self.compared.format;
        let input = Input::open(Some(path), format, Leniency::Strict, self.out, self.stop);
        let mut input = input.await?;
        // It may have to be read again.
        input.spool(None, self.stop).await?;
        let name = input.name.clone();
        let file = Readable { format: input.format, input: Mutex::new(input) };
        Ok(Opened { pinset: Arc::new(PinFile::new(name, Box::new(file))), store: None })
    }
}

impl Opened {
    async fn in_store(session: Arc<Session>, what: &str, name: &NamespaceName) -> Outcome<Self> {
        match session.namespace_of(name).await {
            Ok(namespace) => {
                let shown = format!("{} ({name})", redact::store(what));
                let pinset = Arc::new(StoredPins::new(shown, Arc::clone(&namespace)));
                Ok(Self { pinset, store: Some((session, namespace)) })
            }
            Err(failure) => close(session, Err(failure)).await,
        }
    }

    async fn close<T>(self, result: Outcome<T>) -> Outcome<T> {
        drop(self.pinset);
        match self.store {
            Some((session, _)) => close(session, result).await,
            None => result,
        }
    }
}

/// Closes a store unless the other side still has it.
async fn close<T>(session: Arc<Session>, result: Outcome<T>) -> Outcome<T> {
    match Arc::try_unwrap(session) {
        Ok(session) => session.close(result).await,
        Err(_) => result,
    }
}

/// A file that is read from its beginning as often as needed.
struct Readable {
    format: Format,
    input: Mutex<Input>,
}

impl OpenFile for Readable {
    fn open(&self) -> Result<(Box<dyn AsyncRead + Send + Unpin>, Box<dyn Decoder>)> {
        let reader = self.input.lock().reader().map_err(Failure::into_error)?;
        Ok((reader, decoder(self.format, Leniency::Strict, &Overrides::default())))
    }
}
